//! Tries to write into the terminal of whoever reads its reasons.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    Ok(stoker_test_policies::defer_all(
        situation,
        "\u{1b}[2Jall is well\nreally",
    ))
}

stoker_test_policies::policy!("writes-control-characters", decide);
