//! What is done with a batch of messages.
//!
//! Messages of one lane are handled one after the other, lanes at the same time. A FIFO queue's groups
//! are lanes; every other message has a lane of its own. Each message fails alone, except in a group, where
//! those behind a failed one fail with it: handled before it, they would be out of order.
//!
//! What was folded asks for acts when the whole batch is folded: once for each scope, however many events it
//! had. Events whose request could not be made come again.
//!
//! What fails comes again within seconds, not when SQS's visibility time is over; what fails for good is
//! put aside with its reason.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, stream};
use stoker_core::control::{Acted, Control, ControlError, Rebuilt};
use stoker_core::happening::Happening;
use stoker_core::ids::{InstanceId, ScopeKey};
use stoker_core::ports::{ActRequest, Clock, Reporter};
use stoker_core::runner::RunnerNews;
use stoker_core::situation::Trigger;
use stoker_intake::JobEvent;
use tokio::time::Instant;

use crate::event::{BatchResponse, Record, SqsEvent};
use crate::lanes::{Item, Lane, Requests, Task, lanes, requests};
use crate::message::InstanceEvent;
use crate::queues::{Aside, Queues, Redriven};

/// How many lanes run at the same time: an SQS batch is mostly 10, and the ledger takes more.
const LANES_AT_ONCE: usize = 16;

/// What is left of the Lambda's time when its work ends, so that what was done is still reported and
/// the rest is not counted as done or lost.
const MARGIN: Duration = Duration::from_millis(2_500);

/// What of it is kept for asking for acts when events are folded.
const ASKING: Duration = Duration::from_secs(3);

/// The longest pause before a message that failed is delivered again, in seconds. The first is two seconds,
/// each further one twice as long.
const LONGEST_PAUSE: u32 = 60;

/// How often a request to act comes back to its queue because not all could be done; after that the tick
/// takes care of its scope, and other requests for it need not wait behind it.
const ACTS_IN_QUEUE: u32 = 5;

/// When a scope is looked at again whose acts failed until they were put aside, in seconds: its jobs still
/// wait, and what is in the way may be gone by then.
const FAILED_ACT_AGAIN: u32 = 300;

/// The entries of the control plane.
#[async_trait]
pub trait Steer: Send + Sync {
    /// Makes an event part of the ledger. The act that is to be asked for then, if any.
    async fn fold(&self, event: &JobEvent) -> Result<Option<ActRequest>, ControlError>;

    /// Makes news of an instance part of the ledger; `event` tells it from others. The act that is to be
    /// asked for then, if any.
    async fn fold_instance(
        &self,
        instance: &InstanceId,
        news: &RunnerNews,
        event: &str,
    ) -> Result<Option<ActRequest>, ControlError>;

    /// Asks for an act.
    async fn ask(&self, request: &ActRequest) -> Result<(), ControlError>;

    /// Acts on a scope.
    async fn act(&self, scope: ScopeKey, trigger: Trigger) -> Result<Acted, ControlError>;

    /// Has a scope acted on in so many seconds.
    async fn act_later(&self, scope: ScopeKey, seconds: u32) -> Result<(), ControlError>;

    /// Asks for acts on all that is due.
    async fn tick(&self) -> Result<(), ControlError>;

    /// Writes into the ledger what it lacks.
    async fn rebuild(&self) -> Result<Rebuilt, ControlError>;
}

#[async_trait]
impl Steer for Control {
    async fn fold(&self, event: &JobEvent) -> Result<Option<ActRequest>, ControlError> {
        Ok(Control::hear(self, event).await?.request)
    }

    async fn fold_instance(
        &self,
        instance: &InstanceId,
        news: &RunnerNews,
        event: &str,
    ) -> Result<Option<ActRequest>, ControlError> {
        Control::hear_of_instance(self, instance, news, event).await
    }

    async fn ask(&self, request: &ActRequest) -> Result<(), ControlError> {
        Control::ask(self, request).await
    }

    async fn act(&self, scope: ScopeKey, trigger: Trigger) -> Result<Acted, ControlError> {
        Control::act(self, scope, trigger).await
    }

    async fn act_later(&self, scope: ScopeKey, seconds: u32) -> Result<(), ControlError> {
        Control::act_later(self, scope, seconds).await
    }

    async fn tick(&self) -> Result<(), ControlError> {
        Control::tick(self).await.map(|_ticked| ())
    }

    async fn rebuild(&self) -> Result<Rebuilt, ControlError> {
        Control::rebuild(self).await
    }
}

/// What the Lambda runs.
pub struct Handler<S> {
    steer: S,
    queues: Arc<dyn Queues>,
    reporter: Arc<dyn Reporter>,
    clock: Arc<dyn Clock>,
    /// How often a message may be delivered before it is put aside.
    most_receives: u32,
}

/// A message that was handled.
struct Handled {
    record: Record,
    /// The scope that it asked to be acted on.
    scope: Option<ScopeKey>,
    /// What follows from it, if all went well.
    asks: Option<ActRequest>,
    fate: Fate,
}

/// What came of a message's work.
enum Came {
    /// What is to be asked for then.
    Folded(Option<ActRequest>),
    Acted(Acted),
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Done,
    /// It is to come again.
    Again(Why),
    /// It is to be put aside, with this reason.
    Aside(String),
}

/// Why a message is to come again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// It failed.
    Failed(String),
    /// Not all could be done now: in so many seconds, more may be.
    Waits(u32),
    /// The Lambda's time ran out, or what is before it in its group comes again: it did nothing wrong.
    Unheard,
    /// A newer Stoker is to read it.
    Newer,
}

impl<S: Steer> Handler<S> {
    /// One that puts a message aside that fails when it is delivered for the `most_receives`-th time.
    pub fn new(
        steer: S,
        queues: Arc<dyn Queues>,
        reporter: Arc<dyn Reporter>,
        clock: Arc<dyn Clock>,
        most_receives: u32,
    ) -> Self {
        Self {
            steer,
            queues,
            reporter,
            clock,
            most_receives,
        }
    }

    /// Handles a batch, and stops before the Lambda's time is over, of which so much is left. Which messages
    /// are to be delivered again.
    pub async fn invoked(&self, event: SqsEvent, left: Duration) -> BatchResponse {
        let until = Instant::now() + left.saturating_sub(MARGIN);
        self.handle(event, until).await
    }

    /// Asks for acts on all that is due.
    ///
    /// # Errors
    /// If that could not be done: the next tick does it.
    pub async fn tick(&self) -> Result<(), ControlError> {
        // First: the rest may take long.
        match self.queues.redrive().await {
            Ok(Redriven { messages: 0, .. }) => {}
            Ok(Redriven { messages, left }) => {
                let redriven = Happening::Redriven { messages, left };
                self.reporter.report(self.clock.now(), &redriven);
            }
            Err(problem) => {
                tracing::warn!(problem, "what was put aside is not handled once more");
            }
        }
        self.steer.tick().await
    }

    /// Writes into the ledger what it lacks, as an operator wants it. What that came to.
    ///
    /// # Errors
    /// If EC2 or the ledger did not answer: what was written stays, and the next one goes on.
    pub async fn rebuild(&self) -> Result<Rebuilt, ControlError> {
        self.steer.rebuild().await
    }

    /// Handles a batch until then. Which messages are to be delivered again.
    async fn handle(&self, event: SqsEvent, until: Instant) -> BatchResponse {
        let mut running = Vec::new();
        for (lane, items) in lanes(event.records) {
            running.push(self.run(lane, items, until).boxed());
        }
        let handled: Vec<Vec<Handled>> = stream::iter(running)
            .buffer_unordered(LANES_AT_ONCE)
            .collect()
            .await;
        let mut handled: Vec<Handled> = handled.into_iter().flatten().collect();
        self.ask(&mut handled, until).await;
        let mut failed = Vec::new();
        for handled in handled {
            failed.push(self.settle(handled).boxed());
        }
        let failed: Vec<Option<String>> = stream::iter(failed)
            .buffer_unordered(LANES_AT_ONCE)
            .collect()
            .await;
        failed.into_iter().flatten().collect()
    }

    /// Asks for the acts that follow from what was folded. Messages whose request could not be made come
    /// again.
    async fn ask(&self, handled: &mut [Handled], until: Instant) {
        let requests = handled.iter_mut().filter_map(|one| one.asks.take());
        let mut asking = Vec::new();
        for request in ActRequest::merged(requests) {
            asking.push(self.ask_one(request, until).boxed());
        }
        let refused: Vec<Option<(ScopeKey, Fate)>> = stream::iter(asking)
            .buffer_unordered(LANES_AT_ONCE)
            .collect()
            .await;
        for (scope, fate) in refused.into_iter().flatten() {
            for one in handled.iter_mut().filter(|one| one.scope == Some(scope)) {
                if one.fate == Fate::Done {
                    one.fate = fate.clone();
                }
            }
        }
    }

    /// What becomes of the messages that it stands for, if it could not be made.
    async fn ask_one(&self, request: ActRequest, until: Instant) -> Option<(ScopeKey, Fate)> {
        let asking = async {
            self.steer.ask(&request).await?;
            Ok(Came::Folded(None))
        };
        let (fate, _nothing) = attempt(&request.folded, until, asking).await;
        (fate != Fate::Done).then_some((request.scope, fate))
    }

    /// Handles the messages of a lane in their order.
    async fn run(&self, lane: Lane, items: Vec<Item>, until: Instant) -> Vec<Handled> {
        let ordered = matches!(lane, Lane::Group(_));
        let requests = requests(&items);
        let mut acted: HashMap<ScopeKey, Fate> = HashMap::new();
        let mut all = Vec::new();
        let mut blocked = false;
        let folded_until = until.checked_sub(ASKING).unwrap_or(until);
        for Item { record, task } in items {
            let mut scope = task.scope();
            let id = record.id.as_str();
            let (fate, asks) = match task {
                _ if ordered && blocked => (Fate::Again(Why::Unheard), None),
                Task::Fold(event) => {
                    let work = async { self.steer.fold(&event).await.map(Came::Folded) };
                    attempt(id, folded_until, work).await
                }
                Task::Instance(event) => attempt(id, folded_until, self.hear(&event)).await,
                // One act sees everything that was folded before any of the requests was made.
                Task::Act(ActRequest { scope, .. }) => {
                    let asked = requests[&scope];
                    let fate = match acted.get(&scope) {
                        Some(fate) => fate.clone(),
                        None => self.act(scope, asked, id, until).await,
                    };
                    acted.insert(scope, fate.clone());
                    (fate, None)
                }
                Task::Ask(request) => (Fate::Done, Some(request)),
                Task::Keep(problem) => {
                    tracing::error!(message_id = id, problem, "a message is kept");
                    (Fate::Again(Why::Newer), None)
                }
                Task::PutAside(problem) => (Fate::Aside(problem), None),
            };
            blocked |= matches!(fate, Fate::Again(_));
            scope = scope.or(asks.as_ref().map(|request| request.scope));
            all.push(Handled {
                record,
                scope,
                asks,
                fate,
            });
        }
        all
    }

    async fn act(&self, scope: ScopeKey, asked: Requests, id: &str, until: Instant) -> Fate {
        let act = async {
            let acted = self.steer.act(scope, asked.trigger).await;
            acted.map(Came::Acted)
        };
        let (fate, _nothing) = attempt(id, until, act).await;
        self.or_later(scope, asked.receives, fate).await
    }

    async fn hear(&self, event: &InstanceEvent) -> Result<Came, ControlError> {
        let Some(news) = &event.news else {
            return Ok(Came::Folded(None));
        };
        let instance = &event.instance;
        let asks = self.steer.fold_instance(instance, news, &event.id).await?;
        Ok(Came::Folded(asks))
    }

    /// A request that waits for others' capacity again and again leaves its queue: the tick asks anew.
    async fn or_later(&self, scope: ScopeKey, receives: u32, fate: Fate) -> Fate {
        let Fate::Again(Why::Waits(seconds)) = fate else {
            return fate;
        };
        if receives < ACTS_IN_QUEUE && seconds <= LONGEST_PAUSE {
            return fate;
        }
        match self.steer.act_later(scope, seconds).await {
            Ok(()) => Fate::Done,
            Err(error) => Fate::Again(Why::Failed(error.to_string())),
        }
    }

    /// Sees to it that a message comes again when it should, or is put aside. Its id, if it is to stay.
    async fn settle(&self, handled: Handled) -> Option<String> {
        let record = handled.record;
        let why = match handled.fate {
            Fate::Done => return None,
            Fate::Aside(reason) => {
                return self.put_aside(record, Aside::Unreadable, &reason).await;
            }
            Fate::Again(why) => why,
        };
        let pause = (1_u32 << record.receives().min(10)).min(LONGEST_PAUSE);
        let seconds = match &why {
            Why::Failed(reason) if record.receives() >= self.most_receives => {
                let receives = record.receives();
                let reason = format!("it failed {receives} times, the last time because: {reason}");
                if let Some(scope) = handled.scope
                    && let Err(error) = self.steer.act_later(scope, FAILED_ACT_AGAIN).await
                {
                    tracing::warn!(%scope, %error, "nobody looks at a scope again by itself");
                }
                return self.put_aside(record, Aside::Failed, &reason).await;
            }
            Why::Waits(seconds) => (*seconds).min(LONGEST_PAUSE),
            Why::Failed(_) | Why::Newer => pause,
            Why::Unheard => 1,
        };
        if let Err(problem) = self.queues.delay(&record, seconds).await {
            tracing::warn!(
                message_id = record.id,
                problem,
                "a message comes again only when its visibility time is over"
            );
        }
        Some(record.id)
    }

    async fn put_aside(&self, record: Record, why: Aside, reason: &str) -> Option<String> {
        match self.queues.put_aside(&record, why, reason).await {
            Ok(()) => {
                self.reporter.report(
                    self.clock.now(),
                    &Happening::MessagePutAside {
                        message: record.id,
                        problem: reason.to_owned(),
                    },
                );
                None
            }
            Err(problem) => {
                tracing::error!(
                    message_id = record.id,
                    reason,
                    problem,
                    "a message could not be put aside, and stays in its queue"
                );
                Some(record.id)
            }
        }
    }
}

/// Does the work of a message, if there is time for it. What follows from it, if it was done.
///
/// Work that the deadline cuts off is like work of a process that died: what it saved is taken up
/// again.
async fn attempt(
    id: &str,
    until: Instant,
    work: impl Future<Output = Result<Came, ControlError>>,
) -> (Fate, Option<ActRequest>) {
    let failed = |why: String| {
        tracing::warn!(message_id = id, "{why}; the message is delivered again");
        (Fate::Again(Why::Failed(why)), None)
    };
    if Instant::now() >= until {
        tracing::warn!(
            message_id = id,
            "no time is left for a message: it is delivered again"
        );
        return (Fate::Again(Why::Unheard), None);
    }
    let contained = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout_at(until, contained).await {
        Ok(Ok(Ok(Came::Folded(asks)))) => (Fate::Done, asks),
        Ok(Ok(Ok(Came::Acted(Acted::Done)))) => (Fate::Done, None),
        Ok(Ok(Ok(Came::Acted(Acted::TryAgain { after })))) => {
            (Fate::Again(Why::Waits(after)), None)
        }
        Ok(Ok(Err(error))) => failed(error.to_string()),
        Ok(Err(_panic)) => {
            failed("it ran into a fault of Stoker's own (see the panic in the log)".to_owned())
        }
        Err(_elapsed) => failed("the Lambda's time ran out".to_owned()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
