//! What was sent to the App's webhook, and what is to be sent again.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::State;
use super::{answer, auth};

/// An attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// GitHub's id of the attempt.
    pub id: u64,
    /// The webhook's.
    pub guid: String,
    /// When, in seconds since 1970.
    pub at: i64,
    /// What was answered; 0: nothing.
    pub status: u16,
    /// Such as `workflow_job`.
    pub event: String,
    /// Such as `queued`.
    pub action: String,
}

/// Which page is wanted.
#[derive(Deserialize)]
pub(super) struct Paging {
    #[serde(default)]
    per_page: Option<usize>,
    #[serde(default)]
    cursor: Option<String>,
}

pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = auth::app(&state, &headers) {
        return *refused;
    }
    let size = paging.per_page.unwrap_or(30).clamp(1, 100);
    let before = match paging
        .cursor
        .as_deref()
        .map(|text| text.strip_prefix("v1_"))
    {
        None => u64::MAX,
        Some(Some(digits)) => digits.parse().unwrap_or(0),
        Some(None) => return answer::refusal(400, "Invalid cursor"),
    };
    let mut all = state.delivered();
    all.sort_by_key(|one| std::cmp::Reverse(one.id));
    all.retain(|one| one.id < before);
    let has_more = all.len() > size;
    all.truncate(size);
    let shown: Vec<Value> = all.iter().map(shown).collect();
    let mut response = answer::done(200, json!(shown));
    if let Some(last) = all.last().filter(|_| has_more) {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let link = format!(
            "<http://{}/app/hook/deliveries?per_page={size}&cursor=v1_{}>; rel=\"next\"",
            host.unwrap_or("localhost"),
            last.id
        );
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}

pub(super) async fn again(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = auth::app(&state, &headers) {
        return *refused;
    }
    if state.deliver_again(id) {
        answer::done(202, json!({}))
    } else {
        answer::not_found()
    }
}

fn shown(one: &Delivered) -> Value {
    json!({
        "id": one.id,
        "guid": one.guid,
        "delivered_at": answer::timestamp(one.at),
        "redelivery": false,
        "duration": 0.27,
        "status": if one.status == 200 || one.status == 202 { "OK" } else { "failed" },
        "status_code": one.status,
        "event": one.event,
        "action": one.action,
        "installation_id": 1,
        "repository_id": 1,
        "throttled_at": null,
    })
}
