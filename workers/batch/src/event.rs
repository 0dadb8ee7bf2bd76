//! What SQS hands over, and what it is told in return.

use serde::{Deserialize, Serialize};

/// What the Lambda is invoked with.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Invocation {
    /// Messages of a queue.
    Batch(SqsEvent),
    /// The schedule, or an operator: `{"task":"tick"}`.
    Task {
        /// What is to be done.
        task: Task,
    },
}

/// What can be asked of the Lambda besides handling messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Asking for acts on all that is due.
    Tick,
    /// Writing into the ledger what it lacks: `{"task":"rebuild"}`. The answer is a
    /// [`stoker_core::control::Rebuilt`].
    Rebuild,
}

/// A batch of messages of one queue.
#[derive(Debug, Clone, Deserialize)]
pub struct SqsEvent {
    /// The messages, in their order.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// A message. Only its envelope is read here: a broken body must not fail the batch that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Record {
    /// SQS's id of it.
    #[serde(rename = "messageId")]
    pub id: String,
    /// The text that was sent.
    #[serde(default)]
    pub body: String,
    /// By which this delivery of it is spoken of.
    #[serde(rename = "receiptHandle", default)]
    pub receipt: String,
    /// The queue's ARN.
    #[serde(rename = "eventSourceARN", default)]
    pub queue: String,
    /// What SQS says about it.
    #[serde(default)]
    pub attributes: Attributes,
    /// What its sender wrote beside it.
    #[serde(rename = "messageAttributes", default)]
    pub notes: Notes,
}

/// What the sender of a message wrote beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Notes {
    /// It had been put aside before.
    #[serde(default)]
    pub redriven: Option<Note>,
}

/// One such note.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Note {
    /// Its text.
    #[serde(rename = "stringValue", default)]
    pub text: Option<String>,
}

/// What SQS says about a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Attributes {
    /// Its group; only messages of a FIFO queue have one.
    #[serde(rename = "MessageGroupId", default)]
    pub group: Option<String>,
    /// How often it was delivered, this time included.
    #[serde(rename = "ApproximateReceiveCount", default)]
    pub receives: Option<String>,
}

impl Record {
    /// Whether it had been put aside before: then it is handled once more, and not again.
    pub fn is_redriven(&self) -> bool {
        self.notes.redriven.is_some()
    }

    /// How often it was delivered, this time included; at least 1.
    pub fn receives(&self) -> u32 {
        let count = self.attributes.receives.as_deref();
        count
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(1)
            .max(1)
    }
}

/// Which messages SQS is to deliver again. The event-source mapping heeds it only with
/// `ReportBatchItemFailures`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BatchResponse {
    /// Those messages; all others are deleted.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<Failure>,
}

/// A message that is to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// SQS's id of it.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

impl FromIterator<String> for BatchResponse {
    fn from_iter<I: IntoIterator<Item = String>>(ids: I) -> Self {
        Self {
            failures: ids.into_iter().map(|id| Failure { id }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_read_by_their_names() {
        for (name, expected) in [("tick", Task::Tick), ("rebuild", Task::Rebuild)] {
            let invocation = serde_json::from_str(&format!(r#"{{"task":"{name}"}}"#)).unwrap();
            assert!(matches!(invocation, Invocation::Task { task } if task == expected));
        }
        assert!(serde_json::from_str::<Invocation>(r#"{"task":"rebuilt"}"#).is_err());
    }
}
