//! Admission: what people put under `policies/` is a request; what passes here is what decides.
//!
//! One round ([`admission`]) reads what is active (`base`) and what is uploaded (`view`, `reading`), finds out
//! what is not known of it (`inspect`, `knowledge`) by having components compiled and tried ([`judge`]: in
//! a process of its own, [`child`], or in this one, [`trial`]), assembles what is to decide where
//! (`assemble`, `deciding`, `settings`: pure), publishes that as one signed document with a generation of its own
//! (`publish`), and tells what became of each folder ([`verdict`]).
//!
//! What it is not: it names no AWS service and keeps nothing from one round to the next. Everything it
//! knows is in the store and the uploads, behind `stoker-core`'s ports.

pub mod admission;
mod assemble;
mod base;
pub mod child;
pub mod confine;
mod deciding;
mod inspect;
pub mod judge;
mod knowledge;
mod problem;
mod protocol;
mod publish;
mod reading;
pub mod settings;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trial;
pub mod verdict;
mod view;

use futures::future::BoxFuture;
use futures::stream::StreamExt as _;

pub use admission::{Admission, AdmissionError, AdmissionPorts, AdmissionSettings};
pub use problem::Problem;
pub use task::{Hint, Report, Source, Task};
pub use verdict::{Outcome, Verdict};

/// How many requests to the store are under way at once: enough that a thousand small objects take seconds,
/// few enough that S3 does not slow them down.
const AT_ONCE: usize = 32;

/// Makes requests, several at once; the answers are in their order.
pub(crate) async fn at_once<T>(requests: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    futures::stream::iter(requests)
        .buffered(AT_ONCE)
        .collect()
        .await
}
