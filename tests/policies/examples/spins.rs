//! Never comes back.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    let mut turns = u64::from(situation.seed);
    loop {
        turns = std::hint::black_box(turns.wrapping_mul(3).wrapping_add(1));
    }
}

stoker_test_policies::policy!("spins", decide);
