//! Panics.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    let none: Option<Plan> = std::hint::black_box(None);
    assert!(
        none.is_some() || situation.pending.len() > 1_000_000,
        "on purpose"
    );
    Err(String::new())
}

stoker_test_policies::policy!("traps", decide);
