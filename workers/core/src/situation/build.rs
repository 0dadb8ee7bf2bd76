//! From the ledger's view of a scope to a situation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stoker_intake::{RepositoryId, Visibility};

use super::overlooked::overlook;
use super::{
    ClassFacts, Headroom, LabelSet, PendingJob, PhaseFacts, Recent, Refused, RepositoryFacts,
    RunnerFacts, ScopeName, Situation, Spend, Trigger,
};
use crate::account::Account;
use crate::class::{Capacity, Classes, RunnerClass};
use crate::ids::{ClassName, ScopeVersion};
use crate::intent::Intent;
use crate::job::Job;
use crate::limits::{Operation, PublicRepositories, SpendLimits};
use crate::ports::ScopeState;
use crate::runner::{Runner, RunnerPhase};
use crate::time::Timestamp;

/// Builds the situation of a scope.
pub fn situation(
    operation: &Operation,
    scope: ScopeName,
    state: &ScopeState,
    room: &Room,
    trigger: Trigger,
    now: Timestamp,
) -> Situation {
    let mut repositories = repositories(state);
    let account = state.account.with_ended(&state.ended, now);
    let live: Vec<&Runner> = state.runners.iter().filter(|r| r.is_live()).collect();
    let place: BTreeMap<RepositoryId, usize> = repositories
        .iter()
        .enumerate()
        .map(|(place, repository)| (repository.id, place))
        .collect();
    let demand: Vec<&Job> = state.jobs.iter().filter(|job| job.is_demand()).collect();
    let shown = shown(&demand, operation.jobs_shown);
    let label_sets = label_sets(&shown, &operation.classes);
    let pending = shown
        .iter()
        .map(|job| pending(job, &place, &label_sets, &account, now))
        .collect::<Vec<_>>();
    let mut runners = runners(state, operation, &place, now);
    overlook(&mut runners, &pending, &label_sets);
    // Also those whose class is configured no more, and those that a launch may have given: they exist
    // and cost.
    let left = operation
        .scope_maximum
        .saturating_sub(there(state))
        .min(room.runners);
    give_room(&mut repositories, state, operation, left);
    let spend = account.spend(&live, now);
    let today = account.spent_today(&live, now);
    for repository in &mut repositories {
        repository.spent_today = today.get(&repository.id).copied().unwrap_or(0.0);
    }
    Situation {
        now,
        seed: seed(state.version),
        scope,
        trigger,
        mode: operation.mode,
        pending_unseen: count(demand.len() - shown.len()),
        classes: classes(
            &operation.classes,
            &runners,
            |class, capacity| account.recent(&class.name, capacity, &live, now),
            |class| account.refused(&class.name, now),
        ),
        headroom: Headroom {
            runners_maximum: operation.scope_maximum,
            runners_left: left,
            deployment_left: room.runners,
            launches_left: operation.guards.launches_per_decision,
            registrations_left: operation
                .guards
                .registrations_per_decision
                .min(room.registrations),
            registrations_reset: room.registrations_reset.clamp(1, 3_600),
            spend_left: spend_left(
                &operation.guards.spend,
                &spend,
                committed(state, &live, now),
            ),
        },
        spend,
        repositories,
        label_sets,
        pending,
        runners,
    }
}

/// What the deployment has left for a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Runners, by the deployment's maximum.
    pub runners: u32,
    /// Registrations, by GitHub's limits.
    pub registrations: u32,
    /// Seconds until there are more of those.
    pub registrations_reset: u32,
}

impl Room {
    /// No limit but the scope's own.
    pub const UNLIMITED: Self = Self {
        runners: u32::MAX,
        registrations: u32::MAX,
        registrations_reset: 60,
    };
}

/// How many runners a scope has that have not ended, and may have by launches without an outcome.
pub fn there(state: &ScopeState) -> u32 {
    let live = state.runners.iter().filter(|runner| runner.is_live());
    let unsettled = state.intents.iter().map(|intent| intent.request.count);
    unsettled.fold(count(live.count()), u32::saturating_add)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Spreads successive versions over all values (a multiplicative hash), so that a policy that takes
/// the seed modulo something small does not alternate.
fn seed(version: ScopeVersion) -> u32 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    u32::try_from(version.0.wrapping_add(1).wrapping_mul(GOLDEN) >> 32).unwrap_or(0)
}

fn repositories(state: &ScopeState) -> Vec<RepositoryFacts> {
    let mut known: BTreeMap<RepositoryId, RepositoryFacts> = BTreeMap::new();
    for job in &state.jobs {
        let facts = known
            .entry(job.repository_id())
            .or_insert_with(|| RepositoryFacts {
                id: job.repository_id(),
                name: job.repository.clone(),
                visibility: job.visibility,
                waiting_jobs: 0,
                running_jobs: 0,
                maximum: None,
                left: 0,
                spent_today: 0.0,
            });
        if job.is_demand() {
            facts.waiting_jobs += 1;
        } else if job.phase == crate::job::JobPhase::InProgress {
            facts.running_jobs += 1;
        }
    }
    let mut all: Vec<_> = known.into_values().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
    all
}

/// At most `most` jobs: the longest waiting of each repository in turn, so that one repository's
/// thousand does not hide another's two. Ordered by waiting time, then by id.
fn shown<'a>(demand: &[&'a Job], most: usize) -> Vec<&'a Job> {
    let by_wait = |job: &&Job| (job.queued_at, job.key);
    let mut queues: BTreeMap<RepositoryId, VecDeque<&'a Job>> = BTreeMap::new();
    let mut ordered = demand.to_vec();
    ordered.sort_by_key(by_wait);
    if ordered.len() <= most {
        return ordered;
    }
    for job in ordered {
        queues
            .entry(job.repository_id())
            .or_default()
            .push_back(job);
    }
    let mut shown = Vec::with_capacity(most);
    while shown.len() < most {
        for queue in queues.values_mut() {
            if shown.len() < most
                && let Some(job) = queue.pop_front()
            {
                shown.push(job);
            }
        }
    }
    shown.sort_by_key(by_wait);
    shown
}

fn normalised(job: &Job) -> Vec<String> {
    let set: BTreeSet<String> = job
        .labels
        .iter()
        .flatten()
        .map(|label| label.to_lowercase())
        .collect();
    set.into_iter().collect()
}

fn label_sets(shown: &[&Job], classes: &Classes) -> Vec<LabelSet> {
    let sets: BTreeSet<Vec<String>> = shown.iter().map(|job| normalised(job)).collect();
    sets.into_iter()
        .map(|labels| LabelSet {
            fits: classes.fitting(&labels),
            labels,
        })
        .collect()
}

fn pending(
    job: &Job,
    place: &BTreeMap<RepositoryId, usize>,
    label_sets: &[LabelSet],
    account: &Account,
    now: Timestamp,
) -> PendingJob {
    let labels = normalised(job);
    PendingJob {
        key: job.key,
        repository: place.get(&job.repository_id()).copied().unwrap_or(0),
        labels: label_sets
            .binary_search_by(|set| set.labels.cmp(&labels))
            .unwrap_or(0),
        workflow: job.workflow.clone().unwrap_or_default(),
        name: job.name.clone(),
        branch: job.branch.clone().unwrap_or_default(),
        attempt: job.attempt,
        waited: job.queued_at.age(now),
        deferrals: job.deferrals,
        last_deferral: job.last_deferral.clone(),
        interrupted: account.was_interrupted(job.run_id, &job.name),
    }
}

fn runners(
    state: &ScopeState,
    operation: &Operation,
    place: &BTreeMap<RepositoryId, usize>,
    now: Timestamp,
) -> Vec<RunnerFacts> {
    // A runner of a class that is configured no more can't be described to a policy.
    let class_of = |name: &ClassName| {
        operation
            .classes
            .all()
            .iter()
            .position(|class| class.name == *name)
    };
    let place_of = |repository: &RepositoryId| place.get(repository).copied();
    let known = state
        .runners
        .iter()
        .filter(|runner| runner.is_live())
        .filter_map(|runner| {
            let serves = match &runner.phase {
                RunnerPhase::Busy { job } => place_of(&job.repository),
                _ => None,
            };
            Some(RunnerFacts {
                name: runner.name.clone(),
                class: class_of(&runner.class)?,
                capacity: runner.capacity,
                phase: phase_facts(runner, operation.boot_time, now),
                launched_for: runner.launched_for.as_ref().and_then(place_of),
                serves,
                age: runner.launched_at.age(now),
                in_phase: runner.phase_since.age(now),
                price: runner.price,
            })
        });
    // Of a launch without an outcome nobody knows what it gave: it is supply until it is settled, for
    // as long as an instance may take to show.
    let unsettled = state.intents.iter().flat_map(|intent| {
        let age = intent.decided_at.age(now);
        let class = class_of(&intent.request.class);
        let numbers = class.map_or(0, |_| intent.request.count);
        (0..numbers)
            .zip(0_usize..)
            .map(move |(number, place)| RunnerFacts {
                name: format!("{}-{number}", intent.id),
                class: class.unwrap_or(0),
                capacity: intent.request.capacity,
                phase: if age > UNSETTLED_IS_SUPPLY_FOR {
                    PhaseFacts::Unknown
                } else {
                    PhaseFacts::Launching
                },
                launched_for: intent.launched_for(place).as_ref().and_then(place_of),
                serves: None,
                age,
                in_phase: age,
                price: intent.price,
            })
    });
    let mut all: Vec<RunnerFacts> = known.chain(unsettled).collect();
    all.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.name.cmp(&b.name)));
    all
}

/// A launch without an outcome counts for jobs for this long, in seconds; after that its jobs may get
/// another.
pub const UNSETTLED_IS_SUPPLY_FOR: u32 = 600;

fn phase_facts(runner: &Runner, boot_time: u32, now: Timestamp) -> PhaseFacts {
    match &runner.phase {
        RunnerPhase::Launching | RunnerPhase::Booting
            // One that was up already and is not known to be idle or to have a job does nobody knows what.
            if runner.launched_at.age(now) > boot_time || runner.booted_at.is_some() =>
        {
            PhaseFacts::Unknown
        }
        RunnerPhase::Launching => PhaseFacts::Launching,
        RunnerPhase::Booting => PhaseFacts::Booting,
        RunnerPhase::Idle => PhaseFacts::Idle,
        RunnerPhase::Busy { .. } | RunnerPhase::Occupied => PhaseFacts::Busy,
        RunnerPhase::Retiring => PhaseFacts::Retiring,
        RunnerPhase::Ended => PhaseFacts::Unknown,
    }
}

fn classes(
    classes: &Classes,
    runners: &[RunnerFacts],
    recent: impl Fn(&RunnerClass, Capacity) -> Recent,
    refused: impl Fn(&RunnerClass) -> Option<Refused>,
) -> Vec<ClassFacts> {
    classes
        .all()
        .iter()
        .enumerate()
        .map(|(place, class)| ClassFacts {
            left: class.maximum.saturating_sub(count(
                runners
                    .iter()
                    .filter(|runner| runner.class == place)
                    .count(),
            )),
            class: class.clone(),
            spot: recent(class, Capacity::Spot),
            on_demand: recent(class, Capacity::OnDemand),
            refused: refused(class),
        })
        .collect()
}

/// What each repository may still get. A busy runner counts for the repository that it serves, any
/// other, and a launch without an outcome, for the one that it was launched for.
fn give_room(
    repositories: &mut [RepositoryFacts],
    state: &ScopeState,
    operation: &Operation,
    left: u32,
) {
    let mut held: BTreeMap<RepositoryId, u32> = BTreeMap::new();
    for runner in state.runners.iter().filter(|runner| runner.is_live()) {
        let whose = match &runner.phase {
            RunnerPhase::Busy { job } => Some(job.repository),
            _ => runner.launched_for,
        };
        if let Some(whose) = whose {
            *held.entry(whose).or_default() += 1;
        }
    }
    for intent in &state.intents {
        let count = usize::try_from(intent.request.count).unwrap_or(usize::MAX);
        for whose in (0..count).filter_map(|number| intent.launched_for(number)) {
            *held.entry(whose).or_default() += 1;
        }
    }
    let refused = operation.guards.public_repositories == PublicRepositories::Refused;
    for repository in repositories {
        let held = held.get(&repository.id).copied().unwrap_or(0);
        repository.maximum = operation.guards.repository_maximum;
        repository.left = match repository.maximum {
            _ if refused && repository.visibility == Visibility::Public => 0,
            None => left,
            Some(maximum) => left.min(maximum.saturating_sub(held)),
        };
    }
}

/// What is as good as spent, in US dollars: a launch is counted at the price of one hour, so of each
/// runner the rest of its first one, and all of it for a launch without an outcome. Otherwise the next
/// decision would launch for the same money again.
fn committed(state: &ScopeState, live: &[&Runner], now: Timestamp) -> f64 {
    let rest = |runner: &&Runner| {
        let age = f64::from(runner.launched_at.age(now));
        runner.price * (1.0 - age / 3_600.0).max(0.0)
    };
    let unsettled = |intent: &Intent| intent.price * f64::from(intent.request.count);
    let running: f64 = live.iter().map(rest).sum();
    running + state.intents.iter().map(unsettled).sum::<f64>()
}

/// What the tightest of the spend limits leaves; none: there is no limit.
fn spend_left(limits: &SpendLimits, spend: &Spend, committed: f64) -> Option<f64> {
    [
        (limits.hour, spend.this_hour),
        (limits.day, spend.today),
        (limits.month, spend.this_month),
    ]
    .into_iter()
    .filter_map(|(limit, spent)| Some((limit? - spent - committed).max(0.0)))
    .reduce(f64::min)
}
