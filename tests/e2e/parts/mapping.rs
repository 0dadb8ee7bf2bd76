//! The event-source mappings: what AWS runs between a queue and a Lambda.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde_json::{Value, json};

use super::lambda::Lambda;
use super::runtime_api::Invoked;

/// A queue with a mapping, which has `ReportBatchItemFailures` set.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    client: Client,
    pub(crate) url: String,
}

/// What became of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) received: usize,
    pub(crate) failed: usize,
}

impl Queue {
    pub(crate) fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Puts a message in, as anybody with the permission can.
    pub(crate) async fn send(&self, body: &str) {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }

    /// Whether nothing is in it.
    pub(crate) async fn is_empty(&self) -> bool {
        let messages = self.receive().await;
        for message in &messages {
            self.reveal(message).await;
        }
        messages.is_empty()
    }

    /// What lies in it for people to look at: bodies and their reasons, taken out.
    pub(crate) async fn reasons(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for message in self.receive().await {
            let attributes = message.message_attributes().unwrap();
            let reason = attributes["reason"].string_value().unwrap().to_owned();
            all.push((message.body().unwrap().to_owned(), reason));
            self.delete(&message).await;
        }
        all
    }

    /// Hands one batch to the Lambda: what it did is deleted, what it did not stays.
    pub(crate) async fn pump(&self, lambda: &Lambda) -> Batch {
        let messages = self.receive().await;
        if messages.is_empty() {
            return Batch {
                received: 0,
                failed: 0,
            };
        }
        let records: Vec<Value> = messages
            .iter()
            .map(|message| self.record(message))
            .collect();
        let failed: Vec<String> = match lambda.invoke(&json!({"Records": records})).await {
            Invoked::Answered(answer) => answer["batchItemFailures"]
                .as_array()
                .unwrap_or_else(|| panic!("an answer without batchItemFailures: {answer}"))
                .iter()
                .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
                .collect(),
            Invoked::Failed(problem) => panic!("the Lambda failed as a whole: {problem}"),
            Invoked::Died => messages
                .iter()
                .map(|message| message.message_id().unwrap().to_owned())
                .collect(),
        };
        for message in &messages {
            if failed
                .iter()
                .any(|id| Some(id.as_str()) == message.message_id())
            {
                // AWS waits for the visibility time-out; a test does not.
                self.reveal(message).await;
            } else {
                self.delete(message).await;
            }
        }
        Batch {
            received: messages.len(),
            failed: failed.len(),
        }
    }

    async fn receive(&self) -> Vec<Message> {
        self.client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .unwrap()
            .messages
            .unwrap_or_default()
    }

    async fn reveal(&self, message: &Message) {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(message.receipt_handle().unwrap())
            .visibility_timeout(0)
            .send()
            .await
            .unwrap();
    }

    async fn delete(&self, message: &Message) {
        self.client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(message.receipt_handle().unwrap())
            .send()
            .await
            .unwrap();
    }

    /// A message as AWS hands it to a Lambda.
    fn record(&self, message: &Message) -> Value {
        let attributes: serde_json::Map<String, Value> = message
            .attributes()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
            .collect();
        let name = self.url.rsplit('/').next().unwrap();
        json!({
            "messageId": message.message_id(),
            "receiptHandle": message.receipt_handle(),
            "body": message.body(),
            "attributes": attributes,
            "messageAttributes": {},
            "md5OfBody": message.md5_of_body(),
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:123456789012:{name}"),
            "awsRegion": "us-east-1",
        })
    }
}
