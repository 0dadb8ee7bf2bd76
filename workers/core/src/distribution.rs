//! The runner distribution: what GitHub has released, what is mirrored, and what a policy wants of it.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

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
    /// Such as `linux-x64`; only those that have a digest.
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
