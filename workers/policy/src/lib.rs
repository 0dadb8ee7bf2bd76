//! The policy host: runs scaling policies, which are WebAssembly components, and answers for them when
//! they fail.
//!
//! What it narrows of wasmtime: one engine configuration ([`engine`]); every call in a fresh store with
//! fuel, memory and result limits ([`limits`]), so that nothing leaks from one decision to the next; no
//! WASI (what other languages' toolchains import of it traps); and as the only import a `log`.
//!
//! A policy goes through stages, each a type: bytes → [`artifact::Admitted`] (its imports and exports
//! are allowed) → [`artifact::Loaded`] (ready to run) → a decision. [`host::PolicyHost`] finds the
//! policy that decides ([`resolve`]), runs it, and falls back to the built-in rules ([`builtin`]) with
//! the reason when that fails.
//!
//! Without the feature `compiler` there is no Cranelift in it.

pub mod artifact;
pub mod builtin;
mod contract;
pub mod engine;
pub mod failure;
pub mod host;
pub mod limits;
mod resolve;
mod run;

pub use failure::Failure;
pub use host::{HostSettings, PolicyHost, PolicyMode};
pub use limits::SizeClass;
