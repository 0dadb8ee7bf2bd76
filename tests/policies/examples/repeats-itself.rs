//! Names every job again and again, each time with another reason.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::{Deferral, Plan};

fn decide(situation: &Situation) -> Result<Plan, String> {
    let jobs = u32::try_from(situation.pending.len()).unwrap_or(u32::MAX);
    let mut plan = stoker_test_policies::empty();
    plan.deferrals = (0..5_000)
        .map(|n| Deferral {
            jobs: (0..jobs).collect(),
            retry_after: None,
            reason: n.to_string(),
        })
        .collect();
    Ok(plan)
}

stoker_test_policies::policy!("repeats-itself", decide);
