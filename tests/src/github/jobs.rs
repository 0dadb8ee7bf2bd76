//! Jobs of workflow runs.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::level::Level;
use super::state::{Job, State};
use super::{answer, auth};

pub(super) async fn job(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repo, id)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Response {
    let level = Level::repository(&owner, &repo);
    if let Err(refused) = auth::installation(&state, &headers, &level, "actions") {
        return *refused;
    }
    let repository = format!("{owner}/{repo}");
    let Some(job) = state.find_job(&repository, id) else {
        return answer::not_found();
    };
    answer::done(200, shown(&repository, id, &job, None))
}

/// The run that a job belongs to: each is one of its own.
pub(super) const fn run_of(job: u64) -> u64 {
    4_000_000_000 + job
}

/// A job as GitHub shows it, with the runner that has it.
pub(super) fn shown(repository: &str, id: u64, job: &Job, runner: Option<&str>) -> Value {
    let api = format!("https://api.github.com/repos/{repository}");
    let run = run_of(id);
    json!({
        "id": id,
        "run_id": run,
        "run_url": format!("{api}/actions/runs/{run}"),
        "run_attempt": 1,
        "node_id": "CR_kwDOABCD",
        "head_sha": "009b8a3a9ccbb128af87f9b1c0f4c62e8a304f6d",
        "url": format!("{api}/actions/jobs/{id}"),
        "html_url": format!("https://github.com/{repository}/runs/{id}"),
        "status": job.status,
        "conclusion": (job.status == "completed").then_some("success"),
        "created_at": "2026-01-01T00:00:00Z",
        "started_at": "2026-01-01T00:00:00Z",
        "completed_at": (job.status == "completed").then_some("2026-01-01T00:01:00Z"),
        "name": "build",
        "steps": [],
        "check_run_url": format!("{api}/check-runs/{id}"),
        "labels": job.labels,
        "runner_id": runner.map(|_| 1),
        "runner_name": runner,
        "runner_group_id": runner.map(|_| 1),
        "runner_group_name": runner.map(|_| "Default"),
        "workflow_name": "CI",
        "head_branch": "main",
    })
}
