//! A runner as the ledger knows it.

use serde::{Deserialize, Serialize};
use stoker_intake::RepositoryId;

use crate::class::Capacity;
use crate::ids::{ClassName, DecisionId, InstanceId, IntentId, JobKey, ScopeKey};
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
    /// GitHub says that it runs a job, and nobody knows which.
    Occupied,
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
            Self::Occupied => "occupied",
            Self::Retiring => "retiring",
            Self::Ended => "ended",
        }
    }
}

/// Why a runner that may serve is to go all the same, and how far that has come: first GitHub is to say that it
/// has no job and gets none, and only then is its instance terminated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retirement {
    /// The decision that it goes by; none: it is one that has been lost, such as one that never registered.
    pub decision: Option<DecisionId>,
    /// Why.
    pub reason: String,
    /// When GitHub first said that it knows no such runner: it is believed the second time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Timestamp>,
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
    /// Of one that is to go though it may serve; one that is retiring without it can't serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retirement: Option<Retirement>,
    /// How often the item was written; 0: never.
    #[serde(default)]
    pub revision: u64,
}

/// Items of before it was written down are of runners that had their configuration.
fn yes() -> bool {
    true
}

/// How long whoever retires a runner takes at most, in seconds.
pub const RETIRED_WITHIN: u32 = 60;

/// How long after GitHub said that it knows no such runner it is asked once more, in seconds.
pub const ABSENT_FOR: u32 = 30;

/// What is heard of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunnerNews {
    /// It is registered with GitHub, and its configuration is about to be written.
    Configured,
    /// It registered and waits.
    Online,
    /// It took a job.
    Took(JobKey),
    /// It has a job; which one is not known.
    Occupied,
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
            (P::Ended, _) | (P::Busy { .. }, RunnerNews::Occupied) => return None,
            (_, RunnerNews::Gone | RunnerNews::Interrupted) => P::Ended,
            (P::Launching, RunnerNews::Configured) => P::Booting,
            (P::Launching | P::Booting | P::Occupied, RunnerNews::Online) => P::Idle,
            (_, RunnerNews::Occupied) => P::Occupied,
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
        let is_up = matches!(phase, P::Idle | P::Busy { .. } | P::Occupied);
        (phase != self.phase).then(|| Self {
            phase_since: now,
            booted_at: self.booted_at.or(is_up.then_some(now)),
            interrupted: *news == RunnerNews::Interrupted,
            last_job: job.or(self.last_job),
            // Who has a job stays.
            retirement: self.retirement.clone().filter(|_| phase == P::Ended),
            phase,
            // It was given one, if it is up.
            configured: self.configured || is_up,
            ..self.clone()
        })
    }

    /// The same, on its way out because it can't serve: no supply any more.
    #[must_use]
    pub fn given_up(&self, now: Timestamp) -> Self {
        Self {
            phase: RunnerPhase::Retiring,
            phase_since: now,
            retirement: None,
            ..self.clone()
        }
    }

    /// The same, on its way out though it may serve: no supply any more.
    #[must_use]
    pub fn retiring(&self, retirement: Retirement, now: Timestamp) -> Self {
        Self {
            retirement: Some(retirement),
            ..self.given_up(now)
        }
    }

    /// Whether whoever retires it has had time enough, and did not see it through.
    pub fn is_left_retiring(&self, now: Timestamp) -> bool {
        self.phase == RunnerPhase::Retiring
            && match &self.retirement {
                None => true,
                Some(Retirement { absent: None, .. }) => {
                    self.phase_since.age(now) >= RETIRED_WITHIN
                }
                Some(Retirement {
                    absent: Some(absent),
                    ..
                }) => absent.age(now) >= ABSENT_FOR,
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
