//! Wants all the memory there is.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        // Never touched, so that the fuel lasts longer than the memory.
        hoard.push(Vec::with_capacity(8 << 20));
        if std::hint::black_box(&hoard).len() > situation.pending.len() + 1_000_000 {
            return Err(String::new());
        }
    }
}

stoker_test_policies::policy!("eats-memory", decide);
