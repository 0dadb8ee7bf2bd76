//! Wants more runners than there are atoms to make them of.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::{Capacity, Situation};
use stoker_test_policies::sdk::scale_up::{Launch, Plan};

fn decide(_: &Situation) -> Result<Plan, String> {
    let mut plan = stoker_test_policies::empty();
    plan.launches = (0..1_000)
        .map(|_| Launch {
            runner_class: 0,
            capacity: Capacity::OnDemand,
            count: u32::MAX,
            launched_for: None,
            jobs: Vec::new(),
            reason: "more".to_owned(),
        })
        .collect();
    Ok(plan)
}

stoker_test_policies::policy!("wants-billions", decide);
