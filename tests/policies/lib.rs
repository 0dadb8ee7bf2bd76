//! Policies for tests, each an example of this crate: build them with `scripts/build-policies`.
//!
//! Each is one function from a situation to a plan; [`policy!`] makes the rest, from the raw bindings: what
//! is hostile does without the SDK's good manners.

pub use stoker_policy_sdk as sdk;

/// A plan that launches and defers nothing.
pub fn empty() -> sdk::scale_up::Plan {
    sdk::scale_up::Plan {
        launches: Vec::new(),
        deferrals: Vec::new(),
        notes: Vec::new(),
        attributes: Vec::new(),
    }
}

/// A plan that leaves all jobs waiting for that reason.
pub fn defer_all(
    situation: &sdk::facts::Situation,
    reason: impl Into<String>,
) -> sdk::scale_up::Plan {
    let jobs = (0..).take(situation.pending.len()).collect();
    sdk::scale_up::Plan {
        deferrals: vec![sdk::scale_up::Deferral {
            jobs,
            retry_after: None,
            reason: reason.into(),
        }],
        ..empty()
    }
}

/// Makes a policy of that name that says what it is, accepts all settings, and asks for the time in
/// those zones.
#[macro_export]
macro_rules! about {
    ($policy:ident, $name:literal) => {
        $crate::about!($policy, $name, []);
    };
    ($policy:ident, $name:literal, $zones:expr) => {
        impl $crate::sdk::about::Guest for $policy {
            fn describe() -> $crate::sdk::about::Description {
                $crate::sdk::about::Description {
                    name: $name.to_owned(),
                    version: "1.0.0".to_owned(),
                    summary: "A policy for tests.".to_owned(),
                    settings_schema: None,
                }
            }

            fn validate_settings(
                _decision: $crate::sdk::facts::DecisionKind,
                _settings: String,
            ) -> Result<$crate::sdk::about::Needs, Vec<$crate::sdk::about::Complaint>> {
                Ok($crate::sdk::about::Needs {
                    time_zones: <[&str]>::iter(&$zones)
                        .map(|&zone| zone.to_owned())
                        .collect(),
                })
            }
        }
    };
}

/// Makes a component of a function that decides which runners to launch.
#[macro_export]
macro_rules! policy {
    ($name:literal, $decide:path) => {
        $crate::policy!($name, $decide, []);
    };
    ($name:literal, $decide:path, $zones:expr) => {
        struct Policy;

        $crate::about!(Policy, $name, $zones);

        impl $crate::sdk::scale_up::Guest for Policy {
            fn decide(
                situation: $crate::sdk::facts::Situation,
            ) -> Result<$crate::sdk::scale_up::Plan, String> {
                $decide(&situation)
            }
        }

        // Natively nobody calls it.
        #[cfg(not(target_arch = "wasm32"))]
        const _: Policy = Policy;

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        mod exports {
            use super::Policy;

            $crate::sdk::about_part::export_about_part!(
                Policy with_types_in $crate::sdk::about_part
            );
            $crate::sdk::scale_up_part::export_scale_up_part!(
                Policy with_types_in $crate::sdk::scale_up_part
            );
        }
    };
}
