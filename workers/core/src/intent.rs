//! The two halves of an effect: what was decided to be launched, and what became of it.

use serde::{Deserialize, Serialize};
use stoker_intake::RepositoryId;

use crate::class::Capacity;
use crate::ids::{ClassName, DecisionId, InstanceId, IntentId, JobKey, ScopeKey};
use crate::situation::ScopeName;
use crate::time::Timestamp;

/// A launch that was decided. One intent is one CreateFleet: whoever finds it without an outcome
/// repeats this very request under the same client token, and never a fresh one for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The client token, and the tag of its instances.
    pub id: IntentId,
    /// The decision that it belongs to.
    pub decision: DecisionId,
    /// For whom.
    pub scope: ScopeKey,
    /// What that was called then; launches of before it was written down have none.
    #[serde(default)]
    pub scope_name: Option<ScopeName>,
    /// The request, exactly.
    pub request: FleetRequest,
    /// The repository that it was decided for, where the policy named one.
    pub launched_for: Option<RepositoryId>,
    /// The jobs that the policy had in mind.
    pub jobs: Vec<JobKey>,
    /// The policy's reason.
    pub reason: String,
    /// US dollars an hour and runner.
    pub price: f64,
    /// When it was decided.
    pub decided_at: Timestamp,
}

impl Intent {
    /// For which repository its instance of that number (0 is the first) was launched: the one that the
    /// policy named, else that of the job in its place.
    pub fn launched_for(&self, number: usize) -> Option<RepositoryId> {
        let of_job = || self.jobs.get(number).map(|job| job.repository);
        self.launched_for.or_else(of_job)
    }
}

/// Everything that a CreateFleet request is made of, so that it can be repeated to the letter even
/// after the configuration has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetRequest {
    /// The class.
    pub class: ClassName,
    /// Spot or on demand.
    pub capacity: Capacity,
    /// How many.
    pub count: u32,
    /// The launch template, by id or name.
    pub launch_template: String,
    /// Its version.
    pub launch_template_version: String,
    /// Types that will do.
    pub instance_types: Vec<String>,
    /// Subnets, at most one a zone.
    pub subnets: Vec<String>,
}

/// An instance that EC2 has given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its type.
    pub instance_type: String,
    /// It is terminated, or about to be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// Why EC2 did not give all, or any, of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// EC2's error code, such as `InsufficientInstanceCapacity`.
    pub code: String,
    /// EC2's words.
    pub message: String,
}

/// What became of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Launched {
    /// What there is now.
    pub instances: Vec<Instance>,
    /// Why it is not more.
    pub refusals: Vec<Refusal>,
}
