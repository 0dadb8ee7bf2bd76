//! What the operator allows and how runners are run: never a policy's to change.

use serde::{Deserialize, Serialize};

use crate::budget::Rates;
use crate::class::Classes;
use crate::ids::{Deployment, RunnerNames};

/// Where runners are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunnerLevel {
    /// With the organisation, for all its repositories; user accounts get repository runners.
    Organization,
    /// With each repository.
    Repository,
}

/// How long a runner serves, and how it registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunnerMode {
    /// One job, by a just-in-time configuration.
    Ephemeral,
    /// One job, by a registration token (`config.sh --ephemeral`).
    EphemeralByToken,
    /// Job after job, by a registration token, until it is retired.
    Persistent,
}

impl RunnerMode {
    /// Whether a runner ends with its first job.
    pub fn serves_one_job(self) -> bool {
        self != Self::Persistent
    }

    /// Whether it registers by a token, which serves any number of runners for an hour; else by a
    /// just-in-time configuration of its own.
    pub fn registers_by_token(self) -> bool {
        self != Self::Ephemeral
    }
}

/// The operator's configuration of everything that decides and acts.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Which installation of Stoker this is.
    pub deployment: Deployment,
    /// How runners are named.
    pub names: RunnerNames,
    /// Where they are registered.
    pub level: RunnerLevel,
    /// How long they serve.
    pub mode: RunnerMode,
    /// The name of the runner group of organisation runners; none: the default one.
    pub runner_group: Option<String>,
    /// The kinds of runner.
    pub classes: Classes,
    /// The most runners that a scope may have.
    pub scope_maximum: u32,
    /// Seconds after which an instance that has not been heard of is no longer supply.
    pub boot_time: u32,
    /// Seconds for which each runner stays, whatever a policy says.
    pub minimum_running_time: u32,
    /// The most pending jobs that a policy is shown.
    pub jobs_shown: usize,
    /// The other limits.
    pub guards: Guards,
    /// How often GitHub may be asked, by all acts together.
    pub rates: Rates,
    /// The most runners that all scopes may have together; none: no limit.
    pub deployment_maximum: Option<u32>,
    /// EC2's error codes for which an on-demand launch follows at once where spot instances were wanted and
    /// the class offers both; empty: it never does.
    pub spot_fallback: Vec<String>,
}

/// The codes of [`Operation::spot_fallback`] where the operator names none: EC2 has no spot capacity, or
/// the account may have no more of it.
pub const SPOT_FALLBACK: [&str; 5] = [
    "InsufficientInstanceCapacity",
    "InsufficientCapacity",
    "MaxSpotInstanceCountExceeded",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
];

/// Whether jobs of public repositories get runners: a fork's pull request runs a stranger's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicRepositories {
    /// They don't.
    #[default]
    Refused,
    /// The operator wants them to.
    Admitted,
}

/// US dollars that a scope may spend; none: no limit. Times are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SpendLimits {
    /// Between two full hours.
    pub hour: Option<f64>,
    /// Between two midnights.
    pub day: Option<f64>,
    /// In a calendar month.
    pub month: Option<f64>,
}

/// The operator's limits besides the maxima of the scope and its classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guards {
    /// The most runners that any one repository of a scope may have; none: as many as the scope.
    pub repository_maximum: Option<u32>,
    /// The most runners that one decision may launch.
    pub launches_per_decision: u32,
    /// The most runners that one decision may register with GitHub.
    pub registrations_per_decision: u32,
    /// What a scope may spend.
    pub spend: SpendLimits,
    /// Whether jobs of public repositories get runners.
    pub public_repositories: PublicRepositories,
    /// After how many failures in a row spot instances are not even tried for a while, and on-demand ones
    /// launched in their place; none: never.
    pub spot_failures: Option<u32>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            repository_maximum: None,
            launches_per_decision: REGISTRATIONS_A_MINUTE,
            registrations_per_decision: REGISTRATIONS_A_MINUTE,
            spend: SpendLimits::default(),
            public_repositories: PublicRepositories::Refused,
            spot_failures: Some(3),
        }
    }
}

/// What GitHub lets an App register in a minute: a just-in-time configuration costs 5 of its 900 points.
/// A launch that can't be registered soon is money burnt.
pub const REGISTRATIONS_A_MINUTE: u32 = 180;

/// An instance that has not been heard of for this long no longer counts for a job: three times what
/// a slow machine image takes to boot. In seconds.
pub const BOOT_TIME: u32 = 600;

/// No runner is retired that is younger than this, in seconds: its boot was paid for, and the next job may come
/// any moment.
pub const MINIMUM_RUNNING_TIME: u32 = 60;

/// The most pending jobs that a policy is shown: lowering a situation is most of what a decision
/// costs, and more jobs than this are not launched for at once anyway.
pub const JOBS_SHOWN: usize = 2_000;
