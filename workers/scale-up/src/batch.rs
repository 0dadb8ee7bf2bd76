//! What is done with a batch of messages.
//!
//! Messages of one lane are handled one after the other, lanes at the same time. A FIFO queue's groups
//! are lanes, and so are the requests to act on one scope; every other message has a lane of its own.
//! Each message fails alone, except in a group, where those behind a failed one fail with it: handled
//! before it, they would be out of order.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, stream};
use lambda_runtime::LambdaEvent;
use stoker_core::control::{Acted, Control, ControlError};
use stoker_core::happening::Happening;
use stoker_core::ids::ScopeKey;
use stoker_core::ports::Reporter;
use stoker_core::situation::Trigger;
use stoker_core::time::Timestamp;
use stoker_intake::JobEvent;
use tokio::time::Instant;

use crate::event::{BatchResponse, Record, SqsEvent};
use crate::message::{Message, Unreadable};
use crate::report::{Lines, REQUEST};

/// How many lanes run at the same time: an SQS batch is mostly 10, and the ledger takes more.
const LANES_AT_ONCE: usize = 16;

/// What is left of the Lambda's time when its work ends, so that what was done is still reported and
/// the rest is not counted as done or lost.
const MARGIN: Duration = Duration::from_millis(2_500);

/// The two entries of the control plane.
#[async_trait]
pub(crate) trait Steer: Send + Sync {
    /// Makes an event part of the ledger.
    async fn fold(&self, event: &JobEvent) -> Result<(), ControlError>;

    /// Acts on a scope.
    async fn act(&self, scope: ScopeKey, trigger: Trigger) -> Result<Acted, ControlError>;
}

#[async_trait]
impl Steer for Control {
    async fn fold(&self, event: &JobEvent) -> Result<(), ControlError> {
        Control::fold(self, event).await.map(|_folded| ())
    }

    async fn act(&self, scope: ScopeKey, trigger: Trigger) -> Result<Acted, ControlError> {
        Control::act(self, scope, trigger).await
    }
}

/// What the Lambda runs.
pub(crate) struct Handler<S> {
    steer: S,
    reporter: Lines,
}

/// What is to be done for one message.
enum Task {
    Fold(Box<JobEvent>),
    Act(ScopeKey, Trigger),
    /// It stays in its queue, and why.
    Keep(String),
}

struct Item {
    id: String,
    task: Task,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Lane {
    Group(String),
    Scope(ScopeKey),
    Alone(usize),
}

impl<S: Steer> Handler<S> {
    pub(crate) fn new(steer: S, reporter: Lines) -> Self {
        Self { steer, reporter }
    }

    /// Handles an invocation, and stops in time.
    pub(crate) async fn invoked(
        &self,
        event: LambdaEvent<SqsEvent>,
    ) -> Result<BatchResponse, lambda_runtime::Error> {
        let deadline = event.context.deadline();
        let left = deadline
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        let until = Instant::now() + left.saturating_sub(MARGIN);
        let work = self.handle(event.payload, until);
        Ok(REQUEST.scope(event.context.request_id, work).await)
    }

    /// Handles a batch until then. Which messages are to be delivered again.
    async fn handle(&self, event: SqsEvent, until: Instant) -> BatchResponse {
        let lanes = self.lanes(event.records);
        let failed: Vec<Vec<String>> = stream::iter(
            lanes
                .into_iter()
                .map(|(lane, items)| self.run(lane, items, until)),
        )
        .buffer_unordered(LANES_AT_ONCE)
        .collect()
        .await;
        failed.into_iter().flatten().collect()
    }

    /// Sorts messages into lanes; those that can't be read go no further.
    fn lanes(&self, records: Vec<Record>) -> Vec<(Lane, Vec<Item>)> {
        let mut lanes: Vec<(Lane, Vec<Item>)> = Vec::new();
        let mut places: HashMap<Lane, usize> = HashMap::new();
        for (place, record) in records.into_iter().enumerate() {
            let task = match Message::read(&record.body) {
                Ok(Message::Fold(event)) => Task::Fold(event),
                Ok(Message::Act(scope, trigger)) => Task::Act(scope, trigger),
                Err(error @ Unreadable::Newer(_)) => Task::Keep(error.to_string()),
                Err(Unreadable::Malformed(problem)) => {
                    self.drop_message(record.id, problem);
                    continue;
                }
            };
            let lane = match (record.attributes.group, &task) {
                (Some(group), _) => Lane::Group(group),
                (None, Task::Act(scope, _)) => Lane::Scope(*scope),
                (None, _) => Lane::Alone(place),
            };
            let place = *places.entry(lane.clone()).or_insert_with(|| {
                lanes.push((lane, Vec::new()));
                lanes.len() - 1
            });
            lanes[place].1.push(Item {
                id: record.id,
                task,
            });
        }
        lanes
    }

    fn drop_message(&self, message: String, problem: String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = Timestamp(now.map_or(0, |since| since.as_secs()));
        self.reporter
            .report(now, &Happening::MessageDropped { message, problem });
    }

    /// Handles the messages of a lane in their order. The ids of those that are to come again.
    async fn run(&self, lane: Lane, items: Vec<Item>, until: Instant) -> Vec<String> {
        let ordered = matches!(lane, Lane::Group(_));
        let mut acted: HashMap<ScopeKey, bool> = HashMap::new();
        let mut failed = Vec::new();
        for item in items {
            if ordered && !failed.is_empty() {
                failed.push(item.id);
                continue;
            }
            let done = match &item.task {
                Task::Fold(event) => {
                    let work = async { self.steer.fold(event).await.map(|()| Acted::Done) };
                    attempt(&item.id, until, work).await
                }
                // One act sees everything that was folded before any of the requests was made.
                Task::Act(scope, trigger) => {
                    if let Some(&done) = acted.get(scope) {
                        done
                    } else {
                        let act = self.steer.act(*scope, *trigger);
                        let done = attempt(&item.id, until, act).await;
                        acted.insert(*scope, done);
                        done
                    }
                }
                Task::Keep(problem) => {
                    tracing::error!(message_id = item.id, problem, "a message is kept");
                    false
                }
            };
            if !done {
                failed.push(item.id);
            }
        }
        failed
    }
}

/// Does the work of a message, if there is time for it. Whether it is done.
///
/// Work that the deadline cuts off is like work of a process that died: what it saved is taken up
/// again.
async fn attempt(
    id: &str,
    until: Instant,
    work: impl Future<Output = Result<Acted, ControlError>>,
) -> bool {
    let later = |why: &str| {
        tracing::warn!(message_id = id, "{why}; the message is delivered again");
        false
    };
    if Instant::now() >= until {
        return later("no time is left for it");
    }
    let contained = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout_at(until, contained).await {
        Ok(Ok(Ok(Acted::Done))) => true,
        Ok(Ok(Ok(Acted::TryAgain))) => later("not all of it could be done now"),
        Ok(Ok(Err(error))) => later(&error.to_string()),
        Ok(Err(_panic)) => later("it ran into a fault of Stoker's own (see the panic above)"),
        Err(_elapsed) => later("the Lambda's time ran out"),
    }
}

#[cfg(test)]
mod tests;
