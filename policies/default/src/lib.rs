//! The policy that ships: one runner for each waiting job that no runner is there for, up to the
//! maxima.
//!
//! The same source is compiled twice: for wasm32 it is the component `default/policy.wasm`, natively
//! it is the built-in fallback of the host. Modules: [`settings`], [`demand`] (which jobs existing
//! runners can take, and what to launch for the rest), and here the exports.

pub mod demand;
pub mod settings;

use stoker_policy_sdk::facts::{DecisionKind, Situation};
use stoker_policy_sdk::{About, ScaleUp, about, scale_up};

use crate::settings::Settings;

/// The policy's name, as `describe` says it.
pub const NAME: &str = "default";

/// The policy's version, as `describe` says it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct DefaultPolicy;

impl About for DefaultPolicy {
    fn describe() -> about::Description {
        about::Description {
            name: NAME.to_owned(),
            version: VERSION.to_owned(),
            summary:
                "One runner for each waiting job that no idle or booting runner can take, up to \
                      the maxima."
                    .to_owned(),
            settings_schema: Some(settings::SCHEMA.to_owned()),
        }
    }

    fn validate_settings(
        _decision: DecisionKind,
        settings: String,
    ) -> Result<about::Needs, Vec<about::Complaint>> {
        match Settings::parse(&settings) {
            Ok(_) => Ok(about::Needs {
                time_zones: Vec::new(),
            }),
            Err(complaint) => Err(vec![complaint]),
        }
    }
}

impl ScaleUp for DefaultPolicy {
    fn decide(situation: Situation) -> Result<scale_up::Plan, String> {
        decide(&situation)
    }
}

/// Decides.
///
/// # Errors
/// If the settings are not understood: the policy rather refuses than guesses.
pub fn decide(situation: &Situation) -> Result<scale_up::Plan, String> {
    let settings = Settings::parse(&situation.settings)
        .map_err(|complaint| format!("settings{}: {}", complaint.at, complaint.problem))?;
    Ok(demand::plan(situation, &settings))
}

#[cfg(target_arch = "wasm32")]
mod exports {
    use super::DefaultPolicy;

    stoker_policy_sdk::export_about!(DefaultPolicy);
    stoker_policy_sdk::export_scale_up!(DefaultPolicy);
}

#[cfg(test)]
mod tests;
