//! A [`JobEvent`] as a message's body: tagged, versioned JSON that SQS takes.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::event::JobEvent;

/// The `kind` of a [`JobEvent`]'s message: the intake queue carries messages of other kinds as well.
pub const JOB_EVENT_KIND: &str = "job-event";

/// The version of [`JobEvent`]'s JSON form. Reading a newer one is an error: a field that this reader
/// does not know may change what the others mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageVersion(u32);

impl MessageVersion {
    /// The version that this crate writes, and the newest that it reads.
    pub const CURRENT: Self = Self(1);

    /// The version's number, from 1.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for MessageVersion {
    fn default() -> Self {
        Self::CURRENT
    }
}

impl TryFrom<u32> for MessageVersion {
    type Error = MessageError;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        if (1..=Self::CURRENT.0).contains(&version) {
            Ok(Self(version))
        } else {
            Err(MessageError::UnknownVersion { found: version })
        }
    }
}

impl Serialize for MessageVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for MessageVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

/// Why a message is not a [`JobEvent`], or a [`JobEvent`] not a message.
#[derive(Debug, Error)]
pub enum MessageError {
    /// The message is JSON of another kind. Its reader may know what to do with it.
    #[error("the message's kind is {found:?}, not \"job-event\"")]
    OtherKind {
        /// What `kind` says, if anything.
        found: Option<String>,
    },
    /// The message was written by another version of Stoker.
    #[error(
        "the job event has version {found}, and this Stoker reads up to {}: update the consumer \
         before the edge",
        MessageVersion::CURRENT.get()
    )]
    UnknownVersion {
        /// The version in the message.
        found: u32,
    },
    /// The message is not JSON, or a field is missing or has the wrong type.
    #[error("the message is not a job event: {0}")]
    Malformed(#[source] serde_json::Error),
    /// An event that cannot be written, such as one with a time after the year 9999.
    #[error("the job event cannot be written as JSON: {0}")]
    Unwritable(#[source] serde_json::Error),
}

/// What is read first, to tell the kinds and versions apart before the rest is believed.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    version: Option<u32>,
}

#[derive(Serialize)]
struct Tagged<'a> {
    kind: &'static str,
    #[serde(flatten)]
    event: &'a JobEvent,
}

impl JobEvent {
    /// The body of the message that carries this event.
    pub fn to_message(&self) -> Result<String, MessageError> {
        let tagged = Tagged {
            kind: JOB_EVENT_KIND,
            event: self,
        };
        let json = serde_json::to_string(&tagged).map_err(MessageError::Unwritable)?;
        Ok(escape_for_sqs(json))
    }

    /// Reads the body of a message. [`MessageError::OtherKind`] means that the message may be meant for
    /// another reader of the same queue.
    pub fn from_message(body: &str) -> Result<Self, MessageError> {
        let envelope: Envelope = serde_json::from_str(body).map_err(MessageError::Malformed)?;
        if envelope.kind.as_deref() != Some(JOB_EVENT_KIND) {
            return Err(MessageError::OtherKind {
                found: envelope.kind,
            });
        }
        if let Some(version) = envelope.version {
            MessageVersion::try_from(version)?;
        }
        serde_json::from_str(body).map_err(MessageError::Malformed)
    }
}

/// SQS refuses a body with U+FFFE or U+FFFF, which JSON allows. They can only stand inside JSON's
/// strings, where the escape means the same.
fn escape_for_sqs(json: String) -> String {
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        json.replace('\u{fffe}', "\\ufffe")
            .replace('\u{ffff}', "\\uffff")
    } else {
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn an_event_survives_the_queue() {
        for event in [sample::workflow_job_queued(), sample::check_run_completed()] {
            let body = event.to_message().unwrap();
            assert_eq!(JobEvent::from_message(&body).unwrap(), event);
        }
    }

    #[test]
    fn a_message_is_flat_and_says_its_kind_and_version() {
        let body = sample::workflow_job_queued().to_message().unwrap();
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(json["kind"], "job-event");
        assert_eq!(json["version"], 1);
        assert_eq!(json["event"], "workflow_job");
        assert_eq!(json["action"], "queued");
        assert_eq!(json["owner"]["type"], "Organization");
        assert_eq!(json["repository"]["visibility"], "private");
        assert_eq!(json["created_at"], "2021-09-13T02:21:13Z");
        assert_eq!(json.get("conclusion"), None);
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let body = sample::workflow_job_queued().to_message().unwrap();
        let newer = body.replace("\"version\":1", "\"version\":2");
        assert!(matches!(
            JobEvent::from_message(&newer),
            Err(MessageError::UnknownVersion { found: 2 })
        ));
        let told = serde_json::from_str::<JobEvent>(&newer).unwrap_err();
        assert!(told.to_string().contains("has version 2"), "{told}");
    }

    #[test]
    fn a_message_of_another_kind_is_told_apart_from_a_broken_one() {
        let told = JobEvent::from_message(r#"{"kind":"act","scope":1}"#);
        assert!(
            matches!(told, Err(MessageError::OtherKind { found: Some(kind) }) if kind == "act")
        );
        let told = JobEvent::from_message(r#"{"detail-type":"EC2 Instance State-change"}"#);
        assert!(matches!(told, Err(MessageError::OtherKind { found: None })));
        for broken in ["", "null", "{\"kind\":", r#"{"kind":"job-event"}"#] {
            let told = JobEvent::from_message(broken);
            assert!(matches!(told, Err(MessageError::Malformed(_))), "{broken}");
        }
    }

    #[test]
    fn a_message_has_only_characters_that_sqs_takes() {
        let mut event = sample::workflow_job_queued();
        event.name = "odd \u{fffe}\u{ffff}\u{0}\u{7f}\u{10ffff} name".into();
        let body = event.to_message().unwrap();
        let taken = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(body.chars().all(taken), "{body:?}");
        assert_eq!(JobEvent::from_message(&body).unwrap(), event);
    }
}
