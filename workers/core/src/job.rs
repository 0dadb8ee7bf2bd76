//! A job as the ledger knows it, and how events are folded into it.

use serde::{Deserialize, Serialize};
use stoker_intake::{
    Action, InstallationId, JobEvent, JobId, OwnerKind, RepositoryId, RunId, Visibility,
};

use crate::class::Classes;
use crate::ids::{JobKey, ScopeKey};
use crate::journal::Story;
use crate::limits::RunnerLevel;
use crate::ports::JobLookup;
use crate::time::Timestamp;

/// How far a job has come. It only moves forward, so that duplicates and disorder do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobPhase {
    /// It waits for a runner: demand.
    Queued,
    /// A runner has it.
    InProgress,
    /// It has ended. Kept as a tombstone, so that no late redelivery resurrects it.
    Ended,
}

/// Whether GitHub has confirmed that the job waits, where the event alone is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A fresh `workflow_job` said so: it is demand.
    Announced,
    /// Known only by `check_run` (no labels), or by an event too old to be believed: GitHub is asked
    /// before it is demand.
    Unverified,
    /// GitHub was asked and said that it waits.
    Verified,
    /// GitHub was asked and said that it does not wait (yet), does not know it, or that it wants labels
    /// that no class has. Not demand, and not asked about again; a fresh `queued` makes it demand all the
    /// same.
    Denied,
}

/// A job of GitHub Actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What it is known by.
    pub key: JobKey,
    /// For whom it is decided.
    pub scope: ScopeKey,
    /// The owner's login, in lower case.
    pub owner: String,
    /// The repository's name without its owner, in lower case.
    pub repository: String,
    /// Who may see the repository.
    pub visibility: Visibility,
    /// GitHub's own id of the workflow job; a `check_run` may not tell.
    pub job_id: Option<JobId>,
    /// The workflow run.
    pub run_id: Option<RunId>,
    /// 1 for the first.
    pub attempt: u32,
    /// The job's name.
    pub name: String,
    /// The workflow's name.
    pub workflow: Option<String>,
    /// The branch it runs for.
    pub branch: Option<String>,
    /// What it asks of a runner; none: not known yet.
    pub labels: Option<Vec<String>>,
    /// How far it has come.
    pub phase: JobPhase,
    /// Whether it may be launched for.
    pub standing: Standing,
    /// The App's installation that the event came from.
    pub installation: Option<InstallationId>,
    /// Since when it waits: GitHub's time where known, else when Stoker first heard of it.
    pub queued_at: Timestamp,
    /// The runner that has or had it.
    pub runner_name: Option<String>,
    /// How it ended, as GitHub says.
    pub conclusion: Option<String>,
    /// How often GitHub was asked about it without saying that it waits.
    #[serde(default)]
    pub denials: u32,
    /// When GitHub last told what has become of it since it was queued: that a runner took it, or, having heard
    /// nothing for long, when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// How often a decision deferred it.
    #[serde(default)]
    pub deferrals: u32,
    /// Why, the last time.
    #[serde(default)]
    pub last_deferral: Option<String>,
    /// The records of the journal that tell of it, oldest first.
    #[serde(default, skip_serializing_if = "Story::is_empty")]
    pub story: Story,
    /// When it ended; tombstones are forgotten four days later.
    pub ended_at: Option<Timestamp>,
    /// How often the item was written; 0: never.
    #[serde(default)]
    pub revision: u64,
}

/// A `queued` older than this is checked with GitHub before it is demand: it may be a redelivery of
/// days ago. In seconds.
pub const BELIEVED_FOR: u32 = 600;

/// How often GitHub is asked about a job that it does not know, or says to wait for something else:
/// right after a webhook its answers may be behind.
const DENIALS_BELIEVED: u32 = 3;

/// After how long GitHub is asked whether a job that waits still does, in seconds: its webhook may have been lost.
const WAITS_CHECKED_AFTER: u32 = 600;

/// The same of any other job that has not ended, in seconds.
const OTHERS_CHECKED_AFTER: u32 = 3_600;

/// For how long a job may wait for a self-hosted runner, in seconds: GitHub cancels it then ("Actions limits", job
/// queue time).
const WAITS_AT_MOST: u32 = 24 * 3_600;

/// For how long a job may run on a self-hosted runner, in seconds ("Actions limits", job execution time).
pub const RUNS_AT_MOST: u32 = 5 * 24 * 3_600;

/// How long the tombstone of an ended job is kept: GitHub redelivers for three days, and one is for
/// safety. In seconds.
pub const TOMBSTONE_KEPT: u64 = 4 * 24 * 3600;

impl Job {
    /// What an event tells of a job that was not known.
    fn first_heard(event: &JobEvent, scope: ScopeKey, now: Timestamp) -> Self {
        Self {
            key: key_of(event),
            scope,
            owner: event.owner.login.to_lowercase(),
            repository: event.repository.name.to_lowercase(),
            visibility: event.repository.visibility,
            job_id: event.job_id,
            run_id: event.run_id,
            attempt: event.run_attempt.unwrap_or(1),
            name: event.name.clone(),
            workflow: event.workflow_name.clone(),
            branch: event.head_branch.clone(),
            labels: event.labels.clone(),
            phase: JobPhase::Queued,
            standing: Standing::Unverified,
            installation: event.installation_id,
            queued_at: waiting_since(event).unwrap_or(now),
            runner_name: None,
            conclusion: None,
            denials: 0,
            checked_at: None,
            deferrals: 0,
            last_deferral: None,
            story: Story::default(),
            ended_at: None,
            revision: 0,
        }
    }

    /// The repository's id.
    pub fn repository_id(&self) -> RepositoryId {
        self.key.repository
    }

    /// `owner/repository`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.repository)
    }

    /// Whether it waits for a runner and may be launched for.
    pub fn is_demand(&self) -> bool {
        self.phase == JobPhase::Queued
            && matches!(self.standing, Standing::Announced | Standing::Verified)
            && self.labels.is_some()
    }

    /// Whether GitHub has to be asked before it is demand.
    pub fn needs_verification(&self) -> bool {
        self.phase == JobPhase::Queued && self.standing == Standing::Unverified
    }

    /// What GitHub's word makes of a job that was looked up. None: nothing; its own events have told
    /// more meanwhile.
    #[must_use]
    pub fn looked_up(&self, lookup: &JobLookup, classes: &Classes, now: Timestamp) -> Option<Self> {
        if !self.needs_verification() {
            return None;
        }
        let mut job = self.clone();
        match lookup {
            JobLookup::Queued { labels } => {
                // Not ours to serve, such as a job for GitHub's own runners.
                job.standing = if classes.fitting(labels).is_empty() {
                    Standing::Denied
                } else {
                    Standing::Verified
                };
                job.labels = job.labels.or_else(|| Some(labels.clone()));
            }
            // A deployment gate, or a word of tomorrow's: its `queued` is still to come.
            JobLookup::NotQueued { .. } if job.moved_on(lookup, now).is_none() => job.deny(),
            JobLookup::NotQueued { .. } => {}
            // Not an end: GitHub also answers so where the App lacks the permission to read.
            JobLookup::Unknown => job.deny(),
        }
        Some(job)
    }

    /// When GitHub is to be asked what has become of it, should nothing be heard of it until then.
    pub fn to_be_checked_at(&self) -> Timestamp {
        let since = self.checked_at.unwrap_or(self.queued_at);
        let seconds = if self.is_demand() {
            WAITS_CHECKED_AFTER
        } else {
            OTHERS_CHECKED_AFTER
        };
        Timestamp(since.0 + u64::from(seconds))
    }

    /// What GitHub's word makes of a job of which nothing was heard for long. None: it has ended meanwhile.
    #[must_use]
    pub fn checked(&self, lookup: &JobLookup, classes: &Classes, now: Timestamp) -> Option<Self> {
        if self.phase == JobPhase::Ended {
            return None;
        }
        let mut job = self.clone();
        job.checked_at = Some(now);
        match lookup {
            JobLookup::Queued { labels } => {
                let is_ours = !classes.fitting(labels).is_empty();
                // What was held back waits now, and its `queued` did not come.
                if is_ours && job.phase == JobPhase::Queued && !job.is_demand() {
                    job.standing = Standing::Verified;
                    job.labels = job.labels.or_else(|| Some(labels.clone()));
                }
            }
            JobLookup::NotQueued { .. } => {
                let _moved = job.moved_on(lookup, now);
            }
            JobLookup::Unknown => {
                job.denials += 1;
                match job.phase {
                    _ if job.denials < DENIALS_BELIEVED => {}
                    JobPhase::Queued => job.standing = Standing::Denied,
                    // Its repository may be gone, or the App lack the permission: nobody will tell of its end.
                    _ => job.end(now),
                }
            }
        }
        // GitHub has ended it by now, or tells nobody.
        if job.phase == JobPhase::Queued
            && !job.is_demand()
            && job.queued_at.age(now) > WAITS_AT_MOST
        {
            job.end(now);
        }
        Some(job)
    }

    /// GitHub gives no answer about it, such as where the App is not installed any more. None: it has ended.
    #[must_use]
    pub fn unanswered(&self, now: Timestamp) -> Option<Self> {
        if self.phase == JobPhase::Ended {
            return None;
        }
        let mut job = self.clone();
        job.checked_at = Some(now);
        let is_over = match job.phase {
            JobPhase::Queued => job.queued_at.age(now) > WAITS_AT_MOST,
            _ => job.queued_at.age(now) > WAITS_AT_MOST + RUNS_AT_MOST,
        };
        if is_over {
            job.end(now);
        }
        Some(job)
    }

    /// Moves it as far as GitHub says that it has come, if that is further.
    fn moved_on(&mut self, lookup: &JobLookup, now: Timestamp) -> Option<()> {
        let JobLookup::NotQueued {
            status,
            runner_name,
        } = lookup
        else {
            return None;
        };
        let phase = match status.as_str() {
            "in_progress" => JobPhase::InProgress,
            "completed" => JobPhase::Ended,
            _ => return None,
        };
        if phase <= self.phase {
            return None;
        }
        self.phase = phase;
        self.runner_name = self.runner_name.take().or_else(|| runner_name.clone());
        if phase == JobPhase::Ended {
            self.end(now);
        }
        Some(())
    }

    fn end(&mut self, now: Timestamp) {
        self.phase = JobPhase::Ended;
        self.ended_at = self.ended_at.or(Some(now));
    }

    fn deny(&mut self) {
        self.denials += 1;
        if self.denials >= DENIALS_BELIEVED {
            self.standing = Standing::Denied;
        }
    }

    /// The id by which GitHub is asked for the job. Of a `check_run` without a link to its job only
    /// the check run is known, whose id is the job's on today's GitHub.
    pub fn lookup_id(&self) -> JobId {
        self.job_id.unwrap_or(JobId::new(self.key.check_run.get()))
    }
}

/// The job that an event speaks of.
pub fn key_of(event: &JobEvent) -> JobKey {
    JobKey {
        repository: event.repository.id,
        check_run: event.check_run_id,
    }
}

/// The scope that an event's job is decided in: organisation runners serve all repositories of their
/// organisation; user accounts have only repository runners.
pub fn scope_of(event: &JobEvent, level: RunnerLevel) -> ScopeKey {
    match (level, event.owner.kind) {
        (RunnerLevel::Organization, OwnerKind::Organization) => {
            ScopeKey::Organization(event.owner.id)
        }
        _ => ScopeKey::Repository(event.repository.id),
    }
}

fn waiting_since(event: &JobEvent) -> Option<Timestamp> {
    event.created_at.or(event.started_at).map(Timestamp::from)
}

fn phase_of(event: &JobEvent) -> JobPhase {
    match event.action {
        Action::Created | Action::Queued => JobPhase::Queued,
        Action::InProgress => JobPhase::InProgress,
        Action::Completed => JobPhase::Ended,
    }
}

/// Folds an event into what is known of its job. None: the event tells nothing new.
///
/// Whatever the order and however often the events of a job are folded, the phase, the labels and the
/// runner come out the same.
pub fn fold(known: Option<&Job>, event: &JobEvent, scope: ScopeKey, now: Timestamp) -> Option<Job> {
    let mut job = known
        .cloned()
        .unwrap_or_else(|| Job::first_heard(event, scope, now));
    if job.phase == JobPhase::Queued && phase_of(event) == JobPhase::InProgress {
        job.checked_at = Some(now);
    }
    job.phase = job.phase.max(phase_of(event));
    job.labels = job.labels.or_else(|| event.labels.clone());
    job.job_id = job.job_id.or(event.job_id);
    job.run_id = job.run_id.or(event.run_id);
    job.workflow = job.workflow.or_else(|| event.workflow_name.clone());
    job.branch = job.branch.or_else(|| event.head_branch.clone());
    job.installation = job.installation.or(event.installation_id);
    // A queued event may name the runner of an earlier attempt; only who took the job counts.
    if phase_of(event) != JobPhase::Queued {
        job.runner_name = job.runner_name.or_else(|| event.runner_name.clone());
        job.conclusion = job.conclusion.or_else(|| event.conclusion.clone());
    }
    if job.phase == JobPhase::Ended {
        job.ended_at = job.ended_at.or(Some(now));
    }
    let fresh = event.labels.is_some()
        && waiting_since(event).is_none_or(|since| since.age(now) <= BELIEVED_FOR);
    let unconfirmed = matches!(job.standing, Standing::Unverified | Standing::Denied);
    if unconfirmed && phase_of(event) == JobPhase::Queued && fresh {
        job.standing = Standing::Announced;
    }
    (known != Some(&job)).then_some(job)
}
