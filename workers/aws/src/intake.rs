//! The intake queue, as whoever listens for webhooks has it.

use std::hash::{BuildHasher as _, RandomState};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use stoker_intake::listener::schedule::{ATTEMPT_TIMEOUT, attempt_timeout, passes, pause};
use tokio::time::{Instant, sleep, timeout};

use crate::problem;

/// Why SQS did not take a message at the last attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// SQS's error code, or ours: `timed_out`, `unreachable`, `not_sqs`, `unknown` (it gave none).
    pub code: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// All of it, and what to do.
    pub problem: String,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Whether the queue has it.
    pub sent: bool,
    /// How often the queue was asked.
    pub attempts: u32,
    /// Why the last attempt failed that did.
    pub failed: Option<NotTaken>,
}

/// A queue that webhooks go to.
#[derive(Debug, Clone)]
pub struct SqsIntake {
    client: Client,
    queue_url: String,
}

impl SqsIntake {
    /// The standard queue at that URL.
    pub fn new(client: &Client, queue_url: impl Into<String>) -> Self {
        let patience = TimeoutConfig::builder()
            .operation_timeout(ATTEMPT_TIMEOUT)
            .build();
        // The SDK's own attempts know nothing of the seconds that GitHub waits.
        let config = client
            .config()
            .to_builder()
            .timeout_config(patience)
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(config),
            queue_url: queue_url.into(),
        }
    }

    /// Sends a message that is hidden for `delay_seconds` (0 to 900), as often as it takes and the time since
    /// its webhook arrived allows.
    pub async fn send(&self, message: &str, delay_seconds: u16, arrived: Instant) -> Delivered {
        let mut delivered = Delivered::default();
        while let Some(patience) = attempt_timeout(arrived.elapsed()) {
            delivered.attempts += 1;
            let attempt = timeout(patience, self.attempt(message, delay_seconds));
            let failed = match attempt.await {
                Ok(Ok(())) => {
                    delivered.sent = true;
                    break;
                }
                Ok(Err(failed)) => failed,
                Err(_elapsed) => timed_out(),
            };
            let goes_on = failed
                .status
                .is_none_or(|status| passes(status, Some(&failed.code)));
            delivered.failed = Some(failed);
            if !goes_on {
                break;
            }
            match pause(arrived.elapsed(), delivered.attempts, chance()) {
                Some(pause) => sleep(pause).await,
                None => break,
            }
        }
        delivered
    }

    async fn attempt(&self, message: &str, delay_seconds: u16) -> Result<(), NotTaken> {
        let sent = self
            .client
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(message)
            .delay_seconds(delay_seconds.into())
            .send()
            .await;
        let error = match sent {
            // Only SQS gives out message ids.
            Ok(sent) if sent.message_id().is_some() => return Ok(()),
            Ok(_) => {
                return Err(NotTaken {
                    code: "not_sqs".to_owned(),
                    status: Some(200),
                    problem: "something answered that is not SQS: check AWS_ENDPOINT_URL"
                        .to_owned(),
                });
            }
            Err(aws_sdk_sqs::error::SdkError::TimeoutError(_)) => return Err(timed_out()),
            Err(error) => error,
        };
        let mut problem = problem::words(&error);
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let own = match status {
            Some(_) => "unknown",
            None => "unreachable",
        };
        let code = problem::code(&error).unwrap_or(own).to_owned();
        if code.contains("AccessDenied") {
            problem = format!("{problem}; allow sqs:SendMessage on {}", self.queue_url);
        }
        Err(NotTaken {
            code,
            status,
            problem,
        })
    }
}

fn timed_out() -> NotTaken {
    NotTaken {
        code: "timed_out".to_owned(),
        status: None,
        problem: "SQS did not answer in time".to_owned(),
    }
}

/// A number from 0 to 1, another each time.
fn chance() -> f64 {
    let drawn = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(drawn).unwrap_or(0)) / f64::from(u32::MAX)
}
