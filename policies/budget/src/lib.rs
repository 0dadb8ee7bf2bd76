//! Spend an hour, a day and a month, in US dollars.
//!
//! The closer a limit comes, the cheaper it gets: from `cheaper_class_at` of any limit on, classes that
//! are nobody's cheapest are held back; from `spot_only_at` on, only spot capacity is launched; at the
//! limit, jobs wait until the hour, day or month is over. Jobs of the named branches
//! (`first_branches`) go first, and keep being served when the others wait already
//! (`others_wait_at`).
//!
//! A launch is counted at the price of one hour of the cheapest class that fits its job, in the capacity
//! that is preferred: an estimate, which the next decision corrects by what was really spent. Prices are
//! those that the operator configured, spend is what all runners of the scope have cost at these prices,
//! those included that have ended. The operator's own spend limits hold whatever is set here.
//!
//! Retiring runners is left to the broader level, or the built-in rules.

pub mod limits;

use schemars::JsonSchema;
use serde::Deserialize;
use stoker_policy_sdk::about::Complaint;
use stoker_policy_sdk::blocks::capacity::{self, Choice, Preferred};
use stoker_policy_sdk::blocks::{Launching, Pattern};
use stoker_policy_sdk::facts::{Capacity, Job, RunnerClass, Situation};
use stoker_policy_sdk::{Policy, ScaleUp, scale_up};

use crate::limits::{Limit, Stage};

/// Under `scale-up`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// US dollars that may be spent between two full hours (UTC).
    pub per_hour: Option<f64>,
    /// US dollars that may be spent between two midnights (UTC).
    pub per_day: Option<f64>,
    /// US dollars that may be spent in a calendar month (UTC).
    pub per_month: Option<f64>,
    /// From this fraction of a limit on, classes that are nobody's cheapest are held back. 0 to 1.
    pub cheaper_class_at: f64,
    /// From this fraction of a limit on, only spot capacity is launched. 0 to 1.
    pub spot_only_at: f64,
    /// From this fraction of a limit on, only jobs of `first_branches` are launched for. 0 to 1.
    pub others_wait_at: f64,
    /// Branches whose jobs go first, by name or with `*`.
    pub first_branches: Vec<Pattern>,
    /// The most runners that the scope may have. The operator's own maximum applies too.
    pub max_runners: Option<u32>,
    /// What to launch where a class offers both, as long as the money allows.
    pub capacity: Preferred,
    /// A job that has waited this many seconds gets on-demand capacity, as long as the money allows.
    /// `null`: however long it waits.
    pub on_demand_after_seconds: Option<u32>,
    /// A job whose runner was interrupted before gets on-demand capacity, as long as the money allows.
    pub on_demand_after_interruption: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            per_hour: None,
            per_day: None,
            per_month: None,
            cheaper_class_at: 0.7,
            spot_only_at: 0.85,
            others_wait_at: 0.95,
            first_branches: Vec::new(),
            max_runners: None,
            capacity: Preferred::Spot,
            on_demand_after_seconds: Some(600),
            on_demand_after_interruption: true,
        }
    }
}

impl Settings {
    fn is_first(&self, job: &Job) -> bool {
        self.first_branches
            .iter()
            .any(|branch| branch.matches(&job.branch))
    }

    /// Spot or on demand, as the money allows. None: the class does not offer what may be launched.
    fn capacity(&self, stage: Stage, class: &RunnerClass, job: Option<&Job>) -> Option<Capacity> {
        if stage >= Stage::SpotOnly {
            return class.spot_price.map(|_| Capacity::Spot);
        }
        let choice = Choice {
            preferred: self.capacity,
            on_demand_after_seconds: self.on_demand_after_seconds,
            on_demand_after_interruption: self.on_demand_after_interruption,
        };
        Some(choice.of(class, job))
    }
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct Budget;

impl Policy for Budget {
    const NAME: &'static str = "budget";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Spend an hour, a day and a month: first cheaper classes, then spot \
                                   only, then jobs wait; named branches go first.";
    const SETTINGS_SCHEMA: Option<&str> = Some(include_str!("../settings.schema.json"));
}

impl ScaleUp for Budget {
    type Settings = Settings;

    fn decide(situation: &Situation, settings: &Settings) -> Result<scale_up::Plan, String> {
        let limits = limits::limits(situation, settings);
        let (stage, tightest) = limits::stage(&limits, settings);
        let cheapest: Vec<Option<&u32>> = situation
            .label_sets
            .iter()
            .map(|set| set.fits.first())
            .collect();
        let position_of = |class: &RunnerClass| {
            let place = situation.classes.iter().position(|c| c.name == class.name);
            place.and_then(|place| u32::try_from(place).ok())
        };
        let mut launching = Launching::new(situation)
            .own_maximum("max_runners", settings.max_runners)
            .without_classes(|class| {
                let nobodys = !cheapest.contains(&position_of(class).as_ref());
                (stage >= Stage::CheaperClass && nobodys)
                    || settings.capacity(stage, class, None).is_none()
            });
        let mut money = Money::new(&limits, settings.others_wait_at);
        for priced in by_price(situation, settings, stage, &launching.open()) {
            money.launch(&mut launching, &priced);
        }
        let mut plan = launching.finish(|class, job| {
            // What may not be launched is held back, so there is a capacity.
            settings
                .capacity(stage, class, job)
                .unwrap_or_else(|| capacity::cheapest(class))
        });
        if let Some(limit) = tightest {
            plan.notes.push(format!("{stage}: {}", limit.told()));
        }
        Ok(plan)
    }

    fn complaints(settings: &Settings) -> Vec<Complaint> {
        let limits = [
            ("/per_hour", settings.per_hour),
            ("/per_day", settings.per_day),
            ("/per_month", settings.per_month),
        ];
        let negative = limits
            .into_iter()
            .filter(|(_, limit)| limit.is_some_and(|limit| !limit.is_finite() || limit < 0.0))
            .map(|(at, _)| (at, "a limit is a number of US dollars, 0 or more"));
        let fractions = [
            ("/cheaper_class_at", settings.cheaper_class_at),
            ("/spot_only_at", settings.spot_only_at),
            ("/others_wait_at", settings.others_wait_at),
        ];
        let outside = fractions
            .into_iter()
            .filter(|(_, fraction)| !(0.0..=1.0).contains(fraction))
            .map(|(at, _)| (at, "a fraction of the limit is from 0 to 1"));
        negative
            .chain(outside)
            .map(|(at, problem)| Complaint {
                at: at.to_owned(),
                problem: problem.to_owned(),
            })
            .collect()
    }
}

/// A waiting job and the price of an hour for it.
struct Priced {
    job: usize,
    first: bool,
    price: f64,
}

/// The open jobs, the cheapest first: so many jobs as the money serves. Of equal price, those of the
/// named branches go first, then the longest waiting.
fn by_price(
    situation: &Situation,
    settings: &Settings,
    stage: Stage,
    open: &[usize],
) -> Vec<Priced> {
    let mut priced: Vec<Priced> = open
        .iter()
        .map(|&job| {
            let facts = &situation.pending[job];
            let price = situation.label_sets[index(facts.labels)]
                .fits
                .iter()
                .filter_map(|&class| {
                    let class = situation.classes.get(index(class))?;
                    let chosen = settings.capacity(stage, class, None)?;
                    capacity::price(class, chosen)
                })
                .fold(f64::INFINITY, f64::min);
            Priced {
                job,
                first: settings.is_first(facts),
                price,
            }
        })
        .collect();
    priced.sort_by(|a, b| {
        a.price
            .total_cmp(&b.price)
            .then_with(|| b.first.cmp(&a.first))
    });
    priced
}

fn index(reference: u32) -> usize {
    usize::try_from(reference).unwrap_or(usize::MAX)
}

/// What is left to spend in this decision, by each limit.
struct Money<'a> {
    /// The limit, what is left of it for all, and for jobs of other than the named branches.
    pots: Vec<(&'a Limit, f64, f64)>,
}

impl<'a> Money<'a> {
    fn new(limits: &'a [Limit], others: f64) -> Self {
        Self {
            pots: limits
                .iter()
                .map(|limit| (limit, limit.left(), limit.left_below(others)))
                .collect(),
        }
    }

    /// Launches for a job if the money allows, and books it.
    fn launch(&mut self, launching: &mut Launching<'_>, priced: &Priced) {
        let short = self.pots.iter().find(|(_, all, others)| {
            let left = if priced.first { *all } else { all.min(*others) };
            // A job that no class may serve now is told so by the room, not by the money.
            left <= 0.0 || (priced.price.is_finite() && priced.price > left)
        });
        if let Some((limit, ..)) = short {
            let whom = if priced.first {
                ""
            } else {
                "; what is left is for the named branches"
            };
            launching.wait(
                priced.job,
                format!("{}{whom}", limit.told()),
                Some(limit.retry_after()),
            );
            return;
        }
        if launching.launch_for(priced.job) {
            for (_, all, others) in &mut self.pots {
                *all -= priced.price;
                if !priced.first {
                    *others -= priced.price;
                }
            }
        }
    }
}

stoker_policy_sdk::export!(Budget: scale_up);

#[cfg(test)]
mod tests;
