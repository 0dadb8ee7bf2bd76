//! Logs as much as the memory holds, again and again: the host's work, and not its own fuel.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(_: &Situation) -> Result<Plan, String> {
    #[cfg(target_arch = "wasm32")]
    {
        use stoker_test_policies::sdk::logging::{Level, log};
        let all = "x".repeat(900_000);
        for _ in 0..100_000 {
            log(Level::Info, &all);
        }
    }
    Ok(stoker_test_policies::empty())
}

stoker_test_policies::policy!("shouts", decide);
