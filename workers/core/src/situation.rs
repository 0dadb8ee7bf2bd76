//! Everything a policy may know about a fleet, built from the ledger's view of a scope.
//!
//! The shapes follow the contract (`wit/`), with tables and positions in place of repeated strings.
//! Every list is in a stated order, so that equal states give equal situations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use stoker_intake::{RepositoryId, Visibility};

use crate::class::{Capacity, Classes, RunnerClass};
use crate::ids::{ClassName, JobKey, ScopeVersion};
use crate::job::Job;
use crate::limits::Operation;
use crate::ports::ScopeState;
use crate::runner::{Runner, RunnerPhase};
use crate::time::Timestamp;

/// What a scope is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeName {
    /// The owner's login, in lower case.
    pub owner: String,
    /// The repository's name, in lower case; none: the whole organisation.
    pub repository: Option<String>,
}

impl std::fmt::Display for ScopeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.repository {
            Some(repository) => write!(f, "{}/{repository}", self.owner),
            None => f.write_str(&self.owner),
        }
    }
}

/// A repository that has jobs or runners here. Ordered by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepositoryFacts {
    /// GitHub's id. Not shown to policies.
    pub id: RepositoryId,
    /// Its name without the owner.
    pub name: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// Jobs that wait, shown or not.
    pub waiting_jobs: u32,
    /// Jobs that run.
    pub running_jobs: u32,
}

/// One set of labels that pending jobs ask for. Ordered by labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelSet {
    /// Lower case, sorted.
    pub labels: Vec<String>,
    /// Positions of the classes that satisfy it, cheapest first.
    pub fits: Vec<usize>,
}

/// A job that waits. Ordered by `waited`, longest first, then by GitHub's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingJob {
    /// Which job. Not shown to policies.
    pub key: JobKey,
    /// A position in [`Situation::repositories`].
    pub repository: usize,
    /// A position in [`Situation::label_sets`].
    pub labels: usize,
    /// The workflow's name; empty: not known.
    pub workflow: String,
    /// The job's name.
    pub name: String,
    /// The branch; empty: not known.
    pub branch: String,
    /// 1 for the first.
    pub attempt: u32,
    /// Seconds.
    pub waited: u32,
    /// How often a decision deferred it.
    pub deferrals: u32,
    /// Why, the last time.
    pub last_deferral: Option<String>,
}

/// What a runner does, as a policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseFacts {
    /// Asked of EC2.
    Launching,
    /// On its way.
    Booting,
    /// Waits for a job.
    Idle,
    /// Runs one.
    Busy,
    /// About to go.
    Retiring,
    /// Overdue: neither supply nor to be retired.
    Unknown,
}

/// Ordered by age, oldest first, then by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerFacts {
    /// Its name at GitHub.
    pub name: String,
    /// A position in [`Situation::classes`].
    pub class: usize,
    /// How EC2 was asked for it.
    pub capacity: Capacity,
    /// What it does.
    pub phase: PhaseFacts,
    /// A position in [`Situation::repositories`].
    pub launched_for: Option<usize>,
    /// A position in [`Situation::repositories`].
    pub serves: Option<usize>,
    /// Seconds since its launch.
    pub age: u32,
    /// Seconds in this phase.
    pub in_phase: u32,
    /// US dollars an hour.
    pub price: f64,
}

/// A class and what is left of its maximum. Ordered as configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassFacts {
    /// As configured.
    pub class: RunnerClass,
    /// What is left of its maximum.
    pub left: u32,
}

/// What may still be done, after every guardrail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headroom {
    /// The scope's maximum.
    pub runners_maximum: u32,
    /// What is left of it.
    pub runners_left: u32,
}

/// What may be shown to a policy. Which level decides and by which settings is the policy host's to
/// add.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// The time of the decision.
    pub now: Timestamp,
    /// For decisions by chance; the same for the same state.
    pub seed: u32,
    /// Whose fleet this is.
    pub scope: ScopeName,
    /// See [`RepositoryFacts`].
    pub repositories: Vec<RepositoryFacts>,
    /// See [`LabelSet`].
    pub label_sets: Vec<LabelSet>,
    /// See [`ClassFacts`].
    pub classes: Vec<ClassFacts>,
    /// See [`PendingJob`].
    pub pending: Vec<PendingJob>,
    /// How many more wait than are shown.
    pub pending_unseen: u32,
    /// See [`RunnerFacts`].
    pub runners: Vec<RunnerFacts>,
    /// See [`Headroom`].
    pub headroom: Headroom,
    /// US dollars that the live runners have cost since the hour, the day and the month began (UTC).
    pub spend: Spend,
}

/// US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spend {
    /// Since the full hour.
    pub this_hour: f64,
    /// Since midnight.
    pub today: f64,
    /// Since the first of the month.
    pub this_month: f64,
}

/// Builds the situation of a scope.
pub fn situation(
    operation: &Operation,
    scope: ScopeName,
    state: &ScopeState,
    now: Timestamp,
) -> Situation {
    let repositories = repositories(state);
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
        .map(|job| pending(job, &place, &label_sets, now))
        .collect::<Vec<_>>();
    let runners = runners(state, operation, &place, now);
    // Also those whose class is configured no more, and those that a launch may have given: they exist
    // and cost.
    let known = state.runners.iter().filter(|runner| runner.is_live());
    let unsettled: u32 = state.intents.iter().map(|i| i.request.count).sum();
    let live = count(known.count()).saturating_add(unsettled);
    Situation {
        now,
        seed: seed(state.version),
        scope,
        pending_unseen: count(demand.len() - shown.len()),
        classes: classes(&operation.classes, &runners),
        headroom: Headroom {
            runners_maximum: operation.scope_maximum,
            runners_left: operation.scope_maximum.saturating_sub(live),
        },
        spend: spend(&runners, now),
        repositories,
        label_sets,
        pending,
        runners,
    }
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
        class_of(&intent.request.class)
            .into_iter()
            .flat_map(move |class| {
                (0..intent.request.count).map(move |number| RunnerFacts {
                    name: format!("{}-{number}", intent.id),
                    class,
                    capacity: intent.request.capacity,
                    phase: if age > UNSETTLED_IS_SUPPLY_FOR {
                        PhaseFacts::Unknown
                    } else {
                        PhaseFacts::Launching
                    },
                    launched_for: intent.launched_for.as_ref().and_then(place_of),
                    serves: None,
                    age,
                    in_phase: age,
                    price: intent.price,
                })
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
            if runner.launched_at.age(now) > boot_time =>
        {
            PhaseFacts::Unknown
        }
        RunnerPhase::Launching => PhaseFacts::Launching,
        RunnerPhase::Booting => PhaseFacts::Booting,
        RunnerPhase::Idle => PhaseFacts::Idle,
        RunnerPhase::Busy { .. } => PhaseFacts::Busy,
        RunnerPhase::Retiring => PhaseFacts::Retiring,
        RunnerPhase::Ended => PhaseFacts::Unknown,
    }
}

fn classes(classes: &Classes, runners: &[RunnerFacts]) -> Vec<ClassFacts> {
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
        })
        .collect()
}

/// What the live runners have cost since the hour, the day and the month began.
fn spend(runners: &[RunnerFacts], now: Timestamp) -> Spend {
    let since = |seconds: u64| {
        runners
            .iter()
            .map(|runner| {
                let charged = u64::from(runner.age).min(seconds);
                runner.price * f64::from(u32::try_from(charged).unwrap_or(u32::MAX)) / 3_600.0
            })
            .sum()
    };
    let day_of_month = time::OffsetDateTime::from_unix_timestamp(i64::try_from(now.0).unwrap_or(0))
        .map_or(1, |at| u64::from(at.day()));
    let today = now.0 % 86_400;
    Spend {
        this_hour: since(now.0 % 3_600),
        today: since(today),
        this_month: since((day_of_month - 1) * 86_400 + today),
    }
}
