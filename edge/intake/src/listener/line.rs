//! The one line of JSON that a request leaves in the log. Nothing of a body, no secret: names, ids,
//! counts and codes.

use serde::Serialize;

use crate::admission::EventClass;
use crate::answer::{Answer, Outcome};
use crate::receive::{Received, Reception};
use crate::settings::{SettingError, SettingsError};
use crate::signature::SignedWith;

/// The longest event name that is logged, in characters; GitHub's own are shorter.
const LONGEST_EVENT: usize = 64;

/// What a webhook request came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WebhookLine {
    message: &'static str,
    /// `accepted`, `dropped`, `pong`, `refused` or `unavailable`.
    pub outcome: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Why, where there is a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// `work` or `news`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// The delivery's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// The event's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What happened to the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
    /// `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The job's check run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_run_id: Option<u64>,
    /// `previous` while deliveries still come with the secret before the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_with: Option<&'static str>,
    /// How often SQS was asked, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Why the last attempt failed: SQS's error code, or ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_error: Option<String>,
    /// The HTTP status of the last attempt that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_status: Option<u16>,
    /// From arrival to answer.
    pub milliseconds: u64,
}

impl WebhookLine {
    /// What is known before the queue is asked.
    pub fn of(reception: &Reception) -> Self {
        let enqueue = match &reception.received {
            Received::Enqueue(enqueue) => Some(enqueue),
            Received::Answer(_) => None,
        };
        let event = enqueue.map(|enqueue| enqueue.event());
        Self {
            message: "webhook",
            kind: enqueue
                .map(|enqueue| enqueue.class())
                .map(EventClass::as_str),
            delivery: reception.delivery.as_ref().map(ToString::to_string),
            event: reception.event.as_deref().map(cut),
            action: event.map(|event| event.action.as_str()),
            repository: event.map(|event| event.repository.full_name.clone()),
            check_run_id: event.map(|event| event.check_run_id.get()),
            signed_with: reception
                .signed_with
                .filter(|with| *with == SignedWith::Previous)
                .map(SignedWith::as_str),
            ..Self::default()
        }
    }

    /// Adds what the queue said: how often it was asked, where that is known, and the code and HTTP status
    /// of the last attempt that failed.
    #[must_use]
    pub fn sent(self, attempts: Option<u32>, failed: Option<(&str, Option<u16>)>) -> Self {
        Self {
            attempts,
            queue_error: failed.map(|(code, _)| code.to_owned()),
            queue_status: failed.and_then(|(_, status)| status),
            ..self
        }
    }

    /// The finished line.
    #[must_use]
    pub fn answered(self, answer: &Answer, milliseconds: u64) -> Self {
        let outcome = answer.outcome();
        Self {
            message: "webhook",
            outcome: outcome.status(),
            status: outcome.http_status(),
            reason: outcome.reason(),
            milliseconds,
            ..self
        }
    }

    /// Whether somebody should look: an event that GitHub will show as failed.
    pub fn is_error(&self) -> bool {
        self.status == Outcome::Unavailable.http_status()
    }

    /// The line.
    pub fn to_json(&self) -> String {
        // Text and numbers always fit into JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn cut(event: &str) -> String {
    event.chars().take(LONGEST_EVENT).collect()
}

/// The line that names every setting that is missing or wrong, and shows no value.
pub fn misconfigured(error: &SettingsError) -> String {
    #[derive(Serialize)]
    struct Line {
        message: &'static str,
        settings: Vec<&'static str>,
        errors: Vec<String>,
    }
    let line = Line {
        message: "the listener is not configured: set what is named here",
        settings: error.errors().iter().map(SettingError::name).collect(),
        errors: error.errors().iter().map(ToString::to_string).collect(),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::receive;
    use crate::settings::Settings;
    use crate::signature::sign;

    const SECRET: &str = "hush-current";

    fn received(body: &str, event: &str) -> Reception {
        let settings = Settings::from_lookup(|name| {
            (name == "GITHUB_WEBHOOK_SECRET").then(|| SECRET.to_owned())
        });
        let header = |name: &str| match name {
            "x-hub-signature-256" => Some(sign(&SECRET.into(), body.as_bytes())),
            "x-github-event" => Some(event.to_owned()),
            "x-github-delivery" => Some("a-delivery".to_owned()),
            _ => None,
        };
        receive("POST", header, body.as_bytes(), &settings.unwrap())
    }

    const JOB: &str = r#"{"action":"queued",
        "workflow_job":{"id":7,"name":"build the secret thing","status":"queued"},
        "repository":{"id":1,"name":"app","full_name":"acme/app","private":true,
            "owner":{"id":2,"login":"acme","type":"Organization"}}}"#;

    #[test]
    fn a_line_tells_the_story_of_a_job_and_nothing_of_the_body() {
        let reception = received(JOB, "workflow_job");
        let Received::Enqueue(enqueue) = &reception.received else {
            panic!("{reception:?}");
        };
        let line = WebhookLine::of(&reception)
            .sent(Some(3), Some(("ServiceUnavailable", Some(503))))
            .answered(&enqueue.unavailable(), 8_000);
        assert!(line.is_error());
        assert_eq!(
            line.to_json(),
            concat!(
                r#"{"message":"webhook","outcome":"unavailable","status":503,"#,
                r#""reason":"queue_unavailable","kind":"work","delivery":"a-delivery","#,
                r#""event":"workflow_job","action":"queued","repository":"acme/app","#,
                r#""check_run_id":7,"attempts":3,"queue_error":"ServiceUnavailable","#,
                r#""queue_status":503,"milliseconds":8000}"#,
            )
        );
    }

    #[test]
    fn a_refused_request_names_nothing_that_its_sender_claims() {
        let settings = Settings::from_lookup(|name| {
            (name == "GITHUB_WEBHOOK_SECRET").then(|| SECRET.to_owned())
        });
        let reception = receive(
            "POST",
            |_| Some("claimed".into()),
            b"claimed",
            &settings.unwrap(),
        );
        let Received::Answer(answer) = &reception.received else {
            panic!("{reception:?}");
        };
        let line = WebhookLine::of(&reception).answered(answer, 1).to_json();
        assert!(
            line.contains("\"unauthorized\"") && !line.contains("claimed"),
            "{line}"
        );
    }

    #[test]
    fn a_misconfigured_listener_names_every_setting_and_no_value() {
        let error = Settings::from_lookup(|name| match name {
            "DELAY_SECONDS" => Some("hush".into()),
            _ => None,
        });
        let line = misconfigured(&error.unwrap_err());
        assert!(
            line.contains(r#""settings":["GITHUB_WEBHOOK_SECRET","DELAY_SECONDS"]"#),
            "{line}"
        );
        assert!(!line.contains("hush"), "{line}");
    }
}
