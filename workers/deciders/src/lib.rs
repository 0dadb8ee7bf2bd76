//! What the Lambdas that decide (scale-up, scale-down and syncer) share. In reading order: [`settings`], what they are
//! told; [`adapters`], what stands behind `stoker-core`'s ports; [`record`], the record that each invocation
//! leaves in the journal; [`report`] and [`metric`], what is said about it; [`timed`], how long it took.

pub mod adapters;
pub mod metric;
pub mod record;
pub mod report;
pub mod settings;
pub mod timed;

pub use adapters::Deciding;
pub use settings::Settings;
