//! Admission: what people put under `policies/` is a request; what passes here is what decides.
//!
//! One round ([`admission`]) reads what is active (`base`) and what is uploaded (`view`), finds out what
//! is not known of it (`inspect`, `knowledge`) by having components compiled and tried ([`judge`]: in a
//! process of its own, [`child`], or in this one, [`trial`]), assembles what is to decide where
//! (`assemble`, `settings`: pure), publishes that as one signed document with a generation of its own
//! (`publish`), and tells what became of each folder ([`verdict`]).
//!
//! What it is not: it names no AWS service and keeps nothing from one round to the next. Everything it
//! knows is in the store and the uploads, behind `stoker-core`'s ports.

pub mod admission;
mod assemble;
mod base;
pub mod child;
pub mod confine;
mod inspect;
pub mod judge;
mod knowledge;
mod problem;
mod protocol;
mod publish;
pub mod settings;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trial;
pub mod verdict;
mod view;

pub use admission::{Admission, AdmissionError, AdmissionPorts, AdmissionSettings};
pub use problem::Problem;
pub use task::{Hint, Report, Source, Task};
pub use verdict::{Outcome, Verdict};
