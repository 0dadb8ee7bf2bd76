//! The rules, as claims.

mod account;
mod fold;
mod guardrails;
mod ids;
mod runner;
mod situation;

use std::collections::BTreeMap;

use stoker_intake::{Action, JobEvent};

use crate::budget::Rates;
use crate::class::{Classes, RunnerClass};
use crate::contract::fixtures::Fixtures;
use crate::ids::{ClassName, Deployment, RunnerNames};
use crate::limits::{BOOT_TIME, Guards, Operation, RunnerLevel, RunnerMode};
use crate::time::Timestamp;

/// 2027-01-15T08:00:00Z.
const NOW: Timestamp = Timestamp(1_800_000_000);

fn class(name: &str, labels: &[&str], maximum: u32) -> RunnerClass {
    RunnerClass {
        name: ClassName(name.to_owned()),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        launch_template: "runners".to_owned(),
        launch_template_version: "$Default".to_owned(),
        instance_types: Vec::new(),
        subnets: Vec::new(),
        maximum,
        spot_price: Some(0.03),
        on_demand_price: Some(0.1),
        attributes: BTreeMap::new(),
    }
}

fn operation(classes: Vec<RunnerClass>) -> Operation {
    let deployment: Deployment = "test".parse().unwrap();
    Operation {
        names: RunnerNames::new("stoker", &deployment).unwrap(),
        deployment,
        level: RunnerLevel::Organization,
        mode: RunnerMode::Ephemeral,
        runner_group: None,
        classes: Classes::new(classes).unwrap(),
        scope_maximum: 10,
        boot_time: BOOT_TIME,
        minimum_running_time: 60,
        jobs_shown: 100,
        guards: Guards::default(),
        rates: Rates::default(),
        deployment_maximum: None,
        spot_fallback: Vec::new(),
    }
}

fn fixtures() -> Fixtures {
    Fixtures::new(NOW, 1)
}

/// An event of one and the same job.
fn event(action: Action) -> JobEvent {
    let queued = fixtures().queued_event(1, 1);
    match action {
        Action::Created | Action::Queued => queued,
        Action::InProgress => JobEvent {
            action,
            runner_name: Some("stoker-test-i-1".to_owned()),
            ..queued
        },
        Action::Completed => JobEvent {
            action,
            runner_name: Some("stoker-test-i-1".to_owned()),
            conclusion: Some("success".to_owned()),
            ..queued
        },
    }
}
