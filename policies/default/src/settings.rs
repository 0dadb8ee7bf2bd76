//! What an owner can set in `settings.json`: one object for each decision.

use schemars::JsonSchema;
use serde::Deserialize;
use stoker_policy_sdk::blocks::capacity::{Choice, Preferred};
use stoker_policy_sdk::blocks::stock::Stock;

/// Under `scale-up`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScaleUpSettings {
    /// The most runners that the scope may have; in a repository's own settings, the most that it may
    /// have. The operator's own maxima apply too.
    pub max_runners: Option<u32>,
    /// What to launch where a class offers both.
    pub capacity: Preferred,
    /// A job that has waited this many seconds gets on-demand capacity, whatever is preferred. `null`:
    /// however long it waits.
    pub on_demand_after_seconds: Option<u32>,
    /// A job whose runner was interrupted before gets on-demand capacity, whatever is preferred.
    pub on_demand_after_interruption: bool,
    /// Idle runners to keep for jobs to come. Applies where it is declared and is never inherited;
    /// declare the same under `scale-down`, or they are retired as surplus.
    pub idle: Vec<Stock>,
}

impl Default for ScaleUpSettings {
    fn default() -> Self {
        Self {
            max_runners: None,
            capacity: Preferred::Spot,
            // Twice what a launch and a boot take: spot capacity has had its chance.
            on_demand_after_seconds: Some(600),
            on_demand_after_interruption: true,
            idle: Vec::new(),
        }
    }
}

impl ScaleUpSettings {
    /// Spot or on demand.
    pub fn choice(&self) -> Choice {
        Choice {
            preferred: self.capacity,
            on_demand_after_seconds: self.on_demand_after_seconds,
            on_demand_after_interruption: self.on_demand_after_interruption,
        }
    }
}

/// Under `scale-down`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScaleDownSettings {
    /// No runner is retired that is younger, in seconds: what it cost to boot is not thrown away at
    /// once.
    pub minimum_age_seconds: u32,
    /// No runner is retired that has been idle for less, in seconds.
    pub idle_seconds: u32,
    /// Idle runners to keep, as under `scale-up`.
    pub idle: Vec<Stock>,
}

impl Default for ScaleDownSettings {
    fn default() -> Self {
        Self {
            minimum_age_seconds: 300,
            // GitHub gives a job to an idle runner within seconds; a minute and a half is for a slow day.
            idle_seconds: 90,
            idle: Vec::new(),
        }
    }
}
