//! Shares and priorities, so that one repository's 500 jobs do not starve another's two.
//!
//! When there is less room than jobs, runners are launched for the jobs of the highest priority first,
//! and among equals for the repository that has least for its weight: what it has is the runners that
//! serve it or were launched for it. Waiting raises a job's priority step by step (`ageing_seconds`) up to
//! the highest that is configured, and a repository that has no runner at all comes before every weight, so
//! that nothing waits for ever.
//!
//! **What it can promise, and what not.** It decides for whom runners are *launched*. Which runner takes
//! which job is GitHub's decision: any idle runner whose labels match may take any waiting job, of any
//! repository of the organisation. So shares hold on average and while room is short, since what one
//! repository's jobs take from another is launched again for the other; they are no guarantee for a
//! single job. A real border needs labels of its own (a class that only one team's jobs ask for), or a
//! scope of its own.
//!
//! Retiring runners is left to the broader level, or the built-in rules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use schemars::JsonSchema;
use serde::Deserialize;
use stoker_policy_sdk::about::Complaint;
use stoker_policy_sdk::blocks::capacity::{Choice, Preferred};
use stoker_policy_sdk::blocks::{Launching, Pattern, Tuned, index, launching};
use stoker_policy_sdk::facts::{Job, Situation};
use stoker_policy_sdk::{Policy, ScaleUp, scale_up};

/// Under `scale-up`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The weight of repositories, by name or with `*`; the first entry that matches counts.
    pub weights: Vec<Weight>,
    /// The weight of all others.
    pub default_weight: u32,
    /// Priorities of jobs; the first entry that matches counts, and without one it is 0.
    pub priorities: Vec<Priority>,
    /// Waiting this long, in seconds, raises a job's priority by one, up to the highest that is configured.
    /// 0: waiting raises nothing.
    pub ageing_seconds: u32,
    /// The most runners that the scope may have; in a repository's own settings, the most that it may have.
    /// The operator's own maxima apply too.
    pub max_runners: Option<u32>,
    /// The most runners that one repository may have. Where it has a maximum of its own, the lower holds.
    pub max_runners_per_repository: Option<u32>,
    /// What to launch where a class offers both.
    pub capacity: Preferred,
    /// A job that has waited this many seconds gets on-demand capacity. `null`: however long it waits.
    pub on_demand_after_seconds: Option<u32>,
    /// A job whose runner was interrupted before gets on-demand capacity.
    pub on_demand_after_interruption: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            weights: Vec::new(),
            default_weight: 1,
            priorities: Vec::new(),
            // Five minutes are what people begin to ask after.
            ageing_seconds: 300,
            max_runners: None,
            max_runners_per_repository: None,
            capacity: Preferred::Spot,
            on_demand_after_seconds: Some(600),
            on_demand_after_interruption: true,
        }
    }
}

/// The weight of some repositories.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// Their name.
    pub repository: Pattern,
    /// One of twice the weight gets twice the runners. At least 1.
    pub weight: u32,
}

/// The priority of some jobs: those that match all that is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Priority {
    /// The repository's name.
    #[serde(default)]
    pub repository: Option<Pattern>,
    /// The branch.
    #[serde(default)]
    pub branch: Option<Pattern>,
    /// The workflow's name.
    #[serde(default)]
    pub workflow: Option<Pattern>,
    /// One of the labels.
    #[serde(default)]
    pub label: Option<Pattern>,
    /// Higher goes first; may be negative.
    pub priority: i32,
}

impl Priority {
    fn matches(&self, situation: &Situation, job: &Job) -> bool {
        let wanted = |pattern: &Option<Pattern>, name: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(name))
        };
        let labels = &situation.label_sets[index(job.labels)].labels;
        wanted(
            &self.repository,
            &situation.repositories[index(job.repository)].name,
        ) && wanted(&self.branch, &job.branch)
            && wanted(&self.workflow, &job.workflow)
            && self
                .label
                .as_ref()
                .is_none_or(|label| labels.iter().any(|own| label.matches(own)))
    }
}

impl Settings {
    fn choice(&self) -> Choice {
        Choice {
            preferred: self.capacity,
            on_demand_after_seconds: self.on_demand_after_seconds,
            on_demand_after_interruption: self.on_demand_after_interruption,
        }
    }

    fn weight(&self, repository: &str) -> u32 {
        self.weights
            .iter()
            .find(|entry| entry.repository.matches(repository))
            .map_or(self.default_weight, |entry| entry.weight)
            .max(1)
    }

    /// Waiting raises a job up to the highest priority that there is and not beyond: there, shares
    /// decide, or a long queue would always be older than a short one and starve it.
    fn priority(&self, situation: &Situation, job: &Job) -> i64 {
        let own = self
            .priorities
            .iter()
            .find(|entry| entry.matches(situation, job))
            .map_or(0, |entry| entry.priority);
        let aged = job.waited.checked_div(self.ageing_seconds).unwrap_or(0);
        let top = self.priorities.iter().map(|entry| entry.priority).max();
        let top = i64::from(top.unwrap_or(0).max(0));
        (i64::from(own) + i64::from(aged)).min(top)
    }
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct FairShare;

impl Policy for FairShare {
    const NAME: &'static str = "fair-share";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "When room is short, launches by priority and then for the repository \
                                   that has least for its weight; waiting raises the priority.";
    const SETTINGS_SCHEMA: Option<&str> = Some(include_str!("../settings.schema.json"));
}

impl ScaleUp for FairShare {
    type Settings = Settings;

    fn decide(situation: &Situation, settings: &Settings) -> Result<scale_up::Plan, String> {
        let mut launching =
            Launching::new(situation).own_maximum("max_runners", settings.max_runners);
        for repository in 0..situation.repositories.len() {
            launching =
                launching.repository_maximum(repository, settings.max_runners_per_repository);
        }
        let tuned = Tuned::new(situation, settings)?;
        launching = tuned.maxima(launching, |own| own.max_runners);
        let mut shares = Shares::new(situation, settings);
        for (_, jobs) in by_priority(situation, settings, &launching.open()) {
            launch_fairly(&mut launching, &mut shares, jobs);
        }
        Ok(launching.finish(|class, job| tuned.capacity(class, job, Settings::choice)))
    }

    fn complaints(settings: &Settings) -> Vec<Complaint> {
        let nothing = |at: String| Complaint {
            at,
            problem: "a weight is at least 1: to keep a repository from runners, give it a maximum"
                .to_owned(),
        };
        let listed = settings
            .weights
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.weight == 0)
            .map(|(place, _)| nothing(format!("/weights/{place}/weight")));
        let default = (settings.default_weight == 0).then(|| nothing("/default_weight".to_owned()));
        listed.chain(default).collect()
    }
}

/// Waiting jobs by repository, the longest waiting first.
type Queues = BTreeMap<usize, VecDeque<usize>>;

/// The open jobs by priority, the highest first.
fn by_priority(
    situation: &Situation,
    settings: &Settings,
    open: &[usize],
) -> BTreeMap<Reverse<i64>, Queues> {
    let mut levels: BTreeMap<Reverse<i64>, Queues> = BTreeMap::new();
    for &job in open {
        let facts = &situation.pending[job];
        levels
            .entry(Reverse(settings.priority(situation, facts)))
            .or_default()
            .entry(index(facts.repository))
            .or_default()
            .push_back(job);
    }
    levels
}

/// What each repository has, and its weight.
struct Shares {
    have: Vec<u64>,
    weights: Vec<u64>,
}

/// Thousandths of a runner for each unit of weight: shares are compared as whole numbers, so that equal
/// ones are equal.
const SCALE: u64 = 1_000;

impl Shares {
    fn new(situation: &Situation, settings: &Settings) -> Self {
        let mut have = vec![0; situation.repositories.len()];
        for repository in launching::held(situation) {
            if let Some(have) = have.get_mut(repository) {
                *have += 1;
            }
        }
        let weights = situation
            .repositories
            .iter()
            .map(|repository| u64::from(settings.weight(&repository.name)))
            .collect();
        Self { have, weights }
    }

    /// What a repository would have for its weight with one more runner: the lowest goes first. One that
    /// has none goes before all others, whatever their weights, so that nothing waits for ever.
    fn next(&self, repository: usize) -> u64 {
        match self.have[repository] {
            0 => 0,
            have => (have + 1) * SCALE / self.weights[repository],
        }
    }
}

fn launch_fairly(launching: &mut Launching<'_>, shares: &mut Shares, mut queues: Queues) {
    // Among equal shares, the job that has waited longest, then by the repository's name.
    let situation = launching.situation();
    let turn = |shares: &Shares, repository: usize, queue: &VecDeque<usize>| {
        let head = *queue.front()?;
        let waited = Reverse(situation.pending[head].waited);
        Some((shares.next(repository), waited, repository, head))
    };
    let mut turns: BTreeSet<(u64, Reverse<u32>, usize, usize)> = queues
        .iter()
        .filter_map(|(&repository, queue)| turn(shares, repository, queue))
        .collect();
    while let Some((_, _, repository, job)) = turns.pop_first() {
        if launching.launch_for(job) {
            shares.have[repository] += 1;
        }
        if let Some(queue) = queues.get_mut(&repository) {
            queue.pop_front();
            turns.extend(turn(shares, repository, queue));
        }
    }
}

stoker_policy_sdk::export!(FairShare: scale_up);

#[cfg(test)]
mod tests;
