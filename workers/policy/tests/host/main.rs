//! The policy host with real components: the shipped policy, and hostile ones.

mod fixtures;
mod hostile;
mod resolution;
mod shipped;
