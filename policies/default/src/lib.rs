//! The policy that ships: one runner for each waiting job that no runner is there for, up to the
//! maxima; an idle stock by time of day; and idle runners that nobody needs are retired.
//!
//! - Jobs that an idle, booting or launching runner can take get none of their own. For the others the
//!   cheapest class is launched that has all of their labels and room.
//! - Spot capacity, unless a job has waited long or was interrupted before, or the class's spot
//!   capacity has failed more often than not in the last hour.
//! - A repository's own settings tune `max_runners` and the capacity for its jobs.
//!
//! The same source is compiled twice: for wasm32 it is the component `default/policy.wasm`, natively it
//! is the host's built-in rules. What can be set is in [`settings`].

pub mod settings;

use stoker_policy_sdk::about::Needs;
use stoker_policy_sdk::blocks::{Launching, Retiring, Tuned, stock};
use stoker_policy_sdk::facts::Situation;
use stoker_policy_sdk::{Policy, ScaleDown, ScaleUp, scale_down, scale_up};

use crate::settings::{ScaleDownSettings, ScaleUpSettings};

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct DefaultPolicy;

impl Policy for DefaultPolicy {
    const NAME: &'static str = "default";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "One runner for each waiting job that no runner is there for, up to \
                                   the maxima, and an idle stock by time of day.";
    const SETTINGS_SCHEMA: Option<&str> = Some(include_str!("../settings.schema.json"));
}

impl ScaleUp for DefaultPolicy {
    type Settings = ScaleUpSettings;

    fn decide(situation: &Situation, settings: &ScaleUpSettings) -> Result<scale_up::Plan, String> {
        let tuned = Tuned::new(situation, settings)?;
        let launching = Launching::new(situation).own_maximum("max_runners", settings.max_runners);
        let mut launching = tuned.maxima(launching, |own| own.max_runners);
        for job in launching.open() {
            launching.launch_for(job);
        }
        for wanted in stock::wanted(situation, &settings.idle)? {
            launching.stock(wanted.class, wanted.count, wanted.reason);
        }
        Ok(launching.finish(|class, job| tuned.capacity(class, job, ScaleUpSettings::choice)))
    }

    fn needs(settings: &ScaleUpSettings) -> Needs {
        Needs {
            time_zones: stock::zones(&settings.idle),
        }
    }
}

impl ScaleDown for DefaultPolicy {
    type Settings = ScaleDownSettings;

    fn decide(
        situation: &Situation,
        settings: &ScaleDownSettings,
    ) -> Result<scale_down::Plan, String> {
        let stock = stock::wanted(situation, &settings.idle)?;
        let rule = Retiring {
            minimum_age: settings.minimum_age_seconds,
            idle_for: settings.idle_seconds,
        };
        Ok(rule.plan(situation, &stock))
    }

    fn needs(settings: &ScaleDownSettings) -> Needs {
        Needs {
            time_zones: stock::zones(&settings.idle),
        }
    }
}

stoker_policy_sdk::export!(DefaultPolicy: scale_up, scale_down);

#[cfg(test)]
mod tests;
