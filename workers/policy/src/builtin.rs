//! The rules of the shipped default policy, compiled natively: what decides when no policy is there,
//! or the one that is there fails.

use stoker_core::plan::{DecidedBy, Plan, PolicyLevel};
use stoker_core::situation::Situation;
use stoker_policy_default as default;

use crate::failure::Failure;

mod contract {
    use stoker_policy_sdk::{facts, scale_up};

    crate::contract::situation_into!();
    crate::contract::plan_from!(scale_up::Plan, facts::Capacity);
}

/// Decides by the built-in rules. Settings that they don't understand (those of another policy) are
/// left aside: the operator's maxima still hold.
pub fn decide(situation: &Situation, settings: &str) -> Plan {
    try_decide(situation, settings)
        .or_else(|_| try_decide(situation, "{}"))
        .unwrap_or_default()
}

fn try_decide(situation: &Situation, settings: &str) -> Result<Plan, Failure> {
    let plan = default::decide(&contract::situation(
        situation,
        PolicyLevel::BuiltIn,
        settings.to_owned(),
    ))
    .map_err(Failure::Refused)?;
    contract::plan(plan, situation).map_err(|problem| Failure::BadOutput {
        call: "scale-up",
        problem,
    })
}

/// Who decides when these rules do.
pub fn decided_by() -> DecidedBy {
    DecidedBy {
        policy: format!("{} {} (built in)", default::NAME, default::VERSION),
        level: PolicyLevel::BuiltIn,
        digest: None,
        fuel: None,
    }
}
