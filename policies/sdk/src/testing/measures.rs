//! What is measured of a plan, and what is said where it does not hold.

use std::collections::{BTreeMap, BTreeSet};

use super::properties::Undecided;
use super::strategies::CLASSES;
use crate::blocks::launching::{CENT_FRACTION, is_supply};
use crate::blocks::matching::Matching;
use crate::blocks::{capacity, index};
use crate::facts::Situation;
use crate::scale_up;

/// Why a case does not hold.
pub(super) enum Seen {
    /// The policy did not decide: [`DECIDES`] tells, the others pass over it.
    Refused,
    That(String),
}

impl From<Undecided> for Seen {
    fn from(undecided: Undecided) -> Self {
        Self::That(undecided.to_string())
    }
}

/// How many waiting jobs the runners that are there, or on their way, can take without some of them.
pub(super) fn served(situation: &Situation, without: &BTreeSet<u32>) -> usize {
    let mut free = vec![0_u32; situation.classes.len()];
    for (runner, place) in situation.runners.iter().zip(0_u32..) {
        if is_supply(runner) && !without.contains(&place) {
            free[index(runner.runner_class)] += 1;
        }
    }
    let fits = situation.label_sets.iter();
    let fits = fits.map(|set| set.fits.iter().map(|&class| index(class)).collect());
    let mut places = Matching::new(fits.collect(), free);
    let jobs = situation.pending.iter();
    jobs.filter(|job| places.place(index(job.labels)).is_some())
        .count()
}

pub(super) fn launched(plan: &scale_up::Plan) -> u64 {
    plan.launches.iter().map(|l| u64::from(l.count)).sum()
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(one: &T, two: &T) -> Result<(), Seen> {
    if one == two {
        return Ok(());
    }
    Err(Seen::That(format!("once {one:?}, and once {two:?}")))
}

pub(super) fn at_most(found: u64, limit: u64, what: &str) -> Result<(), Seen> {
    if found <= limit {
        return Ok(());
    }
    Err(Seen::That(format!(
        "{what}: {found}, and at most {limit} was expected"
    )))
}

pub(super) fn exists(place: u32, length: usize, what: &str) -> Result<(), Seen> {
    if index(place) < length {
        return Ok(());
    }
    Err(Seen::That(format!("it names {what} {place} of {length}")))
}

pub(super) fn positions(situation: &Situation, plan: &scale_up::Plan) -> Result<(), Seen> {
    let mut named = vec![false; situation.pending.len()];
    for launch in &plan.launches {
        exists(launch.runner_class, situation.classes.len(), "class")?;
        if let Some(repository) = launch.launched_for {
            exists(repository, situation.repositories.len(), "repository")?;
        }
    }
    let launched = plan.launches.iter().flat_map(|launch| &launch.jobs);
    let deferred = plan.deferrals.iter().flat_map(|deferral| &deferral.jobs);
    for &job in launched.chain(deferred) {
        exists(job, situation.pending.len(), "pending job")?;
        if std::mem::replace(&mut named[index(job)], true) {
            return Err(Seen::That(format!("it names pending job {job} twice")));
        }
    }
    Ok(())
}

pub(super) fn headroom(situation: &Situation, plan: &scale_up::Plan) -> Result<(), Seen> {
    let all = launched(plan);
    let headroom = &situation.headroom;
    at_most(
        all,
        headroom.runners_left.into(),
        "launches, by runners left",
    )?;
    at_most(
        all,
        headroom.launches_left.into(),
        "launches, by launches left",
    )?;
    at_most(
        all,
        headroom.registrations_left.into(),
        "launches, by registrations left",
    )?;
    let mut classes: BTreeMap<usize, u64> = BTreeMap::new();
    let mut repositories: BTreeMap<usize, u64> = BTreeMap::new();
    let mut dollars = 0.0;
    for launch in plan.launches.iter().filter(|launch| launch.count > 0) {
        let class = index(launch.runner_class);
        *classes.entry(class).or_default() += u64::from(launch.count);
        // As the host counts them.
        if let Some(repository) = launch.launched_for {
            *repositories.entry(index(repository)).or_default() += u64::from(launch.count);
        } else {
            let jobs = launch.jobs.iter().take(index(launch.count));
            for job in jobs.filter_map(|&job| situation.pending.get(index(job))) {
                *repositories.entry(index(job.repository)).or_default() += 1;
            }
        }
        let Some(facts) = situation.classes.get(class) else {
            continue;
        };
        match capacity::price(facts, launch.capacity) {
            Some(price) => dollars += price * f64::from(launch.count),
            None => {
                return Err(Seen::That(format!(
                    "it launches `{}` as {:?}, which is not offered",
                    facts.name, launch.capacity
                )));
            }
        }
    }
    for (class, count) in classes {
        let left = situation.classes.get(class).map_or(0, |class| class.left);
        let name = CLASSES.get(class).copied().unwrap_or("class");
        at_most(count, left.into(), &format!("launches of `{name}`"))?;
    }
    for (repository, count) in repositories {
        let left = situation.repositories.get(repository).map_or(0, |r| r.left);
        at_most(count, left.into(), "launches for a repository")?;
    }
    // A sum of prices is not exact to the last bit.
    match headroom.spend_left {
        Some(left) if dollars > left + CENT_FRACTION => Err(Seen::That(format!(
            "an hour of it costs {dollars}, and {left} is left"
        ))),
        _ => Ok(()),
    }
}
