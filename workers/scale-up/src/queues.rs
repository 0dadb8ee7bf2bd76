//! SQS, as the queues that messages come from.

use async_trait::async_trait;
use stoker_aws::SqsMessages;
use stoker_batch::{Queues, Record};

/// The Lambda's queues in SQS.
pub(crate) struct SqsQueues(pub(crate) SqsMessages);

#[async_trait]
impl Queues for SqsQueues {
    async fn delay(&self, record: &Record, seconds: u32) -> Result<(), String> {
        self.0.delay(&record.queue, &record.receipt, seconds).await
    }

    async fn put_aside(&self, record: &Record, reason: &str) -> Result<(), String> {
        self.0.put_aside(&record.queue, &record.body, reason).await
    }
}
