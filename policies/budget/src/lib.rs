//! Spend an hour, a day and a month, in US dollars.
//!
//! The closer what is spent comes to a limit, the cheaper it gets: from `cheaper_class_at` of any limit on, classes that
//! are nobody's cheapest are held back; from `spot_only_at` on, only spot capacity is launched; at the
//! limit, jobs wait until the hour, day or month is over. Jobs of the named branches
//! (`first_branches`) go first, and keep being served when the others wait already
//! (`others_wait_at`).
//!
//! A launch is counted at the price of one hour, at what it really costs (class and capacity), until it
//! has ended or the hour is over: so the next decision does not spend the same money again. Prices are
//! those that the operator configured, spend is what all runners of the scope have cost at these prices,
//! those included that have ended. Nothing that runs is stopped: a runner that works for longer than its
//! first hour goes on costing. The operator's own spend limits hold whatever is set here.
//!
//! Retiring runners is left to the broader level, or the built-in rules.

pub mod limits;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use stoker_policy_sdk::about::Complaint;
use stoker_policy_sdk::blocks::capacity::{self, Choice, Preferred};
use stoker_policy_sdk::blocks::launching::{CENT_FRACTION, Waiting};
use stoker_policy_sdk::blocks::{Launching, Pattern, Tuned, index};
use stoker_policy_sdk::facts::{Capacity, Job, LabelSet, RunnerClass, Situation};
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
    /// The most runners that the scope may have; in a repository's own settings, the most that it may have.
    /// The operator's own maxima apply too.
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
        let cheapest = cheapest(situation, settings, stage);
        let tuned = Tuned::new(situation, settings)?;
        let launching = Launching::new(situation).own_maximum("max_runners", settings.max_runners);
        let mut launching = tuned
            .maxima(launching, |own| own.max_runners)
            .without_classes(|class| {
                let nobodys = stage >= Stage::CheaperClass && !cheapest.contains(&class.name);
                nobodys || settings.capacity(stage, class, None).is_none()
            });
        let mut open = launching.open();
        // The longest waiting first; sorting keeps that among equals.
        open.sort_by_key(|&job| !settings.is_first(&situation.pending[job]));
        let mut money = Money::new(&limits, settings);
        for job in open {
            // Who waits for money is not to be told of a class that is full.
            let facts = &situation.pending[job];
            let price = lowest_price(situation, settings, stage, facts);
            match money.spare(Some(facts), price) {
                Ok(()) => {
                    launching.launch_for(job);
                }
                Err(unpaid) => launching.wait(job, unpaid.reason, unpaid.retry_after),
            }
        }
        let mut plan = launching.finish_paying(
            |class, job| {
                // What may not be launched is held back, so there is a capacity.
                let own = tuned.of(job);
                own.capacity(stage, class, job)
                    .unwrap_or_else(|| capacity::cheapest(class))
            },
            |job, price| money.pay(job, price),
        );
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

/// The classes that are the cheapest for somebody, of those that may be launched now.
fn cheapest<'a>(
    situation: &'a Situation,
    settings: &Settings,
    stage: Stage,
) -> BTreeSet<&'a String> {
    let priced = |class: &'a RunnerClass| {
        let chosen = settings.capacity(stage, class, None)?;
        Some((capacity::price(class, chosen)?, &class.name))
    };
    let of_set = |set: &'a LabelSet| {
        let classes = set.fits.iter();
        let classes = classes.filter_map(|&class| situation.classes.get(index(class)));
        let all = classes.filter_map(priced);
        all.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
    };
    situation.label_sets.iter().filter_map(of_set).collect()
}

/// The least that a job's runner costs in an hour; where nothing may be launched for it, nothing.
fn lowest_price(situation: &Situation, settings: &Settings, stage: Stage, job: &Job) -> f64 {
    let fits = situation.label_sets[index(job.labels)].fits.iter();
    let classes = fits.filter_map(|&class| situation.classes.get(index(class)));
    let prices = classes.filter_map(|class| {
        let chosen = settings.capacity(stage, class, Some(job))?;
        capacity::price(class, chosen)
    });
    prices.reduce(f64::min).unwrap_or(0.0)
}

/// What is left to spend in this decision, by each limit.
struct Money<'a> {
    settings: &'a Settings,
    pots: Vec<Pot<'a>>,
    launching: bool,
}

struct Pot<'a> {
    limit: &'a Limit,
    left: f64,
    /// Of it, for jobs of other than the named branches.
    for_others: f64,
}

impl<'a> Money<'a> {
    fn new(limits: &'a [Limit], settings: &'a Settings) -> Self {
        // Where no branch is named, nothing is kept for any.
        let others = if settings.first_branches.is_empty() {
            1.0
        } else {
            settings.others_wait_at
        };
        let pots = limits.iter().map(|limit| Pot {
            limit,
            left: limit.left(),
            for_others: limit.left_below(others),
        });
        Self {
            settings,
            pots: pots.collect(),
            launching: false,
        }
    }

    /// Whether there is money for an hour at that price.
    fn spare(&self, job: Option<&Job>, price: f64) -> Result<(), Waiting> {
        let first = self.is_first(job);
        let short = |left: f64| left <= 0.0 || price > left + CENT_FRACTION;
        for pot in &self.pots {
            let for_this = if first { pot.left } else { pot.for_others };
            if short(for_this) {
                let rest = match (short(pot.left), self.launching) {
                    (false, _) => "; what is left is for the named branches",
                    (true, true) => ", and what is left goes to jobs before this one",
                    (true, false) => "",
                };
                return Err(Waiting {
                    reason: format!("{}{rest}", pot.limit.told()),
                    retry_after: Some(pot.limit.retry_after(self.launching)),
                });
            }
        }
        Ok(())
    }

    fn is_first(&self, job: Option<&Job>) -> bool {
        job.is_some_and(|job| self.settings.is_first(job))
    }

    /// Pays for an hour.
    fn pay(&mut self, job: Option<&Job>, price: f64) -> Result<(), Waiting> {
        self.spare(job, price)?;
        let first = self.is_first(job);
        for pot in &mut self.pots {
            pot.left -= price;
            if !first {
                pot.for_others -= price;
            }
            // What the named branches take, the others do not have.
            pot.for_others = pot.for_others.min(pot.left);
        }
        self.launching = true;
        Ok(())
    }
}

stoker_policy_sdk::export!(Budget: scale_up);

#[cfg(test)]
mod tests;
