//! Building blocks, so that a policy is a few lines: what makes it itself, and nothing else.
//!
//! - [`Launching`]: who is covered by runners that are there, what there is room for, and a plan with a
//!   reason for every job.
//! - [`capacity`]: spot or on demand.
//! - [`stock`]: idle runners by time of day; [`Schedule`]: the cron expressions for it.
//! - [`retiring`]: which idle runners are surplus.
//! - [`matching`]: which jobs fit into which places, as many as can be.
//! - [`Tuned`]: what repositories set for their own jobs.
//! - [`pattern`]: names with `*`.
//! - [`version`]: versions of the runner.

pub mod capacity;
pub mod launching;
pub mod matching;
pub mod pattern;
pub mod retiring;
pub mod schedule;
pub mod stock;
mod tuning;
pub mod version;

pub use launching::Launching;
pub use pattern::Pattern;
pub use retiring::Retiring;
pub use schedule::Schedule;
pub use tuning::Tuned;

/// A position as an index. Positions in a situation exist: the host made it.
pub fn index(reference: u32) -> usize {
    usize::try_from(reference).unwrap_or(usize::MAX)
}

/// An index as a position.
pub fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
