//! What was said: every request with its answer, so that a test can hold both against GitHub's
//! published description.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::Arc;

use axum::body::{self, Body};
use axum::extract::{Query, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures::stream;

use super::answer;
use super::state::State;

/// Nothing that Stoker and GitHub say to each other is larger.
const LARGEST: usize = 1 << 20;

/// A body as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// What it is said to be.
    pub media_type: Option<String>,
    /// The body; empty: there is none.
    pub bytes: Vec<u8>,
}

/// An answer as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub content: Content,
}

/// A request, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// The path, escaped as it came.
    pub path: String,
    /// The query.
    pub query: Vec<(String, String)>,
    /// The body.
    pub content: Content,
    /// The answer; none: it is still to come, or was lost.
    pub answer: Option<Answer>,
}

impl Content {
    fn new(headers: &HeaderMap, bytes: &[u8]) -> Self {
        let media_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        Self {
            media_type,
            bytes: bytes.to_vec(),
        }
    }
}

/// Notes a request before anything is done with it, and its answer as it goes out.
pub(super) async fn note(
    Shared(state): Shared<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = body::to_bytes(body, LARGEST).await else {
        return answer::refusal(400, "Problems reading the body");
    };
    let number = state.asked(Exchange {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: Query::try_from_uri(&parts.uri).map_or_else(|_| Vec::new(), |Query(query)| query),
        content: Content::new(&parts.headers, &bytes),
        answer: None,
    });
    let request = Request::from_parts(parts, Body::from(bytes));
    let (parts, body) = next.run(request).await.into_parts();
    let Ok(bytes) = body::to_bytes(body, LARGEST).await else {
        return Response::from_parts(parts, broken());
    };
    let content = Content::new(&parts.headers, &bytes);
    let status = parts.status.as_u16();
    state.answered(number, Answer { status, content });
    Response::from_parts(parts, Body::from(bytes))
}

/// Tells each list by its content: who knows it already is told no more than that (304).
pub(super) async fn tag(
    Shared(state): Shared<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let is_read = request.method() == Method::GET;
    let (mut parts, body) = next.run(request).await.into_parts();
    if !is_read || parts.status != StatusCode::OK {
        return Response::from_parts(parts, body);
    }
    let Ok(bytes) = body::to_bytes(body, LARGEST).await else {
        return Response::from_parts(parts, broken());
    };
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let Ok(tag) = HeaderValue::from_str(&format!("W/\"{:016x}\"", hasher.finish())) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let is_known = known.is_some_and(|known| known == tag);
    parts.headers.insert(header::ETAG, tag);
    if !is_known {
        return Response::from_parts(parts, Body::from(bytes));
    }
    state.told_unchanged();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

/// A body that breaks off.
pub(super) fn broken() -> Body {
    Body::from_stream(stream::iter([Err::<&[u8], _>(io::Error::other("lost"))]))
}
