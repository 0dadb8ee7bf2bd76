//! What a policy wants, and what is made of it.

use serde::{Deserialize, Serialize};

use crate::class::Capacity;
use crate::ids::ArtifactDigest;

/// What a scale-up policy wants, in positions of the situation that it was shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// What to launch.
    pub launches: Vec<Launch>,
    /// What to leave waiting.
    pub deferrals: Vec<Deferral>,
    /// What the policy wrote down besides.
    pub notes: Vec<String>,
}

/// So many runners of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// A position in [`crate::situation::Situation::classes`].
    pub class: usize,
    /// Spot or on demand.
    pub capacity: Capacity,
    /// How many.
    pub count: u32,
    /// A position in [`crate::situation::Situation::repositories`].
    pub launched_for: Option<usize>,
    /// Positions in [`crate::situation::Situation::pending`].
    pub jobs: Vec<usize>,
    /// Why.
    pub reason: String,
}

/// Jobs that get no runner of their own now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// Positions in [`crate::situation::Situation::pending`].
    pub jobs: Vec<usize>,
    /// In how many seconds to ask again; none: when something changes.
    pub retry_after: Option<u32>,
    /// Why.
    pub reason: String,
}

/// Where the policy that decided was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyLevel {
    /// In the binary: the rules of the shipped default, compiled natively.
    BuiltIn,
    /// Under `policies/default/`.
    Default,
    /// Under `policies/orgs/<owner>/`.
    Organization,
    /// Under `policies/repos/<owner>/<repository>/`.
    Repository,
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedBy {
    /// The policy's own name and version.
    pub policy: String,
    /// Where it was found.
    pub level: PolicyLevel,
    /// The SHA-256 of its component; none for the built-in rules.
    pub digest: Option<ArtifactDigest>,
    /// What the decision cost; none for the built-in rules.
    pub fuel: Option<u64>,
}

/// Why the policy that should have decided did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// A word for the cause, such as `out-of-fuel`.
    pub cause: String,
    /// What happened and what to do, in a sentence.
    pub message: String,
    /// The level of the policy that failed.
    pub level: Option<PolicyLevel>,
    /// Its digest, where it could be read.
    pub digest: Option<ArtifactDigest>,
}

/// A decision before the guardrails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What is wanted.
    pub plan: Plan,
    /// By whom.
    pub by: DecidedBy,
    /// Why it was not the policy that was meant to.
    pub fallback: Option<Fallback>,
}
