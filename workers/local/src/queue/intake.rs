//! The intake queue: like an SQS standard queue.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::params;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::QueueSettings;
use crate::database::Database;

/// The queue's id of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(i64);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The queue did not do it.
#[derive(Debug, Error)]
#[error("the intake queue could not {what}: {problem}")]
pub struct QueueError {
    what: &'static str,
    problem: String,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What to delete it by.
    pub id: MessageId,
    /// What was sent.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
}

/// What a receiver gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message; it is delivered again if it is not deleted.
    Message(Message),
    /// A message that was put aside now, because it was received as often as it may be.
    PutAside(Message),
}

#[derive(Debug)]
struct Waiting {
    body: String,
    visible_at: Instant,
    receives: u32,
}

/// See the module.
#[derive(Debug)]
pub struct IntakeQueue {
    settings: QueueSettings,
    database: Database,
    waiting: Mutex<BTreeMap<MessageId, Waiting>>,
    changed: Notify,
}

impl IntakeQueue {
    /// The queue in a database, with what an earlier process did not finish.
    pub async fn open(database: Database, settings: QueueSettings) -> Result<Self, QueueError> {
        let now = (Instant::now(), milliseconds_now());
        let rows = database
            .with(|connection| {
                connection
                    .prepare("SELECT id, body, due, receives FROM messages WHERE dead = 0")?
                    .query_map([], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                    })?
                    .collect::<Result<Vec<(i64, String, i64, u32)>, _>>()
            })
            .await;
        let waiting = done("read what was left", rows)?
            .into_iter()
            .map(|(id, body, due, receives)| {
                let left = u64::try_from(due - now.1).unwrap_or(0);
                let message = Waiting {
                    body,
                    visible_at: now.0 + Duration::from_millis(left),
                    receives,
                };
                (MessageId(id), message)
            })
            .collect();
        Ok(Self {
            settings,
            database,
            waiting: Mutex::new(waiting),
            changed: Notify::new(),
        })
    }

    /// Takes a message and hides it for a delay. When this returns, the message survives the process.
    pub async fn send(&self, body: &str, delay: Duration) -> Result<MessageId, QueueError> {
        self.send_telling(body, delay, || {}).await
    }

    /// The same, and calls `accepted` once the message is safe and before anybody can receive it.
    pub async fn send_telling(
        &self,
        body: &str,
        delay: Duration,
        accepted: impl FnOnce(),
    ) -> Result<MessageId, QueueError> {
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let (text, due) = (body.to_owned(), milliseconds_now().saturating_add(delay_ms));
        let inserted = self
            .database
            .with(move |connection| {
                connection.execute(
                    "INSERT INTO messages (body, due) VALUES (?, ?)",
                    params![text, due],
                )?;
                Ok(connection.last_insert_rowid())
            })
            .await;
        let id = MessageId(done("take a message", inserted)?);
        accepted();
        let message = Waiting {
            body: body.to_owned(),
            visible_at: Instant::now() + delay,
            receives: 0,
        };
        self.waiting().insert(id, message);
        self.changed.notify_waiters();
        Ok(id)
    }

    /// The next message, once one is visible.
    pub async fn receive(&self) -> Result<Delivery, QueueError> {
        loop {
            // Registered before looking, so that what comes in between wakes it.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.take(Instant::now()) {
                Ok(message) => return self.book(message).await,
                Err(None) => changed.await,
                Err(Some(next)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(next) => {}
                },
            }
        }
    }

    /// The message that has been visible longest, hidden again; or when the next becomes visible.
    fn take(&self, now: Instant) -> Result<Message, Option<Instant>> {
        let mut waiting = self.waiting();
        let Some((&id, message)) = waiting
            .iter_mut()
            .min_by_key(|(id, message)| (message.visible_at, **id))
        else {
            return Err(None);
        };
        if message.visible_at > now {
            return Err(Some(message.visible_at));
        }
        message.receives += 1;
        message.visible_at = now + self.settings.visibility;
        Ok(Message {
            id,
            body: message.body.clone(),
            receives: message.receives,
        })
    }

    /// Writes down that a message was received, or that it was put aside.
    async fn book(&self, message: Message) -> Result<Delivery, QueueError> {
        let dead = message.receives > self.settings.maximum_receives;
        if dead {
            self.waiting().remove(&message.id);
        }
        let (id, receives) = (message.id.0, message.receives);
        let updated = self
            .database
            .with(move |connection| {
                connection.execute(
                    "UPDATE messages SET receives = ?, dead = ? WHERE id = ?",
                    params![receives, dead, id],
                )
            })
            .await;
        done("note a receipt", updated)?;
        Ok(if dead {
            Delivery::PutAside(Message {
                receives: message.receives - 1,
                ..message
            })
        } else {
            Delivery::Message(message)
        })
    }

    /// Its receiver is done with it.
    pub async fn delete(&self, id: MessageId) -> Result<(), QueueError> {
        self.waiting().remove(&id);
        let deleted = self
            .database
            .with(move |connection| connection.execute("DELETE FROM messages WHERE id = ?", [id.0]))
            .await;
        done("delete a message", deleted).map(|_| ())
    }

    /// How many messages there are, hidden ones included.
    pub fn len(&self) -> usize {
        self.waiting().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    /// What was put aside, oldest first.
    pub async fn put_aside(&self) -> Result<Vec<Message>, QueueError> {
        let rows = self
            .database
            .with(|connection| {
                connection
                    .prepare("SELECT id, body, receives FROM messages WHERE dead = 1 ORDER BY id")?
                    .query_map([], |row| {
                        Ok(Message {
                            id: MessageId(row.get(0)?),
                            body: row.get(1)?,
                            receives: row.get::<_, u32>(2)?.saturating_sub(1),
                        })
                    })?
                    .collect()
            })
            .await;
        done("list what was put aside", rows)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<MessageId, Waiting>> {
        // Every change of it is one call, so a panic elsewhere leaves it whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn done<T>(
    what: &'static str,
    answer: Result<Result<T, rusqlite::Error>, String>,
) -> Result<T, QueueError> {
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(QueueError {
            what,
            problem: error.to_string(),
        }),
        Err(problem) => Err(QueueError { what, problem }),
    }
}

/// Milliseconds since 1970: a process that starts later shares no other clock with this one.
fn milliseconds_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
