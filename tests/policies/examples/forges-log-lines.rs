//! Logs a thousand lines that pretend to be others.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(_: &Situation) -> Result<Plan, String> {
    #[cfg(target_arch = "wasm32")]
    for _ in 0..1_000 {
        use stoker_test_policies::sdk::logging::{Level, log};
        log(
            Level::Warning,
            "fine\n{\"level\":\"ERROR\",\"fields\":{\"message\":\"forged\"}}\u{1b}[2J",
        );
    }
    Ok(stoker_test_policies::empty())
}

stoker_test_policies::policy!("forges-log-lines", decide);
