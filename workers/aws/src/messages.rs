//! Messages that were received from SQS: given back for a while, or put aside for people to look at.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;

use crate::problem;

/// The longest time that SQS hides a message, in seconds.
const LONGEST_DELAY: u32 = 43_200;

/// The longest reason that is written beside a message: SQS takes 256 KB for all of it, and people read it.
const LONGEST_REASON: usize = 1_000;

/// The queues of a deployment.
#[derive(Debug, Clone)]
pub struct SqsMessages {
    client: Client,
    /// URLs by the queue's name.
    queues: HashMap<String, String>,
    dead_letters: String,
}

impl SqsMessages {
    /// The queues at those URLs, and the one at `dead_letters` for what can't be handled.
    pub fn new(
        client: Client,
        queues: impl IntoIterator<Item = String>,
        dead_letters: impl Into<String>,
    ) -> Self {
        let queues = queues.into_iter().filter_map(|url| {
            let name = url.rsplit('/').next()?.to_owned();
            Some((name, url))
        });
        Self {
            client,
            queues: queues.collect(),
            dead_letters: dead_letters.into(),
        }
    }

    /// Has a message delivered again in so many seconds. `queue` is its queue's ARN.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub async fn delay(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), String> {
        let name = queue.rsplit(':').next().unwrap_or_default();
        let url = self.queues.get(name).ok_or_else(|| {
            format!("the queue {queue} is none of INTAKE_QUEUE_URL and ACT_QUEUE_URL")
        })?;
        let seconds = i32::try_from(seconds.min(LONGEST_DELAY)).unwrap_or_default();
        self.client
            .change_message_visibility()
            .queue_url(url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds)
            .send()
            .await
            .map_err(|error| {
                let words = problem::words(&error);
                format!("{words}; allow sqs:ChangeMessageVisibility on {queue}")
            })?;
        Ok(())
    }

    /// Puts a message aside, with the reason and the queue that it came from as attributes.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub async fn put_aside(&self, queue: &str, body: &str, reason: &str) -> Result<(), String> {
        let reason: String = reason
            .chars()
            .filter(|character| !character.is_control())
            .take(LONGEST_REASON)
            .collect();
        self.client
            .send_message()
            .queue_url(&self.dead_letters)
            // SQS takes no empty message.
            .message_body(if body.is_empty() { "(empty)" } else { body })
            .message_attributes("reason", text(&reason)?)
            .message_attributes("queue", text(queue)?)
            .send()
            .await
            .map_err(|error| {
                let words = problem::words(&error);
                format!("{words}; allow sqs:SendMessage on {}", self.dead_letters)
            })?;
        Ok(())
    }
}

fn text(value: &str) -> Result<MessageAttributeValue, String> {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(if value.is_empty() { "unknown" } else { value })
        .build()
        .map_err(|error| error.to_string())
}
