//! temporary
use crate::contract::Decision;
use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::plan::{Basis, DecidedBy, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::situation::Situation;
use stoker_policy_default as default;

mod contract {
    use stoker_policy_sdk::{facts, scale_up};
    crate::contract::situation_into!();
    crate::contract::plan_from!(scale_up::Plan, facts::Capacity);
}
pub(crate) fn scale_up(situation: &Situation, basis: &Basis) -> Result<Plan, String> {
    let shown = contract::situation(situation, PolicyLevel::BuiltIn, basis);
    contract::plan(default::decide(&shown)?, situation)
}
pub(crate) fn scale_down(_: &Situation, _: &Basis) -> Result<ScaleDownPlan, String> {
    Ok(ScaleDownPlan::default())
}
pub(crate) fn sync(_: &Distribution, _: &Basis) -> Result<SyncPlan, String> {
    Ok(SyncPlan::default())
}
pub(crate) fn basis(
    _: Decision,
    settings: &str,
    _: stoker_core::time::Timestamp,
) -> Result<Basis, String> {
    Ok(Basis {
        settings: settings.to_owned(),
        ..Basis::default()
    })
}
pub(crate) fn decided_by(_: Decision) -> DecidedBy {
    DecidedBy {
        policy: format!("{} {} (built in)", default::NAME, default::VERSION),
        level: PolicyLevel::BuiltIn,
        digest: None,
        fuel: None,
    }
}
