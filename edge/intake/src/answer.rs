//! What GitHub is told, and what is passed on.

use serde::Serialize;

use crate::admission::{DropReason, EventClass};
use crate::event::JobEvent;
use crate::ids::DeliveryId;

/// An HTTP answer: a status, a small JSON body, and what became of the request in one word for logs
/// and counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    outcome: Outcome,
    body: String,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The queue has it.
    Accepted(EventClass),
    /// Verified, acknowledged, not passed on.
    Dropped(DropReason),
    /// GitHub's greeting was answered.
    Pong,
    /// Not a POST.
    MethodNotAllowed,
    /// More bytes than GitHub sends.
    TooLarge,
    /// No good signature.
    Unauthorized,
    /// Signed, but not a webhook that can be read.
    BadRequest(Fault),
    /// The queue did not take it: GitHub shows the delivery as failed, and it can be redelivered.
    Unavailable,
}

/// What is wrong with a signed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No `X-GitHub-Event`.
    EventMissing,
    /// No `X-GitHub-Delivery`.
    DeliveryMissing,
    /// An `X-GitHub-Delivery` that is no id.
    DeliveryInvalid,
    /// A form instead of JSON.
    FormEncoded,
    /// Not JSON.
    Malformed,
    /// JSON without what the event must have.
    Incomplete,
    /// An event that fits no message.
    Oversized,
}

impl Fault {
    /// The machine-readable word in answers, logs and counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventMissing => "event_header_missing",
            Self::DeliveryMissing => "delivery_header_missing",
            Self::DeliveryInvalid => "delivery_header_invalid",
            Self::FormEncoded => "form_encoded",
            Self::Malformed => "malformed_json",
            Self::Incomplete => "incomplete_payload",
            Self::Oversized => "oversized_event",
        }
    }
}

impl Outcome {
    /// The HTTP status.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Accepted(_) => 202,
            Self::Dropped(_) | Self::Pong => 200,
            Self::BadRequest(_) => 400,
            Self::Unauthorized => 401,
            Self::MethodNotAllowed => 405,
            Self::TooLarge => 413,
            Self::Unavailable => 503,
        }
    }

    /// The word in the body's `status`.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Dropped(_) => "dropped",
            Self::Pong => "pong",
            Self::Unavailable => "unavailable",
            Self::MethodNotAllowed | Self::TooLarge | Self::Unauthorized | Self::BadRequest(_) => {
                "refused"
            }
        }
    }

    /// The machine-readable reason, where there is one.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Accepted(_) | Self::Pong => None,
            Self::Dropped(reason) => Some(reason.as_str()),
            Self::MethodNotAllowed => Some("method_not_allowed"),
            Self::TooLarge => Some("too_large"),
            Self::Unauthorized => Some("unauthorized"),
            Self::BadRequest(fault) => Some(fault.as_str()),
            Self::Unavailable => Some("queue_unavailable"),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_seconds: Option<u16>,
}

impl Answer {
    /// What became of the request.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The HTTP status.
    pub const fn http_status(&self) -> u16 {
        self.outcome.http_status()
    }

    /// The body, in JSON.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The headers that belong to the answer, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let allow = match self.outcome {
            Outcome::MethodNotAllowed => Some(("allow", "POST")),
            _ => None,
        };
        [("content-type", "application/json")]
            .into_iter()
            .chain(allow)
    }

    pub(crate) fn new(outcome: Outcome, detail: Option<&str>) -> Self {
        Self::write(outcome, detail, None, None)
    }

    fn write(
        outcome: Outcome,
        detail: Option<&str>,
        delivery: Option<&DeliveryId>,
        delay_seconds: Option<u16>,
    ) -> Self {
        let body = Body {
            status: outcome.status(),
            reason: outcome.reason(),
            detail,
            kind: match outcome {
                Outcome::Accepted(class) => Some(class.as_str()),
                _ => None,
            },
            delivery: delivery.map(DeliveryId::as_str),
            delay_seconds,
        };
        Self {
            outcome,
            // Text and numbers always fit into JSON.
            body: serde_json::to_string(&body).unwrap_or_default(),
        }
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(Outcome::MethodNotAllowed, Some("Webhooks are POSTed."))
    }

    pub(crate) fn too_large() -> Self {
        Self::new(
            Outcome::TooLarge,
            Some("GitHub sends no payload over 25 MB."),
        )
    }

    /// One answer for a signature that is missing, malformed or wrong.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            Outcome::Unauthorized,
            Some("X-Hub-Signature-256 does not verify: check the webhook's secret."),
        )
    }

    pub(crate) fn dropped(reason: DropReason) -> Self {
        Self::new(Outcome::Dropped(reason), Some(reason.detail()))
    }
}

/// An admitted event on its way to the queue. GitHub is answered only after the queue has, by
/// [`Enqueue::accepted`] or [`Enqueue::unavailable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueue {
    pub(crate) event: JobEvent,
    pub(crate) class: EventClass,
    pub(crate) message: String,
    pub(crate) delay_seconds: u16,
}

impl Enqueue {
    /// The event.
    pub const fn event(&self) -> &JobEvent {
        &self.event
    }

    /// Whether it is work or news.
    pub const fn class(&self) -> EventClass {
        self.class
    }

    /// The message's body: [`JobEvent::to_message`] of the event.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long the queue hides the message, 0 to 900 seconds (SQS's range). News is never delayed: a
    /// job that was taken in the meantime is known when its own message surfaces.
    pub const fn delay_seconds(&self) -> u16 {
        self.delay_seconds
    }

    /// The answer once the queue has the message.
    pub fn accepted(&self) -> Answer {
        Answer::write(
            Outcome::Accepted(self.class),
            None,
            Some(&self.event.delivery),
            Some(self.delay_seconds),
        )
    }

    /// The answer when the queue did not take it.
    pub fn unavailable(&self) -> Answer {
        Answer::write(
            Outcome::Unavailable,
            Some("The queue did not accept the event; redeliver it later."),
            Some(&self.event.delivery),
            None,
        )
    }
}
