//! Launches one runner of the first class on demand, whatever is asked, and far more than allowed if
//! the settings say so (`{"greedy": true}`).

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::{Capacity, Situation};
use stoker_test_policies::sdk::scale_up::{Launch, Plan};

fn decide(situation: &Situation) -> Result<Plan, String> {
    let greedy = situation.settings.contains("\"greedy\":true");
    let jobs: Vec<u32> = (0..).take(situation.pending.len()).collect();
    let mut plan = stoker_test_policies::empty();
    if !jobs.is_empty() {
        plan.launches.push(Launch {
            runner_class: 0,
            capacity: Capacity::OnDemand,
            count: if greedy { 1_000_000 } else { 1 },
            launched_for: None,
            jobs,
            reason: "this policy launches one runner at a time".to_owned(),
        });
    }
    plan.notes.push(format!("level {:?}", situation.level));
    Ok(plan)
}

stoker_test_policies::policy!("launches-one", decide);
