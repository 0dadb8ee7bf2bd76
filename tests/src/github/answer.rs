//! How GitHub's answers look.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const DOCUMENTATION: &str = "https://docs.github.com/rest";

pub(super) fn refusal(status: u16, message: &str) -> Response {
    let body = json!({
        "message": message,
        "documentation_url": DOCUMENTATION,
        "status": status.to_string(),
    });
    (code(status), Json(body)).into_response()
}

pub(super) fn not_found() -> Response {
    refusal(404, "Not Found")
}

/// GitHub's answer to a body that lacks what it must have.
pub(super) fn invalid(problem: &str) -> Response {
    refusal(422, &format!("Invalid request.\n\n{problem}"))
}

pub(super) fn done(status: u16, body: Value) -> Response {
    (code(status), Json(body)).into_response()
}

/// GitHub's answer to what is done and has nothing to show.
pub(super) fn nothing() -> Response {
    code(204).into_response()
}

/// GitHub's answer to more requests than it bears in a minute.
pub(super) fn limited(seconds: u64) -> Response {
    let mut response = refusal(
        403,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    );
    response
        .headers_mut()
        .insert("retry-after", HeaderValue::from(seconds));
    response
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The time as GitHub writes it.
pub(super) fn timestamp(unix: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

pub(super) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// What GitHub says of the primary rate limit; it is far away.
pub(super) fn rate_limit_headers() -> [(HeaderName, HeaderValue); 5] {
    [
        ("x-ratelimit-limit", "15000".to_owned()),
        ("x-ratelimit-remaining", "14900".to_owned()),
        ("x-ratelimit-used", "100".to_owned()),
        ("x-ratelimit-reset", (now() + 1_800).to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
    ]
    .map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("0")),
        )
    })
}
