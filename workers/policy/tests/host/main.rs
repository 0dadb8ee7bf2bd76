//! The policy host over real admission with real components: the shipped policy, and hostile ones.

// Everything here is a test, and a test that can't go on is to say where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod activation;
mod fallback;
mod fixtures;
mod hostile;
mod native;
mod patience;
mod resolution;
mod revalidation;
mod shipped;
mod slow;
mod tuning;
