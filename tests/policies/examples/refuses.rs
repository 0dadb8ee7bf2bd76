//! Refuses to decide.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    Err(format!("{} is closed today", situation.scope.owner))
}

stoker_test_policies::policy!("refuses", decide);
