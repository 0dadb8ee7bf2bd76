//! The rules of the shipped policies, compiled natively: what decides when no policy is there, or the
//! one that is there fails.

use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::plan::{Basis, DecidedBy, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::situation::Situation;
use stoker_policy_default::DefaultPolicy;
use stoker_policy_pinned_sync::PinnedSync;
use stoker_policy_sdk::{Policy, run};

use crate::contract::tame::tame;
use crate::contract::{Decision, Needs};
use crate::failure::Failure;
use crate::zones;

mod contract {
    use stoker_policy_sdk::{facts, scale_down, scale_up, sync};

    crate::contract::situation_into!();
    crate::contract::plan_from!(scale_up::Plan, facts::Capacity);
    crate::contract::verdicts_from!(scale_down::Plan, scale_down::Fate);
    crate::contract::sync_shapes!();
}

/// Which runners to launch, by the rules of `default`.
pub(crate) fn scale_up(situation: &Situation, basis: &Basis) -> Result<Plan, String> {
    let shown = contract::situation(situation, PolicyLevel::BuiltIn, basis);
    let plan = run::scale_up::<DefaultPolicy>(&shown)?;
    contract::plan(plan, situation)
}

/// Which runners to retire, by the rules of `default`.
pub(crate) fn scale_down(situation: &Situation, basis: &Basis) -> Result<ScaleDownPlan, String> {
    let shown = contract::situation(situation, PolicyLevel::BuiltIn, basis);
    let plan = run::scale_down::<DefaultPolicy>(&shown)?;
    contract::verdicts(plan, situation)
}

/// Which versions to mirror and to offer, by the rules of `pinned-sync`.
pub(crate) fn sync(distribution: &Distribution, basis: &Basis) -> Result<SyncPlan, String> {
    let plan = run::sync::<PinnedSync>(&contract::distribution(distribution, basis))?;
    contract::sync_plan(plan, distribution)
}

/// What these rules need for those settings; the error says what they don't understand.
pub(crate) fn needs(decision: Decision, settings: &str) -> Result<Needs, String> {
    let needs = match decision {
        Decision::ScaleUp => run::needs_to_scale_up::<DefaultPolicy>(settings),
        Decision::ScaleDown => run::needs_to_scale_down::<DefaultPolicy>(settings),
        Decision::Sync => run::needs_to_sync::<PinnedSync>(settings),
    }
    .map_err(|complaints| run::told(&complaints))?;
    Ok(Needs {
        time_zones: needs.time_zones,
    })
}

/// Whether these rules accept settings, and what they need for them.
///
/// # Errors
/// [`Failure::SettingsRefused`] or [`Failure::UnknownZone`].
pub fn accepts(decision: Decision, settings: &str) -> Result<Needs, Failure> {
    let needs =
        needs(decision, settings).map_err(|problem| Failure::SettingsRefused(tame(problem)))?;
    zones::exist(&needs)?;
    Ok(needs)
}

/// What these rules are shown with those settings; the error says what they don't understand.
pub(crate) fn basis(
    decision: Decision,
    settings: &str,
    now: stoker_core::time::Timestamp,
) -> Result<Basis, String> {
    let needs = needs(decision, settings)?;
    Ok(Basis {
        settings: settings.to_owned(),
        zones: zones::times(now, &needs).map_err(|failure| failure.to_string())?,
        ..Basis::default()
    })
}

/// Who decides when these rules do.
pub(crate) fn decided_by(decision: Decision) -> DecidedBy {
    let (name, version) = match decision {
        Decision::ScaleUp | Decision::ScaleDown => (DefaultPolicy::NAME, DefaultPolicy::VERSION),
        Decision::Sync => (PinnedSync::NAME, PinnedSync::VERSION),
    };
    DecidedBy {
        policy: format!("{name} {version} (built in)"),
        level: PolicyLevel::BuiltIn,
        digest: None,
        generation: None,
        fuel: None,
    }
}
