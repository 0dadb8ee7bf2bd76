//! A runner as the ledger knows it.

use serde::{Deserialize, Serialize};
use stoker_intake::RepositoryId;

use crate::class::Capacity;
use crate::ids::{ClassName, InstanceId, IntentId, JobKey, ScopeKey};
use crate::limits::RunnerMode;
use crate::situation::ScopeName;
use crate::time::Timestamp;

/// What a runner does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum RunnerPhase {
    /// The instance exists; its configuration is not written, so it can't have taken a job.
    Launching,
    /// It may have its configuration, and has not been heard of since.
    Booting,
    /// It is registered and waits for a job.
    Idle,
    /// It runs a job.
    Busy {
        /// Which one.
        job: JobKey,
    },
    /// It is to go, and no longer supply.
    Retiring,
    /// It is gone.
    Ended,
}

impl RunnerPhase {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Launching => "launching",
            Self::Booting => "booting",
            Self::Idle => "idle",
            Self::Busy { .. } => "busy",
            Self::Retiring => "retiring",
            Self::Ended => "ended",
        }
    }
}

/// A runner of ours, on an instance of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runner {
    /// The instance that it runs on.
    pub instance: InstanceId,
    /// Its name at GitHub.
    pub name: String,
    /// For whom it is counted.
    pub scope: ScopeKey,
    /// What that was called when it was launched, and so where it registers once no job is left that would
    /// say; runners of before it was written down have none.
    #[serde(default)]
    pub scope_name: Option<ScopeName>,
    /// Its kind.
    pub class: ClassName,
    /// How EC2 was asked for it.
    pub capacity: Capacity,
    /// The EC2 instance type that it was given.
    pub instance_type: String,
    /// How long it serves.
    pub mode: RunnerMode,
    /// What it does.
    #[serde(flatten)]
    pub phase: RunnerPhase,
    /// Since when.
    pub phase_since: Timestamp,
    /// The repository that it was launched for. GitHub may give it another's job.
    pub launched_for: Option<RepositoryId>,
    /// The launch that it came from.
    pub intent: IntentId,
    /// When it was launched.
    pub launched_at: Timestamp,
    /// US dollars an hour.
    pub price: f64,
    /// When it was first heard of as idle or busy.
    #[serde(default)]
    pub booted_at: Option<Timestamp>,
    /// EC2 took its instance back.
    #[serde(default)]
    pub interrupted: bool,
    /// The job that it has, or had last.
    #[serde(default)]
    pub last_job: Option<JobKey>,
    /// Its configuration is surely written. Until then one that boots may have one or not.
    #[serde(default = "yes")]
    pub configured: bool,
    /// Who registers it: each act that takes it up after another died has a number of its own, and only the
    /// last one may write its configuration.
    #[serde(default)]
    pub attempt: u32,
    /// How often the item was written; 0: never.
    #[serde(default)]
    pub revision: u64,
}

/// Items of before it was written down are of runners that had their configuration.
fn yes() -> bool {
    true
}

/// What is heard of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunnerNews {
    /// It is registered with GitHub, and its configuration is about to be written.
    Configured,
    /// It registered and waits.
    Online,
    /// It took a job.
    Took(JobKey),
    /// Its job ended.
    Finished(JobKey),
    /// Its instance is gone, or is being terminated because it can't serve.
    Gone,
    /// EC2 takes its instance back.
    Interrupted,
}

impl Runner {
    /// What news makes of the runner. None: nothing new, or something older than what is known.
    #[must_use]
    pub fn fold(&self, news: &RunnerNews, now: Timestamp) -> Option<Self> {
        use RunnerPhase as P;
        let phase = match (&self.phase, news) {
            (P::Ended, _) => return None,
            (_, RunnerNews::Gone | RunnerNews::Interrupted) => P::Ended,
            (P::Launching, RunnerNews::Configured) => P::Booting,
            (P::Launching | P::Booting, RunnerNews::Online) => P::Idle,
            // Even a retiring runner's job is a fact.
            (_, RunnerNews::Took(job)) => P::Busy { job: *job },
            // The job's beginning may be heard of after its end, or never: its runner had it.
            (_, RunnerNews::Finished(job)) => match &self.phase {
                // It has the next one already.
                P::Busy { job: current } if current != job => return None,
                // What is to go stays so, whatever it finishes meanwhile.
                P::Retiring => return None,
                _ if self.mode.serves_one_job() => P::Ended,
                _ => P::Idle,
            },
            (_, RunnerNews::Configured | RunnerNews::Online) => return None,
        };
        let job = match &phase {
            P::Busy { job } => Some(*job),
            _ => None,
        };
        let is_up = matches!(phase, P::Idle | P::Busy { .. });
        (phase != self.phase).then(|| Self {
            phase,
            phase_since: now,
            booted_at: self.booted_at.or(is_up.then_some(now)),
            interrupted: *news == RunnerNews::Interrupted,
            last_job: job.or(self.last_job),
            ..self.clone()
        })
    }

    /// The same, on its way out: no supply any more.
    #[must_use]
    pub fn retiring(&self, now: Timestamp) -> Self {
        Self {
            phase: RunnerPhase::Retiring,
            phase_since: now,
            ..self.clone()
        }
    }

    /// The repository that its cost is counted for: the one that it serves or served last, else the one
    /// that it was launched for.
    pub fn counts_for(&self) -> Option<RepositoryId> {
        self.last_job
            .map(|job| job.repository)
            .or(self.launched_for)
    }

    /// Whether nobody knows that its instance has a configuration: an act died on the way.
    pub fn lacks_configuration(&self) -> bool {
        match self.phase {
            RunnerPhase::Launching => true,
            RunnerPhase::Booting => !self.configured,
            _ => false,
        }
    }

    /// Whether it still counts against a maximum.
    pub fn is_live(&self) -> bool {
        self.phase != RunnerPhase::Ended
    }
}
