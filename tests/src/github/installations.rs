//! Installations of the App, and their access tokens.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{Account, State};
use super::{answer, auth};

pub(super) async fn of_organization(
    Shared(state): Shared<Arc<State>>,
    Path(org): Path<String>,
    headers: HeaderMap,
) -> Response {
    find(&state, &headers, &org, Some(true))
}

pub(super) async fn of_user(
    Shared(state): Shared<Arc<State>>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Response {
    find(&state, &headers, &user, Some(false))
}

pub(super) async fn of_repository(
    Shared(state): Shared<Arc<State>>,
    Path((owner, _repo)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    find(&state, &headers, &owner, None)
}

fn find(state: &State, headers: &HeaderMap, login: &str, organization: Option<bool>) -> Response {
    if let Err(refused) = auth::app(state, headers) {
        return *refused;
    }
    match state.installation_of(login) {
        Some((id, account)) if organization.is_none_or(|org| org == account.organization) => {
            answer::done(200, installation(state, id, &account))
        }
        _ => answer::not_found(),
    }
}

/// Which page of a list.
#[derive(Deserialize)]
pub(super) struct Paging {
    #[serde(default)]
    pub(super) per_page: Option<usize>,
    #[serde(default)]
    pub(super) page: Option<usize>,
}

impl Paging {
    pub(super) fn of<T>(&self, all: Vec<T>) -> Vec<T> {
        let size = self.per_page.unwrap_or(30).clamp(1, 100);
        let start = self.page.unwrap_or(1).saturating_sub(1) * size;
        all.into_iter().skip(start).take(size).collect()
    }
}

pub(super) async fn all(
    Shared(state): Shared<Arc<State>>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = auth::app(&state, &headers) {
        return *refused;
    }
    let shown = state
        .installations()
        .iter()
        .map(|(id, account)| installation(&state, *id, account))
        .collect();
    answer::done(200, Value::Array(paging.of(shown)))
}

fn installation(state: &State, id: u64, account: &Account) -> Value {
    let setup = state.setup();
    let suspended_at = setup
        .suspended
        .contains(&id)
        .then_some("2026-01-02T00:00:00Z");
    json!({
        "id": id,
        "account": shown(account, id * 10),
        "access_tokens_url": format!("https://api.github.com/app/installations/{id}/access_tokens"),
        "repositories_url": "https://api.github.com/installation/repositories",
        "html_url": format!("https://github.com/organizations/{}/settings/installations/{id}", account.login),
        "app_id": state.app().parse::<u64>().unwrap_or(1),
        "app_slug": "stoker",
        "target_id": id * 10,
        "target_type": kind(account),
        "permissions": setup.accepted,
        "events": setup.events,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "single_file_name": null,
        "repository_selection": "all",
        "suspended_by": null,
        "suspended_at": suspended_at,
    })
}

fn kind(account: &Account) -> &'static str {
    if account.organization {
        "Organization"
    } else {
        "User"
    }
}

pub(super) fn shown(account: &Account, id: u64) -> Value {
    let login = &account.login;
    let url = format!("https://api.github.com/users/{login}");
    json!({
        "login": login,
        "id": id,
        "node_id": "MDEyOk9yZ2FuaXphdGlvbjE=",
        "avatar_url": "https://avatars.example/u/1",
        "gravatar_id": "",
        "url": url,
        "html_url": format!("https://github.com/{login}"),
        "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"),
        "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"),
        "type": kind(account),
        "site_admin": false,
    })
}

pub(super) async fn access_token(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = auth::app(&state, &headers) {
        return *refused;
    }
    let Some(account) = state.installation(id) else {
        return answer::not_found();
    };
    let (token, expires_at) = state.grant(&account.login, answer::now());
    answer::done(
        201,
        json!({
            "token": token,
            "expires_at": answer::timestamp(expires_at),
            "permissions": state.setup().accepted,
            "repository_selection": "all",
        }),
    )
}
