//! What becomes of messages that were not handled: they come again soon, or are put aside with the reason.

use async_trait::async_trait;

use crate::event::Record;

/// The queues that messages come from, and the one for what can't be handled.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Has a message delivered again in so many seconds, instead of when its visibility time is over.
    ///
    /// # Errors
    /// Why not: then it comes when that time is over.
    async fn delay(&self, record: &Record, seconds: u32) -> Result<(), String>;

    /// Puts a message aside for people to look at, with the reason.
    ///
    /// # Errors
    /// Why not: it stays in its queue.
    async fn put_aside(&self, record: &Record, reason: &str) -> Result<(), String>;
}
