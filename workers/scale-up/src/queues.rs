//! SQS, as the queues that messages come from.

use async_trait::async_trait;
use stoker_aws::SqsMessages;
use stoker_aws::messages::Notes;
use stoker_batch::{Aside, Queues, Record, Redriven};

/// The Lambda's queues in SQS.
pub(crate) struct SqsQueues(pub(crate) SqsMessages);

#[async_trait]
impl Queues for SqsQueues {
    async fn delay(&self, record: &Record, seconds: u32) -> Result<(), String> {
        self.0.delay(&record.queue, &record.receipt, seconds).await
    }

    async fn put_aside(&self, record: &Record, why: Aside, reason: &str) -> Result<(), String> {
        let notes = Notes {
            why: why.as_str(),
            reason,
            is_redriven: record.is_redriven(),
        };
        self.0.put_aside(&record.queue, &record.body, &notes).await
    }

    async fn redrive(&self) -> Result<Redriven, String> {
        let (messages, left) = self.0.redrive(Aside::Unreadable.as_str()).await?;
        Ok(Redriven { messages, left })
    }
}
