//! Everything a policy may know about a fleet, built from the ledger's view of a scope.
//!
//! The shapes follow the contract (`wit/`), with tables and positions in place of repeated strings.
//! Every list is in a stated order, so that equal states give equal situations.

mod build;
mod overlooked;

use serde::{Deserialize, Serialize};
use stoker_intake::{RepositoryId, Visibility};

use crate::class::{Capacity, RunnerClass};
use crate::ids::JobKey;
use crate::limits::RunnerMode;
use crate::time::Timestamp;

pub use build::{Room, UNSETTLED_IS_SUPPLY_FOR, situation, there};
pub use overlooked::{COUNTS_FOR, counts_until};

/// What a scope is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeName {
    /// The owner's login, in lower case.
    pub owner: String,
    /// The repository's name, in lower case; none: the whole organisation.
    pub repository: Option<String>,
}

impl std::fmt::Display for ScopeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.repository {
            Some(repository) => write!(f, "{}/{repository}", self.owner),
            None => f.write_str(&self.owner),
        }
    }
}

/// A repository that has jobs or runners here. Ordered by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepositoryFacts {
    /// GitHub's id. Not shown to policies.
    pub id: RepositoryId,
    /// Its name without the owner.
    pub name: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// Jobs that wait, shown or not.
    pub waiting_jobs: u32,
    /// Jobs that run.
    pub running_jobs: u32,
    /// Its maximum of runners, where one is configured.
    #[serde(default)]
    pub maximum: Option<u32>,
    /// Runners that it may still get: what is left of its own maximum and of the scope's.
    pub left: u32,
    /// US dollars that the runners that served it have cost since midnight (UTC).
    #[serde(default)]
    pub spent_today: f64,
}

/// One set of labels that pending jobs ask for. Ordered by labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelSet {
    /// Lower case, sorted.
    pub labels: Vec<String>,
    /// Positions of the classes that satisfy it, cheapest first.
    pub fits: Vec<usize>,
}

/// A job that waits. Ordered by `waited`, longest first, then by GitHub's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingJob {
    /// Which job. Not shown to policies.
    pub key: JobKey,
    /// A position in [`Situation::repositories`].
    pub repository: usize,
    /// A position in [`Situation::label_sets`].
    pub labels: usize,
    /// The workflow's name; empty: not known.
    pub workflow: String,
    /// The job's name.
    pub name: String,
    /// The branch; empty: not known.
    pub branch: String,
    /// 1 for the first.
    pub attempt: u32,
    /// Seconds.
    pub waited: u32,
    /// How often a decision deferred it.
    pub deferrals: u32,
    /// Why, the last time.
    pub last_deferral: Option<String>,
    /// In an earlier attempt its runner was interrupted.
    #[serde(default)]
    pub interrupted: bool,
}

/// What a runner does, as a policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseFacts {
    /// Asked of EC2.
    Launching,
    /// On its way.
    Booting,
    /// Waits for a job.
    Idle,
    /// Runs one.
    Busy,
    /// About to go.
    Retiring,
    /// Overdue, or idle beside a job that it could take and does not: neither supply nor to be retired.
    Unknown,
}

/// Ordered by age, oldest first, then by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerFacts {
    /// Its name at GitHub.
    pub name: String,
    /// A position in [`Situation::classes`].
    pub class: usize,
    /// How EC2 was asked for it.
    pub capacity: Capacity,
    /// What it does.
    pub phase: PhaseFacts,
    /// A position in [`Situation::repositories`].
    pub launched_for: Option<usize>,
    /// A position in [`Situation::repositories`].
    pub serves: Option<usize>,
    /// Seconds since its launch.
    pub age: u32,
    /// Seconds in this phase.
    pub in_phase: u32,
    /// US dollars an hour.
    pub price: f64,
}

/// How a class fared in the last hour with one kind of capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Recent {
    /// Instances that EC2 gave.
    pub launched: u32,
    /// Instances that EC2 took back.
    pub interrupted: u32,
    /// Instances that were asked for and that EC2 did not have.
    pub refused: u32,
    /// Seconds within which half of them were ready; none: none was.
    pub boot_median: Option<u32>,
    /// Seconds within which 95 in 100 were ready; none: none was.
    pub boot_slowest: Option<u32>,
    /// For how many seconds EC2 is not asked for more, because it had none. Not shown to policies.
    pub paused_for: u32,
    /// How often in a row it had none. Not shown to policies.
    pub failures: u32,
}

/// A class and what is left of its maximum. Ordered as configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassFacts {
    /// As configured.
    pub class: RunnerClass,
    /// What is left of its maximum.
    pub left: u32,
    /// How it fared as spot.
    #[serde(default)]
    pub spot: Recent,
    /// How it fared on demand.
    #[serde(default)]
    pub on_demand: Recent,
    /// That its last runners could not be registered with GitHub. Not shown to policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// That no runner of a class could be registered with GitHub the last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// GitHub's answer, or that there was none.
    pub problem: String,
    /// For how many seconds nothing is launched for that class; then one runner, to see whether it is mended.
    pub paused_for: u32,
}

/// What may still be done, after every guardrail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Headroom {
    /// The scope's maximum.
    pub runners_maximum: u32,
    /// What is left of it, and of the deployment's maximum.
    pub runners_left: u32,
    /// What is left of the deployment's maximum. Not shown to policies.
    #[serde(default = "unlimited")]
    pub deployment_left: u32,
    /// Runners that one decision may launch.
    pub launches_left: u32,
    /// Registrations that GitHub's budget allows now.
    pub registrations_left: u32,
    /// Seconds until that budget is full again.
    pub registrations_reset: u32,
    /// US dollars that the operator's spend limits leave for launches, each at the price of one hour;
    /// none: there is no limit.
    #[serde(default)]
    pub spend_left: Option<f64>,
}

fn unlimited() -> u32 {
    u32::MAX
}

/// Why a scope is decided now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Jobs were queued, taken, finished or cancelled.
    #[default]
    Jobs,
    /// The periodic re-evaluation, or what could not be done the last time.
    Tick,
    /// Runners ended, failed to start, or were interrupted.
    Fleet,
    /// The policy or its settings changed.
    Policy,
}

impl Trigger {
    /// Why a scope is decided for several reasons at once: the one that asks for most. A tick takes up what was
    /// left, and jobs are more than news of runners.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        let asks = |trigger| match trigger {
            Self::Fleet => 0,
            Self::Jobs => 1,
            Self::Policy => 2,
            Self::Tick => 3,
        };
        if asks(other) > asks(self) {
            other
        } else {
            self
        }
    }
}

/// What may be shown to a policy. Which level decides and by which settings is the policy host's to
/// add.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// The time of the decision.
    pub now: Timestamp,
    /// For decisions by chance; the same for the same state.
    pub seed: u32,
    /// Whose fleet this is.
    pub scope: ScopeName,
    /// Why it is decided now.
    #[serde(default)]
    pub trigger: Trigger,
    /// How long a runner serves.
    pub mode: RunnerMode,
    /// See [`RepositoryFacts`].
    pub repositories: Vec<RepositoryFacts>,
    /// See [`LabelSet`].
    pub label_sets: Vec<LabelSet>,
    /// See [`ClassFacts`].
    pub classes: Vec<ClassFacts>,
    /// See [`PendingJob`].
    pub pending: Vec<PendingJob>,
    /// How many more wait than are shown.
    pub pending_unseen: u32,
    /// See [`RunnerFacts`].
    pub runners: Vec<RunnerFacts>,
    /// See [`Headroom`].
    pub headroom: Headroom,
    /// See [`Spend`].
    #[serde(default)]
    pub spend: Spend,
}

/// US dollars that the scope's runners have cost, those included that have ended. Times are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spend {
    /// Since the full hour.
    pub this_hour: f64,
    /// Since midnight.
    pub today: f64,
    /// Since the first of the month.
    pub this_month: f64,
}
