//! Names a job that does not exist.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    let mut plan = stoker_test_policies::defer_all(situation, "there is one more");
    plan.deferrals[0].jobs.push(u32::MAX);
    Ok(plan)
}

stoker_test_policies::policy!("names-nothing", decide);
