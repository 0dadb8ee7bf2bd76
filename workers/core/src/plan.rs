//! What a policy wants, and what is made of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::class::Capacity;
use crate::ids::{ArtifactDigest, PolicyGeneration};

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

/// What becomes of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It stays.
    Keep,
    /// It goes.
    Retire,
}

/// What becomes of some runners, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Positions in [`crate::situation::Situation::runners`].
    pub runners: Vec<usize>,
    /// What becomes of them.
    pub fate: Fate,
    /// Why.
    pub reason: String,
}

/// What a scale-down policy wants, in positions of the situation that it was shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScaleDownPlan {
    /// A runner that none names is kept; so is one that two name differently.
    pub verdicts: Vec<Verdict>,
    /// What the policy wrote down besides.
    pub notes: Vec<String>,
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
    /// The publication of the active policies that said so; none where none could be read.
    #[serde(default)]
    pub generation: Option<PolicyGeneration>,
    /// What the decision cost; none for the built-in rules.
    pub fuel: Option<u64>,
}

/// What the policy host adds to a situation before a policy sees it: with the situation and the
/// policy's digest, all that a replay needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Basis {
    /// The merged settings, a JSON object.
    pub settings: String,
    /// The merged settings of repositories that have some of their own, by their position in
    /// [`crate::situation::Situation::repositories`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub repository_settings: BTreeMap<usize, String>,
    /// The time in the zones that the policy asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneTime>,
}

/// The time in a zone, by the host's zone data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneTime {
    /// IANA name, such as `Europe/Berlin`.
    pub zone: String,
    /// Such as 2026.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 1 (Monday) to 7 (Sunday).
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// Minutes east of UTC now.
    pub utc_offset: i16,
    /// The next change of the offset within a week: in how many seconds, and to what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_change: Option<(u32, i16)>,
}

/// Who decides when a policy fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instead {
    /// What was good before: the policy, or the settings, as they were.
    Previous,
    /// The policy that was meant to, without the settings of some repositories.
    LeftAside,
    /// The built-in rules.
    BuiltIn,
    /// Nobody: the operator wants nothing to be launched or retired then.
    Hold,
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
    /// Who decided instead.
    pub instead: Instead,
    /// Whether somebody may have tampered with what runs, or an upgrade went wrong.
    #[serde(default)]
    pub alarm: bool,
}

/// A decision before the guardrails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal<P = Plan> {
    /// What is wanted.
    pub plan: P,
    /// By whom.
    pub by: DecidedBy,
    /// What it was shown besides the situation.
    pub basis: Basis,
    /// Why it was not the policy that was meant to.
    pub fallback: Option<Fallback>,
}
