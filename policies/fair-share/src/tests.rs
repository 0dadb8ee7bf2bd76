//! The rules, as claims.

use std::collections::BTreeMap;

use stoker_policy_sdk::facts::{Capacity, RunnerPhase, Situation};
use stoker_policy_sdk::testing::properties::{Options, check_scale_up};
use stoker_policy_sdk::testing::{Fleet, fleet};
use stoker_policy_sdk::{run, scale_up};

use super::{FairShare, Settings, index};

fn decide(situation: &Situation) -> Result<scale_up::Plan, String> {
    run::scale_up::<FairShare>(situation)
}

/// For how many jobs of each repository runners are launched.
fn launched(situation: &Situation) -> BTreeMap<String, usize> {
    let mut launched = BTreeMap::new();
    for launch in decide(situation).unwrap().launches {
        for job in launch.jobs {
            let repository = index(situation.pending[index(job)].repository);
            *launched
                .entry(situation.repositories[repository].name.clone())
                .or_default() += 1;
        }
    }
    launched
}

fn shares(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let owned = expected
        .iter()
        .map(|&(name, count)| (name.to_owned(), count));
    owned.collect()
}

fn room_for(runners: u32) -> Fleet {
    fleet().class("small", &["linux"]).maximum(runners)
}

#[test]
fn five_hundred_jobs_do_not_starve_two() {
    let situation = room_for(10)
        .jobs(500, "monorepo", &["linux"])
        .jobs(2, "tool", &["linux"])
        .build();
    assert_eq!(
        launched(&situation),
        shares(&[("monorepo", 8), ("tool", 2)])
    );
}

#[test]
fn shares_follow_the_weights_and_count_what_a_repository_has() {
    let weighted = r#"{"weights":[{"repository":"app*","weight":3}]}"#;
    let both = || {
        room_for(8)
            .settings(weighted)
            .jobs(50, "app-one", &["linux"])
            .jobs(50, "lib", &["linux"])
    };
    assert_eq!(
        launched(&both().build()),
        shares(&[("app-one", 6), ("lib", 2)])
    );
    let mut busy = both().maximum(12);
    for _ in 0..4 {
        busy = busy
            .runner("small", RunnerPhase::Busy, 60)
            .for_repository("app-one");
    }
    assert_eq!(
        launched(&busy.build()),
        shares(&[("app-one", 5), ("lib", 3)])
    );
}

#[test]
fn a_higher_priority_goes_first_and_waiting_raises_it() {
    let settings = r#"{"ageing_seconds":300,"priorities":[
        {"repository":"app","branch":"main","priority":2},
        {"workflow":"nightly*","priority":-5}
    ]}"#;
    let both = |waited| {
        room_for(1)
            .settings(settings)
            .job("app", &["linux"])
            .job("lib", &["linux"])
            .branch("feature")
            .waited(waited)
            .build()
    };
    assert_eq!(launched(&both(0)), shares(&[("app", 1)]));
    assert_eq!(launched(&both(599)), shares(&[("app", 1)]));
    assert_eq!(launched(&both(900)), shares(&[("lib", 1)]));
}

#[test]
fn a_repository_s_maximum_leaves_room_for_others() {
    let situation = room_for(10)
        .settings(r#"{"max_runners_per_repository":3}"#)
        .jobs(9, "app", &["linux"])
        .jobs(1, "lib", &["linux"])
        .build();
    assert_eq!(launched(&situation), shares(&[("app", 3), ("lib", 1)]));
    let plan = decide(&situation).unwrap();
    assert_eq!(
        plan.deferrals[0].reason,
        "`app` is at its own maximum of 3 runners"
    );
}

#[test]
fn a_weight_of_nothing_is_complained_about() {
    let settings = r#"{"default_weight":0,"weights":[{"repository":"a","weight":0}]}"#;
    let complaints = run::needs_to_scale_up::<FairShare>(settings).unwrap_err();
    let places: Vec<&str> = complaints.iter().map(|c| c.at.as_str()).collect();
    assert_eq!(places, ["/weights/0/weight", "/default_weight"]);
}

#[test]
fn a_repository_that_has_nothing_comes_before_any_weight() {
    let mut situation = fleet()
        .settings(r#"{"weights":[{"repository":"app","weight":20}]}"#)
        .class("small", &["linux"])
        .maximum(10)
        .jobs(40, "app", &["linux"])
        .jobs(1, "lib", &["linux"]);
    for _ in 0..9 {
        situation = situation
            .runner("small", RunnerPhase::Busy, 600)
            .for_repository("app");
    }
    let situation = situation.build();
    let plan = decide(&situation).unwrap();
    let served = situation.pending[plan.launches[0].jobs[0] as usize].repository;
    assert_eq!(situation.repositories[served as usize].name, "lib");
}

#[test]
fn where_the_operator_s_money_is_short_priorities_hold_all_the_same() {
    let situation = fleet()
        .settings(r#"{"priorities":[{"branch":"hotfix/*","priority":10}]}"#)
        .class("small", &["linux"])
        .jobs(20, "app", &["linux"])
        .job("app", &["linux"])
        .branch("hotfix/1")
        .spend_left(0.3)
        .build();
    let plan = decide(&situation).unwrap();
    let jobs: Vec<u32> = plan.launches.iter().flat_map(|l| l.jobs.clone()).collect();
    assert_eq!(jobs.len(), 10);
    let branch = |job: &u32| situation.pending[*job as usize].branch.as_str();
    assert!(jobs.iter().any(|job| branch(job) == "hotfix/1"));
}

#[test]
fn a_repository_s_own_settings_bind_its_own_jobs_alone() {
    let situation = fleet()
        .class("small", &["linux"])
        .jobs(5, "app", &["linux"])
        .jobs(5, "lib", &["linux"])
        .tuned("app", r#"{"max_runners":2,"capacity":"on-demand"}"#)
        .build();
    let plan = decide(&situation).unwrap();
    let of = |capacity| {
        let launches = plan.launches.iter().filter(|l| l.capacity == capacity);
        launches.map(|l| l.count).sum::<u32>()
    };
    assert_eq!((of(Capacity::OnDemand), of(Capacity::Spot)), (2, 5));
}

#[test]
fn where_a_repository_has_a_maximum_every_property_holds_of_jobs_that_are_alike() {
    for maximum in [1, 2, 3, 5] {
        let options = Options {
            alike: true,
            ..Options::with_settings(&format!(r#"{{"max_runners_per_repository":{maximum}}}"#))
        };
        assert_eq!(check_scale_up(&decide, &options), [], "{maximum}");
    }
}

#[test]
fn every_property_holds_whatever_is_set() {
    for settings in [
        "{}",
        r#"{"max_runners":5,"ageing_seconds":0}"#,
        r#"{"weights":[{"repository":"app","weight":5}],"default_weight":2}"#,
        r#"{"priorities":[{"branch":"main","priority":9},{"label":"large","priority":-1}]}"#,
    ] {
        let found = check_scale_up(&decide, &Options::with_settings(settings));
        assert_eq!(found, [], "{settings}");
    }
}

#[test]
fn the_schema_file_is_that_of_the_settings() {
    stoker_policy_sdk::testing::assert_schema_file(
        concat!(env!("CARGO_MANIFEST_DIR"), "/settings.schema.json"),
        [(
            "scale-up",
            stoker_policy_sdk::settings::schema::<Settings>(),
        )],
    );
}
