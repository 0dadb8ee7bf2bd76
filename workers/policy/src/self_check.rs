//! The host's own situations, small and at the largest size that it shows: what a policy must decide
//! within its limits before it is let near anybody's jobs.

use std::collections::BTreeMap;

use stoker_core::class::{Capacity, Classes, RunnerClass};
use stoker_core::distribution::{Distribution, Release};
use stoker_core::ids::{ClassName, JobKey};
use stoker_core::limits::{JOBS_SHOWN, RunnerMode};
use stoker_core::plan::PolicyLevel;
use stoker_core::situation::{
    ClassFacts, Headroom, LabelSet, PendingJob, PhaseFacts, Recent, RepositoryFacts, RunnerFacts,
    ScopeName, Situation, Spend, Trigger,
};
use stoker_core::time::Timestamp;
use stoker_intake::{CheckRunId, RepositoryId, Visibility};

use crate::artifact::Loaded;
use crate::contract::Decision;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::run::Cost;

/// 2027-01-15T08:00:00Z.
const NOW: Timestamp = Timestamp(1_800_000_000);

/// How many jobs and runners the trials have: nothing, a busy morning, and all that is ever shown.
const SIZES: [(usize, usize); 3] = [(0, 0), (50, 20), (JOBS_SHOWN, 2_000)];

/// How many releases there are in the trials of `sync`: none, and as many as GitHub lists at once.
const RELEASES: [usize; 2] = [0, 100];

/// One trial.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What was asked.
    pub decision: Decision,
    /// About what, in words.
    pub about: String,
    /// What it cost, or how it failed.
    pub outcome: Result<Cost, Failure>,
}

/// Tries every decision that a policy takes, with those settings; `classes` names those that the settings
/// speak of, which the situations are to have.
pub fn self_check(
    policy: &Loaded,
    settings: impl Fn(Decision) -> String,
    classes: &[String],
    limits: &Limits,
) -> Vec<Trial> {
    let decisions = policy.spoken().decisions.iter().copied();
    decisions
        .flat_map(|decision| self_check_of(policy, decision, &settings(decision), classes, limits))
        .collect()
}

/// Tries one decision that a policy takes, as [`self_check`].
pub fn self_check_of(
    policy: &Loaded,
    decision: Decision,
    settings: &str,
    classes: &[String],
    limits: &Limits,
) -> Vec<Trial> {
    let trial = |about: String, outcome: Result<Cost, Failure>| Trial {
        decision,
        about,
        outcome,
    };
    let basis = match policy.basis(decision, settings, NOW, limits) {
        Ok(basis) => basis,
        Err(failure) => return vec![trial("its settings".to_owned(), Err(failure))],
    };
    let level = PolicyLevel::Default;
    if decision == Decision::Sync {
        let of = |releases| {
            let decided = policy.sync(&distribution(releases), &basis, limits);
            trial(format!("{releases} releases"), decided.map(|d| d.cost))
        };
        return RELEASES.into_iter().map(of).collect();
    }
    let of = |(jobs, runners)| {
        let situation = situation_with(jobs, runners, classes);
        let outcome = if decision == Decision::ScaleUp {
            let decided = policy.scale_up(&situation, level, &basis, limits);
            decided.map(|decided| decided.cost)
        } else {
            let decided = policy.scale_down(&situation, level, &basis, limits);
            decided.map(|decided| decided.cost)
        };
        trial(format!("{jobs} jobs, {runners} runners"), outcome)
    };
    SIZES.into_iter().map(of).collect()
}

/// So many jobs of ten repositories wait for three classes, and so many runners are about.
pub fn situation(jobs: usize, runners: usize) -> Situation {
    situation_with(jobs, runners, &[])
}

/// The same with more classes.
fn situation_with(jobs: usize, runners: usize, more: &[String]) -> Situation {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let classes = classes(more);
    let sets: [&[&str]; 3] = [
        &["linux", "self-hosted"],
        &["arm64", "linux", "self-hosted"],
        &["large", "linux", "self-hosted"],
    ];
    let mut label_sets: Vec<LabelSet> = sets
        .iter()
        .map(|labels| {
            let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
            LabelSet {
                fits: classes.fitting(&labels),
                labels,
            }
        })
        .collect();
    label_sets.sort_by(|a, b| a.labels.cmp(&b.labels));
    let repositories: Vec<RepositoryFacts> = (0..10_usize)
        .map(|place| RepositoryFacts {
            id: RepositoryId::new(place as u64 + 1),
            name: format!("repository-{place}"),
            visibility: Visibility::Private,
            waiting_jobs: count(jobs / 10),
            running_jobs: count(runners / 20),
            maximum: None,
            left: 5_000,
            spent_today: 1.25,
        })
        .collect();
    let pending = (0..jobs)
        .map(|number| PendingJob {
            key: JobKey {
                repository: RepositoryId::new(number as u64 % 10 + 1),
                check_run: CheckRunId::new(number as u64),
            },
            repository: number % 10,
            labels: number % 3,
            workflow: "continuous integration".to_owned(),
            name: format!("test (shard {number})"),
            branch: "feature/a-branch-with-a-name".to_owned(),
            attempt: 1,
            waited: count(jobs - number),
            deferrals: 0,
            last_deferral: None,
            interrupted: number % 50 == 49,
        })
        .collect();
    let phases = [PhaseFacts::Busy, PhaseFacts::Idle, PhaseFacts::Booting];
    let runners: Vec<RunnerFacts> = (0..runners)
        .map(|number| RunnerFacts {
            name: format!("stoker-ci-i-{number:017x}"),
            class: number % 3,
            capacity: Capacity::Spot,
            phase: phases[number % 3],
            launched_for: Some(number % 10),
            serves: (number % 3 == 0).then_some(number % 10),
            age: count(3 * (runners - number)),
            in_phase: 30,
            price: 0.04,
        })
        .collect();
    Situation {
        now: NOW,
        seed: 1,
        scope: ScopeName {
            owner: "self-check".to_owned(),
            repository: None,
        },
        trigger: Trigger::Jobs,
        mode: RunnerMode::Ephemeral,
        repositories,
        label_sets,
        classes: classes
            .all()
            .iter()
            .map(|class| ClassFacts {
                refused: None,
                class: class.clone(),
                left: 2_000,
                spot: Recent::default(),
                on_demand: Recent::default(),
            })
            .collect(),
        pending,
        pending_unseen: 0,
        headroom: headroom(count(runners.len())),
        runners,
        spend: Spend {
            this_hour: 1.5,
            today: 20.0,
            this_month: 300.0,
        },
    }
}

fn classes(more: &[String]) -> Classes {
    let class = |name: &str, labels: &[&str], spot: f64| RunnerClass {
        name: ClassName(name.to_owned()),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        launch_template: "runners".to_owned(),
        launch_template_version: "$Default".to_owned(),
        instance_types: vec!["c7i.xlarge".to_owned(), "c7a.xlarge".to_owned()],
        subnets: Vec::new(),
        maximum: 4_000,
        spot_price: Some(spot),
        on_demand_price: Some(3.0 * spot),
        attributes: BTreeMap::new(),
    };
    let mut all = vec![
        class("small", &["self-hosted", "linux"], 0.04),
        class("arm", &["self-hosted", "linux", "arm64"], 0.05),
        class("large", &["self-hosted", "linux", "large"], 0.16),
    ];
    for name in more {
        if !all.iter().any(|known| known.name.0 == *name) && !name.is_empty() {
            all.push(class(name, &["self-hosted", "linux", name], 0.64));
        }
    }
    // Names, labels and prices are there: it is the list above that is checked.
    Classes::new(all).unwrap_or_else(|problem| unreachable!("{problem}"))
}

/// So many releases, a week apart.
pub fn distribution(releases: usize) -> Distribution {
    let platforms = ["linux-x64", "linux-arm64", "win-x64"];
    let platforms: Vec<String> = platforms.iter().map(|&p| p.to_owned()).collect();
    Distribution {
        now: NOW,
        releases: (0..releases)
            .map(|place| Release {
                version: format!("2.{}.0", 400 - place),
                age: u32::try_from(place).unwrap_or(u32::MAX) * 7 * 86_400,
                prerelease: false,
                mirrored: if place < 5 {
                    platforms.clone()
                } else {
                    Vec::new()
                },
                platforms: platforms.clone(),
                offered: place == 1,
            })
            .collect(),
        minimum_version: None,
    }
}

/// Room for thousands more.
fn headroom(runners: u32) -> Headroom {
    Headroom {
        deployment_left: u32::MAX,
        runners_maximum: 5_000 + runners,
        runners_left: 5_000,
        launches_left: 5_000,
        registrations_left: 5_000,
        registrations_reset: 0,
        spend_left: None,
    }
}
