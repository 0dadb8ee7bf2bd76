//! Which waiting jobs existing runners can take, and what to launch for the rest.

use std::collections::BTreeMap;

use stoker_policy_sdk::facts::{Capacity, Job, RunnerClass, RunnerPhase, Situation};
use stoker_policy_sdk::scale_up::{Deferral, Launch, Plan};

use crate::settings::{PreferredCapacity, Settings};

/// What becomes of one job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// A runner of this class is launched for it.
    Launch { class: usize },
    /// It waits, for this reason.
    Wait { reason: String },
}

/// Makes the plan: every pending job is in exactly one launch or deferral.
pub fn plan(situation: &Situation, settings: &Settings) -> Plan {
    let mut by_fate: BTreeMap<Fate, Vec<u32>> = BTreeMap::new();
    for (job, fate) in (0..).zip(fates(situation, settings)) {
        by_fate.entry(fate).or_default().push(job);
    }
    let mut plan = Plan {
        launches: Vec::new(),
        deferrals: Vec::new(),
        notes: Vec::new(),
        attributes: Vec::new(),
    };
    for (fate, jobs) in by_fate {
        match fate {
            Fate::Launch { class } => plan.launches.push(launch(situation, settings, class, jobs)),
            Fate::Wait { reason } => plan.deferrals.push(Deferral {
                jobs,
                retry_after: None,
                reason,
            }),
        }
    }
    plan
}

/// One fate for each pending job, in their order.
fn fates(situation: &Situation, settings: &Settings) -> Vec<Fate> {
    let covered = covered(situation);
    let mut room = Room::new(situation, settings);
    situation
        .pending
        .iter()
        .zip(covered)
        .map(|(job, covered)| {
            if covered {
                return wait("a runner that is idle or on its way can take it");
            }
            let fits = fits(situation, job);
            if fits.is_empty() {
                return wait("no runner class has all of its labels");
            }
            room.take(situation, fits)
        })
        .collect()
}

fn wait(reason: impl Into<String>) -> Fate {
    Fate::Wait {
        reason: reason.into(),
    }
}

fn fits<'a>(situation: &'a Situation, job: &Job) -> &'a [u32] {
    situation
        .label_sets
        .get(place(job.labels))
        .map_or(&[], |set| set.fits.as_slice())
}

fn place(reference: u32) -> usize {
    usize::try_from(reference).unwrap_or(usize::MAX)
}

/// Which jobs an existing runner can take. The jobs that fewest classes fit choose first, so that a job
/// that would take any runner does not use up the only one that another could have taken.
fn covered(situation: &Situation) -> Vec<bool> {
    let mut supply = vec![0_u32; situation.classes.len()];
    for runner in &situation.runners {
        let free = matches!(
            runner.phase,
            RunnerPhase::Launching | RunnerPhase::Booting | RunnerPhase::Idle
        );
        if free && let Some(class) = supply.get_mut(place(runner.runner_class)) {
            *class += 1;
        }
    }
    let mut choosing: Vec<usize> = (0..situation.pending.len()).collect();
    choosing.sort_by_key(|&job| fits(situation, &situation.pending[job]).len());
    let mut covered = vec![false; situation.pending.len()];
    for job in choosing {
        let class = fits(situation, &situation.pending[job])
            .iter()
            .map(|&class| place(class))
            .find(|&class| supply.get(class).is_some_and(|free| *free > 0));
        if let Some(class) = class {
            supply[class] -= 1;
            covered[job] = true;
        }
    }
    covered
}

/// What may still be launched.
struct Room {
    /// In the scope, and whose maximum that is.
    scope: u32,
    scope_reason: String,
    /// In each class.
    classes: Vec<u32>,
}

impl Room {
    fn new(situation: &Situation, settings: &Settings) -> Self {
        let operator = situation.headroom.runners_left;
        let live = u32::try_from(situation.runners.len()).unwrap_or(u32::MAX);
        let own = settings
            .max_runners
            .map(|maximum| (maximum, maximum.saturating_sub(live)));
        let (scope, scope_reason) = match own {
            Some((maximum, left)) if left < operator => (
                left,
                format!("the policy's `max_runners` of {maximum} is reached"),
            ),
            _ => (
                operator,
                format!(
                    "the operator's maximum of {} runners for this scope is reached",
                    situation.headroom.runners_maximum
                ),
            ),
        };
        Self {
            scope,
            scope_reason,
            classes: situation.classes.iter().map(|class| class.left).collect(),
        }
    }

    /// Takes a place in the cheapest class that has one.
    fn take(&mut self, situation: &Situation, fits: &[u32]) -> Fate {
        if self.scope == 0 {
            return wait(self.scope_reason.as_str());
        }
        let free = fits
            .iter()
            .map(|&class| place(class))
            .find(|&class| self.classes.get(class).is_some_and(|left| *left > 0));
        match free {
            Some(class) => {
                self.scope -= 1;
                self.classes[class] -= 1;
                Fate::Launch { class }
            }
            None => wait(full(situation, fits)),
        }
    }
}

fn full(situation: &Situation, fits: &[u32]) -> String {
    let classes: Vec<String> = fits
        .iter()
        .filter_map(|&class| situation.classes.get(place(class)))
        .map(|class| format!("`{}` ({})", class.name, class.maximum))
        .collect();
    format!(
        "every class that fits is at its maximum: {}",
        classes.join(", ")
    )
}

fn launch(situation: &Situation, settings: &Settings, class: usize, jobs: Vec<u32>) -> Launch {
    let facts = &situation.classes[class];
    let capacity = capacity(facts, settings.capacity);
    let count = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
    // A launch is for a repository only if all of its jobs are that repository's.
    let mut repositories = jobs
        .iter()
        .map(|&job| situation.pending[place(job)].repository);
    let first = repositories.next();
    let launched_for = first.filter(|first| repositories.all(|other| other == *first));
    let (jobs_wait, them) = if count == 1 {
        ("1 job waits".to_owned(), "it")
    } else {
        (format!("{count} jobs wait"), "them")
    };
    Launch {
        runner_class: u32::try_from(class).unwrap_or(u32::MAX),
        capacity,
        count,
        launched_for,
        jobs,
        reason: format!(
            "{jobs_wait} for `{}` and no idle or booting runner is free for {them}",
            facts.name
        ),
    }
}

fn capacity(class: &RunnerClass, preferred: PreferredCapacity) -> Capacity {
    match (preferred, class.spot_price, class.on_demand_price) {
        (PreferredCapacity::OnDemand, _, Some(_)) | (_, None, _) => Capacity::OnDemand,
        _ => Capacity::Spot,
    }
}
