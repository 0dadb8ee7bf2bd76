//! Situations as `proptest` makes and shrinks them.

use proptest::prelude::*;

use super::fleet::{Fleet, fleet};
use super::properties::Options;
use crate::facts::RunnerPhase;
use crate::sync;

/// The labels that jobs ask for: two that a class has alone, one that both have, one that none has.
const LABELS: [&[&str]; 4] = [&["linux"], &["linux", "large"], &["large"], &["windows"]];

const REPOSITORIES: [&str; 3] = ["app", "lib", "web"];

const BRANCHES: [&str; 3] = ["main", "release/1", "feature"];

fn phases() -> impl Strategy<Value = RunnerPhase> {
    prop::sample::select(vec![
        RunnerPhase::Idle,
        RunnerPhase::Busy,
        RunnerPhase::Booting,
        RunnerPhase::Launching,
        RunnerPhase::Retiring,
        RunnerPhase::Unknown,
    ])
}

/// A job: repository, labels, branch, seconds waited, interrupted.
pub(super) type JobSeed = (usize, usize, usize, u32, bool);

/// A runner: class, phase, age, repository.
type RunnerSeed = (usize, RunnerPhase, u32, Option<usize>);

fn job() -> impl Strategy<Value = JobSeed> {
    (
        0..REPOSITORIES.len(),
        0..LABELS.len(),
        0..BRANCHES.len(),
        prop::sample::select(vec![1_u32, 30, 30, 900, 4_000]),
        any::<bool>(),
    )
}

fn runner() -> impl Strategy<Value = RunnerSeed> {
    (
        0_usize..2,
        phases(),
        prop::sample::select(vec![10_u32, 400, 400, 9_000]),
        prop::option::of(0..REPOSITORIES.len()),
    )
}

/// The job, or where all jobs are to be alike, one for the first class that nothing speaks for on-demand
/// capacity.
pub(super) fn alike(job: JobSeed, alike: bool) -> JobSeed {
    let (repository, labels, branch, waited, interrupted) = job;
    if alike {
        (repository, 0, branch, waited.min(30), false)
    } else {
        (repository, labels, branch, waited, interrupted)
    }
}

/// What a class may be had as: spot, on demand.
const OFFERED: [(bool, bool); 3] = [(true, true), (true, false), (false, true)];

pub(super) const CLASSES: [&str; 2] = ["small", "large"];

pub(super) fn add_job(
    fleet: Fleet,
    (repository, labels, branch, waited, interrupted): JobSeed,
) -> Fleet {
    let fleet = fleet
        .job(REPOSITORIES[repository], LABELS[labels])
        .branch(BRANCHES[branch])
        .waited(waited);
    if interrupted {
        fleet.interrupted()
    } else {
        fleet
    }
}

pub(super) fn add_runner(fleet: Fleet, (class, phase, age, repository): RunnerSeed) -> Fleet {
    let fleet = fleet.runner(CLASSES[class], phase, age);
    match repository {
        Some(repository) => fleet.for_repository(REPOSITORIES[repository]),
        None => fleet,
    }
}

/// What a case is made of.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// The situation in the making.
    pub(super) fleet: Fleet,
    /// A job that may come on top.
    pub(super) job: JobSeed,
    /// The class of a runner that may come on top.
    pub(super) class: usize,
}

prop_compose! {
    fn fleets(options: Options, demand: bool, limited: bool)(
        jobs in prop::collection::vec(job(), if demand { 0..24 } else { 0..1 }),
        runners in prop::collection::vec(runner(), 0..14),
        maxima in (0_u32..16, 0_u32..16),
        maximum in 0_u32..30,
        unseen in prop::sample::select(vec![0_u32, 0, 7]),
        spend_left in prop::option::of(0.0_f64..2.0),
        budgets in (prop::option::of(0_u32..12), prop::option::of(0_u32..12)),
        repository_maximum in prop::option::of(0_u32..6),
        offered in (0_usize..3, 0_usize..3),
        spent in 0.0_f64..30.0,
    ) -> Fleet {
        let one_price = options.alike && !limited;
        let mut situation = fleet()
            .settings(&options.settings)
            .class("small", &["linux"])
            .class_maximum(maxima.0)
            .class("large", &["linux", "large"])
            .class_maximum(if one_price { 0 } else { maxima.1 })
            .maximum(maximum)
            .spent(spent / 30.0, spent / 4.0, spent);
        for zone in &options.zones {
            situation = situation.zone(&zone.zone, zone.weekday, zone.hour, zone.minute);
        }
        for name in &options.classes {
            situation = situation.class(name, &["linux", name]);
        }
        if limited {
            situation = situation
                .offered(CLASSES[0], OFFERED[offered.0])
                .offered(CLASSES[1], OFFERED[offered.1])
                .budgets(budgets.0, budgets.1)
                .repository_maximum(repository_maximum);
            if let Some(dollars) = spend_left {
                situation = situation.spend_left(dollars);
            }
        }
        if demand {
            situation = situation.unseen(unseen);
        }
        for job in jobs.into_iter().filter(|_| demand) {
            situation = add_job(situation, alike(job, one_price));
        }
        runners
            .into_iter()
            .filter(|(class, ..)| !one_price || *class == 0)
            .fold(situation, add_runner)
    }
}

prop_compose! {
    /// Situations with `demand` or without, and with all limits of the operator's or without those under
    /// which one job may displace several others.
    pub(super) fn cases(options: Options, demand: bool, limited: bool)(
        fleet in fleets(options, demand, limited),
        job in job(),
        class in 0_usize..2,
    ) -> Case {
        Case { fleet, job, class }
    }
}

prop_compose! {
    fn release()(
        minor in 300_u32..330,
        age in prop::sample::select(vec![0_u32, 86_400, 5 * 86_400, 40 * 86_400, 400 * 86_400]),
        prerelease in prop::bool::weighted(0.2),
        mirrored in any::<bool>(),
        platforms in any::<bool>(),
    ) -> sync::Release {
        let all = vec!["linux-arm64".to_owned(), "linux-x64".to_owned()];
        sync::Release {
            version: format!("2.{minor}.0"),
            age,
            prerelease,
            mirrored: if mirrored { all.clone() } else { Vec::new() },
            platforms: if platforms { all } else { Vec::new() },
            offered: false,
            attributes: Vec::new(),
        }
    }
}

prop_compose! {
    /// Distributions: releases newest first, at most one of them offered, with a floor or without.
    pub(super) fn distributions(options: Options)(
        mut releases in prop::collection::vec(release(), 0..8),
        offered in prop::option::of(0_usize..8),
        minimum in prop::option::of(298_u32..332),
    ) -> sync::Situation {
        releases.sort_by(|a, b| b.version.cmp(&a.version));
        releases.dedup_by(|a, b| a.version == b.version);
        if let Some(release) = offered.and_then(|place| releases.get_mut(place)) {
            release.offered = true;
            release.mirrored.clone_from(&release.platforms);
        }
        sync::Situation {
            now: 1_800_000_000,
            settings: options.settings.clone(),
            releases,
            minimum_version: minimum.map(|minor| format!("2.{minor}.0")),
            attributes: Vec::new(),
        }
    }
}
