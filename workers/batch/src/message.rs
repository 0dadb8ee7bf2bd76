//! What a message asks for.

use serde::Deserialize;
use stoker_core::ids::InstanceId;
use stoker_core::ports::ActRequest;
use stoker_core::runner::RunnerNews;
use stoker_intake::{JOB_EVENT_KIND, JobEvent, MessageError};
use thiserror::Error;

/// The `kind` of an [`ActRequest`]'s message.
const ACT_KIND: &str = "act";

/// The newest version of a request to act that is read here. One without a version is of the first.
const ACT_VERSION: u64 = 1;

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// That an event becomes part of the ledger.
    Fold(Box<JobEvent>),
    /// That a scope is acted on.
    Act(ActRequest),
    /// That news of an instance becomes part of the ledger.
    Instance(InstanceEvent),
}

/// What EventBridge tells of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceEvent {
    /// EventBridge's id of the event.
    pub id: String,
    /// Which instance.
    pub instance: InstanceId,
    /// What is new; none: nothing that matters.
    pub news: Option<RunnerNews>,
}

/// Why a message can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Nobody will ever be able to read it.
    #[error("{0}")]
    Malformed(String),
    /// A newer Stoker will.
    #[error(
        "it was written by a newer Stoker: {0}; it goes back to its queue until this Lambda is updated"
    )]
    Newer(String),
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    version: Option<u64>,
}

impl Message {
    /// Reads a message's body.
    pub fn read(body: &str) -> Result<Self, Unreadable> {
        if is_of_ec2(body) {
            return instance(body);
        }
        match JobEvent::from_message(body) {
            Ok(event) => Ok(Self::Fold(Box::new(event))),
            Err(error @ MessageError::UnknownVersion { found }) => {
                // Version 0 was never written by anyone.
                if found == 0 {
                    Err(Unreadable::Malformed(error.to_string()))
                } else {
                    Err(Unreadable::Newer(error.to_string()))
                }
            }
            Err(MessageError::OtherKind { found: Some(kind) }) if kind == ACT_KIND => act(body),
            Err(MessageError::OtherKind { found }) => Err(Unreadable::Malformed(match found {
                Some(kind) => format!(
                    "its kind is {kind:?}, and this Lambda reads {JOB_EVENT_KIND:?} and {ACT_KIND:?}"
                ),
                None => "it does not say its `kind`".to_owned(),
            })),
            Err(error) => Err(Unreadable::Malformed(error.to_string())),
        }
    }
}

fn act(body: &str) -> Result<Message, Unreadable> {
    let malformed = |error: serde_json::Error| {
        Unreadable::Malformed(format!("it is no request to act: {error}"))
    };
    let envelope: Envelope = serde_json::from_str(body).map_err(malformed)?;
    debug_assert_eq!(envelope.kind.as_deref(), Some(ACT_KIND));
    if let Some(version) = envelope.version.filter(|&version| version > ACT_VERSION) {
        return Err(Unreadable::Newer(format!(
            "the request to act has version {version}, and this Stoker reads up to {ACT_VERSION}"
        )));
    }
    let request: ActRequest = serde_json::from_str(body).map_err(malformed)?;
    Ok(Message::Act(request))
}

/// An event of EC2's, as EventBridge hands it on. Source: "State change events for Amazon EC2 instances"
/// and "Spot Instance interruption notices" in the EC2 User Guide.
#[derive(Deserialize)]
struct Ec2Event {
    #[serde(default)]
    id: String,
    source: String,
    #[serde(rename = "detail-type")]
    kind: String,
    detail: Ec2Detail,
}

#[derive(Deserialize)]
struct Ec2Detail {
    #[serde(rename = "instance-id")]
    instance: InstanceId,
    #[serde(default)]
    state: Option<String>,
}

/// The only part of an event by which it is told from other messages.
#[derive(Deserialize)]
struct Source {
    source: String,
}

fn is_of_ec2(body: &str) -> bool {
    serde_json::from_str::<Source>(body).is_ok_and(|event| event.source == "aws.ec2")
}

fn instance(body: &str) -> Result<Message, Unreadable> {
    let event: Ec2Event = serde_json::from_str(body).map_err(|error| {
        Unreadable::Malformed(format!("it is no event of an EC2 instance: {error}"))
    })?;
    debug_assert_eq!(event.source, "aws.ec2");
    let news = match (event.kind.as_str(), event.detail.state.as_deref()) {
        ("EC2 Spot Instance Interruption Warning", _) => Some(RunnerNews::Interrupted),
        // One that was stopped serves no more either: nobody starts it again.
        (
            "EC2 Instance State-change Notification",
            Some("shutting-down" | "terminated" | "stopping" | "stopped"),
        ) => Some(RunnerNews::Gone),
        _ => None,
    };
    Ok(Message::Instance(InstanceEvent {
        id: event.id,
        instance: event.detail.instance,
        news,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_act_is_read_as_it_was_written() {
        let scope = "org-7".parse().unwrap();
        let request = ActRequest {
            scope,
            folded: "x".to_owned(),
            trigger: stoker_core::situation::Trigger::Tick,
        };
        let body = serde_json::to_string(&request).unwrap();
        assert_eq!(Message::read(&body), Ok(Message::Act(request)));
    }

    #[test]
    fn what_a_newer_stoker_wrote_is_not_dropped() {
        for body in [
            r#"{"kind":"job-event","version":2,"whatever":true}"#,
            r#"{"kind":"act","version":2,"scope":{"new":"form"}}"#,
        ] {
            let told = Message::read(body).unwrap_err();
            assert!(matches!(told, Unreadable::Newer(_)), "{body}: {told}");
        }
    }

    #[test]
    fn what_nobody_will_ever_read_is_told_apart() {
        for body in [
            "",
            "not json",
            "null",
            "[]",
            "{}",
            r#"{"kind":1}"#,
            r#"{"kind":"other"}"#,
            r#"{"kind":"act"}"#,
            r#"{"kind":"act","scope":"everything","folded":"x"}"#,
            r#"{"kind":"job-event"}"#,
            r#"{"kind":"job-event","version":0}"#,
            r#"{"kind":"job-event","version":1,"delivery":""}"#,
            r#"{"detail-type":"EC2 Instance State-change Notification"}"#,
            r#"{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification"}"#,
            r#"{"source":"aws.ec2","detail-type":"x","detail":{"instance-id":"none"}}"#,
        ] {
            let told = Message::read(body).unwrap_err();
            assert!(matches!(told, Unreadable::Malformed(_)), "{body}: {told}");
        }
    }

    fn of_ec2(kind: &str, state: &str) -> Option<RunnerNews> {
        let body = serde_json::json!({
            "version": "0", "id": "e-1", "source": "aws.ec2", "detail-type": kind,
            "detail": {"instance-id": "i-0abc", "state": state, "instance-action": "terminate"},
        });
        match Message::read(&body.to_string()).unwrap() {
            Message::Instance(event) => {
                assert_eq!(event.instance.as_str(), "i-0abc");
                event.news
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ec2_s_events_are_read() {
        let change = "EC2 Instance State-change Notification";
        for state in ["shutting-down", "terminated", "stopping", "stopped"] {
            assert_eq!(of_ec2(change, state), Some(RunnerNews::Gone));
        }
        for state in ["pending", "running"] {
            assert_eq!(of_ec2(change, state), None);
        }
        let warning = "EC2 Spot Instance Interruption Warning";
        assert_eq!(of_ec2(warning, ""), Some(RunnerNews::Interrupted));
        assert_eq!(of_ec2("EC2 Instance Rebalance Recommendation", ""), None);
    }
}
