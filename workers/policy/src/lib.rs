//! The policy host: runs scaling policies, which are WebAssembly components, and answers for them when
//! they fail.
//!
//! What it narrows of wasmtime: one engine configuration ([`engine`]); every call in a fresh store with
//! fuel, memory and result limits ([`limits`]), so that nothing leaks from one decision to the next; no
//! WASI (what other languages' toolchains import of it traps); and as the only import a `log`.
//!
//! A policy goes through stages, each a type ([`artifact`]): bytes → uploaded → admitted → loaded → a
//! decision. What is between the component's types and core's is the contract, one module per version
//! (`contract`). [`host::PolicyHost`] finds the policy that decides (`folders`, `settings`), makes it
//! ready (`ready`), adds what repositories set for their own jobs (`tuning`, `zones`), runs it (`run`),
//! and answers for it when it fails (`health`, then the built-in rules, `builtin`), with the reason
//! ([`failure`]).
//!
//! Without the feature `compiler` there is no Cranelift in it.

pub mod artifact;
mod builtin;
mod contract;
mod decide;
pub mod engine;
pub mod failure;
mod folders;
mod health;
pub mod host;
pub mod limits;
mod ready;
mod run;
pub mod self_check;
mod settings;
mod tuning;
mod zones;

pub use contract::{Decision, Description, Needs, Spoken, Version};
pub use failure::Failure;
pub use host::{HostSettings, OnFailure, PolicyHost, PolicyMode};
pub use limits::{Limits, SizeClass};
pub use run::{Cost, Decided};

// The unit tests share the integration tests' fixtures, which name this crate from outside.
#[cfg(test)]
extern crate self as stoker_policy;
#[cfg(test)]
#[path = "../tests/host/fixtures.rs"]
#[allow(dead_code, clippy::unwrap_used)]
mod fixtures;
