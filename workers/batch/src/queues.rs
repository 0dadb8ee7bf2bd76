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
    async fn put_aside(&self, record: &Record, why: Aside, reason: &str) -> Result<(), String>;

    /// Has what was put aside a while ago because it failed handled once more: what was in its way may be gone.
    /// What fails again after that stays.
    ///
    /// # Errors
    /// Why not: the next tick tries again.
    async fn redrive(&self) -> Result<Redriven, String>;
}

/// Why a message is put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// Nobody will ever be able to read it.
    Unreadable,
    /// It failed too often.
    Failed,
}

impl Aside {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
        }
    }
}

/// What became of messages that were put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redriven {
    /// How many are handled once more.
    pub messages: usize,
    /// How many that were looked at stay: for people, or for a while.
    pub left: usize,
}
