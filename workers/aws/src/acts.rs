//! Requests to act, on a FIFO queue of SQS: serial within a scope, parallel across scopes.

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use sha2::{Digest as _, Sha256};
use stoker_core::ports::{ActQueue, ActQueueError, ActRequest, LONGEST_REMINDER};

use crate::problem;

/// The longest deduplication id that SQS takes.
const LONGEST_DEDUPLICATION_ID: usize = 128;

/// The act queue. The scope is the message group; the deduplication id names the scope and what was
/// folded, so that only a repetition of the very same request is swallowed (for five minutes), and not
/// one that was made during an act.
///
/// A FIFO queue delays no single message, so what is asked for in some seconds waits in the intake queue, and
/// whoever takes it from there asks in this one.
#[derive(Debug, Clone)]
pub struct SqsActs {
    client: Client,
    queue_url: String,
    intake_queue_url: String,
}

impl SqsActs {
    /// The FIFO queue at that URL, and the intake queue at another.
    pub fn new(
        client: Client,
        queue_url: impl Into<String>,
        intake_queue_url: impl Into<String>,
    ) -> Self {
        Self {
            client,
            queue_url: queue_url.into(),
            intake_queue_url: intake_queue_url.into(),
        }
    }
}

/// A request's message, or that it has none.
fn body(request: &ActRequest) -> Result<String, ActQueueError> {
    serde_json::to_string(request).map_err(|error| refused(request, error.to_string()))
}

fn refused(request: &ActRequest, problem: String) -> ActQueueError {
    ActQueueError {
        scope: request.scope,
        problem,
    }
}

#[async_trait]
impl ActQueue for SqsActs {
    async fn ask(&self, request: &ActRequest) -> Result<(), ActQueueError> {
        self.client
            .send_message()
            .queue_url(&self.queue_url)
            .message_group_id(request.scope.to_string())
            .message_deduplication_id(deduplication_id(request))
            .message_body(body(request)?)
            .send()
            .await
            .map_err(|error| refused(request, problem::words(&error)))?;
        Ok(())
    }

    async fn ask_in(&self, request: &ActRequest, seconds: u32) -> Result<(), ActQueueError> {
        let seconds = seconds.min(LONGEST_REMINDER);
        self.client
            .send_message()
            .queue_url(&self.intake_queue_url)
            .delay_seconds(i32::try_from(seconds).unwrap_or(i32::MAX))
            .message_body(body(request)?)
            .send()
            .await
            .map_err(|error| refused(request, problem::words(&error)))?;
        Ok(())
    }
}

/// Scope and fold, as they are where SQS takes them (people read queues too), else their SHA-256.
fn deduplication_id(request: &ActRequest) -> String {
    let id = format!("{}:{}", request.scope, request.folded);
    let taken = id.len() <= LONGEST_DEDUPLICATION_ID && id.chars().all(|c| c.is_ascii_graphic());
    if taken {
        id
    } else {
        hex::encode(Sha256::digest(id.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::situation::Trigger;

    use super::*;

    fn id(folded: &str) -> String {
        deduplication_id(&ActRequest {
            scope: "org-1".parse().unwrap(),
            folded: folded.to_owned(),
            trigger: Trigger::Jobs,
        })
    }

    #[test]
    fn a_short_id_can_be_read_in_the_queue() {
        assert_eq!(id("guid-queued-1"), "org-1:guid-queued-1");
    }

    #[test]
    fn an_id_that_sqs_would_refuse_is_hashed_and_stays_distinct() {
        let long = "x".repeat(200);
        for folded in [long.as_str(), "white space", "ünïcode"] {
            let id = id(folded);
            assert_eq!(id.len(), 64);
            assert!(id.chars().all(|c| c.is_ascii_hexdigit()));
        }
        assert_ne!(id(&long), id(&format!("{long}y")));
    }
}
