//! What the author of a scaling policy needs: the contract's types, and one macro for each decision
//! that a policy takes.
//!
//! A policy is a pure function from a situation to a plan. Implement [`About`] and the decision, then
//! export both:
//!
//! ```ignore
//! struct MyPolicy;
//!
//! impl stoker_policy_sdk::About for MyPolicy { /* describe, validate_settings */ }
//! impl stoker_policy_sdk::ScaleUp for MyPolicy { /* decide */ }
//!
//! stoker_policy_sdk::export_about!(MyPolicy);
//! stoker_policy_sdk::export_scale_up!(MyPolicy);
//! ```
//!
//! Build it for `wasm32-unknown-unknown` as a `cdylib`, and make a component of it with
//! `stoker policy component MODULE.wasm -o policy.wasm`.
//!
//! What is not exported is not in the component: a policy that only scales up leaves scaling down to
//! whoever decides that on a broader level. Compiled natively the types are the same, so rules can be
//! tested, and are run by the host as its built-in fallback, without any WebAssembly.

#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic
)]
mod bindings {
    pub mod about_part {
        wit_bindgen::generate!({
            path: "../../wit/v0.1",
            world: "about-part",
            pub_export_macro: true,
            export_macro_name: "export_about_part",
            default_bindings_module: "stoker_policy_sdk::about_part",
            additional_derives: [PartialEq],
        });
    }

    pub mod scale_up_part {
        wit_bindgen::generate!({
            path: "../../wit/v0.1",
            world: "scale-up-part",
            pub_export_macro: true,
            export_macro_name: "export_scale_up_part",
            default_bindings_module: "stoker_policy_sdk::scale_up_part",
            with: { "stoker:policy/facts@0.1.0": super::about_part::stoker::policy::facts },
            additional_derives: [PartialEq],
        });
    }
}

#[doc(hidden)]
pub use bindings::{about_part, scale_up_part};

/// What both sides talk about: the situation and everything in it.
pub use bindings::about_part::stoker::policy::facts;

/// What a policy may write down besides its decision; only inside a component.
pub use bindings::about_part::stoker::policy::logging;

/// The types of `describe` and `validate-settings`.
pub use bindings::about_part::exports::stoker::policy::about;

/// The types of the decision which runners to launch.
pub use bindings::scale_up_part::exports::stoker::policy::scale_up;

/// What every policy implements.
pub use about::Guest as About;

/// What a policy that decides which runners to launch implements.
pub use scale_up::Guest as ScaleUp;

/// Exports `describe` and `validate-settings` of a type that implements [`About`].
#[macro_export]
macro_rules! export_about {
    ($policy:ident) => {
        $crate::about_part::export_about_part!($policy with_types_in $crate::about_part);
    };
}

/// Exports the decision of a type that implements [`ScaleUp`].
#[macro_export]
macro_rules! export_scale_up {
    ($policy:ident) => {
        $crate::scale_up_part::export_scale_up_part!($policy with_types_in $crate::scale_up_part);
    };
}
