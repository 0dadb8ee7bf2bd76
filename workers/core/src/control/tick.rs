//! What is due is asked to be acted on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{MutexGuard, PoisonError};

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use super::{Control, ControlError};
use crate::happening::Happening;
use crate::ids::ScopeKey;
use crate::ports::{ActRequest, Due, LONGEST_REMINDER};
use crate::situation::Trigger;
use crate::time::Timestamp;

/// How many of what is due one tick takes: the next one, a minute later, takes the rest.
const DUE_AT_ONCE: usize = 1_000;

/// How many of them are asked for at once.
const ASKED_AT_ONCE: usize = 20;

/// What a tick came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticked {
    /// How many scopes are to be acted on.
    pub due: usize,
    /// How many webhooks are to be delivered again.
    pub redelivered: usize,
    /// How many jobs were found of which no webhook had told.
    pub found: usize,
    /// How many instances were gone without a word.
    pub gone: usize,
}

impl Control {
    /// Asks for acts on the scopes that are due: what could not be done in time, what is deferred until now,
    /// and what an act that died left. Then what nobody told is looked for: runners that a ledger that was lost
    /// knew (nothing was launched for its scopes before, since their first act sees to that as well), instances
    /// that are gone, webhooks that failed, and jobs of which none was sent.
    ///
    /// # Errors
    /// If the ledger or the queue did not answer: what was not asked for stays due.
    pub async fn tick(&self) -> Result<Ticked, ControlError> {
        let ticked = self.ask_for_all_due().await;
        let gone = self.look_at_instances().await;
        let gone = self.or_the_next_tick("which instances there are is not known", gone);
        let redelivered = self.ask_for_deliveries().await;
        let redelivered =
            self.or_the_next_tick("webhooks that failed were not all asked for", redelivered);
        let found = self.poll().await;
        let found = self.or_the_next_tick("jobs without a webhook were not looked for", found);
        Ok(Ticked {
            redelivered,
            found,
            gone,
            ..ticked?
        })
    }

    async fn look_at_instances(&self) -> Result<usize, ControlError> {
        let ours = self.ports.fleet.ours().await?;
        let gone = self.miss_instances(&ours).await?;
        self.look_around(ours).await?;
        Ok(gone)
    }

    /// None of what a tick looks for holds up the rest.
    fn or_the_next_tick(&self, what: &str, came: Result<usize, ControlError>) -> usize {
        came.unwrap_or_else(|error| {
            self.report(&Happening::Trouble {
                scope: None,
                problem: format!("{what}: {error}; the next tick looks"),
            });
            0
        })
    }

    async fn ask_for_all_due(&self) -> Result<Ticked, ControlError> {
        let now = self.now();
        let mut by_scope: BTreeMap<ScopeKey, Vec<Due>> = BTreeMap::new();
        for due in self.ports.ledger.due(now, DUE_AT_ONCE).await? {
            by_scope.entry(due.scope).or_default().push(due);
        }
        let ticked = Ticked {
            due: by_scope.len(),
            ..Ticked::default()
        };
        let mut asking = Vec::new();
        for (scope, due) in by_scope {
            asking.push(self.ask_due(scope, due, now).boxed());
        }
        let mut asked = stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        // What can't be asked for one scope holds up no other.
        let mut failed = None;
        while let Some(one) = asked.next().await {
            failed = failed.or(one.err());
        }
        failed.map_or(Ok(ticked), Err)
    }

    /// Has a scope acted on in so many seconds.
    ///
    /// # Errors
    /// If the ledger did not note it.
    pub async fn act_later(&self, scope: ScopeKey, seconds: u32) -> Result<(), ControlError> {
        let at = Timestamp(self.now().0 + u64::from(seconds));
        self.look_again(scope, at).await
    }

    /// Has a scope acted on at that time, or before: nothing is noted where this process has noted a sooner time
    /// that is still to come. The act is asked for besides, so that it comes to the second; where that request
    /// is lost, the tick asks.
    pub(super) async fn look_again(
        &self,
        scope: ScopeKey,
        at: Timestamp,
    ) -> Result<(), ControlError> {
        let now = self.now();
        let noted = self.noted_due(scope);
        if noted.is_some_and(|noted| now < noted && noted <= at) {
            return Ok(());
        }
        self.ports.ledger.put_due(&Due { at, scope }).await?;
        self.noted().insert(scope, at);
        let seconds = now.age(at);
        if seconds > LONGEST_REMINDER {
            return Ok(());
        }
        let request = ActRequest {
            scope,
            folded: format!("due-{}", at.0),
            trigger: Trigger::Tick,
        };
        if let Err(error) = self.ports.acts.ask_in(&request, seconds).await {
            self.report(&Happening::Trouble {
                scope: Some(scope),
                problem: format!("{error}; the tick asks for the act that is due in {seconds} s"),
            });
        }
        Ok(())
    }

    /// When this process has noted last that a scope is due.
    pub(super) fn noted_due(&self, scope: ScopeKey) -> Option<Timestamp> {
        self.noted().get(&scope).copied()
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<ScopeKey, Timestamp>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_due(
        &self,
        scope: ScopeKey,
        all: Vec<Due>,
        now: Timestamp,
    ) -> Result<(), ControlError> {
        let request = ActRequest {
            scope,
            // Of this tick: a queue that swallows what was asked before must not take it for what an earlier
            // tick, which died before it took that off the list, had asked.
            folded: format!("tick-{}", now.0),
            trigger: Trigger::Tick,
        };
        // Asked first: what is asked for twice is done once.
        self.ports.acts.ask(&request).await?;
        for due in &all {
            self.ports.ledger.drop_due(due).await?;
        }
        Ok(())
    }
}
