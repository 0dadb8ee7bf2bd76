//! What every listener does alike, whatever it listens on: which request is for whom ([`route`](mod@route)),
//! what is answered besides what [`receive()`](crate::receive()) says, when to try the queue again
//! ([`schedule`]), and the one line that a request leaves in the log ([`line`](mod@line)).

pub mod line;
pub mod route;
pub mod schedule;

use crate::answer::Answer;

const JSON: (&str, &str) = ("content-type", "application/json");

/// An answer as HTTP has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, &'static str)>,
    /// JSON; empty in the answer to a `HEAD`.
    pub body: String,
}

impl From<&Answer> for Reply {
    fn from(answer: &Answer) -> Self {
        Self {
            status: answer.http_status(),
            headers: answer.headers().collect(),
            body: answer.body().to_owned(),
        }
    }
}

impl Reply {
    fn new(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![JSON],
            body: body.to_owned(),
        }
    }

    /// A webhook could be accepted. Nothing of the configuration is told.
    pub fn healthy(method: &str) -> Self {
        Self::new(200, r#"{"status":"ok"}"#).to(method)
    }

    /// Something is missing or wrong in the settings, which the listener's log says.
    pub fn not_configured(method: &str) -> Self {
        let body = r#"{"status":"misconfigured","detail":"The listener is not configured; its log says what."}"#;
        Self::new(500, body).to(method)
    }

    /// There is something, but not for that method.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut reply = Self::new(405, r#"{"status":"refused","reason":"method_not_allowed"}"#);
        reply.headers.push(("allow", allow));
        reply
    }

    /// There is nothing.
    pub fn not_found() -> Self {
        Self::new(404, r#"{"status":"not_found"}"#)
    }

    /// As that method wants it.
    fn to(self, method: &str) -> Self {
        let body = if method == "HEAD" {
            String::new()
        } else {
            self.body
        };
        Self { body, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_request_gets_no_body() {
        assert_eq!(Reply::healthy("HEAD").body, "");
        assert_eq!(Reply::not_configured("HEAD").body, "");
        assert!(Reply::healthy("GET").body.contains("ok"));
    }
}
