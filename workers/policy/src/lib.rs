//! The policy host: runs scaling policies, which are WebAssembly components, and answers for them when
//! they fail.
//!
//! What it narrows of wasmtime: one engine configuration ([`engine`]); every call in a fresh store with
//! fuel, memory and result limits ([`limits`]), so that nothing leaks from one decision to the next; no
//! WASI (what other languages' toolchains import of it traps); and as the only import a `log`.
//!
//! A policy goes through stages, each a type ([`artifact`]): bytes → uploaded → admitted → loaded → a
//! decision. What is between the component's types and core's is the contract, one module per version
//! (`contract`). What decides where is one signed document ([`activation`]), which is read again at
//! intervals (`active`). [`host::PolicyHost`] finds in it who decides, takes that up (`library`,
//! `underway`, `ready`) as long as a decision may wait for it (`patience`), adds what repositories set for
//! their own jobs (`tuning`, `zones`), runs it (`run`), and answers for it when it fails (`health`,
//! `fallback`: what the document names as the one before, or the built-in rules, `stand_in` and
//! `builtin`), with the reason ([`failure`]).
//!
//! Without the feature `compiler` there is no Cranelift in it.

pub mod activation;
mod active;
pub mod artifact;
mod builtin;
mod contract;
mod decide;
pub mod engine;
pub mod failure;
mod fallback;
mod health;
pub mod host;
mod library;
pub mod limits;
mod patience;
mod ready;
mod run;
pub mod self_check;
mod stand_in;
mod tuning;
mod underway;
mod zones;

pub use active::Trust;
pub use builtin::accepts as built_in_accepts;
pub use contract::tame::tame;
pub use contract::{Decision, Description, Needs, Spoken, Version};
pub use failure::Failure;
pub use host::{HostSettings, OnFailure, PolicyHost, PolicyMode};
pub use limits::{Limits, SizeClass};
pub use run::{Cost, Decided};
pub use zones::exist as zones_exist;
