//! GitHub, as far as scaling needs it.

use async_trait::async_trait;
use stoker_intake::{DeliveryId, InstallationId, JobEvent, JobId};
use thiserror::Error;

use crate::boot::Registration;
use crate::limits::RunnerMode;
use crate::situation::ScopeName;
use crate::time::Timestamp;

/// Where a runner registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationTarget {
    /// Whose runner it is to be.
    pub scope: ScopeName,
    /// The App's installation, where an event named it; it is looked up otherwise.
    pub installation: Option<InstallationId>,
}

/// The runner that is to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerSpec {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// The name of its group; none: the default one, which is all that repository runners have.
    pub runner_group: Option<String>,
    /// How long it serves.
    pub mode: RunnerMode,
}

/// What GitHub says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobLookup {
    /// It waits, with these labels.
    Queued {
        /// What it asks of a runner.
        labels: Vec<String>,
    },
    /// It waits no more, or not yet: GitHub's own word for it.
    NotQueued {
        /// Such as `completed` or `waiting`.
        status: String,
        /// The runner that has or had it.
        runner_name: Option<String>,
    },
    /// GitHub does not know it.
    Unknown,
}

/// Why GitHub did not do it.
#[derive(Debug, Error)]
#[error("GitHub could not {what}: {problem}{}", request.as_ref().map_or_else(String::new, |request| format!(" (request {request})")))]
pub struct GitHubError {
    /// What was asked.
    pub what: String,
    /// What it answered, and what to do: the same words each time.
    pub problem: String,
    /// GitHub's id of the request, which its support asks for.
    pub request: Option<String>,
    /// What may follow from it.
    pub fault: GitHubFault,
}

/// What a failed request to GitHub came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitHubFault {
    /// It was not done, and would not be the next time either.
    Refused,
    /// It was not done, since the App is not installed there (any more), or since the repository is gone.
    Closed,
    /// It was not done: GitHub could not be asked.
    Unavailable,
    /// It was not done, and nothing is to be asked before that.
    Limited {
        /// When GitHub may be asked again.
        until: Timestamp,
    },
    /// There is one of that name already.
    Conflict,
    /// The answer was lost, or was that something broke: it may have been done.
    Unknown,
}

/// A runner as GitHub knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredRunner {
    /// GitHub's id of it.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whether it is connected.
    pub online: bool,
    /// Whether it runs a job.
    pub busy: bool,
}

/// What came of the removal of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone now.
    Removed,
    /// GitHub knows no such runner.
    Unknown,
    /// It runs a job, and stays.
    Busy,
}

/// An account on which the App is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledAccount {
    /// Its login, as GitHub writes it.
    pub login: String,
    /// The installation.
    pub installation: InstallationId,
}

/// The jobs of a target that wait or run, as far as GitHub could be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveJobs {
    /// Each as the event that would tell of it: `queued`, or `in_progress` with its runner.
    pub events: Vec<JobEvent>,
    /// How many repositories GitHub was asked about.
    pub repositories: usize,
    /// How many it was not asked about, because there are too many: those that were pushed to longest ago.
    pub not_asked: usize,
    /// What could not be asked or read, each with the repository: its jobs are missing, or some of them.
    pub problems: Vec<String>,
}

/// One attempt of GitHub's to deliver a webhook of the App.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// GitHub's id of the attempt: greater for later ones.
    pub id: u64,
    /// The webhook's, the same for all attempts.
    pub guid: DeliveryId,
    /// When.
    pub at: Timestamp,
    /// It is not the first attempt.
    pub redelivery: bool,
    /// What was answered, as an HTTP status; 0: nothing.
    pub status: u16,
    /// The event, such as `workflow_job`.
    pub event: String,
    /// Its action, such as `queued`.
    pub action: Option<String>,
}

impl Delivery {
    /// Whether it was accepted.
    pub fn is_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it told of a job that waits for a runner.
    pub fn is_work(&self) -> bool {
        let action = self.action.as_deref().unwrap_or_default();
        matches!(
            (self.event.as_str(), action),
            ("workflow_job", "queued") | ("check_run", "created")
        )
    }

    /// Whether it told of a job at all.
    pub fn is_of_a_job(&self) -> bool {
        matches!(self.event.as_str(), "workflow_job" | "check_run")
    }
}

/// A page of deliveries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deliveries {
    /// They.
    pub deliveries: Vec<Delivery>,
    /// By which the next page is asked for; none: there is none.
    pub next: Option<String>,
}

/// GitHub, as far as scaling needs it.
#[async_trait]
pub trait GitHub: Send + Sync {
    /// What there is to say of a job of `owner/repository`.
    async fn job(
        &self,
        target: &RegistrationTarget,
        owner: &str,
        repository: &str,
        job: JobId,
    ) -> Result<JobLookup, GitHubError>;

    /// What a new runner needs to register.
    async fn register(
        &self,
        target: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError>;

    /// The runner of that name, if there is one.
    async fn runner(
        &self,
        target: &RegistrationTarget,
        name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError>;

    /// All runners that are registered with the target, others' included.
    async fn runners(
        &self,
        target: &RegistrationTarget,
    ) -> Result<Vec<RegisteredRunner>, GitHubError>;

    /// The jobs that wait or run in the repository, or in the repositories of the account that the App may
    /// see.
    ///
    /// # Errors
    /// If nothing could be found out. What could not be of one repository is among the answer's problems.
    async fn live_jobs(&self, target: &RegistrationTarget) -> Result<LiveJobs, GitHubError>;

    /// The accounts on which the App is installed.
    async fn accounts(&self) -> Result<Vec<InstalledAccount>, GitHubError>;

    /// Removes a runner, unless it runs a job.
    async fn remove(&self, target: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError>;

    /// The deliveries of the App's webhook in the last three days, newest first, page by page.
    async fn deliveries(&self, cursor: Option<&str>) -> Result<Deliveries, GitHubError>;

    /// The repositories of an account that the App may see, in which something may run, and that were pushed to
    /// since then, last pushed to first.
    async fn active_repositories(
        &self,
        account: &InstalledAccount,
        since: Timestamp,
    ) -> Result<Vec<ScopeName>, GitHubError>;

    /// Has a webhook delivered once more, by the id of an attempt.
    async fn deliver_again(&self, delivery: u64) -> Result<(), GitHubError>;

    /// The page of the organisation or repository, where its runners register
    /// (`https://github.com/acme`).
    fn page(&self, scope: &ScopeName) -> String;
}
