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

use std::collections::BTreeMap;

use stoker_policy_sdk::about::{Complaint, Needs};
use stoker_policy_sdk::blocks::capacity::Choice;
use stoker_policy_sdk::blocks::{Launching, Retiring, stock};
use stoker_policy_sdk::facts::Situation;
use stoker_policy_sdk::settings::parse;
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
        let mut launching =
            Launching::new(situation).own_maximum("max_runners", settings.max_runners);
        let mut choices: BTreeMap<u32, Choice> = BTreeMap::new();
        for (place, repository) in situation.repositories.iter().enumerate() {
            let Some(text) = &repository.settings else {
                continue;
            };
            let tuned: ScaleUpSettings = parse(text).map_err(|complaint| refusal(&complaint))?;
            choices.insert(u32::try_from(place).unwrap_or(u32::MAX), tuned.choice());
            // What it inherits is the scope's maximum, which is not the repository's own.
            let own = tuned
                .max_runners
                .filter(|_| tuned.max_runners != settings.max_runners);
            launching = launching.repository_maximum(place, own);
        }
        for job in launching.open() {
            launching.launch_for(job);
        }
        for wanted in stock::wanted(situation, &settings.idle)? {
            launching.stock(wanted.class, wanted.count, wanted.reason);
        }
        let scope = settings.choice();
        Ok(launching.finish(|class, job| {
            let tuned = job.and_then(|job| choices.get(&job.repository));
            tuned.unwrap_or(&scope).of(class, job)
        }))
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

fn refusal(complaint: &Complaint) -> String {
    stoker_policy_sdk::run::told(std::slice::from_ref(complaint))
}

stoker_policy_sdk::export!(DefaultPolicy: scale_up, scale_down);

#[cfg(test)]
mod tests;
