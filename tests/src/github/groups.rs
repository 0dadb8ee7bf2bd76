//! Runner groups of organisations.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth;
use super::{Level, State, answer};

#[derive(Deserialize)]
pub(super) struct Paging {
    #[serde(default)]
    per_page: Option<usize>,
    #[serde(default)]
    page: Option<usize>,
}

pub(super) async fn of_organization(
    Shared(state): Shared<Arc<State>>,
    Path(org): Path<String>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Response {
    let level = Level::organization(&org);
    if let Err(refused) = auth::installation(&state, &headers, &level, level.permission()) {
        return *refused;
    }
    let all = state.groups(&org);
    let public = state.setup().public_groups;
    let size = paging.per_page.unwrap_or(30).clamp(1, 100);
    let start = paging.page.unwrap_or(1).saturating_sub(1) * size;
    let page: Vec<Value> = all
        .iter()
        .skip(start)
        .take(size)
        .map(|(id, name)| {
            json!({
                "id": id,
                "name": name,
                "visibility": "all",
                "default": *id == 1,
                "runners_url":
                    format!("https://api.github.com/orgs/{org}/actions/runner-groups/{id}/runners"),
                "inherited": false,
                "allows_public_repositories": public.contains(id),
            })
        })
        .collect();
    answer::done(
        200,
        json!({ "total_count": all.len(), "runner_groups": page }),
    )
}
