//! What every policy keeps, whatever it decides, as checks that run natively and against a compiled
//! component. Each is a sentence; a policy that breaks it is shown the smallest situation that was
//! found.
//!
//! The cases are the same in every run: a check that failed fails again.

use std::collections::BTreeSet;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::measures::{Seen, at_most, exists, headroom, launched, positions, same, served};
use super::strategies::{self, Case};
use crate::blocks::index;
use crate::blocks::version::Version;
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
    /// The settings limit money, or what a repository may have. Where such a limit binds, one job may
    /// displace several others, so what compares two decisions is tried on jobs that ask for the same.
    pub alike: bool,
    /// Names of classes that the settings speak of, which the situations are to have.
    pub classes: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cases: 256,
            settings: "{}".to_owned(),
            zones: Vec::new(),
            idle_stock: 0,
            alike: false,
            classes: Vec::new(),
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
    /// Where two decisions were compared, the situation of the second.
    pub compared: Option<S>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecided {
    /// The policy's own refusal, with its reason.
    Refused(String),
    /// It failed: a trap, a limit, an answer that can't be used.
    Failed(String),
}

impl From<String> for Undecided {
    fn from(refusal: String) -> Self {
        Self::Refused(refusal)
    }
}

impl std::fmt::Display for Undecided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "it refused to decide: {reason}"),
            Self::Failed(problem) => write!(f, "it failed: {problem}"),
        }
    }
}

/// Asks a policy for a plan. Natively the error is a text, its refusal.
pub type Decider<'a, S, P, E> = &'a dyn Fn(&S) -> Result<P, E>;

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
pub const SCALE_DOWN: [&str; 4] = [DECIDES, RUNNERS_EXIST, KEPT, NEEDED];

/// The properties of a policy that picks versions.
pub const SYNC: [&str; 3] = [DECIDES, OFFERED, NOT_DELETED];

const DECIDES: &str = "every situation is decided, and the same situation in the same way";
const POSITIONS: &str = "a plan names only what exists, and no job twice";
const HEADROOM: &str = "a plan never exceeds the headroom";
const NO_DEMAND: &str = "without a waiting job nothing is launched beyond the idle stock";
/// Where a limit of money or of a repository binds, one job may displace several others, so the situations
/// of this property and the next two have none of the operator's; see also [`Options::alike`].
const MORE_DEMAND: &str = "one more job never launches fewer";
const MORE_SUPPLY: &str = "one more idle runner never launches more";
const ORDER: &str =
    "the order of jobs that waited as long does not matter to how many are launched";
const KEPT: &str = "only idle runners are ever retired";
const NEEDED: &str = "no idle runner is retired that a waiting job can take";
const RUNNERS_EXIST: &str = "a plan names only runners that exist";
const OFFERED: &str = "what is offered is a release, and not older than GitHub's minimum";
const NOT_DELETED: &str = "what is offered or to be mirrored is never deleted";

/// Tries a policy that launches. Empty: all properties held.
pub fn check_scale_up<E: Into<Undecided>>(
    decide: Decider<'_, Situation, scale_up::Plan, E>,
    options: &Options,
) -> Vec<Violation> {
    let decide = &|situation: &Situation| decide(situation).map_err(Into::into);
    let demand = strategies::cases(options.clone(), true, true);
    let unlimited = strategies::cases(options.clone(), true, false);
    let only = |job| strategies::alike(job, options.alike);
    let none = strategies::cases(options.clone(), false, true);
    let of_fleet = |case: Case| (case.fleet.build(), None);
    let one_more_job =
        |case: &Case| strategies::add_job(case.fleet.clone(), only(case.job)).build();
    let one_more_runner = |case: &Case| {
        let class = if options.alike { 0 } else { case.class };
        let runner = (class, RunnerPhase::Idle, 400, None);
        strategies::add_runner(case.fleet.clone(), runner).build()
    };
    let reversed = |case: &Case| {
        let mut other = case.fleet.clone().build();
        for equals in other.pending.chunk_by_mut(|a, b| a.waited == b.waited) {
            equals.reverse();
        }
        other
    };
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
        check(
            MORE_DEMAND,
            &unlimited,
            options,
            |case| with(case, &one_more_job),
            |case| {
                let before = launched(&decided(decide, &case.fleet.clone().build())?);
                let more = one_more_job(case);
                let after = launched(&decided(decide, &more)?);
                at_most(before, after, "launches before the job came, and with it")
            },
        ),
        check(
            MORE_SUPPLY,
            &unlimited,
            options,
            |case| with(case, &one_more_runner),
            |case| {
                let before = launched(&decided(decide, &case.fleet.clone().build())?);
                let more = one_more_runner(case);
                let after = launched(&decided(decide, &more)?);
                at_most(
                    after,
                    before,
                    "launches with the idle runner, and without it",
                )
            },
        ),
        check(
            ORDER,
            &unlimited,
            options,
            |case| with(case, &reversed),
            |case| {
                let situation = case.fleet.clone().build();
                let (one, two) = (
                    decided(decide, &situation)?,
                    decided(decide, &reversed(case))?,
                );
                same(&launched(&one), &launched(&two))
            },
        ),
    ];
    checks.into_iter().flatten().collect()
}

/// Tries a policy that retires. Empty: all properties held.
pub fn check_scale_down<E: Into<Undecided>>(
    decide: Decider<'_, Situation, scale_down::Plan, E>,
    options: &Options,
) -> Vec<Violation> {
    let decide = &|situation: &Situation| decide(situation).map_err(Into::into);
    let cases = strategies::cases(options.clone(), true, true);
    let of_fleet = |case: Case| (case.fleet.build(), None);
    let checks = [
        check(DECIDES, &cases, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let first = decide(&situation)?;
            same(&first, &decide(&situation)?)
        }),
        check(RUNNERS_EXIST, &cases, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let plan = decide(&situation).map_err(|_: Undecided| Seen::Refused)?;
            plan.verdicts
                .iter()
                .flat_map(|verdict| &verdict.runners)
                .try_for_each(|&runner| exists(runner, situation.runners.len(), "runner"))
        }),
        check(KEPT, &cases, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let plan = decide(&situation).map_err(|_: Undecided| Seen::Refused)?;
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
        check(NEEDED, &cases, options, of_fleet, |case| {
            let situation = case.fleet.clone().build();
            let plan = decide(&situation).map_err(|_: Undecided| Seen::Refused)?;
            let retired: BTreeSet<u32> = plan
                .verdicts
                .iter()
                .filter(|verdict| verdict.fate == scale_down::Fate::Retire)
                .flat_map(|verdict| verdict.runners.iter().copied())
                .collect();
            let before = served(&situation, &BTreeSet::new());
            let after = served(&situation, &retired);
            if after < before {
                return Err(Seen::That(format!(
                    "{before} waiting jobs could take runners that are there, and {after} without \
                     those that it retires"
                )));
            }
            Ok(())
        }),
    ];
    checks.into_iter().flatten().collect()
}

/// Tries a policy that picks versions. Empty: all properties held.
pub fn check_sync<E: Into<Undecided>>(
    decide: Decider<'_, sync::Situation, sync::Plan, E>,
    options: &Options,
) -> Vec<Violation<sync::Situation>> {
    let decide = &|situation: &sync::Situation| decide(situation).map_err(Into::into);
    let cases = strategies::distributions(options.clone());
    let itself = |situation: sync::Situation| (situation, None);
    let checks = [
        check(DECIDES, &cases, options, itself, |situation| {
            match (decide(situation), decide(situation)) {
                (Ok(one), Ok(two)) => same(&one, &two),
                // A pin that does not exist is rightly refused.
                (Err(Undecided::Refused(one)), Err(Undecided::Refused(two))) => same(&one, &two),
                (Err(failed @ Undecided::Failed(_)), _)
                | (_, Err(failed @ Undecided::Failed(_))) => Err(failed.into()),
                (one, two) => Err(Seen::That(format!("once {one:?}, and once {two:?}"))),
            }
        }),
        check(OFFERED, &cases, options, itself, |situation| {
            let plan = decide(situation).map_err(|_: Undecided| Seen::Refused)?;
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
            let plan = decide(situation).map_err(|_: Undecided| Seen::Refused)?;
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

/// A case's situation, and the one that it is compared with.
fn with(case: Case, other: &dyn Fn(&Case) -> Situation) -> (Situation, Option<Situation>) {
    let other = other(&case);
    (case.fleet.build(), Some(other))
}

fn decided(
    decide: Decider<'_, Situation, scale_up::Plan, Undecided>,
    situation: &Situation,
) -> Result<scale_up::Plan, Seen> {
    decide(situation).map_err(|_| Seen::Refused)
}

/// How many smaller situations are tried once a property does not hold: some seconds of a component's time.
const SHRINKS: u32 = 20_000;

fn check<T: Strategy, S>(
    property: &'static str,
    cases: &T,
    options: &Options,
    shown: impl Fn(T::Value) -> (S, Option<S>),
    holds: impl Fn(&T::Value) -> Result<(), Seen>,
) -> Option<Violation<S>> {
    let config = Config {
        cases: options.cases,
        max_shrink_iters: SHRINKS,
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
        Err(TestError::Fail(seen, case)) => {
            let (situation, compared) = shown(case);
            Some(Violation {
                property,
                seen: seen.message().to_owned(),
                situation,
                compared,
            })
        }
        // No case is rejected above, so a run is not given up.
        Ok(()) | Err(TestError::Abort(_)) => None,
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

    fn broken(decide: Decider<'_, Situation, scale_up::Plan, String>) -> Vec<&'static str> {
        check_scale_up(decide, &Options::default())
            .into_iter()
            .map(|violation| violation.property)
            .collect()
    }

    #[test]
    fn a_policy_that_always_launches_is_found_out_with_the_smallest_situation() {
        let violations = check_scale_up(&|_| Ok::<_, String>(launch(1)), &Options::default());
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
