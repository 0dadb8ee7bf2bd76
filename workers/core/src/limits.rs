//! What the operator allows and how runners are run: never a policy's to change.

use serde::{Deserialize, Serialize};

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

/// How long a runner serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunnerMode {
    /// One job, by a just-in-time configuration.
    Ephemeral,
    /// Job after job, by a registration token, until it is retired.
    Persistent,
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
    /// The runner group of organisation runners. 1 is every organisation's `Default`.
    pub runner_group: u64,
    /// The kinds of runner.
    pub classes: Classes,
    /// The most runners that a scope may have.
    pub scope_maximum: u32,
    /// Seconds after which an instance that has not been heard of is no longer supply.
    pub boot_time: u32,
    /// The most pending jobs that a policy is shown.
    pub jobs_shown: usize,
}

/// An instance that has not been heard of for this long no longer counts for a job: three times what
/// a slow machine image takes to boot. In seconds.
pub const BOOT_TIME: u32 = 600;

/// The most pending jobs that a policy is shown: lowering a situation is most of what a decision
/// costs, and more jobs than this are not launched for at once anyway.
pub const JOBS_SHOWN: usize = 2_000;
