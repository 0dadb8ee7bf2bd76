//! The way of a request: [`receive()`], the one entry.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::admission::{DropReason, EventClass, classify};
use crate::answer::{Answer, Enqueue, Fault, Outcome};
use crate::event::EventKind;
use crate::ids::DeliveryId;
use crate::payload::JobPayload;
use crate::settings::Settings;
use crate::signature::{SignedWith, Verified};

/// The most bytes that a body may have, 25 MiB: GitHub caps payloads at 25 MB.
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// The most bytes of a message. SQS takes 1 MiB now and took 256 KiB for long, as stand-ins still do;
/// an event has about 1 KiB.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Answer so; nothing is passed on.
    Answer(Answer),
    /// Send the message, then answer as [`Enqueue`] says.
    Enqueue(Box<Enqueue>),
}

/// A request as far as it was understood, for the log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reception {
    /// What to do.
    pub received: Received,
    /// `X-GitHub-Event`, of a verified request only.
    pub event: Option<String>,
    /// `X-GitHub-Delivery`, of a verified request only.
    pub delivery: Option<DeliveryId>,
    /// Which secret the request was signed with.
    pub signed_with: Option<SignedWith>,
}

/// Judges a request. `header` looks a header up by its name in lower case.
///
/// In this order, so that nothing of a body is looked at before its sender has proved to know the
/// secret: 405 for another method than POST, 413, 401, 400 for missing headers, 400 for a payload that
/// cannot be read, 200 for what is dropped; what remains is to be enqueued.
pub fn receive(
    method: &str,
    header: impl Fn(&str) -> Option<String>,
    body: &[u8],
    settings: &Settings,
) -> Reception {
    let mut reception = Reception {
        received: Received::Answer(Answer::unauthorized()),
        event: None,
        delivery: None,
        signed_with: None,
    };
    if let Some(refusal) = refuse_early(method, None) {
        reception.received = Received::Answer(refusal);
        return reception;
    }
    if body.len() > MAX_BODY_BYTES {
        reception.received = Received::Answer(Answer::too_large());
        return reception;
    }
    let signature = header("x-hub-signature-256");
    let Some(verified) = settings.secrets.verify(signature.as_deref(), body) else {
        return reception;
    };
    reception.signed_with = Some(verified.signed_with());
    reception.event = header("x-github-event").filter(|event| !event.is_empty());
    let delivery = header("x-github-delivery").filter(|delivery| !delivery.is_empty());
    reception.delivery = delivery.as_deref().and_then(|id| id.parse().ok());
    let headers = Headers {
        event: reception.event.as_deref(),
        has_delivery: delivery.is_some(),
        delivery: reception.delivery.as_ref(),
        content_type: header("content-type"),
    };
    reception.received = read(&headers, verified, settings).unwrap_or_else(Received::Answer);
    reception
}

/// What can be refused before the body is read: another method than POST, or a `Content-Length` over
/// [`MAX_BODY_BYTES`].
pub fn refuse_early(method: &str, content_length: Option<&str>) -> Option<Answer> {
    if method != "POST" {
        return Some(Answer::method_not_allowed());
    }
    let too_large = content_length
        .and_then(|length| length.trim().parse::<u64>().ok())
        .is_some_and(|length| length > MAX_BODY_BYTES as u64);
    too_large.then(refuse_too_large)
}

/// The answer to a body that turns out too large while it is read.
pub fn refuse_too_large() -> Answer {
    Answer::too_large()
}

struct Headers<'a> {
    event: Option<&'a str>,
    has_delivery: bool,
    delivery: Option<&'a DeliveryId>,
    content_type: Option<String>,
}

/// From a verified body to the event in it; an error is the answer.
fn read(
    headers: &Headers<'_>,
    verified: Verified<'_>,
    settings: &Settings,
) -> Result<Received, Answer> {
    let event = headers
        .event
        .ok_or_else(|| bad(Fault::EventMissing, "X-GitHub-Event is missing."))?;
    if !headers.has_delivery {
        return Err(bad(Fault::DeliveryMissing, "X-GitHub-Delivery is missing."));
    }
    let delivery = headers.delivery.ok_or_else(|| {
        bad(
            Fault::DeliveryInvalid,
            "X-GitHub-Delivery is not an id of up to 128 characters.",
        )
    })?;
    if is_form(headers.content_type.as_deref(), verified.body()) {
        return Err(bad(
            Fault::FormEncoded,
            "The payload is form-encoded: set the webhook's content type to application/json.",
        ));
    }
    let kind = match event {
        "check_run" => EventKind::CheckRun,
        "workflow_job" => EventKind::WorkflowJob,
        "ping" => {
            json::<IgnoredAny>(verified)?;
            return Err(Answer::new(Outcome::Pong, None));
        }
        _ => {
            json::<IgnoredAny>(verified)?;
            return Err(Answer::dropped(DropReason::EventNotHandled));
        }
    };
    let mut payload = json::<JobPayload>(verified)?;
    let action = std::mem::take(&mut payload.action)
        .required("action")
        .map_err(|error| bad(Fault::Incomplete, &error.to_string()))?;
    let action = classify(kind, &action).map_err(Answer::dropped)?;
    let projected = payload
        .project(delivery.clone(), kind, action)
        .map_err(|error| bad(Fault::Incomplete, &error.to_string()))?;
    let class = settings
        .admission
        .judge(&projected)
        .map_err(Answer::dropped)?;
    let message = projected
        .event
        .to_message()
        .map_err(|error| bad(Fault::Incomplete, &error.to_string()))?;
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(bad(
            Fault::Oversized,
            "The job's names and labels fit no message.",
        ));
    }
    Ok(Received::Enqueue(Box::new(Enqueue {
        event: projected.event,
        class,
        message,
        delay_seconds: match class {
            EventClass::Work => settings.delay_seconds,
            EventClass::News => 0,
        },
    })))
}

fn json<'a, T: Deserialize<'a>>(verified: Verified<'a>) -> Result<T, Answer> {
    serde_json::from_slice(verified.body()).map_err(|error| {
        bad(
            Fault::Malformed,
            &format!("The body is not a JSON object: {error}"),
        )
    })
}

/// GitHub's other content type, which is the default of a webhook made by hand.
fn is_form(content_type: Option<&str>, body: &[u8]) -> bool {
    content_type.is_some_and(|value| {
        value
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("application/x-www-form-urlencoded")
    }) || body.starts_with(b"payload=")
}

fn bad(fault: Fault, detail: &str) -> Answer {
    Answer::new(Outcome::BadRequest(fault), Some(detail))
}

#[cfg(test)]
mod tests;
