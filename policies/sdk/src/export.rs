//! The macro that puts a policy's decisions into its component.

use crate::about::Needs;

/// Exports a policy's decisions, and what it says of itself, from a component. Natively it does
/// nothing.
///
/// ```ignore
/// stoker_policy_sdk::export!(MyPolicy: scale_up, scale_down);
/// ```
///
/// The decisions are `scale_up` ([`ScaleUp`](crate::ScaleUp)), `scale_down`
/// ([`ScaleDown`](crate::ScaleDown)) and `sync` ([`RunnerSync`](crate::RunnerSync)).
#[macro_export]
macro_rules! export {
    ($policy:ident: $($interface:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        mod stoker_policy_exports {
            use super::$policy;

            struct Exported;

            impl $crate::about::Guest for Exported {
                fn describe() -> $crate::about::Description {
                    $crate::log_panics();
                    $crate::run::describe::<$policy, _>(|| [
                        $($crate::export!(@schema $interface $policy)),+
                    ])
                }

                fn validate_settings(
                    decision: $crate::facts::DecisionKind,
                    settings: String,
                ) -> Result<$crate::about::Needs, Vec<$crate::about::Complaint>> {
                    $crate::log_panics();
                    match decision {
                        $($crate::export!(@kind $interface) => {
                            $crate::export!(@needs $interface $policy settings)
                        })+
                        #[allow(unreachable_patterns)]
                        _ => Ok($crate::no_needs()),
                    }
                }
            }

            $crate::about_part::export_about_part!(Exported with_types_in $crate::about_part);
            $($crate::export!(@export $interface $policy);)+
        }
        // What a component is made of is part of the program natively too.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn($policy) = |_| ();
    };
    (@schema scale_up $policy:ident) => {
        ("scale-up", $crate::settings::schema::<<$policy as $crate::ScaleUp>::Settings>())
    };
    (@schema scale_down $policy:ident) => {
        ("scale-down", $crate::settings::schema::<<$policy as $crate::ScaleDown>::Settings>())
    };
    (@schema sync $policy:ident) => {
        ("sync", $crate::settings::schema::<<$policy as $crate::RunnerSync>::Settings>())
    };
    (@kind scale_up) => { $crate::facts::DecisionKind::ScaleUp };
    (@kind scale_down) => { $crate::facts::DecisionKind::ScaleDown };
    (@kind sync) => { $crate::facts::DecisionKind::Sync };
    (@needs scale_up $policy:ident $settings:ident) => {
        $crate::run::needs_to_scale_up::<$policy>(&$settings)
    };
    (@needs scale_down $policy:ident $settings:ident) => {
        $crate::run::needs_to_scale_down::<$policy>(&$settings)
    };
    (@needs sync $policy:ident $settings:ident) => {
        $crate::run::needs_to_sync::<$policy>(&$settings)
    };
    (@export scale_up $policy:ident) => {
        impl $crate::scale_up::Guest for Exported {
            fn decide(
                situation: $crate::facts::Situation,
            ) -> Result<$crate::scale_up::Plan, String> {
                $crate::log_panics();
                let plan = $crate::run::scale_up::<$policy>(&situation);
                $crate::let_go(situation);
                plan
            }
        }
        $crate::scale_up_part::export_scale_up_part!(Exported with_types_in $crate::scale_up_part);
    };
    (@export scale_down $policy:ident) => {
        impl $crate::scale_down::Guest for Exported {
            fn decide(
                situation: $crate::facts::Situation,
            ) -> Result<$crate::scale_down::Plan, String> {
                $crate::log_panics();
                let plan = $crate::run::scale_down::<$policy>(&situation);
                $crate::let_go(situation);
                plan
            }
        }
        $crate::scale_down_part::export_scale_down_part!(Exported with_types_in $crate::scale_down_part);
    };
    (@export sync $policy:ident) => {
        impl $crate::sync::Guest for Exported {
            fn decide(
                situation: $crate::sync::Situation,
            ) -> Result<$crate::sync::Plan, String> {
                $crate::log_panics();
                let plan = $crate::run::sync::<$policy>(&situation);
                $crate::let_go(situation);
                plan
            }
        }
        $crate::sync_part::export_sync_part!(Exported with_types_in $crate::sync_part);
    };
}

/// Nothing is needed.
pub fn no_needs() -> Needs {
    Needs {
        time_zones: Vec::new(),
    }
}

/// Lets a situation go without taking it apart: its memory goes with the call, and walking through
/// thousands of jobs to free it would cost fuel for nothing.
pub fn let_go<T>(situation: T) {
    std::mem::forget(situation);
}

/// Has a panic logged, with its place, before the policy traps: the trap itself says nothing.
pub fn log_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        crate::logging::log(crate::logging::Level::Warning, &panic.to_string());
    }));
}
