//! One runner for each waiting job that no runner is there for, of the first class that its labels fit:
//! spot, or on demand for a job that waited long.
//!
//! With the SDK the rule is the last few lines of `decide`. The building blocks know which runners can
//! take which jobs, what is left of every limit, and a reason for every job.

use schemars::JsonSchema;
use serde::Deserialize;
use stoker_policy_sdk::blocks::capacity::{Choice, Preferred};
use stoker_policy_sdk::blocks::{Launching, Tuned};
use stoker_policy_sdk::facts::Situation;
use stoker_policy_sdk::scale_up::Plan;
use stoker_policy_sdk::{Policy, ScaleUp};

/// What `settings.json` may say under `scale-up`. These comments become the settings' schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A job that has waited this many seconds gets on-demand capacity.
    pub on_demand_after: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on_demand_after: 600,
        }
    }
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct OneEach;

impl Policy for OneEach {
    const NAME: &'static str = "rust-unknown";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "One runner for each waiting job, on demand where it waited long.";
}

impl ScaleUp for OneEach {
    type Settings = Settings;

    fn decide(situation: &Situation, settings: &Settings) -> Result<Plan, String> {
        // Repositories may have settings of their own, which hold for their jobs.
        let tuned = Tuned::new(situation, settings)?;
        let mut launching = Launching::new(situation);
        for job in launching.open() {
            launching.launch_for(job);
        }
        Ok(launching.finish(|class, job| {
            tuned.capacity(class, job, |settings| Choice {
                preferred: Preferred::Spot,
                on_demand_after_seconds: Some(settings.on_demand_after),
                on_demand_after_interruption: false,
            })
        }))
    }
}

stoker_policy_sdk::export!(OneEach: scale_up);
