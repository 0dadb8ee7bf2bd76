//! The rules, as claims.

use stoker_policy_sdk::facts::{Capacity, Situation};
use stoker_policy_sdk::testing::properties::{Options, check_scale_up};
use stoker_policy_sdk::testing::{Fleet, fleet};
use stoker_policy_sdk::{run, scale_up};

use super::{Budget, Settings};

fn decide(situation: &Situation) -> Result<scale_up::Plan, String> {
    run::scale_up::<Budget>(situation)
}

fn launched(plan: &scale_up::Plan) -> u32 {
    plan.launches.iter().map(|launch| launch.count).sum()
}

/// `small` (0.03 spot, 0.10 on demand) with room for one more, and `large` (0.06, 0.20); five jobs that
/// either will do for; a budget of 10 dollars a day.
fn ten_a_day(spent: f64) -> Fleet {
    fleet()
        .settings(r#"{"per_day":10}"#)
        .class("small", &["linux"])
        .class_maximum(1)
        .class("large", &["linux"])
        .jobs(5, "app", &["linux"])
        .spent(0.0, spent, spent)
}

#[test]
fn far_from_the_limit_everything_is_launched() {
    let plan = decide(&ten_a_day(1.0).build()).unwrap();
    assert_eq!(launched(&plan), 5);
    assert_eq!(plan.notes, [""; 0]);
}

#[test]
fn closer_to_it_only_what_is_somebody_s_cheapest() {
    let plan = decide(&ten_a_day(7.5).build()).unwrap();
    assert_eq!(launched(&plan), 1);
    assert_eq!(plan.launches[0].runner_class, 0);
    assert_eq!(
        plan.notes,
        ["cheaper classes only: $7.50 of $10.00 a day are spent"]
    );
    assert_eq!(
        plan.deferrals[0].reason,
        "every class that fits and that the policy allows now is at its maximum: `small` (1)"
    );
}

#[test]
fn closer_still_only_spot_whatever_a_job_would_get_otherwise() {
    let interrupted = |spent| {
        let situation = fleet()
            .settings(r#"{"per_day":10}"#)
            .class("small", &["linux"])
            .job("app", &["linux"])
            .interrupted()
            .spent(0.0, spent, spent)
            .build();
        decide(&situation).unwrap().launches[0].capacity
    };
    assert_eq!(interrupted(1.0), Capacity::OnDemand);
    assert_eq!(interrupted(8.6), Capacity::Spot);
}

#[test]
fn at_the_limit_jobs_wait_until_there_is_more_and_are_told_when() {
    let plan = decide(&ten_a_day(10.0).build()).unwrap();
    assert_eq!(launched(&plan), 0);
    assert_eq!(plan.deferrals[0].reason, "$10.00 of $10.00 a day are spent");
    // 16 hours until midnight.
    assert_eq!(plan.deferrals[0].retry_after, Some(57_600));
}

#[test]
fn named_branches_are_served_when_the_others_wait_already() {
    let situation = ten_a_day(9.6)
        .settings(r#"{"per_day":10,"first_branches":["main","release/*"]}"#)
        .job("app", &["linux"])
        .branch("feature")
        .class_maximum(50)
        .build();
    let plan = decide(&situation).unwrap();
    let served: Vec<&str> = plan
        .launches
        .iter()
        .flat_map(|launch| &launch.jobs)
        .map(|&job| situation.pending[super::index(job)].branch.as_str())
        .collect();
    assert_eq!(served, ["main"]);
    let waits = plan
        .deferrals
        .iter()
        .find(|deferral| deferral.reason.contains("named branches"))
        .unwrap();
    assert_eq!(
        situation.pending[super::index(waits.jobs[0])].branch,
        "feature"
    );
}

#[test]
fn one_decision_does_not_overrun_the_limit() {
    let situation = fleet()
        .settings(r#"{"per_hour":1.0,"spot_only_at":1,"cheaper_class_at":1,"others_wait_at":1}"#)
        .class("small", &["linux"])
        .jobs(90, "app", &["linux"])
        .spent(0.4, 0.4, 0.4)
        .build();
    // 0.6 dollars are 20 hours of 0.03.
    let plan = decide(&situation).unwrap();
    assert!((19..=20).contains(&launched(&plan)), "{}", launched(&plan));
}

#[test]
fn the_next_decision_does_not_spend_the_same_money_again() {
    // Nine runners of three cents were launched a minute ago: hardly anything is spent, and all is gone.
    let mut situation = fleet()
        .settings(r#"{"per_hour":0.3,"capacity":"on-demand"}"#)
        .class("small", &["linux"])
        .jobs(90, "app", &["linux"])
        .spent(0.015, 0.015, 0.015);
    for _ in 0..9 {
        situation = situation.runner("small", stoker_policy_sdk::facts::RunnerPhase::Busy, 60);
    }
    let plan = decide(&situation.build()).unwrap();
    assert_eq!(launched(&plan), 0, "less than another ten cents is left");
    assert_eq!(
        plan.deferrals[0].reason,
        "$0.28 of $0.30 an hour are spent or spoken for by runners in their first hour",
    );
}

#[test]
fn a_job_is_paid_at_the_price_of_what_it_gets() {
    // Jobs that waited long get on-demand capacity, at three times the price.
    let situation = fleet()
        .settings(r#"{"per_hour":1.0}"#)
        .class("small", &["linux"])
        .jobs(20, "app", &["linux"])
        .spent(0.4, 0.4, 0.4)
        .build();
    let mut long = situation.clone();
    for job in &mut long.pending {
        job.waited = 5_000;
    }
    assert_eq!(launched(&decide(&situation).unwrap()), 20);
    assert_eq!(launched(&decide(&long).unwrap()), 6, "sixty cents");
}

#[test]
fn a_job_that_the_money_can_not_serve_keeps_no_room_from_one_that_it_can() {
    let situation = fleet()
        .settings(r#"{"per_hour":0.05}"#)
        .class("small", &["linux"])
        .class("large", &["linux", "large"])
        .maximum(1)
        .job("app", &["large"])
        .job("app", &["linux"])
        .build();
    let plan = decide(&situation).unwrap();
    assert_eq!(launched(&plan), 1);
    assert_eq!(plan.launches[0].runner_class, 0);
    assert!(plan.deferrals[0].reason.contains("$0.05"), "{plan:?}");
}

#[test]
fn named_branches_go_first_whatever_they_cost() {
    let situation = fleet()
        .settings(r#"{"first_branches":["main"]}"#)
        .class("small", &["linux"])
        .class("large", &["linux", "large"])
        .maximum(2)
        .jobs(3, "app", &["linux"])
        .branch("feature")
        .jobs(2, "app", &["large"])
        .build();
    let mut situation = situation;
    for job in &mut situation.pending {
        let large = situation.label_sets[super::index(job.labels)].labels.len() == 1
            && situation.label_sets[super::index(job.labels)].labels[0] == "large";
        job.branch = if large { "main" } else { "feature" }.to_owned();
    }
    let plan = decide(&situation).unwrap();
    assert_eq!(plan.launches.len(), 1);
    assert_eq!(
        (plan.launches[0].runner_class, plan.launches[0].count),
        (1, 2)
    );
}

#[test]
fn close_to_the_limit_a_class_without_spot_makes_way_for_one_that_has_it() {
    let situation = fleet()
        .settings(r#"{"per_day":10}"#)
        .class("arm", &["linux"])
        .class("x64", &["linux"])
        .offered("arm", (false, true))
        .jobs(2, "app", &["linux"])
        .spent(0.0, 8.6, 8.6)
        .build();
    let plan = decide(&situation).unwrap();
    assert_eq!(
        (plan.launches[0].runner_class, plan.launches[0].count),
        (1, 2)
    );
}

#[test]
fn settings_that_make_no_sense_are_complained_about() {
    let settings = r#"{"per_day":-1,"spot_only_at":1.5}"#;
    let complaints = run::needs_to_scale_up::<Budget>(settings).unwrap_err();
    let places: Vec<&str> = complaints.iter().map(|c| c.at.as_str()).collect();
    assert_eq!(places, ["/per_day", "/spot_only_at"]);
}

#[test]
fn every_property_holds_whatever_is_set() {
    for settings in [
        "{}",
        r#"{"per_hour":0.5}"#,
        r#"{"per_day":5,"per_month":20,"first_branches":["main"]}"#,
        r#"{"per_month":15,"max_runners":6,"capacity":"on-demand"}"#,
        r#"{"per_day":0}"#,
    ] {
        let options = Options {
            alike: true,
            ..Options::with_settings(settings)
        };
        let found = check_scale_up(&decide, &options);
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
