//! Asks for the time in two zones, and writes it down.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    let mut plan = stoker_test_policies::empty();
    plan.notes = situation
        .zones
        .iter()
        .map(|at| {
            format!(
                "{} {}:{:02} {:+}",
                at.zone, at.hour, at.minute, at.utc_offset
            )
        })
        .collect();
    Ok(plan)
}

stoker_test_policies::policy!(
    "asks-for-the-time",
    decide,
    ["Europe/Berlin", "America/New_York"]
);
