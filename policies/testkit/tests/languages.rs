//! The example policies in other languages (policies/examples), each as its own tools have built it, in
//! the real host. All of them implement one rule, so that one set of expectations does for all.

// Everything here is a test, and a test that can't go on is to say where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;
use stoker_policy::self_check::self_check;
use stoker_policy::{Decision, Failure, SizeClass};
use stoker_policy_sdk::facts::{Capacity, RunnerPhase, Situation};
use stoker_policy_sdk::scale_up::Plan;
use stoker_policy_sdk::testing::properties::{Options, Undecided, check_scale_up};
use stoker_policy_sdk::testing::{Fleet, fleet};
use stoker_policy_testkit::{Component, undecided};

/// The examples, and the class of policies that a host has to allow for each.
const EXAMPLES: [(&str, SizeClass); 4] = [
    ("rust-unknown", SizeClass::Small),
    ("rust-wasip2", SizeClass::Small),
    ("javascript", SizeClass::Large),
    ("python", SizeClass::Large),
];

/// An example's name, and its component in the host; or why it can't be asked.
type Loaded = Result<Vec<(&'static str, Component)>, String>;

/// The examples. Compiling an interpreter takes seconds: once for all tests.
fn policies() -> &'static [(&'static str, Component)] {
    static LOADED: LazyLock<Loaded> = LazyLock::new(|| {
        std::thread::scope(|scope| {
            let loading = EXAMPLES.map(|(name, class)| scope.spawn(move || load(name, class)));
            let loaded = loading.into_iter().map(|thread| thread.join().unwrap());
            loaded.collect()
        })
    });
    LOADED
        .as_ref()
        .unwrap_or_else(|problem| panic!("{problem}"))
}

fn load(name: &'static str, class: SizeClass) -> Result<(&'static str, Component), String> {
    match Component::new(&bytes(name)?, class.limits()) {
        Ok(policy) => Ok((name, policy)),
        Err(failure) => Err(format!("a host refuses `{name}`: {failure}")),
    }
}

/// A component that `scripts/build-examples` has made.
fn bytes(name: &str) -> Result<Vec<u8>, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    let path = target.join(format!("examples-policies/{name}/policy.wasm"));
    std::fs::read(&path).map_err(|error| {
        let path = path.display();
        format!("{path} can't be read: {error}. `make examples` (part of `make test`) builds it")
    })
}

/// What becomes of each job, in words; empty: the plan says nothing of it.
fn outcomes(situation: &Situation, plan: &Plan) -> Vec<String> {
    let mut told = vec![String::new(); situation.pending.len()];
    for launch in &plan.launches {
        let class = &situation.classes[launch.runner_class as usize].name;
        let capacity = match launch.capacity {
            Capacity::Spot => "spot",
            Capacity::OnDemand => "on demand",
        };
        assert_eq!(launch.count as usize, launch.jobs.len(), "{launch:?}");
        assert!(launch.reason.contains(class), "{launch:?}");
        for &job in &launch.jobs {
            write!(told[job as usize], "{class}, {capacity}").unwrap();
        }
    }
    for deferral in &plan.deferrals {
        for &job in &deferral.jobs {
            write!(told[job as usize], "waits: {}", deferral.reason).unwrap();
        }
    }
    told
}

/// That every example says this of each job, as `name, capacity` or as words of the reason why it waits.
#[track_caller]
fn expect(situation: Fleet, expected: &[&str]) {
    let situation = situation.build();
    for (name, policy) in policies() {
        let decided = policy.scale_up(&situation).unwrap();
        let told = outcomes(&situation, &decided.plan);
        assert_eq!(told.len(), expected.len(), "{name}: {told:?}");
        for (told, expected) in told.iter().zip(expected) {
            let as_expected = match expected.strip_prefix("waits: ") {
                Some(words) => told.starts_with("waits: ") && told.contains(words),
                None => told == expected,
            };
            assert!(
                as_expected,
                "{name}: `{told}`, where `{expected}` was expected"
            );
        }
    }
}

/// Two classes, of which the second is dearer and fits more labels.
fn two_classes() -> Fleet {
    fleet()
        .class("small", &["linux"])
        .class("large", &["linux", "large"])
}

#[test]
fn each_says_who_it_is_what_it_decides_and_what_may_be_set() {
    for (name, policy) in policies() {
        let said = policy.loaded().description();
        assert_eq!(said.name, *name);
        let decisions = policy.loaded().spoken().decisions.iter();
        assert!(decisions.eq([&Decision::ScaleUp]), "{name}");
        let schema = said.settings_schema.as_deref().expect("a schema");
        let schema: Value = serde_json::from_str(schema).unwrap();
        let settings = &schema["properties"]["scale-up"];
        assert_eq!(settings["additionalProperties"], false, "{name}");
        let key = &settings["properties"]["on_demand_after"];
        assert_eq!(key["type"], "integer", "{name}");
        assert_eq!(key["default"], 600, "{name}");
        assert!(key["description"].is_string(), "{name}");
    }
}

#[test]
fn interpreted_languages_are_too_large_unless_the_operator_allows_them() {
    for (name, class) in EXAMPLES {
        let small = SizeClass::Small.limits();
        let refused = match Component::new(&bytes(name).unwrap(), small) {
            Ok(_) => false,
            Err(Failure::TooLarge { .. }) => true,
            Err(other) => panic!("{name}: {other}"),
        };
        assert_eq!(refused, class == SizeClass::Large, "{name}");
    }
}

/// Rust's standard library imports WASI on `wasm32-wasip2`: the host has traps in its place. The tools of
/// the interpreted languages put traps of their own there.
#[test]
fn what_is_imported_of_wasi_is_there_and_traps() {
    for (name, policy) in policies() {
        let stubs = policy.stubs();
        if *name == "rust-wasip2" {
            assert!(
                stubs.iter().any(|stub| stub.starts_with("wasi:cli/")),
                "{stubs:?}"
            );
        } else {
            assert_eq!(stubs, [""; 0], "{name}");
        }
    }
}

#[test]
fn each_job_gets_a_runner_of_the_first_class_that_fits() {
    let situation = two_classes()
        .job("app", &["linux"])
        .job("app", &["large"])
        .job("app", &["windows"]);
    expect(
        situation,
        &["small, spot", "large, spot", "waits: no runner class"],
    );
    expect(fleet(), &[]);
}

#[test]
fn a_job_that_a_runner_is_there_for_gets_none_of_its_own() {
    let situation = two_classes()
        .runner("small", RunnerPhase::Booting, 30)
        .runner("small", RunnerPhase::Busy, 300)
        .runner("large", RunnerPhase::Retiring, 300)
        .jobs(2, "app", &["linux"])
        .job("app", &["large"]);
    let there = "waits: idle or on its way";
    expect(situation, &[there, "small, spot", "large, spot"]);
}

#[test]
fn a_job_that_waited_long_gets_on_demand_capacity_where_there_is_any() {
    let jobs = |fleet: Fleet| {
        fleet
            .job("app", &["linux"])
            .waited(600)
            .job("app", &["linux"])
            .waited(599)
    };
    expect(jobs(two_classes()), &["small, on demand", "small, spot"]);
    let offered = |spot_and_on_demand| {
        let fleet = fleet().class("small", &["linux"]);
        jobs(fleet.offered("small", spot_and_on_demand))
    };
    expect(offered((true, false)), &["small, spot"; 2]);
    expect(offered((false, true)), &["small, on demand"; 2]);
}

#[test]
fn settings_say_what_long_is_and_a_repositorys_own_hold_for_its_jobs() {
    let situation = two_classes()
        .settings(r#"{"on_demand_after": 60}"#)
        .tuned("slow", r#"{"on_demand_after": 120}"#)
        .job("slow", &["linux"])
        .waited(120)
        .job("slow", &["linux"])
        .waited(119)
        .job("app", &["linux"])
        .waited(60)
        .job("app", &["linux"])
        .waited(59);
    let (spot, on_demand) = ("small, spot", "small, on demand");
    expect(situation, &[on_demand, spot, on_demand, spot]);
}

#[test]
fn no_limit_is_exceeded_and_who_waits_is_told_which() {
    let jobs = |fleet: Fleet| fleet.jobs(2, "app", &["linux"]);
    let limited = |fleet: Fleet, why: &str| expect(jobs(fleet), &["small, spot", why]);
    limited(
        two_classes().maximum(1),
        "waits: maximum of 1 runners for this scope",
    );
    limited(
        two_classes().budgets(Some(1), None),
        "waits: at most 1 runners",
    );
    limited(two_classes().budgets(None, Some(1)), "waits: register now");
    limited(two_classes().spend_left(0.05), "waits: spend limit");
    limited(two_classes().repository_maximum(Some(1)), "waits: `app`");
    let full = fleet().class("small", &["linux"]).class_maximum(1);
    limited(full, "waits: at its maximum");
    // A class that is full leaves its jobs to the next that fits.
    let next = fleet()
        .class("small", &["linux"])
        .class_maximum(1)
        .class("large", &["linux", "large"]);
    limited(next, "large, spot");
}

#[test]
fn a_launch_is_for_a_repository_if_all_its_jobs_are() {
    let one = two_classes().jobs(2, "app", &["linux"]).build();
    let two = two_classes()
        .job("app", &["linux"])
        .job("lib", &["linux"])
        .build();
    for (name, policy) in policies() {
        let launched_for =
            |situation| policy.scale_up(situation).unwrap().plan.launches[0].launched_for;
        assert_eq!(launched_for(&one), Some(0), "{name}");
        assert_eq!(launched_for(&two), None, "{name}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_with_the_keys_name() {
    for (name, policy) in policies() {
        let asked = |settings: &str| {
            let (loaded, limits) = (policy.loaded(), policy.limits());
            loaded.needs(Decision::ScaleUp, settings, limits)
        };
        for good in [
            "{}",
            r#"{"on_demand_after": 0}"#,
            r#"{"on_demand_after": 4294967295}"#,
        ] {
            assert!(asked(good).is_ok(), "{name}: {good}");
        }
        for (wrong, at) in [
            (r#"{"on_demand_afer": 60}"#, "/on_demand_afer"),
            (r#"{"a/b~c": 1}"#, "/a~1b~0c"),
            (r#"{"on_demand_after": "60"}"#, "/on_demand_after"),
            (r#"{"on_demand_after": -1}"#, "/on_demand_after"),
            (r#"{"on_demand_after": 1.5}"#, "/on_demand_after"),
            (r#"{"on_demand_after": true}"#, "/on_demand_after"),
            (r#"{"on_demand_after": null}"#, "/on_demand_after"),
            (r#"{"on_demand_after": 4294967296}"#, "/on_demand_after"),
        ] {
            match asked(wrong) {
                Err(Failure::SettingsRefused(told)) => {
                    assert!(told.contains(at), "{name}: {told}");
                }
                other => panic!("{name}: {wrong} is answered with {other:?}"),
            }
            // Should they be shown all the same, nothing is guessed.
            let shown = two_classes().settings(wrong).job("app", &["linux"]).build();
            match policy.scale_up(&shown) {
                Err(Failure::Refused(reason)) => {
                    assert!(reason.contains(at), "{name}: {reason}");
                }
                other => panic!(
                    "{name}: {wrong} is answered with {:?}",
                    other.map(|d| d.plan)
                ),
            }
        }
    }
}

#[test]
fn the_hosts_own_trials_stay_within_the_limits_of_the_class() {
    for (name, policy) in policies() {
        let settings = |_| "{}".to_owned();
        for trial in self_check(policy.loaded(), settings, &[], policy.limits()) {
            let cost = trial
                .outcome
                .unwrap_or_else(|failure| panic!("{name}, {}: {failure}", trial.about));
            // What comes near a limit fails on a busier day.
            assert!(
                2 * cost.fuel < cost.fuel_limit,
                "{name}, {}: {cost:?}",
                trial.about
            );
            assert!(
                2 * cost.memory < cost.memory_limit,
                "{name}, {}: {cost:?}",
                trial.about
            );
        }
    }
}

#[test]
fn the_same_situation_is_decided_in_the_same_way_for_the_same_fuel() {
    let mut situation = two_classes().runner("small", RunnerPhase::Idle, 60);
    for repository in ["app", "lib", "web"] {
        situation = situation
            .jobs(20, repository, &["linux"])
            .job(repository, &["large"]);
    }
    let situation = situation.build();
    for (name, policy) in policies() {
        let decide = || policy.scale_up(&situation).unwrap();
        let (one, two) = (decide(), decide());
        assert_eq!(one.plan, two.plan, "{name}");
        assert_eq!(one.cost.fuel, two.cost.fuel, "{name}");
        assert_eq!(one.cost.memory, two.cost.memory, "{name}");
    }
}

/// Fewer than `stoker policy check` tries: each decision is an instance of its own, and there are some of
/// an interpreter in every case.
const CASES: u32 = 24;

#[test]
fn each_keeps_what_every_policy_keeps_and_those_that_count_by_hand_agree_in_every_word() {
    let [(_, with_sdk), by_hand @ ..] = policies() else {
        unreachable!("there are examples");
    };
    let options = Options {
        cases: CASES,
        ..Options::default()
    };
    let decide = |policy: &Component, situation: &Situation| {
        let decided = policy.scale_up(situation).map_err(undecided)?;
        Ok::<Plan, Undecided>(decided.plan)
    };
    let kept = check_scale_up(&|situation: &_| decide(with_sdk, situation), &options);
    assert_eq!(kept, []);
    let together = |situation: &Situation| {
        let plans = by_hand.iter().map(|(_, policy)| decide(policy, situation));
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
        for ((name, _), plan) in by_hand.iter().zip(&plans) {
            assert_eq!(*plan, plans[0], "{name} and {}", by_hand[0].0);
        }
        Ok::<_, Undecided>(plans[0].clone())
    };
    assert_eq!(check_scale_up(&together, &options), []);
}
