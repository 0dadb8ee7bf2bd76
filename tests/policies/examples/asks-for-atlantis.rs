//! Asks for the time in a place that never was.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(_: &Situation) -> Result<Plan, String> {
    Ok(stoker_test_policies::empty())
}

stoker_test_policies::policy!("asks-for-atlantis", decide, ["Europe/Atlantis"]);
