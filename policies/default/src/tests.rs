use proptest::prelude::*;
use stoker_policy_sdk::facts::{
    Capacity, Headroom, Job, LabelSet, PolicyLevel, Recent, Repository, Runner, RunnerClass,
    RunnerPhase, Scope, Situation, Spend, Trigger, Visibility,
};
use stoker_policy_sdk::scale_up::Plan;

use crate::decide;

const NEVER: Recent = Recent {
    launched: 0,
    interrupted: 0,
    refused: 0,
    boot_median: None,
    boot_slowest: None,
};

fn class(name: &str, left: u32) -> RunnerClass {
    RunnerClass {
        name: name.to_owned(),
        labels: vec![name.to_owned()],
        instance_types: Vec::new(),
        maximum: 100,
        left,
        spot_price: Some(0.03),
        on_demand_price: Some(0.1),
        spot: NEVER,
        on_demand: NEVER,
        attributes: Vec::new(),
    }
}

fn job(labels: u32) -> Job {
    Job {
        repository: 0,
        labels,
        workflow: "ci".to_owned(),
        name: "test".to_owned(),
        branch: "main".to_owned(),
        attempt: 1,
        waited: 5,
        deferrals: 0,
        last_deferral: None,
        interrupted: false,
        attributes: Vec::new(),
    }
}

fn runner(class: u32, phase: RunnerPhase) -> Runner {
    Runner {
        name: "r".to_owned(),
        runner_class: class,
        capacity: Capacity::Spot,
        phase,
        launched_for: None,
        serves: None,
        age: 10,
        in_phase: 10,
        price: 0.03,
        attributes: Vec::new(),
    }
}

/// Two classes: `small`, and `large` that also does what `small` does. Label sets: 0 any of the two,
/// 1 large only, 2 none.
fn situation(pending: Vec<Job>, runners: Vec<Runner>, settings: &str) -> Situation {
    Situation {
        now: 1_700_000_000,
        zones: Vec::new(),
        seed: 1,
        scope: Scope {
            owner: "acme".to_owned(),
            repository: None,
        },
        level: PolicyLevel::Default,
        trigger: Trigger::Jobs,
        settings: settings.to_owned(),
        repositories: vec![Repository {
            name: "app".to_owned(),
            visibility: Visibility::Private,
            maximum: None,
            left: 100,
            waiting_jobs: 0,
            running_jobs: 0,
            spent_today: 0.0,
            settings: None,
            attributes: Vec::new(),
        }],
        label_sets: vec![
            LabelSet {
                labels: vec!["linux".to_owned()],
                fits: vec![0, 1],
            },
            LabelSet {
                labels: vec!["large".to_owned()],
                fits: vec![1],
            },
            LabelSet {
                labels: vec!["windows".to_owned()],
                fits: vec![],
            },
        ],
        classes: vec![class("small", 100), class("large", 100)],
        pending,
        pending_unseen: 0,
        headroom: Headroom {
            runners_maximum: 100,
            runners_left: 100_u32.saturating_sub(u32::try_from(runners.len()).unwrap()),
            launches_left: 100,
            registrations_left: 100,
            registrations_reset: 0,
            spend_left: None,
        },
        runners,
        spend: Spend {
            this_hour: 0.0,
            today: 0.0,
            this_month: 0.0,
        },
        attributes: Vec::new(),
    }
}

fn launched(plan: &Plan) -> u32 {
    plan.launches.iter().map(|launch| launch.count).sum()
}

#[test]
fn a_waiting_job_gets_one_runner_of_the_cheapest_class_that_fits() {
    let plan = decide(&situation(vec![job(0)], vec![], "{}")).unwrap();
    assert_eq!(plan.launches.len(), 1);
    assert_eq!(plan.launches[0].runner_class, 0);
    assert_eq!(plan.launches[0].count, 1);
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
        let plan = decide(&situation(vec![job(0)], vec![runner(0, phase)], "{}")).unwrap();
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
        let plan = decide(&situation(vec![job(0)], vec![runner(0, phase)], "{}")).unwrap();
        assert_eq!(launched(&plan), 1);
    }
}

#[test]
fn a_job_that_takes_any_runner_leaves_the_only_fitting_one_to_another() {
    let runners = vec![runner(0, RunnerPhase::Idle), runner(1, RunnerPhase::Idle)];
    let plan = decide(&situation(vec![job(0), job(1)], runners, "{}")).unwrap();
    assert_eq!(launched(&plan), 0);
}

#[test]
fn a_job_that_no_class_fits_waits_and_says_so() {
    let plan = decide(&situation(vec![job(2)], vec![], "{}")).unwrap();
    assert_eq!(launched(&plan), 0);
    assert_eq!(
        plan.deferrals[0].reason,
        "no runner class has all of its labels"
    );
}

#[test]
fn at_the_maximum_jobs_wait_and_the_reason_names_whose_maximum_it_is() {
    let busy = vec![runner(0, RunnerPhase::Busy)];
    let own = situation(vec![job(0), job(0)], busy.clone(), r#"{"max_runners":2}"#);
    let plan = decide(&own).unwrap();
    assert_eq!(launched(&plan), 1);
    assert_eq!(
        plan.deferrals[0].reason,
        "the policy's `max_runners` of 2 is reached"
    );

    let mut operators = situation(vec![job(0)], busy, "{}");
    operators.headroom.runners_left = 0;
    let plan = decide(&operators).unwrap();
    assert_eq!(
        plan.deferrals[0].reason,
        "the operator's maximum of 100 runners for this scope is reached"
    );

    let mut class_full = situation(vec![job(1)], vec![], "{}");
    class_full.classes[1].left = 0;
    let plan = decide(&class_full).unwrap();
    assert_eq!(
        plan.deferrals[0].reason,
        "every class that fits is at its maximum: `large` (100)"
    );
}

#[test]
fn the_preferred_capacity_is_taken_where_it_is_offered() {
    let capacity = |settings: &str, spot: Option<f64>, on_demand: Option<f64>| {
        let mut situation = situation(vec![job(0)], vec![], settings);
        situation.classes[0].spot_price = spot;
        situation.classes[0].on_demand_price = on_demand;
        decide(&situation).unwrap().launches[0].capacity
    };
    let on_demand = r#"{"capacity":"on-demand"}"#;
    assert_eq!(capacity("{}", Some(0.1), Some(0.2)), Capacity::Spot);
    assert_eq!(capacity("{}", None, Some(0.2)), Capacity::OnDemand);
    assert_eq!(
        capacity(on_demand, Some(0.1), Some(0.2)),
        Capacity::OnDemand
    );
    assert_eq!(capacity(on_demand, Some(0.1), None), Capacity::Spot);
}

#[test]
fn settings_that_are_not_understood_are_refused_and_named() {
    let error = decide(&situation(vec![], vec![], r#"{"max_runner":2}"#)).unwrap_err();
    assert!(error.contains("max_runner"), "{error}");
}

fn phases() -> impl Strategy<Value = RunnerPhase> {
    prop_oneof![
        Just(RunnerPhase::Launching),
        Just(RunnerPhase::Booting),
        Just(RunnerPhase::Idle),
        Just(RunnerPhase::Busy),
        Just(RunnerPhase::Retiring),
        Just(RunnerPhase::Unknown),
    ]
}

prop_compose! {
    fn situations()(
        jobs in prop::collection::vec(0_u32..3, 0..40),
        runners in prop::collection::vec((0_u32..2, phases()), 0..30),
        left in (0_u32..20, 0_u32..20),
        maximum in prop::option::of(0_u32..40),
        headroom in 0_u32..40,
    ) -> Situation {
        let settings = maximum.map_or("{}".to_owned(), |m| format!("{{\"max_runners\":{m}}}"));
        let mut situation = situation(
            jobs.into_iter().map(job).collect(),
            runners.into_iter().map(|(class, phase)| runner(class, phase)).collect(),
            &settings,
        );
        situation.classes[0].left = left.0;
        situation.classes[1].left = left.1;
        situation.headroom.runners_left = headroom;
        situation
    }
}

proptest! {
    /// Every pending job is in exactly one launch or deferral, and each launch is of as many runners as
    /// it names jobs.
    #[test]
    fn every_job_has_one_fate(situation in situations()) {
        let plan = decide(&situation).unwrap();
        let mut named: Vec<u32> = plan.launches.iter().flat_map(|l| l.jobs.clone())
            .chain(plan.deferrals.iter().flat_map(|d| d.jobs.clone()))
            .collect();
        named.sort_unstable();
        let all: Vec<u32> = (0..u32::try_from(situation.pending.len()).unwrap()).collect();
        prop_assert_eq!(named, all);
        for launch in &plan.launches {
            prop_assert_eq!(usize::try_from(launch.count).unwrap(), launch.jobs.len());
        }
    }

    /// A plan never exceeds the headroom, of the scope or of a class.
    #[test]
    fn no_plan_exceeds_the_headroom(situation in situations()) {
        let plan = decide(&situation).unwrap();
        prop_assert!(launched(&plan) <= situation.headroom.runners_left);
        for (place, class) in (0_u32..).zip(&situation.classes) {
            let of_class: u32 = plan.launches.iter()
                .filter(|launch| launch.runner_class == place).map(|launch| launch.count).sum();
            prop_assert!(of_class <= class.left);
        }
    }

    /// One more job never launches fewer.
    #[test]
    fn more_demand_never_launches_fewer(situation in situations(), labels in 0_u32..3) {
        let before = launched(&decide(&situation).unwrap());
        let mut more = situation;
        more.pending.push(job(labels));
        prop_assert!(launched(&decide(&more).unwrap()) >= before);
    }

    /// One more idle runner never launches more.
    #[test]
    fn more_supply_never_launches_more(situation in situations(), class in 0_u32..2) {
        let before = launched(&decide(&situation).unwrap());
        let mut more = situation;
        more.runners.push(runner(class, RunnerPhase::Idle));
        prop_assert!(launched(&decide(&more).unwrap()) <= before);
    }

    /// The same situation gives the same plan.
    #[test]
    fn decisions_repeat(situation in situations()) {
        prop_assert_eq!(decide(&situation).unwrap(), decide(&situation).unwrap());
    }
}
