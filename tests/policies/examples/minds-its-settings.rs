//! Does what its settings say: `"spin":true` never validates, `"refuse":true` is refused,
//! `"zones":"A B"` asks for the time there, `"work":true` of a repository costs as much as seven jobs
//! may, and `"trap":true` of a repository traps.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

use stoker_test_policies::sdk::about::{Complaint, Description, Guest, Needs};
use stoker_test_policies::sdk::facts::{DecisionKind, Situation};
use stoker_test_policies::sdk::scale_up::{self, Plan};

struct Policy;

impl Guest for Policy {
    fn describe() -> Description {
        Description {
            name: "minds-its-settings".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "A policy for tests.".to_owned(),
            settings_schema: None,
        }
    }

    fn validate_settings(_: DecisionKind, settings: String) -> Result<Needs, Vec<Complaint>> {
        if settings.contains("\"spin\":true") {
            spend(u64::MAX);
        }
        if settings.contains("\"refuse\":true") {
            return Err(vec![Complaint {
                at: "/refuse".to_owned(),
                problem: "as you wish".to_owned(),
            }]);
        }
        let zones = settings
            .split_once("\"zones\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map_or("", |(zones, _)| zones);
        Ok(Needs {
            time_zones: zones.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

fn spend(turns: u64) {
    let mut spent = 0_u64;
    while spent < turns {
        spent = std::hint::black_box(spent + 1);
    }
}

impl scale_up::Guest for Policy {
    fn decide(situation: Situation) -> Result<Plan, String> {
        let mut plan = stoker_test_policies::empty();
        for zone in &situation.zones {
            plan.notes.push(format!("{} {}", zone.zone, zone.hour));
        }
        for settings in situation
            .repositories
            .iter()
            .filter_map(|repository| repository.settings.as_ref())
        {
            if settings.contains("\"work\":true") {
                spend(10_000);
            }
            assert!(!settings.contains("\"trap\":true"), "told to");
        }
        Ok(plan)
    }
}

// Natively nobody calls it.
#[cfg(not(target_arch = "wasm32"))]
const _: Policy = Policy;

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod exports {
    use super::Policy;

    stoker_test_policies::sdk::about_part::export_about_part!(
        Policy with_types_in stoker_test_policies::sdk::about_part
    );
    stoker_test_policies::sdk::scale_up_part::export_scale_up_part!(
        Policy with_types_in stoker_test_policies::sdk::scale_up_part
    );
}
