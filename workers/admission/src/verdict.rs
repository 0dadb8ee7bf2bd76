//! What admission thinks of a folder, written where people and tools find it: `verdicts/…`. Nothing that
//! decides reads it, and nothing is triggered by it.

use serde::{Deserialize, Serialize};
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::time::Timestamp;
use stoker_policy::Limits;
use stoker_policy::activation::PassedOver;
use stoker_policy::engine::EngineId;

use crate::assemble::Standing;
use crate::problem::Problem;

/// What admission thinks of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which.
    pub folder: PolicyFolder,
    /// When it was judged.
    pub at: Timestamp,
    /// The publication after it.
    pub generation: PolicyGeneration,
    /// In a word.
    pub outcome: Outcome,
    /// The versions of `policy.wasm` and `settings.json` that it is about.
    pub files: PassedOver,
    /// Why it is refused or held back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// For which engine and within which limits it was judged.
    pub context: Context,
    /// The digest of what it came from: while that and the context are the same, so is the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inputs: Option<ArtifactDigest>,
    /// The last refusal before this verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<LastRefusal>,
}

/// What became of what is in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It decides.
    Active,
    /// It is refused; what was accepted before stays.
    Refused,
    /// It had been accepted, and does not go with what is active on a broader level now; what decided
    /// before goes on.
    HeldBack,
    /// An operator went back to something else.
    PassedOver,
    /// The folder is empty.
    Withdrawn,
}

impl Outcome {
    /// In words, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Refused => "refused",
            Self::HeldBack => "held back",
            Self::PassedOver => "passed over",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether something is wrong with the folder.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Refused | Self::HeldBack)
    }
}

/// What a verdict depends on besides the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The engine.
    pub engine: EngineId,
    /// The limits.
    pub limits: Limits,
}

/// A refusal that is past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRefusal {
    /// When.
    pub at: Timestamp,
    /// The versions that were refused.
    pub files: PassedOver,
    /// Why.
    pub problems: Vec<Problem>,
}

impl Verdict {
    /// The verdict on a folder that stands so.
    pub(crate) fn of(
        folder: &PolicyFolder,
        (at, generation): (Timestamp, PolicyGeneration),
        files: PassedOver,
        standing: &Standing,
        inputs: Option<&ArtifactDigest>,
        context: Context,
    ) -> Self {
        let (outcome, problems) = match standing {
            Standing::Active => (Outcome::Active, &[][..]),
            Standing::Refused(problems) => (Outcome::Refused, problems.as_slice()),
            Standing::HeldBack(problems) => (Outcome::HeldBack, problems.as_slice()),
            Standing::PassedOver => (Outcome::PassedOver, &[][..]),
            Standing::Withdrawn => (Outcome::Withdrawn, &[][..]),
        };
        Self {
            folder: folder.clone(),
            at,
            generation,
            outcome,
            files,
            problems: problems.to_vec(),
            context,
            inputs: inputs.cloned(),
            last_refusal: None,
        }
    }

    /// Whether it says the same of the same files.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.outcome == other.outcome
            && self.files == other.files
            && self.problems == other.problems
            && self.context == other.context
            && self.inputs == other.inputs
    }

    /// The same, after an earlier one.
    #[must_use]
    pub(crate) fn after(mut self, before: Option<Self>) -> Self {
        self.last_refusal = before.and_then(|before| {
            if before.outcome.is_refusal() {
                Some(LastRefusal {
                    at: before.at,
                    files: before.files,
                    problems: before.problems,
                })
            } else {
                before.last_refusal
            }
        });
        self
    }
}
