//! Calls itself without end.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    Err(deeper(u64::from(situation.seed)).to_string())
}

#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    // No array in the frame: that would use up the memory that Rust keeps its stack in before
    // WebAssembly's own stack.
    deeper(std::hint::black_box(depth) + 1) + depth
}

stoker_test_policies::policy!("recurses", decide);
