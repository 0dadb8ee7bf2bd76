//! Repositories, the runs in them, and the jobs of those: what a lost ledger is rebuilt from.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use axum::extract::{Path, Query, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::installations::{self, Paging};
use super::jobs::{run_of, shown};
use super::level::Level;
use super::state::{Account, Job, State};
use super::{answer, auth};

/// A repository, as a test presets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// GitHub's id of it.
    pub id: u64,
    /// The owner's login.
    pub owner: String,
    /// The owner's id.
    pub owner_id: u64,
    /// Its name.
    pub name: String,
    /// Whether everybody sees it.
    pub public: bool,
    /// Whether nothing runs in it any more.
    pub archived: bool,
    /// When it was pushed to, in RFC 3339.
    pub pushed_at: String,
}

/// What is listed.
#[derive(Debug, Default)]
pub struct Listed {
    /// By `owner/name`, in lower case.
    repositories: BTreeMap<String, Repository>,
    /// Who has a job, by its repository and id.
    runners: BTreeMap<(String, u64), String>,
}

impl State {
    /// Presets a repository.
    pub fn repository(&self, repository: Repository) {
        let name = format!("{}/{}", repository.owner, repository.name).to_lowercase();
        self.with_listed(|listed| listed.repositories.insert(name, repository));
    }

    /// Presets a job of `owner/repository` that runs on that runner.
    pub fn taken(&self, repository: &str, id: u64, labels: &[&str], runner: &str) {
        self.job(repository, id, "in_progress", labels);
        let key = (repository.to_lowercase(), id);
        self.with_listed(|listed| listed.runners.insert(key, runner.to_owned()));
    }

    fn with_listed<T>(&self, work: impl FnOnce(&mut Listed) -> T) -> T {
        work(&mut self.listed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn found(&self, owner: &str, name: &str) -> Option<Repository> {
        let full = format!("{owner}/{name}").to_lowercase();
        self.with_listed(|listed| listed.repositories.get(&full).cloned())
    }

    fn shown_job(&self, repository: &str, id: u64, job: &Job) -> Value {
        let key = (repository.to_lowercase(), id);
        let runner = self.with_listed(|listed| listed.runners.get(&key).cloned());
        shown(repository, id, job, runner.as_deref())
    }

    fn account(&self, login: &str) -> Account {
        let known = self.installation_of(login).map(|(_, account)| account);
        known.unwrap_or_else(|| Account {
            login: login.to_owned(),
            organization: true,
        })
    }
}

/// All that the installation sees.
pub(super) async fn repositories(
    Shared(state): Shared<Arc<State>>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Response {
    let login = match auth::account(&state, &headers) {
        Ok(login) => login,
        Err(refused) => return *refused,
    };
    let all: Vec<Repository> = state.with_listed(|listed| {
        let all = listed.repositories.values();
        all.filter(|one| one.owner.eq_ignore_ascii_case(&login))
            .cloned()
            .collect()
    });
    let total = all.len();
    let page: Vec<Value> = paging
        .of(all)
        .iter()
        .map(|repository| whole(&state, repository, &[("has_downloads", json!(true))]))
        .collect();
    answer::done(
        200,
        json!({ "total_count": total, "repositories": page, "repository_selection": "all" }),
    )
}

pub(super) async fn repository(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repo)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let level = Level::repository(&owner, &repo);
    if let Err(refused) = auth::installation(&state, &headers, &level, "metadata") {
        return *refused;
    }
    match state.found(&owner, &repo) {
        None => answer::not_found(),
        Some(repository) => {
            let more = [
                ("has_discussions", json!(false)),
                ("network_count", json!(0)),
                ("subscribers_count", json!(0)),
            ];
            answer::done(200, whole(&state, &repository, &more))
        }
    }
}

/// Which runs.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    status: Option<String>,
    #[serde(flatten)]
    paging: Text,
}

/// Numbers arrive as text where others are flattened.
#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    per_page: Option<String>,
    #[serde(default)]
    page: Option<String>,
}

impl Text {
    fn paging(&self) -> Paging {
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Paging {
            per_page: number(&self.per_page),
            page: number(&self.page),
        }
    }
}

pub(super) async fn runs(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repo)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let level = Level::repository(&owner, &repo);
    if let Err(refused) = auth::installation(&state, &headers, &level, "actions") {
        return *refused;
    }
    let Some(repository) = state.found(&owner, &repo) else {
        return answer::not_found();
    };
    let all: Vec<(u64, Job)> = state
        .jobs_of(&format!("{owner}/{repo}"))
        .into_iter()
        .filter(|(_, job)| {
            wanted
                .status
                .as_ref()
                .is_none_or(|status| *status == job.status)
        })
        .collect();
    let total = all.len();
    let page: Vec<Value> = wanted
        .paging
        .paging()
        .of(all)
        .iter()
        .map(|(id, job)| run(&state, &repository, *id, job))
        .collect();
    answer::done(200, json!({ "total_count": total, "workflow_runs": page }))
}

pub(super) async fn jobs(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repo, wanted)): Path<(String, String, u64)>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Response {
    let level = Level::repository(&owner, &repo);
    if let Err(refused) = auth::installation(&state, &headers, &level, "actions") {
        return *refused;
    }
    let repository = format!("{owner}/{repo}");
    let all: Vec<Value> = state
        .jobs_of(&repository)
        .iter()
        .filter(|(id, _)| run_of(**id) == wanted)
        .map(|(id, job)| state.shown_job(&repository, *id, job))
        .collect();
    let total = all.len();
    answer::done(200, json!({ "total_count": total, "jobs": paging.of(all) }))
}

/// A repository with what all of GitHub's forms of one have.
fn minimal(state: &State, repository: &Repository) -> Map<String, Value> {
    let full = format!("{}/{}", repository.owner, repository.name);
    let api = format!("https://api.github.com/repos/{full}");
    let mut shown = Map::new();
    for (name, path) in ADDRESSES {
        shown.insert((*name).to_owned(), json!(format!("{api}{path}")));
    }
    let owner = state.account(&repository.owner);
    let more = json!({
        "id": repository.id,
        "node_id": "MDEwOlJlcG9zaXRvcnkx",
        "name": repository.name,
        "full_name": full,
        "owner": installations::shown(&owner, repository.owner_id),
        "private": !repository.public,
        "html_url": format!("https://github.com/{full}"),
        "description": null,
        "fork": false,
    });
    if let Value::Object(more) = more {
        shown.extend(more);
    }
    shown
}

/// A repository by itself.
fn whole(state: &State, repository: &Repository, more: &[(&str, Value)]) -> Value {
    let full = format!("{}/{}", repository.owner, repository.name);
    let mut shown = minimal(state, repository);
    let rest = json!({
        "visibility": if repository.public { "public" } else { "private" },
        "archived": repository.archived,
        "disabled": false,
        "pushed_at": repository.pushed_at,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "default_branch": "main",
        "homepage": null,
        "language": null,
        "license": null,
        "mirror_url": null,
        "clone_url": format!("https://github.com/{full}.git"),
        "git_url": format!("git://github.com/{full}.git"),
        "ssh_url": format!("git@github.com:{full}.git"),
        "svn_url": format!("https://github.com/{full}"),
        "has_issues": true,
        "has_projects": false,
        "has_wiki": false,
        "has_pages": false,
        "size": 1,
        "forks": 0,
        "forks_count": 0,
        "open_issues": 0,
        "open_issues_count": 0,
        "stargazers_count": 0,
        "watchers": 0,
        "watchers_count": 0,
    });
    if let Value::Object(rest) = rest {
        shown.extend(rest);
    }
    for (name, value) in more {
        shown.insert((*name).to_owned(), value.clone());
    }
    Value::Object(shown)
}

/// The run of a job.
fn run(state: &State, repository: &Repository, job: u64, of: &Job) -> Value {
    let full = format!("{}/{}", repository.owner, repository.name);
    let id = run_of(job);
    let url = format!("https://api.github.com/repos/{full}/actions/runs/{id}");
    let shown = Value::Object(minimal(state, repository));
    json!({
        "id": id,
        "name": "CI",
        "node_id": "WFR_kwDOABCD",
        "head_branch": "main",
        "head_sha": "009b8a3a9ccbb128af87f9b1c0f4c62e8a304f6d",
        "path": ".github/workflows/ci.yml",
        "display_title": "A change",
        "run_number": 1,
        "run_attempt": 1,
        "event": "push",
        "status": of.status,
        "conclusion": (of.status == "completed").then_some("success"),
        "workflow_id": 1,
        "check_suite_id": 1,
        "check_suite_node_id": "CS_kwDOABCD",
        "url": url,
        "html_url": format!("https://github.com/{full}/actions/runs/{id}"),
        "pull_requests": [],
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "run_started_at": "2026-01-01T00:00:00Z",
        "jobs_url": format!("{url}/jobs"),
        "logs_url": format!("{url}/logs"),
        "check_suite_url": format!("https://api.github.com/repos/{full}/check-suites/1"),
        "artifacts_url": format!("{url}/artifacts"),
        "cancel_url": format!("{url}/cancel"),
        "rerun_url": format!("{url}/rerun"),
        "workflow_url": format!("https://api.github.com/repos/{full}/actions/workflows/1"),
        "head_commit": null,
        "repository": shown,
        "head_repository": shown,
    })
}

/// Where else things of a repository are.
const ADDRESSES: &[(&str, &str)] = &[
    ("url", ""),
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    (
        "notifications_url",
        "/notifications{?since,all,participating}",
    ),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
];
