//! Writes down the settings that it was shown.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(situation: &Situation) -> Result<Plan, String> {
    let mut plan = stoker_test_policies::empty();
    plan.notes.push(format!("scope {}", situation.settings));
    for repository in &situation.repositories {
        plan.notes
            .push(format!("{} {:?}", repository.name, repository.settings));
    }
    Ok(plan)
}

stoker_test_policies::policy!("notes-settings", decide);
