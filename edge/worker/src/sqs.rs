//! SQS's JSON protocol: the signed request that sends one message, and what the answer to it means.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use stoker_intake::listener::schedule::passes;
use thiserror::Error;

use crate::settings::Queue;

/// A signed POST, ready to be sent. Its `Debug` output would show a session token, so it has none.
pub struct SignedRequest {
    /// Where it goes.
    pub url: String,
    /// All headers but those that the sender of any request adds (host, content length).
    pub headers: Vec<(String, String)>,
    /// The body, in JSON.
    pub body: String,
}

/// A request that could not be made. The settings are checked when they are read, so this is not
/// expected; it is no panic either.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The body is not JSON.
    #[error("the request to SQS cannot be written: {0}")]
    Body(#[from] serde_json::Error),
    /// A parameter of the signature is missing.
    #[error("the request to SQS cannot be signed: {0}")]
    Parameters(#[from] v4::signing_params::BuildError),
    /// The request cannot be signed.
    #[error("the request to SQS cannot be signed: {0}")]
    Signature(#[from] aws_sigv4::http_request::SigningError),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage<'a> {
    queue_url: &'a str,
    message_body: &'a str,
    delay_seconds: u16,
}

const TARGET: &str = "AmazonSQS.SendMessage";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Makes the request that sends a message, hidden for `delay_seconds` (0 to 900), signed at `now`.
/// A signature is good for five minutes; each attempt gets one of its own.
pub fn send_message(
    queue: &Queue,
    message: &str,
    delay_seconds: u16,
    now: SystemTime,
) -> Result<SignedRequest, RequestError> {
    let body = serde_json::to_string(&SendMessage {
        queue_url: &queue.url,
        message_body: message,
        delay_seconds,
    })?;
    let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
    let credentials = &queue.credentials;
    let token = credentials.session_token.as_ref();
    let identity = aws_credential_types::Credentials::new(
        credentials.access_key_id.expose_secret(),
        credentials.secret_access_key.expose_secret(),
        token.map(|token| token.expose_secret().to_owned()),
        None,
        "worker-secrets",
    )
    .into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&queue.region)
        .name("sqs")
        .time(now)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable = SignableRequest::new(
        "POST",
        &queue.endpoint,
        headers.into_iter(),
        SignableBody::Bytes(body.as_bytes()),
    )?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let headers = headers.into_iter().chain(instructions.headers());
    Ok(SignedRequest {
        url: queue.endpoint.clone(),
        headers: headers.map(owned).collect(),
        body,
    })
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The queue has the message.
    Sent,
    /// Not this time: throttled, or a failure on the way or on SQS's side. The message may have been
    /// taken nevertheless; a duplicate does no harm.
    TryAgain(Failure),
    /// Not in this way: the same request would fail again.
    GiveUp(Failure),
}

/// Why an attempt failed, in as much as may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// SQS answered with an error.
    Refused {
        /// The HTTP status.
        status: u16,
        /// SQS's own word for it, if it gave one.
        code: Option<String>,
    },
    /// Something answered 2xx that was not SQS: the endpoint is wrong.
    NotSqs {
        /// The HTTP status.
        status: u16,
    },
    /// No answer in time.
    TimedOut,
    /// No connection, or one that broke.
    Unreachable,
    /// The request could not be made.
    Unsendable,
}

impl Failure {
    /// The HTTP status, if there was an answer.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::NotSqs { status } => Some(*status),
            Self::TimedOut | Self::Unreachable | Self::Unsendable => None,
        }
    }

    /// The word for logs: SQS's error code where there is one.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code.as_deref().unwrap_or("unnamed"),
            Self::NotSqs { .. } => "not_sqs",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Unsendable => "unsendable",
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, rename = "MessageId")]
    message_id: Option<String>,
    #[serde(default, rename = "__type")]
    error_type: Option<String>,
}

/// What an HTTP answer means.
pub fn judge(status: u16, body: &[u8]) -> Attempt {
    let answer = serde_json::from_slice::<Answer>(body).ok();
    if (200..300).contains(&status) {
        // Only SQS gives out message ids: without one, nothing says that the event is safe.
        return match answer.and_then(|answer| answer.message_id) {
            Some(_) => Attempt::Sent,
            None => Attempt::GiveUp(Failure::NotSqs { status }),
        };
    }
    let code = answer
        .and_then(|answer| answer.error_type)
        .and_then(|name| error_code(&name));
    let passes = passes(status, code.as_deref());
    let failure = Failure::Refused { status, code };
    if passes {
        Attempt::TryAgain(failure)
    } else {
        Attempt::GiveUp(failure)
    }
}

/// `com.amazonaws.sqs#QueueDoesNotExist` → `QueueDoesNotExist`, and nothing that is not a code.
fn error_code(name: &str) -> Option<String> {
    let code = name.rsplit('#').next()?;
    let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = !code.is_empty() && code.len() <= 100;
    (fits && code.chars().all(is_code)).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::settings::Credentials;

    /// 2015-08-30T12:36:00Z, the instant of AWS's own signature examples.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::new(1_440_938_160, 0)
    }

    fn queue(session_token: Option<&str>) -> Queue {
        Queue {
            region: "us-east-1".into(),
            url: "https://sqs.us-east-1.amazonaws.com/123456789012/intake".into(),
            endpoint: "https://sqs.us-east-1.amazonaws.com/".into(),
            credentials: Credentials {
                access_key_id: "AKIDEXAMPLE".into(),
                secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
                session_token: session_token.map(Into::into),
            },
        }
    }

    fn header<'a>(request: &'a SignedRequest, name: &str) -> Option<&'a str> {
        let mut headers = request.headers.iter();
        headers
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_request_is_the_json_protocols() {
        let request = send_message(&queue(None), "{\"a\":1}", 30, now()).unwrap();
        assert_eq!(request.url, "https://sqs.us-east-1.amazonaws.com/");
        assert_eq!(
            header(&request, "content-type"),
            Some("application/x-amz-json-1.0")
        );
        assert_eq!(
            header(&request, "x-amz-target"),
            Some("AmazonSQS.SendMessage")
        );
        assert_eq!(header(&request, "x-amz-date"), Some("20150830T123600Z"));
        assert_eq!(header(&request, "x-amz-security-token"), None);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&request.body).unwrap(),
            serde_json::json!({
                "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/intake",
                "MessageBody": "{\"a\":1}",
                "DelaySeconds": 30,
            })
        );
    }

    #[test]
    fn target_time_and_session_token_are_signed() {
        let request = send_message(&queue(Some("token")), "x", 0, now()).unwrap();
        let signature = header(&request, "authorization").unwrap();
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/sqs/aws4_request";
        assert!(signature.starts_with(scope), "{signature}");
        for name in [
            "content-type",
            "host",
            "x-amz-date",
            "x-amz-security-token",
            "x-amz-target",
        ] {
            assert!(signature.contains(name), "{name} in {signature}");
        }
        assert_eq!(header(&request, "x-amz-security-token"), Some("token"));
    }

    #[test]
    fn the_same_request_has_the_same_signature_and_another_message_another() {
        let signature = |message: &str| {
            let request = send_message(&queue(None), message, 0, now()).unwrap();
            header(&request, "authorization").map(str::to_owned)
        };
        assert_eq!(signature("one"), signature("one"));
        assert_ne!(signature("one"), signature("two"));
    }

    #[test]
    fn only_a_message_id_says_that_the_message_is_safe() {
        assert_eq!(
            judge(200, br#"{"MessageId":"x","MD5OfMessageBody":"y"}"#),
            Attempt::Sent
        );
        for body in ["", "{}", "<html>welcome</html>", "[]"] {
            assert_eq!(
                judge(200, body.as_bytes()),
                Attempt::GiveUp(Failure::NotSqs { status: 200 })
            );
        }
    }

    #[test]
    fn throttling_and_failures_of_the_server_are_tried_again() {
        for (status, body) in [
            (500, ""),
            (502, "<html>"),
            (503, r#"{"__type":"com.amazonaws.sqs#ServiceUnavailable"}"#),
            (429, ""),
            (408, ""),
            (
                400,
                r#"{"__type":"com.amazon.coral.availability#ThrottlingException"}"#,
            ),
            (400, r#"{"__type":"com.amazonaws.sqs#RequestThrottled"}"#),
            (400, r#"{"__type":"com.amazonaws.sqs#KmsThrottled"}"#),
            (403, r#"{"__type":"RequestLimitExceeded"}"#),
        ] {
            let attempt = judge(status, body.as_bytes());
            assert!(matches!(attempt, Attempt::TryAgain(_)), "{status} {body}");
        }
    }

    #[test]
    fn what_would_fail_again_is_given_up_with_its_code() {
        for (status, body, code) in [
            (
                400,
                r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"m"}"#,
                "QueueDoesNotExist",
            ),
            (
                403,
                r#"{"__type":"InvalidClientTokenId"}"#,
                "InvalidClientTokenId",
            ),
            (403, "", "unnamed"),
            (301, "", "unnamed"),
            (400, r#"{"__type":"not a code\nat all"}"#, "unnamed"),
        ] {
            let Attempt::GiveUp(failure) = judge(status, body.as_bytes()) else {
                panic!("{status} {body}");
            };
            assert_eq!((failure.status(), failure.code()), (Some(status), code));
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(status in any::<u16>(), body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = judge(status, &body);
        }

        #[test]
        fn any_message_can_be_sent(message in ".*", delay in 0..=900_u16) {
            let request = send_message(&queue(None), &message, delay, now()).unwrap();
            let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            prop_assert_eq!(body["MessageBody"].as_str(), Some(message.as_str()));
        }
    }
}
