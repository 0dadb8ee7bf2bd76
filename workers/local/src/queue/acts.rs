//! The act queue: like an SQS FIFO queue whose message group is the scope.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use stoker_core::ids::ScopeKey;
use stoker_core::ports::{ActQueue, ActQueueError, ActRequest};
use stoker_core::situation::Trigger;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::QueueSettings;

/// How long a request is remembered, so that its repetition is not taken: SQS's interval.
const REMEMBERED: Duration = Duration::from_mins(5);

/// All requests of one scope that were visible: one act serves them. No other turn of that scope is
/// given until this one is [finished](ActsInProcess::finish), [given back](ActsInProcess::give_back),
/// or hidden for longer than the visibility.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// On which scope to act.
    pub scope: ScopeKey,
    /// Why: of all requests that it serves, the reason that asks for most.
    pub trigger: Trigger,
    /// How many requests it serves.
    pub requests: usize,
    /// How often this work was begun, this time included.
    pub receives: u32,
    number: u64,
}

impl Turn {
    /// Different for each turn of a queue.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// The requests of one scope.
#[derive(Debug, Default)]
struct Group {
    /// When each becomes visible, and why it was made.
    waiting: Vec<(Instant, Trigger)>,
    taken: Option<Taken>,
    receives: u32,
}

/// A turn that was given and not finished.
#[derive(Debug)]
struct Taken {
    turn: u64,
    requests: usize,
    hidden_until: Instant,
}

impl Group {
    /// When a turn can be given.
    fn ready_at(&self) -> Option<Instant> {
        match &self.taken {
            Some(taken) => Some(taken.hidden_until),
            None => self.waiting.iter().map(|(at, _)| *at).min(),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<ScopeKey, Group>,
    /// By scope and what was folded: the deduplication id.
    remembered: HashMap<(ScopeKey, String), Instant>,
    turns: u64,
}

/// See the module.
#[derive(Debug)]
pub struct ActsInProcess {
    settings: QueueSettings,
    state: Mutex<State>,
    changed: Notify,
}

impl ActsInProcess {
    /// An empty queue.
    pub fn new(settings: QueueSettings) -> Self {
        Self {
            settings,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Takes a request that becomes visible after a delay; a repetition within five minutes is not
    /// taken.
    pub fn ask_later(&self, request: &ActRequest, delay: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        state
            .remembered
            .retain(|_, since| now.duration_since(*since) < REMEMBERED);
        let id = (request.scope, request.folded.clone());
        if state.remembered.contains_key(&id) {
            return;
        }
        state.remembered.insert(id, now);
        let group = state.groups.entry(request.scope).or_default();
        group.waiting.push((now + delay, request.trigger));
        drop(state);
        self.changed.notify_waiters();
    }

    /// The next turn, once a scope has one.
    pub async fn turn(&self) -> Turn {
        loop {
            // Registered before looking, so that what comes in between wakes it.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.take(Instant::now()) {
                Ok(turn) => return turn,
                Err(None) => changed.await,
                Err(Some(next)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(next) => {}
                },
            }
        }
    }

    fn take(&self, now: Instant) -> Result<Turn, Option<Instant>> {
        let mut state = self.state();
        let next = state
            .groups
            .iter()
            .filter_map(|(scope, group)| Some((group.ready_at()?, *scope)))
            .min();
        let Some((ready_at, scope)) = next else {
            return Err(None);
        };
        if ready_at > now {
            return Err(Some(ready_at));
        }
        state.turns += 1;
        let number = state.turns;
        let group = state.groups.entry(scope).or_default();
        let before = group.waiting.len();
        let visible = group.waiting.iter().filter(|(at, _)| *at <= now);
        let triggers = visible.map(|(_, trigger)| *trigger).reduce(Trigger::joined);
        group.waiting.retain(|(visible_at, _)| *visible_at > now);
        let visible = before - group.waiting.len();
        // A turn that was not finished in time is given again, with what has come since.
        let again = group.taken.as_ref();
        let requests = visible + again.map_or(0, |taken| taken.requests);
        // What comes again takes up what was left.
        let trigger = again.map(|_| Trigger::Tick).or(triggers);
        let trigger = trigger.unwrap_or_default();
        group.taken = Some(Taken {
            turn: number,
            requests,
            hidden_until: now + self.settings.visibility,
        });
        group.receives += 1;
        Ok(Turn {
            scope,
            trigger,
            requests,
            receives: group.receives,
            number,
        })
    }

    /// The act is done: its requests go. Requests made meanwhile stay.
    pub fn finish(&self, turn: &Turn) {
        let mut state = self.state();
        if let Some(group) = state.groups.get_mut(&turn.scope)
            && group
                .taken
                .as_ref()
                .is_some_and(|taken| taken.turn == turn.number)
        {
            group.taken = None;
            group.receives = 0;
            if group.waiting.is_empty() {
                state.groups.remove(&turn.scope);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The act failed: its requests are visible again after `delay`, unless they were received as often
    /// as they may be. Whether they are put aside.
    pub fn give_back(&self, turn: &Turn, delay: Duration) -> bool {
        if turn.receives >= self.settings.maximum_receives {
            self.finish(turn);
            return true;
        }
        if let Some(group) = self.state().groups.get_mut(&turn.scope)
            && let Some(taken) = &mut group.taken
            && taken.turn == turn.number
        {
            taken.hidden_until = Instant::now() + delay;
        }
        self.changed.notify_waiters();
        false
    }

    /// Whether nothing is asked for and no turn is being taken.
    pub fn is_empty(&self) -> bool {
        self.state().groups.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ActQueue for ActsInProcess {
    async fn ask(&self, request: &ActRequest) -> Result<(), ActQueueError> {
        self.ask_later(request, Duration::ZERO);
        Ok(())
    }

    /// Nothing: whoever asks has noted in the ledger when the scope is due, and here that is looked for each
    /// second.
    async fn ask_in(&self, _: &ActRequest, _: u32) -> Result<(), ActQueueError> {
        Ok(())
    }
}
