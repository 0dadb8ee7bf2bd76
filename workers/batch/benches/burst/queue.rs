//! SQS: a standard queue and a FIFO one, and how Lambda's event source mapping empties them.
//!
//! Batches of 10 without a window. Of the standard queue ten are handled at once (the mapping's maximum
//! concurrency); of the FIFO queue one, since all that is asked for here is of one scope, which is one group:
//! what is given back holds up all behind it until it is due.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stoker_batch::event::Attributes;
use stoker_batch::{Record, SqsEvent};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use crate::lambda::{Lambda, Work};
use crate::world::{PURPOSE, Purpose, SQS, What, World, locked};

/// The most messages of a batch.
const BATCH: usize = 10;
/// How many batches of the intake queue are handled at once.
const AT_ONCE: usize = 10;
/// For how long a FIFO queue swallows a message with an id that it knows.
const DEDUPLICATED: Duration = Duration::from_mins(5);
/// Of a message that nobody has delayed: six times what the Lambda may take.
const HIDDEN: Duration = Duration::from_mins(6);
/// What a FIFO queue takes of one kind of request a second, without high throughput.
pub(crate) const FIFO_A_SECOND: u64 = 300;

#[derive(Debug)]
struct Message {
    body: String,
    receives: u32,
    visible: Instant,
}

#[derive(Debug, Default)]
struct State {
    sent: u64,
    messages: BTreeMap<u64, Message>,
    in_flight: BTreeMap<u64, Message>,
    known: HashMap<String, Instant>,
    /// Sent in each second, and in the fullest.
    second: (u64, u64),
    most: u64,
}

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    fifo: bool,
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    pub(crate) fn standard() -> Self {
        Self::new(false)
    }

    pub(crate) fn fifo() -> Self {
        Self::new(true)
    }

    fn new(fifo: bool) -> Self {
        Self {
            fifo,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn requests(&self) -> What {
        if self.fifo {
            What::FifoRequests
        } else {
            What::StandardRequests
        }
    }

    /// Sends a message that is delivered then; one with a known deduplication id is swallowed.
    pub(crate) async fn send(
        &self,
        world: &World,
        body: String,
        id: Option<String>,
        visible: Instant,
    ) {
        sleep(SQS).await;
        world.count(self.requests(), 1);
        let now = Instant::now();
        let mut state = locked(&self.state);
        let second = now.duration_since(world.began()).as_secs();
        if state.second.0 != second {
            state.second = (second, 0);
        }
        state.second.1 += 1;
        state.most = state.most.max(state.second.1);
        if let Some(id) = id {
            state.known.retain(|_, at| *at + DEDUPLICATED > now);
            if state.known.insert(id, now).is_some() {
                return;
            }
        }
        state.sent += 1;
        let number = state.sent;
        let message = Message {
            body,
            receives: 0,
            visible,
        };
        state.messages.insert(number, message);
        drop(state);
        self.changed.notify_one();
    }

    /// Has a message that is being handled come again after that.
    pub(crate) fn delay(&self, receipt: &str, seconds: u32) {
        let mut state = locked(&self.state);
        let number = receipt.parse().unwrap_or(0);
        if let Some(message) = state.in_flight.get_mut(&number) {
            message.visible = Instant::now() + Duration::from_secs(seconds.into());
        }
    }

    /// How many messages there are, those included that are being handled.
    pub(crate) fn len(&self) -> usize {
        let state = locked(&self.state);
        state.messages.len() + state.in_flight.len()
    }

    /// The most messages that were sent in any second.
    pub(crate) fn most_a_second(&self) -> u64 {
        locked(&self.state).most
    }

    /// Takes messages that are due, or says when the next is.
    fn take(&self) -> Result<Vec<Record>, Option<Instant>> {
        let now = Instant::now();
        let mut state = locked(&self.state);
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        for (number, message) in &state.messages {
            if message.visible <= now {
                due.push(*number);
                if due.len() == BATCH {
                    break;
                }
                continue;
            }
            next = Some(next.map_or(message.visible, |next| next.min(message.visible)));
            if self.fifo {
                break;
            }
        }
        if due.is_empty() {
            return Err(next);
        }
        let records = due.into_iter().filter_map(|number| {
            let mut message = state.messages.remove(&number)?;
            message.receives += 1;
            message.visible = now + HIDDEN;
            let record = self.record(number, &message);
            state.in_flight.insert(number, message);
            Some(record)
        });
        Ok(records.collect())
    }

    fn record(&self, number: u64, message: &Message) -> Record {
        Record {
            id: number.to_string(),
            body: message.body.clone(),
            receipt: number.to_string(),
            queue: if self.fifo { "act.fifo" } else { "intake" }.to_owned(),
            attributes: Attributes {
                group: self.fifo.then(|| "scope".to_owned()),
                receives: Some(message.receives.to_string()),
            },
            ..Record::default()
        }
    }

    /// Deletes what was handled and gives the others back.
    fn settle(&self, batch: &[String], failed: &[String]) {
        let mut state = locked(&self.state);
        for id in batch {
            let number = id.parse().unwrap_or(0);
            let Some(message) = state.in_flight.remove(&number) else {
                continue;
            };
            if failed.contains(id) {
                state.messages.insert(number, message);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The event source mapping: for ever.
    pub(crate) async fn map_to(&self, world: Arc<World>, lambda: Arc<Lambda>) {
        let at_once = Arc::new(Semaphore::new(if self.fifo { 1 } else { AT_ONCE }));
        loop {
            let Ok(place) = Arc::clone(&at_once).acquire_owned().await else {
                return;
            };
            let records = loop {
                match self.take() {
                    Ok(records) => break records,
                    Err(Some(next)) => {
                        let _when_due = timeout_at(next, self.changed.notified()).await;
                    }
                    Err(None) => self.changed.notified().await,
                }
            };
            let (world, lambda, fifo) = (Arc::clone(&world), Arc::clone(&lambda), self.fifo);
            tokio::spawn(PURPOSE.scope(Purpose::Around, async move {
                let queue = if fifo { &world.acts } else { &world.intake };
                sleep(SQS).await;
                world.count(queue.requests(), 1);
                let batch: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
                let failed = lambda.invoked(Work::Batch(SqsEvent { records })).await;
                if failed.len() < batch.len() {
                    sleep(SQS).await;
                    world.count(queue.requests(), 1);
                }
                queue.settle(&batch, &failed);
                drop(place);
            }));
        }
    }
}
