//! The App itself: what it may do and hears, where its webhook goes, and how much may still be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use axum::extract::State as Shared;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::installations::shown;
use super::state::{Account, State};
use super::{answer, auth};

/// What GitHub lets an installation ask in an hour.
const LIMIT: u64 = 15_000;

/// How the App and what surrounds it are set up; at first as they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The App's permissions.
    pub permissions: BTreeMap<String, String>,
    /// Those that the installations have accepted.
    pub accepted: BTreeMap<String, String>,
    /// The events that the App hears.
    pub events: Vec<String>,
    /// Where its webhook goes.
    pub hook_url: String,
    /// `json` or `form`.
    pub hook_content_type: String,
    /// Whether the webhook has a secret.
    pub hook_has_secret: bool,
    /// The numbers of runner groups that admit public repositories.
    pub public_groups: BTreeSet<u64>,
    /// Installations that somebody has suspended.
    pub suspended: BTreeSet<u64>,
    /// How many requests are left in this hour.
    pub remaining: u64,
}

impl Default for Setup {
    fn default() -> Self {
        let permissions: BTreeMap<String, String> = [
            ("actions", "read"),
            ("administration", "write"),
            ("checks", "read"),
            ("metadata", "read"),
            ("organization_self_hosted_runners", "write"),
        ]
        .map(|(name, level)| (name.to_owned(), level.to_owned()))
        .into();
        Self {
            accepted: permissions.clone(),
            permissions,
            events: ["check_run", "workflow_job"].map(str::to_owned).to_vec(),
            hook_url: "https://hooks.example/webhook".to_owned(),
            hook_content_type: "json".to_owned(),
            hook_has_secret: true,
            public_groups: BTreeSet::new(),
            suspended: BTreeSet::new(),
            remaining: LIMIT - 100,
        }
    }
}

impl State {
    /// Sets the App and what surrounds it up in another way.
    pub fn set_up(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn setup(&self) -> Setup {
        let setup = self.setup.lock();
        setup.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) async fn itself(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    if let Err(refused) = auth::app(&state, &headers) {
        return *refused;
    }
    let setup = state.setup();
    let owner = Account {
        login: "stoker-owner".to_owned(),
        organization: true,
    };
    answer::done(
        200,
        json!({
            "id": state.app().parse::<u64>().unwrap_or(1),
            "slug": "stoker",
            "node_id": "MDExOkludGVncmF0aW9uMQ==",
            "client_id": "Iv1.0123456789abcdef",
            "owner": shown(&owner, 1),
            "name": "Stoker",
            "description": null,
            "external_url": "https://stoker.example",
            "html_url": "https://github.com/apps/stoker",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "permissions": setup.permissions,
            "events": setup.events,
            "installations_count": state.installations().len(),
        }),
    )
}

pub(super) async fn hook(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    if let Err(refused) = auth::app(&state, &headers) {
        return *refused;
    }
    let setup = state.setup();
    let mut config = json!({
        "url": setup.hook_url,
        "content_type": setup.hook_content_type,
        "insecure_ssl": "0",
    });
    if setup.hook_has_secret {
        config["secret"] = json!("********");
    }
    answer::done(200, config)
}

pub(super) async fn limits(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    if let Err(refused) = auth::account(&state, &headers) {
        return *refused;
    }
    let core = limit(LIMIT, state.setup().remaining);
    answer::done(
        200,
        json!({
            "resources": { "core": core, "search": limit(30, 30) },
            "rate": core,
        }),
    )
}

fn limit(limit: u64, remaining: u64) -> Value {
    json!({
        "limit": limit,
        "remaining": remaining,
        "reset": answer::now() + 1_800,
        "used": limit.saturating_sub(remaining),
    })
}
