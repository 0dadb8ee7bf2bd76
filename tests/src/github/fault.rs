//! What the stand-in can be told to do wrong.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use super::{answer, exchange};

/// One thing that goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is refused: nothing was done.
    Refuse {
        /// The status.
        status: u16,
        /// GitHub's message.
        message: String,
        /// Headers besides, such as `retry-after`.
        headers: Vec<(&'static str, String)>,
    },
    /// It is done, but the connection breaks before the answer is there.
    LoseAnswer,
    /// It is done late.
    Delay(Duration),
    /// There never is an answer, and nothing is done.
    Stall,
}

impl Fault {
    /// A refusal with no headers of its own.
    pub fn refuse(status: u16, message: &str) -> Self {
        Self::Refuse {
            status,
            message: message.to_owned(),
            headers: Vec::new(),
        }
    }

    pub(super) async fn befall(self, request: Request, next: Next) -> Response {
        match self {
            Self::Refuse {
                status,
                message,
                headers,
            } => {
                let mut response = answer::refusal(status, &message);
                for (name, value) in headers {
                    if let Ok(value) = value.parse() {
                        response.headers_mut().insert(name, value);
                    }
                }
                response
            }
            Self::LoseAnswer => {
                let (parts, _lost) = next.run(request).await.into_parts();
                Response::from_parts(parts, exchange::broken())
            }
            Self::Delay(time) => {
                tokio::time::sleep(time).await;
                next.run(request).await
            }
            Self::Stall => std::future::pending().await,
        }
    }
}
