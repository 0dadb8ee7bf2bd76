//! What every policy keeps, whatever it decides, as checks that run natively and against a compiled
//! component. Each is a sentence; a policy that breaks it is shown the smallest situation that was
//! found.
//!
//! The cases are the same in every run: a check that failed fails again.

use std::collections::BTreeMap;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::strategies::{self, CLASSES, Case};
use crate::blocks::version::Version;
use crate::blocks::{capacity, index};
use crate::facts::{RunnerPhase, Situation, ZoneTime};
use crate::{scale_down, scale_up, sync};

/// How a check is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many situations each property is tried on.
    pub cases: u32,
    /// The merged settings, a JSON object.
    pub settings: String,
    /// The time in the zones that the policy asks for.
    pub zones: Vec<ZoneTime>,
    /// How many idle runners the settings want without any job waiting.
    pub idle_stock: u32,
    /// The settings limit money. Where money binds, one dear job may displace several cheap ones, so what
    /// compares two decisions is tried on situations in which every job costs the same.
    pub limits_money: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cases: 256,
            settings: "{}".to_owned(),
            zones: Vec::new(),
            idle_stock: 0,
            limits_money: false,
        }
    }
}

impl Options {
    /// The defaults with these settings.
    pub fn with_settings(settings: &str) -> Self {
        Self {
            settings: settings.to_owned(),
            ..Self::default()
        }
    }
}

/// A property that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation<S = Situation> {
    /// The property, as a sentence.
    pub property: &'static str,
    /// What was seen instead.
    pub seen: String,
    /// The smallest situation that was found.
    pub situation: S,
}

/// Decides which runners to launch; the error is the policy's refusal, or how it failed.
pub type ScaleUpDecider<'a> = &'a dyn Fn(&Situation) -> Result<scale_up::Plan, String>;

/// Decides which runners to retire; the error is the policy's refusal, or how it failed.
pub type ScaleDownDecider<'a> = &'a dyn Fn(&Situation) -> Result<scale_down::Plan, String>;

/// Decides which versions to mirror and to offer; the error is the policy's refusal, or how it failed.
pub type SyncDecider<'a> = &'a dyn Fn(&sync::Situation) -> Result<sync::Plan, String>;

/// The properties of a policy that launches, in the order in which they are checked.
pub const SCALE_UP: [&str; 7] = [
    DECIDES,
    POSITIONS,
    HEADROOM,
    NO_DEMAND,
    MORE_DEMAND,
    MORE_SUPPLY,
    ORDER,
];

/// The properties of a policy that retires.
pub const SCALE_DOWN: [&str; 3] = [DECIDES, RUNNERS_EXIST, KEPT];

/// The properties of a policy that picks versions.
pub const SYNC: [&str; 3] = [DECIDES, OFFERED, NOT_DELETED];

const DECIDES: &str = "every situation is decided, and the same situation in the same way";
const POSITIONS: &str = "a plan names only what exists, and no job twice";
const HEADROOM: &str = "a plan never exceeds the headroom";
const NO_DEMAND: &str = "without a waiting job nothing is launched beyond the idle stock";
/// Where money binds, one dear job may displace several cheap ones, so the situations of this property
/// and the next two have no spend limit of the operator's; see also [`Options::limits_money`].
const MORE_DEMAND: &str = "one more job never launches fewer";
const MORE_SUPPLY: &str = "one more idle runner never launches more";
const ORDER: &str =
    "the order of jobs that waited as long does not matter to how many are launched";
const KEPT: &str = "only idle runners are ever retired";
const RUNNERS_EXIST: &str = "a plan names only runners that exist";
const OFFERED: &str = "what is offered is a release, and not older than GitHub's minimum";
const NOT_DELETED: &str = "what is offered or to be mirrored is never deleted";

/// Tries a policy that launches. Empty: all properties held.
pub fn check_scale_up(decide: ScaleUpDecider<'_>, options: &Options) -> Vec<Violation> {
    let demand = strategies::cases(options.clone(), true, true);
    let unlimited = strategies::cases(options.clone(), true, false);
    let only = |job| strategies::of_one_price(job, options.limits_money);
    let none = strategies::cases(options.clone(), false, true);
    let of_fleet = |case: Case| case.fleet.build();
    let stock = options.idle_stock;
    let checks = [
        check(DECIDES, &demand, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let first = decide(&situation)?;
            same(&first, &decide(&situation)?)
        }),
        check(POSITIONS, &demand, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            positions(&situation, &decided(decide, &situation)?)
        }),
        check(HEADROOM, &demand, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            headroom(&situation, &decided(decide, &situation)?)
        }),
        check(NO_DEMAND, &none, options, of_fleet, |case| {
            let plan = decided(decide, &case.fleet.clone().build())?;
            at_most(launched(&plan), u64::from(stock), "launches")
        }),
        check(MORE_DEMAND, &unlimited, options, of_fleet, |case| {
            let before = launched(&decided(decide, &case.fleet.clone().build())?);
            let more = strategies::add_job(case.fleet.clone(), only(case.job)).build();
            let after = launched(&decided(decide, &more)?);
            at_most(before, after, "launches before the job came, and with it")
        }),
        check(MORE_SUPPLY, &unlimited, options, of_fleet, |case| {
            let before = launched(&decided(decide, &case.fleet.clone().build())?);
            let class = if options.limits_money { 0 } else { case.class };
            let runner = (class, RunnerPhase::Idle, 400, None);
            let more = strategies::add_runner(case.fleet.clone(), runner).build();
            let after = launched(&decided(decide, &more)?);
            at_most(
                after,
                before,
                "launches with the idle runner, and without it",
            )
        }),
        check(ORDER, &unlimited, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let mut other = situation.clone();
            for equals in other.pending.chunk_by_mut(|a, b| a.waited == b.waited) {
                equals.reverse();
            }
            let (one, two) = (decided(decide, &situation)?, decided(decide, &other)?);
            same(&launched(&one), &launched(&two))
        }),
    ];
    checks.into_iter().flatten().collect()
}

/// Tries a policy that retires. Empty: all properties held.
pub fn check_scale_down(decide: ScaleDownDecider<'_>, options: &Options) -> Vec<Violation> {
    let cases = strategies::cases(options.clone(), true, true);
    let of_fleet = |case: Case| case.fleet.build();
    let checks = [
        check(DECIDES, &cases, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let first = decide(&situation)?;
            same(&first, &decide(&situation)?)
        }),
        check(RUNNERS_EXIST, &cases, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let plan = decide(&situation).map_err(|_| Seen::Refused)?;
            plan.verdicts
                .iter()
                .flat_map(|verdict| &verdict.runners)
                .try_for_each(|&runner| exists(runner, situation.runners.len(), "runner"))
        }),
        check(KEPT, &cases, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let plan = decide(&situation).map_err(|_| Seen::Refused)?;
            let retired = plan
                .verdicts
                .iter()
                .filter(|verdict| verdict.fate == scale_down::Fate::Retire)
                .flat_map(|verdict| &verdict.runners)
                .filter_map(|&runner| situation.runners.get(index(runner)));
            for runner in retired {
                if runner.phase != RunnerPhase::Idle {
                    return Err(Seen::That(format!(
                        "{} is {:?} and would be retired",
                        runner.name, runner.phase
                    )));
                }
            }
            Ok(())
        }),
    ];
    checks.into_iter().flatten().collect()
}

/// Tries a policy that picks versions. Empty: all properties held.
pub fn check_sync(decide: SyncDecider<'_>, options: &Options) -> Vec<Violation<sync::Situation>> {
    let cases = strategies::distributions(options.clone());
    let itself = |situation: sync::Situation| situation;
    let checks = [
        check(DECIDES, &cases, options, itself, |situation| {
            match (decide(situation), decide(situation)) {
                (Ok(one), Ok(two)) => same(&one, &two),
                // A pin that does not exist is rightly refused.
                (one, two) => same(&one.err(), &two.err()),
            }
        }),
        check(OFFERED, &cases, options, itself, |situation| {
            let plan = decide(situation).map_err(|_| Seen::Refused)?;
            let Some(offer) = plan.offer else {
                return Ok(());
            };
            let version = |text: &str| text.parse::<Version>().ok();
            if !situation
                .releases
                .iter()
                .any(|r| r.version == offer.version)
            {
                return Err(Seen::That(format!(
                    "it offers {}, which is no release",
                    offer.version
                )));
            }
            match &situation.minimum_version {
                Some(minimum) if version(&offer.version) < version(minimum) => Err(Seen::That(
                    format!("it offers {}, and the minimum is {minimum}", offer.version),
                )),
                _ => Ok(()),
            }
        }),
        check(NOT_DELETED, &cases, options, itself, |situation| {
            let plan = decide(situation).map_err(|_| Seen::Refused)?;
            let offered_now = situation.releases.iter().filter(|release| release.offered);
            let offered = plan.offer.iter().map(|offer| &offer.version);
            let kept: Vec<&String> = match &plan.offer {
                Some(_) => offered.collect(),
                None => offered_now.map(|release| &release.version).collect(),
            };
            let mirrored = plan.mirror.iter().map(|choice| &choice.version);
            let kept: Vec<&String> = kept.into_iter().chain(mirrored).collect();
            match plan
                .delete
                .iter()
                .find(|gone| kept.contains(&&gone.version))
            {
                Some(gone) => Err(Seen::That(format!("it deletes {}", gone.version))),
                None => Ok(()),
            }
        }),
    ];
    checks.into_iter().flatten().collect()
}

/// Why a case does not hold.
enum Seen {
    /// The policy did not decide: [`DECIDES`] tells, the others pass over it.
    Refused,
    That(String),
}

impl From<String> for Seen {
    fn from(refusal: String) -> Self {
        Self::That(format!("it did not decide: {refusal}"))
    }
}

fn decided(decide: ScaleUpDecider<'_>, situation: &Situation) -> Result<scale_up::Plan, Seen> {
    decide(situation).map_err(|_| Seen::Refused)
}

fn check<T: Strategy, S>(
    property: &'static str,
    cases: &T,
    options: &Options,
    situation: impl Fn(T::Value) -> S,
    holds: impl Fn(&T::Value) -> Result<(), Seen>,
) -> Option<Violation<S>> {
    let config = Config {
        cases: options.cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let run = runner.run(cases, |case| match holds(&case) {
        Ok(()) | Err(Seen::Refused) => Ok(()),
        Err(Seen::That(seen)) => Err(TestCaseError::fail(seen)),
    });
    match run {
        Err(TestError::Fail(seen, case)) => Some(Violation {
            property,
            seen: seen.message().to_owned(),
            situation: situation(case),
        }),
        // No case is rejected above, so a run is not given up.
        Ok(()) | Err(TestError::Abort(_)) => None,
    }
}

fn launched(plan: &scale_up::Plan) -> u64 {
    plan.launches.iter().map(|l| u64::from(l.count)).sum()
}

fn same<T: PartialEq + std::fmt::Debug>(one: &T, two: &T) -> Result<(), Seen> {
    if one == two {
        return Ok(());
    }
    Err(Seen::That(format!("once {one:?}, and once {two:?}")))
}

fn at_most(found: u64, limit: u64, what: &str) -> Result<(), Seen> {
    if found <= limit {
        return Ok(());
    }
    Err(Seen::That(format!(
        "{what}: {found}, and at most {limit} was expected"
    )))
}

fn exists(place: u32, length: usize, what: &str) -> Result<(), Seen> {
    if index(place) < length {
        return Ok(());
    }
    Err(Seen::That(format!("it names {what} {place} of {length}")))
}

fn positions(situation: &Situation, plan: &scale_up::Plan) -> Result<(), Seen> {
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

fn headroom(situation: &Situation, plan: &scale_up::Plan) -> Result<(), Seen> {
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
    for launch in &plan.launches {
        let class = index(launch.runner_class);
        *classes.entry(class).or_default() += u64::from(launch.count);
        if let Some(repository) = launch.launched_for {
            *repositories.entry(index(repository)).or_default() += u64::from(launch.count);
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
        Some(left) if dollars > left + 1e-9 => Err(Seen::That(format!(
            "an hour of it costs {dollars}, and {left} is left"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Capacity;

    fn launch(count: u32) -> scale_up::Plan {
        scale_up::Plan {
            launches: vec![scale_up::Launch {
                runner_class: 0,
                capacity: Capacity::Spot,
                count,
                launched_for: None,
                jobs: Vec::new(),
                reason: String::new(),
            }],
            deferrals: Vec::new(),
            notes: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn broken(decide: ScaleUpDecider<'_>) -> Vec<&'static str> {
        check_scale_up(decide, &Options::default())
            .into_iter()
            .map(|violation| violation.property)
            .collect()
    }

    #[test]
    fn a_policy_that_always_launches_is_found_out_with_the_smallest_situation() {
        let violations = check_scale_up(&|_| Ok(launch(1)), &Options::default());
        let found: Vec<_> = violations.iter().map(|v| v.property).collect();
        assert_eq!(found, [HEADROOM, NO_DEMAND]);
        assert!(violations[0].situation.pending.is_empty());
    }

    #[test]
    fn what_does_not_exist_is_found() {
        let ghost = |_: &Situation| {
            let mut plan = launch(0);
            plan.launches[0].jobs = vec![99];
            Ok(plan)
        };
        assert_eq!(broken(&ghost), [POSITIONS]);
    }

    #[test]
    fn a_refusal_and_a_whim_are_found() {
        assert_eq!(broken(&|_| Err("no".to_owned())), [DECIDES]);
        let calls = std::cell::Cell::new(0);
        let whim = |_: &Situation| {
            calls.set(calls.get() + 1);
            let mut plan = launch(0);
            plan.notes.push(calls.get().to_string());
            Ok(plan)
        };
        assert_eq!(broken(&whim), [DECIDES]);
    }

    #[test]
    fn fewer_for_more_and_more_for_supply_are_found() {
        let scared = |situation: &Situation| {
            let few = situation.pending.len() == 1 && situation.classes[0].left > 0;
            let room =
                situation.headroom.runners_left > 0 && situation.headroom.spend_left.is_none();
            Ok(launch(u32::from(few && room)))
        };
        assert!(broken(&scared).contains(&MORE_DEMAND));
        let greedy = |situation: &Situation| {
            let idle = situation
                .runners
                .iter()
                .any(|r| r.phase == RunnerPhase::Idle);
            Ok(launch(u32::from(
                idle && situation.headroom.runners_left > 0 && !situation.pending.is_empty(),
            )))
        };
        assert!(broken(&greedy).contains(&MORE_SUPPLY));
    }
}
