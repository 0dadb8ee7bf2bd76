//! The runner distribution: what GitHub has released, what is mirrored, and what a policy wants of it.
//!
//! In reading order: the types that a policy sees; [`version`]; [`layout`], what lies in the mirror; [`known`],
//! what is known of all that and shown; [`clamp`], the guardrails; [`sync`], the round, with `look`, `act` and
//! [`copy`]. All of it but the round is pure.

mod act;
pub mod clamp;
pub mod copy;
pub mod known;
pub mod layout;
mod look;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod version;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

pub use clamp::{SyncEdit, SyncGranted, SyncRule, Wish, clamp};
pub use known::{Known, LeftOut, SyncRules};
pub use sync::{SyncError, SyncPorts, Synced, Syncer};
pub use version::{Platforms, Version};

/// A release of the runner. Ordered by version, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Such as `2.330.0`.
    pub version: String,
    /// Seconds since it was published.
    pub age: u32,
    /// GitHub calls it a pre-release.
    #[serde(default)]
    pub prerelease: bool,
    /// Such as `linux-x64`; none, if not all that are wanted can be had with a digest.
    pub platforms: Vec<String>,
    /// Those of the platforms that are mirrored already.
    #[serde(default)]
    pub mirrored: Vec<String>,
    /// Instances that boot now get this one.
    #[serde(default)]
    pub offered: bool,
}

/// Everything a policy may know about the distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// The time of the decision.
    pub now: Timestamp,
    /// Those that GitHub still has, and those that are mirrored.
    pub releases: Vec<Release>,
    /// GitHub refuses runners older than this.
    #[serde(default)]
    pub minimum_version: Option<String>,
}

/// A version, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// One that is among the releases.
    pub version: String,
    /// Why.
    pub reason: String,
}

/// What a sync policy wants.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncPlan {
    /// Versions to copy, those that are mirrored already included.
    pub mirror: Vec<Choice>,
    /// What instances get from now on; none: what they get now.
    pub offer: Option<Choice>,
    /// Mirrored versions to delete.
    pub delete: Vec<Choice>,
    /// What the policy wrote down besides.
    pub notes: Vec<String>,
}
