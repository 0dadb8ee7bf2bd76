//! What the author of a scaling policy needs.
//!
//! A policy is a pure function from a situation to a plan. Say who it is ([`Policy`]), implement the
//! decisions that it takes ([`ScaleUp`], [`ScaleDown`], [`RunnerSync`]) with settings of a type of your
//! own, and export them:
//!
//! ```
//! use stoker_policy_sdk::blocks::{Launching, capacity};
//! use stoker_policy_sdk::{Policy, ScaleUp, facts::Situation, scale_up::Plan};
//!
//! /// What `settings.json` may say under `scale-up`.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     /// The most runners at once.
//!     max_runners: Option<u32>,
//! }
//!
//! struct OneEach;
//!
//! impl Policy for OneEach {
//!     const NAME: &'static str = "one-each";
//!     const VERSION: &'static str = "1.0.0";
//!     const SUMMARY: &'static str = "One runner for each job that no runner is there for.";
//! }
//!
//! impl ScaleUp for OneEach {
//!     type Settings = Settings;
//!
//!     fn decide(situation: &Situation, settings: &Settings) -> Result<Plan, String> {
//!         let mut launching =
//!             Launching::new(situation).own_maximum("max_runners", settings.max_runners);
//!         for job in launching.open() {
//!             launching.launch_for(job);
//!         }
//!         Ok(launching.finish(|class, _| capacity::cheapest(class)))
//!     }
//! }
//!
//! stoker_policy_sdk::export!(OneEach: scale_up);
//! ```
//!
//! What is not exported is not in the component: a policy that only scales up leaves scaling down to
//! whoever decides that on a broader level. Compiled natively the types are the same, so rules are
//! tested without any WebAssembly ([`testing`]), and run so by the host as its built-in rules
//! ([`run`]).
//!
//! Modules in reading order: [`policy`], [`run`], [`settings`], [`blocks`] (building blocks: a policy is
//! a few lines of them), [`testing`] (feature `testing`). In components the SDK also brings an allocator
//! that never gives memory back, and logs where a panic was before the policy traps.

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
mod bindings;
pub mod blocks;
mod export;
pub mod policy;
pub mod run;
pub mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[doc(hidden)]
pub use bindings::{about_part, scale_down_part, scale_up_part, sync_part};

/// What both sides talk about: the situation and everything in it.
pub use bindings::about_part::stoker::policy::facts;

/// What a policy may write down besides its decision; only inside a component.
pub use bindings::about_part::stoker::policy::logging;

/// The types of `describe` and `validate-settings`.
pub use bindings::about_part::exports::stoker::policy::about;

/// The types of the decision which runners to launch.
pub use bindings::scale_up_part::exports::stoker::policy::scale_up;

/// The types of the decision which runners to retire.
pub use bindings::scale_down_part::exports::stoker::policy::scale_down;

/// The types of the decision which versions of the runner to mirror and to offer.
pub use bindings::sync_part::exports::stoker::policy::sync;

pub use policy::{Policy, RunnerSync, ScaleDown, ScaleUp};

#[doc(hidden)]
pub use export::{let_go, log_panics, no_needs};
