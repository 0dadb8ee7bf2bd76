//! Answers with more than anybody reads.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    Ok(stoker_test_policies::defer_all(
        situation,
        "much ".repeat(1 << 20),
    ))
}

stoker_test_policies::policy!("hands-back-megabytes", decide);
