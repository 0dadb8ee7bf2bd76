//! The two queues, with as much of SQS's semantics as their consumers can notice: messages are hidden
//! for a delay, delivered at least once, delivered again when their receiver did not delete them in
//! time, and put aside after too many receives; requests to act are serial for a scope and parallel
//! across scopes.
//!
//! [`IntakeQueue`] keeps its messages in the database, so that what was accepted survives the process.
//! [`ActsInProcess`] does not need to: on a start every scope with anything alive is acted on.

mod acts;
mod intake;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use acts::{ActsInProcess, Turn};
pub use intake::{Delivery, IntakeQueue, Message, MessageId, QueueError};

/// How a queue treats what its receivers do not finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a received message is hidden before it is delivered again.
    pub visibility: Duration,
    /// How often a message is delivered before it is put aside.
    pub maximum_receives: u32,
}

impl Default for QueueSettings {
    /// What the deployment on AWS uses, but for a shorter hiding: nothing in this process takes as long
    /// as a Lambda may.
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(15),
            maximum_receives: 5,
        }
    }
}
