//! The rules, as claims.

use stoker_policy_sdk::facts::{Capacity, RunnerPhase, Situation, Visibility};
use stoker_policy_sdk::testing::fleet;
use stoker_policy_sdk::testing::properties::{Options, check_scale_down, check_scale_up};
use stoker_policy_sdk::{run, scale_down, scale_up};

use super::DefaultPolicy;
use crate::settings::{ScaleDownSettings, ScaleUpSettings};

fn decide(situation: &Situation) -> Result<scale_up::Plan, String> {
    run::scale_up::<DefaultPolicy>(situation)
}

fn retire(situation: &Situation) -> Result<scale_down::Plan, String> {
    run::scale_down::<DefaultPolicy>(situation)
}

fn launched(plan: &scale_up::Plan) -> u32 {
    plan.launches.iter().map(|launch| launch.count).sum()
}

/// `small` for `linux`, and `large`, twice the price, for `linux` and `large`.
fn two_classes() -> stoker_policy_sdk::testing::Fleet {
    fleet()
        .class("small", &["linux"])
        .class("large", &["linux", "large"])
}

#[test]
fn a_waiting_job_gets_one_runner_of_the_cheapest_class_that_fits() {
    let plan = decide(&two_classes().job("app", &["linux"]).build()).unwrap();
    assert_eq!(plan.launches.len(), 1);
    assert_eq!(plan.launches[0].runner_class, 0);
    assert_eq!(plan.launches[0].count, 1);
    assert_eq!(plan.launches[0].launched_for, Some(0));
    assert_eq!(
        plan.launches[0].reason,
        "1 job waits for `small` and no idle or booting runner is free for it"
    );
}

#[test]
fn an_idle_or_booting_runner_is_used_before_one_is_launched() {
    for phase in [
        RunnerPhase::Launching,
        RunnerPhase::Booting,
        RunnerPhase::Idle,
    ] {
        let situation = two_classes()
            .job("app", &["linux"])
            .runner("small", phase, 60)
            .build();
        let plan = decide(&situation).unwrap();
        assert_eq!(launched(&plan), 0);
        assert_eq!(
            plan.deferrals[0].reason,
            "a runner that is idle or on its way can take it"
        );
    }
}

#[test]
fn a_busy_retiring_or_unknown_runner_is_no_supply() {
    for phase in [
        RunnerPhase::Busy,
        RunnerPhase::Retiring,
        RunnerPhase::Unknown,
    ] {
        let situation = two_classes()
            .job("app", &["linux"])
            .runner("small", phase, 60)
            .build();
        assert_eq!(launched(&decide(&situation).unwrap()), 1);
    }
}

#[test]
fn a_job_that_takes_any_runner_leaves_the_only_fitting_one_to_another() {
    let situation = two_classes()
        .job("app", &["linux"])
        .job("app", &["large"])
        .runner("large", RunnerPhase::Idle, 90)
        .runner("small", RunnerPhase::Idle, 60)
        .build();
    assert_eq!(launched(&decide(&situation).unwrap()), 0);
}

#[test]
fn a_job_that_no_class_fits_waits_and_says_so() {
    let plan = decide(&two_classes().job("app", &["windows"]).build()).unwrap();
    assert_eq!(launched(&plan), 0);
    assert_eq!(
        plan.deferrals[0].reason,
        "no runner class has all of its labels"
    );
}

#[test]
fn at_a_maximum_jobs_wait_and_the_reason_names_whose_maximum_it_is() {
    let reason = |situation: &Situation| {
        let plan = decide(situation).unwrap();
        plan.deferrals[0].reason.clone()
    };
    let busy = || {
        two_classes()
            .jobs(2, "app", &["linux"])
            .runner("small", RunnerPhase::Busy, 60)
    };
    let own = busy().settings(r#"{"max_runners":2}"#).build();
    assert_eq!(launched(&decide(&own).unwrap()), 1);
    assert_eq!(reason(&own), "the policy's `max_runners` of 2 is reached");
    assert_eq!(
        reason(&busy().maximum(1).build()),
        "the operator's maximum of 1 runners for this scope is reached"
    );
    let class_full = fleet()
        .class("large", &["linux"])
        .class_maximum(0)
        .job("app", &["linux"])
        .build();
    assert_eq!(
        reason(&class_full),
        "every class that fits is at its maximum: `large` (0)"
    );
    let broke = busy().spend_left(0.04).build();
    assert_eq!(launched(&decide(&broke).unwrap()), 1);
    assert_eq!(reason(&broke), "the operator's spend limit is reached");
}

#[test]
fn a_repository_s_own_settings_bind_its_own_jobs_alone() {
    let situation = two_classes()
        .jobs(3, "app", &["linux"])
        .jobs(2, "lib", &["linux"])
        .tuned("app", r#"{"max_runners":1,"capacity":"on-demand"}"#)
        .build();
    let plan = decide(&situation).unwrap();
    assert_eq!(launched(&plan), 3);
    let on_demand: Vec<_> = plan
        .launches
        .iter()
        .filter(|launch| launch.capacity == Capacity::OnDemand)
        .collect();
    assert_eq!(on_demand.len(), 1);
    assert_eq!(on_demand[0].launched_for, Some(0));
    assert_eq!(
        plan.deferrals[0].reason,
        "`app` is at its own maximum of 1 runners"
    );
}

#[test]
fn a_job_that_waited_long_or_was_interrupted_gets_what_is_not_taken_back() {
    let capacity = |situation: Situation| decide(&situation).unwrap().launches[0].capacity;
    let one = || two_classes().job("app", &["linux"]);
    assert_eq!(capacity(one().build()), Capacity::Spot);
    assert_eq!(capacity(one().waited(600).build()), Capacity::OnDemand);
    assert_eq!(capacity(one().interrupted().build()), Capacity::OnDemand);
    let patient = r#"{"on_demand_after_seconds":null,"on_demand_after_interruption":false}"#;
    assert_eq!(
        capacity(one().interrupted().waited(9_000).settings(patient).build()),
        Capacity::Spot
    );
}

const STOCK: &str = r#"{"idle":[{"schedule":"* 8-17 * * mon-fri","time_zone":"Europe/Berlin",
    "count":3,"class":"small"}]}"#;

#[test]
fn the_idle_stock_is_filled_up_in_its_hours_and_waiting_jobs_come_first() {
    let at = |hour: u8, jobs: usize, idle: u32| {
        let mut situation = two_classes()
            .settings(STOCK)
            .zone("Europe/Berlin", 5, hour, 30)
            .jobs(jobs, "app", &["linux"]);
        for age in 0..idle {
            situation = situation.runner("small", RunnerPhase::Idle, 60 + age);
        }
        decide(&situation.build()).unwrap()
    };
    assert_eq!(launched(&at(9, 0, 0)), 3);
    assert_eq!(launched(&at(9, 0, 2)), 1);
    assert_eq!(launched(&at(9, 0, 5)), 0);
    assert_eq!(launched(&at(9, 2, 2)), 3, "the idle ones are taken");
    assert_eq!(launched(&at(19, 0, 0)), 0);
    assert_eq!(
        at(9, 0, 0).launches[0].reason,
        "3 idle `small` are wanted in `* 8-17 * * mon-fri` Europe/Berlin"
    );
    let needs = run::needs_to_scale_up::<DefaultPolicy>(STOCK).unwrap();
    assert_eq!(needs.time_zones, ["Europe/Berlin"]);
}

#[test]
fn idle_runners_that_nobody_needs_are_retired_when_they_are_old_enough() {
    let situation = |settings: &str, hour| {
        two_classes()
            .settings(settings)
            .zone("Europe/Berlin", 5, hour, 30)
            .runner("small", RunnerPhase::Busy, 9_000)
            .runner("small", RunnerPhase::Idle, 900)
            .runner("small", RunnerPhase::Idle, 120)
            .build()
    };
    let retired = |situation: &Situation| -> usize {
        let plan = retire(situation).unwrap();
        plan.verdicts
            .iter()
            .filter(|verdict| verdict.fate == scale_down::Fate::Retire)
            .map(|verdict| verdict.runners.len())
            .sum()
    };
    assert_eq!(retired(&situation("{}", 9)), 1);
    assert_eq!(retired(&situation(r#"{"minimum_age_seconds":100}"#, 9)), 2);
    assert_eq!(retired(&situation(STOCK, 9)), 0);
    assert_eq!(retired(&situation(STOCK, 19)), 1);
}

#[test]
fn settings_that_are_not_understood_are_refused_and_named() {
    let situation = fleet().settings(r#"{"max_runner":2}"#).build();
    let error = decide(&situation).unwrap_err();
    assert!(
        error.starts_with("settings/max_runner: unknown field"),
        "{error}"
    );
    let stock = STOCK.replace("8-17", "8-99");
    let complaints = run::needs_to_scale_up::<DefaultPolicy>(&stock).unwrap_err();
    assert_eq!(complaints[0].at, "/idle/0/schedule");
}

#[test]
fn a_repository_at_its_maximum_gets_no_runner_by_making_way_for_another() {
    // An idle `large` is there for `app`'s job; `lib`'s can take nothing but a `large`.
    let situation = fleet()
        .settings("{}")
        .class("small", &["linux"])
        .class("large", &["linux", "big"])
        .repository_maximum(Some(1))
        .runner("small", RunnerPhase::Busy, 900)
        .for_repository("app")
        .runner("large", RunnerPhase::Idle, 400)
        .job("app", &["linux"])
        .job("lib", &["big"])
        .build();
    let plan = decide(&situation).unwrap();
    assert_eq!(plan.launches.len(), 1);
    let launch = &plan.launches[0];
    assert_eq!((launch.runner_class, launch.count), (1, 1));
    let served = situation.pending[launch.jobs[0] as usize].repository;
    assert_eq!(situation.repositories[served as usize].name, "lib");
}

#[test]
fn the_idle_stock_moves_no_job_to_a_dearer_runner() {
    let mut situation = fleet()
        .settings(
            r#"{"idle":[{"schedule":"* * * * *","time_zone":"UTC","count":3,"class":"small"}]}"#,
        )
        .zone("UTC", 1, 9, 0)
        .class("small", &["linux"])
        .class_maximum(3)
        .class("large", &["linux", "big"])
        .job("app", &["linux"]);
    for _ in 0..3 {
        situation = situation.runner("small", RunnerPhase::Idle, 400);
    }
    let plan = decide(&situation.build()).unwrap();
    assert_eq!(
        plan.launches,
        [],
        "the job takes an idle `small`, and no more `small` may be had"
    );
    assert!(plan.deferrals[0].reason.contains("can take it"));
}

#[test]
fn a_public_repository_that_gets_no_runners_takes_no_room_from_others() {
    let mut situation = fleet()
        .class("small", &["linux"])
        .maximum(5)
        .jobs(5, "open", &["linux"])
        .waited(900)
        .jobs(3, "shop", &["linux"])
        .build();
    // As the host shows it.
    situation.repositories[0].visibility = Visibility::Public;
    situation.repositories[0].left = 0;
    let plan = decide(&situation).unwrap();
    assert_eq!(plan.launches.iter().map(|l| l.count).sum::<u32>(), 3);
    let told = plan.deferrals.iter().find(|d| d.jobs.len() == 5).unwrap();
    assert!(told.reason.contains("public"), "{}", told.reason);
}

#[test]
fn every_property_holds_whatever_is_set() {
    for settings in [
        "{}",
        r#"{"max_runners":5}"#,
        r#"{"capacity":"on-demand"}"#,
        r#"{"on_demand_after_seconds":0}"#,
    ] {
        let found = check_scale_up(&decide, &Options::with_settings(settings));
        assert_eq!(found, [], "{settings}");
    }
    let mut options = Options::with_settings(STOCK);
    options.zones = fleet().zone("Europe/Berlin", 5, 9, 30).build().zones;
    options.idle_stock = 3;
    assert_eq!(check_scale_up(&decide, &options), []);
    assert_eq!(check_scale_down(&retire, &options), []);
    assert_eq!(check_scale_down(&retire, &Options::default()), []);
}

#[test]
fn the_schema_file_is_that_of_the_settings() {
    stoker_policy_sdk::testing::assert_schema_file(
        concat!(env!("CARGO_MANIFEST_DIR"), "/settings.schema.json"),
        [
            (
                "scale-up",
                stoker_policy_sdk::settings::schema::<ScaleUpSettings>(),
            ),
            (
                "scale-down",
                stoker_policy_sdk::settings::schema::<ScaleDownSettings>(),
            ),
        ],
    );
}
