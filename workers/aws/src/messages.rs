//! Messages that were received from SQS: given back for a while, or put aside for people to look at.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};

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
    /// The queue of events.
    intake: String,
    dead_letters: String,
    /// How long a message stays aside at least, in seconds.
    aside_for: u64,
}

impl SqsMessages {
    /// The queues of events and of requests to act at those URLs, and the one at `dead_letters` for what can't be
    /// handled.
    pub fn new(client: Client, queues: [String; 2], dead_letters: impl Into<String>) -> Self {
        let intake = queues[0].clone();
        let queues = queues.into_iter().filter_map(|url| {
            let name = url.rsplit('/').next()?.to_owned();
            Some((name, url))
        });
        Self {
            client,
            queues: queues.collect(),
            intake,
            dead_letters: dead_letters.into(),
            aside_for: ASIDE_FOR,
        }
    }

    /// Has messages stay aside for another time than ten minutes before they are handled once more.
    #[must_use]
    pub fn aside_for(self, seconds: u64) -> Self {
        Self {
            aside_for: seconds,
            ..self
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

    /// Puts a message aside, with what is to be known of it and the queue that it came from as attributes.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub async fn put_aside(
        &self,
        queue: &str,
        body: &str,
        notes: &Notes<'_>,
    ) -> Result<(), String> {
        let reason: String = notes
            .reason
            .chars()
            .filter(|character| !character.is_control())
            .take(LONGEST_REASON)
            .collect();
        let mut send = self
            .client
            .send_message()
            .queue_url(&self.dead_letters)
            // SQS takes no empty message.
            .message_body(if body.is_empty() { "(empty)" } else { body })
            .message_attributes("reason", text(&reason)?)
            .message_attributes(WHY, text(notes.why)?)
            .message_attributes("queue", text(queue)?);
        if notes.is_redriven {
            send = send.message_attributes(REDRIVEN, text("yes")?);
        }
        send.send().await.map_err(|error| {
            let words = problem::words(&error);
            format!("{words}; allow sqs:SendMessage on {}", self.dead_letters)
        })?;
        Ok(())
    }

    /// Sends what was put aside a while ago to the queue of events once more, unless that was done before, or it
    /// was put aside for the reason `hopeless`. How many messages, and how many that were looked at stay.
    ///
    /// # Errors
    /// Why not, and what to do. What was sent and could not be deleted is sent once more, which does no harm.
    pub async fn redrive(&self, hopeless: &str) -> Result<(usize, usize), String> {
        let (mut redriven, mut left) = (0, 0);
        let mut failed = None;
        for _ in 0..LOOKS {
            let received = self
                .client
                .receive_message()
                .queue_url(&self.dead_letters)
                .max_number_of_messages(10)
                .visibility_timeout(HIDDEN_FOR)
                .message_attribute_names("All")
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
                .await
                .map_err(|error| {
                    let words = problem::words(&error);
                    format!("{words}; allow sqs:ReceiveMessage on {}", self.dead_letters)
                })?;
            let messages = received.messages();
            for message in messages {
                if stays(message, hopeless, self.aside_for) {
                    left += 1;
                } else {
                    // What can't be sent holds up no other.
                    match self.send_once_more(message).await {
                        Ok(()) => redriven += 1,
                        Err(problem) => failed = Some(problem),
                    }
                }
            }
            if messages.is_empty() {
                break;
            }
        }
        match failed {
            Some(problem) if redriven == 0 => Err(problem),
            _ => Ok((redriven, left)),
        }
    }

    async fn send_once_more(&self, message: &Message) -> Result<(), String> {
        self.client
            .send_message()
            .queue_url(&self.intake)
            .message_body(message.body().unwrap_or_default())
            .message_attributes(REDRIVEN, text("yes")?)
            .send()
            .await
            .map_err(|error| {
                let words = problem::words(&error);
                format!("{words}; allow sqs:SendMessage on {}", self.intake)
            })?;
        self.client
            .delete_message()
            .queue_url(&self.dead_letters)
            .receipt_handle(message.receipt_handle().unwrap_or_default())
            .send()
            .await
            .map_err(|error| {
                let words = problem::words(&error);
                format!("{words}; allow sqs:DeleteMessage on {}", self.dead_letters)
            })?;
        Ok(())
    }
}

/// What is to be known of a message that is put aside.
#[derive(Debug, Clone, Copy)]
pub struct Notes<'a> {
    /// A word for why.
    pub why: &'a str,
    /// Why, in full.
    pub reason: &'a str,
    /// It had been put aside before.
    pub is_redriven: bool,
}

/// The attribute with the word for why a message was put aside.
const WHY: &str = "why";

/// The attribute of messages that had been put aside.
const REDRIVEN: &str = "redriven";

/// How often ten messages are looked at: of those that stay there may be many.
const LOOKS: usize = 5;

/// For how long those that were looked at are hidden, in seconds: as long as all looks take.
const HIDDEN_FOR: i32 = 30;

/// How long a message stays aside at least, in seconds: what was in its way takes a while to pass.
const ASIDE_FOR: u64 = 600;

/// Whether a message stays where it is put aside.
fn stays(message: &Message, hopeless: &str, aside_for: u64) -> bool {
    let attributes = message.message_attributes();
    let text = |name: &str| {
        let attribute = attributes.and_then(|all| all.get(name));
        attribute.and_then(MessageAttributeValue::string_value)
    };
    if text(REDRIVEN).is_some() || text(WHY) == Some(hopeless) {
        return true;
    }
    let sent = message
        .attributes()
        .and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp))
        .and_then(|digits| digits.parse::<u64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    sent.is_some_and(|milliseconds| now.saturating_sub(milliseconds / 1_000) < aside_for)
}

fn text(value: &str) -> Result<MessageAttributeValue, String> {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(if value.is_empty() { "unknown" } else { value })
        .build()
        .map_err(|error| error.to_string())
}
