//! Self-hosted runners: registration tokens, just-in-time configurations, lists and removals.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::level::Level;
use super::state::{Registered, State};
use super::{answer, auth};

/// How long a registration token is good for, in seconds.
const REGISTRATION_TOKEN_LIFE: i64 = 3_600;

/// GitHub takes no longer name.
const LONGEST_NAME: usize = 64;

/// GitHub takes 1 to 100 labels.
const MOST_LABELS: usize = 100;

impl Level {
    /// The permission that registering here takes.
    pub(super) const fn permission(&self) -> &'static str {
        match self {
            Self::Organization(_) => "organization_self_hosted_runners",
            Self::Repository(_) => "administration",
        }
    }
}

pub(super) async fn organization_token(
    Shared(state): Shared<Arc<State>>,
    Path(org): Path<String>,
    headers: HeaderMap,
) -> Response {
    token(&state, &headers, Level::organization(&org))
}

pub(super) async fn repository_token(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repo)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    token(&state, &headers, Level::repository(&owner, &repo))
}

fn token(state: &State, headers: &HeaderMap, level: Level) -> Response {
    if let Err(refused) = auth::installation(state, headers, &level, level.permission()) {
        return *refused;
    }
    answer::done(
        201,
        json!({
            "token": state.registration_token(level),
            "expires_at": answer::timestamp(answer::now() + REGISTRATION_TOKEN_LIFE),
        }),
    )
}

/// What a list of runners is asked for.
#[derive(Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    per_page: Option<usize>,
    #[serde(default)]
    page: Option<usize>,
}

pub(super) async fn of_organization(
    Shared(state): Shared<Arc<State>>,
    Path(org): Path<String>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> Response {
    list(&state, &headers, &Level::organization(&org), &filter)
}

pub(super) async fn of_repository(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repo)): Path<(String, String)>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> Response {
    list(&state, &headers, &Level::repository(&owner, &repo), &filter)
}

fn list(state: &State, headers: &HeaderMap, level: &Level, filter: &Filter) -> Response {
    if let Err(refused) = auth::installation(state, headers, level, level.permission()) {
        return *refused;
    }
    let all: Vec<Value> = state
        .registered(level)
        .iter()
        .filter(|runner| filter.name.as_ref().is_none_or(|name| *name == runner.name))
        .map(shown)
        .collect();
    let size = filter.per_page.unwrap_or(30).clamp(1, 100);
    let start = filter.page.unwrap_or(1).saturating_sub(1) * size;
    let page: Vec<&Value> = all.iter().skip(start).take(size).collect();
    answer::done(200, json!({ "total_count": all.len(), "runners": page }))
}

pub(super) async fn remove_from_organization(
    Shared(state): Shared<Arc<State>>,
    Path((org, id)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Response {
    remove(&state, &headers, &Level::organization(&org), id)
}

pub(super) async fn remove_from_repository(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repo, id)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Response {
    remove(&state, &headers, &Level::repository(&owner, &repo), id)
}

fn remove(state: &State, headers: &HeaderMap, level: &Level, id: u64) -> Response {
    if let Err(refused) = auth::installation(state, headers, level, level.permission()) {
        return *refused;
    }
    match state.remove(level, id) {
        None => answer::not_found(),
        Some(false) => answer::refusal(
            422,
            "Bad request - Runner is currently running a job and cannot be deleted.",
        ),
        Some(true) => answer::nothing(),
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    name: Option<String>,
    runner_group_id: Option<u64>,
    labels: Option<Vec<String>>,
    #[serde(default)]
    work_folder: Option<String>,
}

type Body = Result<Json<Wanted>, JsonRejection>;

pub(super) async fn organization_jit(
    Shared(state): Shared<Arc<State>>,
    Path(org): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    jit(&state, &headers, Level::organization(&org), body)
}

pub(super) async fn repository_jit(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repo)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    jit(&state, &headers, Level::repository(&owner, &repo), body)
}

fn jit(state: &State, headers: &HeaderMap, level: Level, body: Body) -> Response {
    if let Err(refused) = auth::installation(state, headers, &level, level.permission()) {
        return *refused;
    }
    let Ok(Json(wanted)) = body else {
        return answer::refusal(400, "Problems parsing JSON");
    };
    let Some(group) = wanted.runner_group_id else {
        return answer::invalid("\"runner_group_id\" wasn't supplied.");
    };
    let Some(name) = wanted
        .name
        .filter(|name| (1..=LONGEST_NAME).contains(&name.len()))
    else {
        return answer::invalid("\"name\" wasn't supplied.");
    };
    let Some(labels) = wanted
        .labels
        .filter(|labels| (1..=MOST_LABELS).contains(&labels.len()))
    else {
        return answer::invalid("\"labels\" wasn't supplied.");
    };
    if let Level::Organization(login) = &level
        && !state.groups(login).iter().any(|(id, _)| *id == group)
    {
        return answer::not_found();
    }
    let work_folder = wanted.work_folder.unwrap_or_else(|| "_work".to_owned());
    let encode = |id| encoded_jit_config(id, &name, &work_folder);
    match state.register(level, name.clone(), labels, group, encode) {
        Some(runner) => answer::done(
            201,
            json!({
                "runner": shown(&runner),
                "encoded_jit_config": runner.encoded_jit_config,
            }),
        ),
        None => answer::refusal(
            409,
            "Already exists - A runner with the name already exists.",
        ),
    }
}

fn shown(runner: &Registered) -> Value {
    let labels: Vec<Value> = runner
        .labels
        .iter()
        .enumerate()
        .map(|(place, label)| json!({"id": place + 1, "name": label, "type": "custom"}))
        .collect();
    json!({
        "id": runner.id,
        "runner_group_id": runner.group,
        "name": runner.name,
        "os": "unknown",
        "status": if runner.online { "online" } else { "offline" },
        "busy": runner.busy,
        "labels": labels,
    })
}

/// A configuration of the size and the make of GitHub's: base64 of a JSON object of three files, each
/// base64 again, the last an RSA key that does not compress (here noise, and no key).
fn encoded_jit_config(id: u64, name: &str, work_folder: &str) -> String {
    let runner = json!({
        "agentId": id.to_string(),
        "agentName": name,
        "poolId": "1",
        "poolName": "Default",
        "ephemeral": "true",
        "serverUrl": "https://pipelines.example/AAAABBBBCCCC/",
        "gitHubUrl": "https://github.com/acme",
        "workFolder": work_folder,
        "useV2Flow": "true",
    });
    let credentials = json!({
        "scheme": "OAuth",
        "data": {
            "clientId": format!("client-{id}"),
            "authorizationUrl": "https://token.example/_apis/oauth2/token/AAAABBBBCCCC",
            "requireFipsCryptography": "True",
        },
    });
    let key = json!({
        "d": noise(id, 256), "dp": noise(id + 1, 128), "dq": noise(id + 2, 128),
        "exponent": "AQAB", "inverseQ": noise(id + 3, 128), "modulus": noise(id + 4, 256),
        "p": noise(id + 5, 128), "q": noise(id + 6, 128),
    });
    let file = |content: &Value| STANDARD.encode(content.to_string());
    STANDARD.encode(
        json!({
            ".runner": file(&runner),
            ".credentials": file(&credentials),
            ".credentials_rsaparams": file(&key),
        })
        .to_string(),
    )
}

/// Bytes that do not compress, the same for the same seed (splitmix64), in base64.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed;
    let bytes: Vec<u8> = (0..length.div_ceil(8))
        .flat_map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)).to_be_bytes()
        })
        .take(length)
        .collect();
    STANDARD.encode(bytes)
}
