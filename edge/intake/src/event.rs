//! [`JobEvent`]: what Stoker keeps of a webhook, and the message that carries it from the edge to the
//! ledger.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{
    CheckRunId, DeliveryId, InstallationId, JobId, OwnerId, RepositoryId, RunId, RunnerId,
};
use crate::message::MessageVersion;

/// One thing that happened to one job, projected from a webhook of up to 25 MB.
///
/// In JSON it is one flat object (`owner` and `repository` nested). Names are kept as GitHub sent them;
/// ids, not names, are keys. Absent options are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    /// The version of this type's JSON form.
    pub version: MessageVersion,
    /// The webhook delivery that it came with; a redelivery has the same one.
    pub delivery: DeliveryId,
    /// The kind of webhook.
    pub event: EventKind,
    /// What happened.
    pub action: Action,
    /// Who owns the repository.
    pub owner: Owner,
    /// The repository whose workflow the job belongs to.
    pub repository: Repository,
    /// The App installation that heard of it; none for webhooks of a repository or an organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<InstallationId>,
    /// The workflow job's id. For a `check_run` taken from its `details_url`, if that names a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The check run's id: with the repository's id, the key of the job.
    pub check_run_id: CheckRunId,
    /// The workflow run. For a `check_run` taken from its `details_url`, if that names a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// Which attempt of the run, from 1; none for `check_run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_attempt: Option<u32>,
    /// The job's (or the check's) name.
    pub name: String,
    /// The workflow's name; none for `check_run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_name: Option<String>,
    /// The labels in `runs-on`; none for `check_run`, which does not say them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// The branch that the job runs for, when GitHub knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_branch: Option<String>,
    /// The commit that the job runs for, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_sha: Option<String>,
    /// The runner that has the job, once one has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_id: Option<RunnerId>,
    /// The name of that runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_name: Option<String>,
    /// How the job ended (`success`, `failure`, `cancelled`, `skipped`, ...), once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<String>,
    /// When the job was created; none for `check_run`.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<OffsetDateTime>,
    /// When the job started. While it is queued, GitHub says here when it was queued.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub started_at: Option<OffsetDateTime>,
    /// When the job ended.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub completed_at: Option<OffsetDateTime>,
}

impl JobEvent {
    /// Whether a job wants a runner: `check_run` created or `workflow_job` queued. Everything else is
    /// news of a job that is under way or over.
    pub fn is_work(&self) -> bool {
        matches!(
            (self.event, self.action),
            (EventKind::CheckRun, Action::Created) | (EventKind::WorkflowJob, Action::Queued)
        )
    }
}

/// The two webhooks that speak of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// `check_run`: a check of a commit; every workflow job is one.
    CheckRun,
    /// `workflow_job`: a job of a workflow run.
    WorkflowJob,
}

impl EventKind {
    /// The name in `X-GitHub-Event`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CheckRun => "check_run",
            Self::WorkflowJob => "workflow_job",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A check run was created, and is queued.
    Created,
    /// A workflow job was queued.
    Queued,
    /// A runner took the job.
    InProgress,
    /// The job is over.
    Completed,
}

impl Action {
    /// The word in the payload's `action`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who owns a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The owner's id.
    pub id: OwnerId,
    /// The owner's login, in the case that the owner chose.
    pub login: String,
    /// What the owner is.
    #[serde(rename = "type")]
    pub kind: OwnerKind,
}

impl Owner {
    /// The login in lower case: GitHub compares logins without regard to case.
    pub fn login_lower(&self) -> String {
        self.login.to_lowercase()
    }
}

/// What an owner is. A user account has repository-level runners only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnerKind {
    /// An organisation.
    Organization,
    /// A user's account.
    User,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// The repository's id.
    pub id: RepositoryId,
    /// The repository's name, without the owner.
    pub name: String,
    /// `owner/name`.
    pub full_name: String,
    /// Who can see it.
    pub visibility: Visibility,
}

impl Repository {
    /// The name in lower case: GitHub compares names without regard to case.
    pub fn name_lower(&self) -> String {
        self.name.to_lowercase()
    }

    /// `owner/name` in lower case.
    pub fn full_name_lower(&self) -> String {
        self.full_name.to_lowercase()
    }
}

/// Who can see a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everyone: a fork's pull request runs a stranger's code.
    Public,
    /// Those who were given access.
    Private,
    /// The members of the enterprise.
    Internal,
}
