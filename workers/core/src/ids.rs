//! The names by which things are known.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stoker_intake::{CheckRunId, OwnerId, RepositoryId};
use thiserror::Error;

/// A name that does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{value}` is not {expected}")]
pub struct InvalidName {
    /// What was given.
    pub value: String,
    /// What would have been accepted.
    pub expected: &'static str,
}

/// Names one installation of Stoker. Instances carry it as a tag and runners in their name; whatever
/// does not carry it is never counted and never touched.
///
/// 1 to 20 lower-case letters, digits and hyphens, starting with a letter: it has to fit into runner
/// names (64 characters) and parameter paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Deployment(String);

impl Deployment {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Deployment {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let fits = (1..=20).contains(&value.len())
            && value.starts_with(|c: char| c.is_ascii_lowercase())
            && value
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if fits {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName {
                value: value.to_owned(),
                expected: "1 to 20 lower-case letters, digits and hyphens that start with a letter",
            })
        }
    }
}

impl TryFrom<String> for Deployment {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<Deployment> for String {
    fn from(value: Deployment) -> Self {
        value.0
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The owner, or the one repository, for which runners are counted and decided together. Keyed by
/// GitHub's numeric ids, because names change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ScopeKey {
    /// An organisation with runners of its own.
    Organization(OwnerId),
    /// One repository with runners of its own.
    Repository(RepositoryId),
}

impl fmt::Display for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(id) => write!(f, "org-{id}"),
            Self::Repository(id) => write!(f, "repo-{id}"),
        }
    }
}

impl FromStr for ScopeKey {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let id = |digits: &str| digits.parse::<u64>().ok();
        value
            .strip_prefix("org-")
            .and_then(id)
            .map(|id| Self::Organization(OwnerId::new(id)))
            .or_else(|| {
                value
                    .strip_prefix("repo-")
                    .and_then(id)
                    .map(|id| Self::Repository(RepositoryId::new(id)))
            })
            .ok_or_else(|| InvalidName {
                value: value.to_owned(),
                expected: "a scope: `org-<id>` or `repo-<id>`",
            })
    }
}

impl TryFrom<String> for ScopeKey {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<ScopeKey> for String {
    fn from(value: ScopeKey) -> Self {
        value.to_string()
    }
}

/// A job. Both kinds of event carry these two ids, so a job announced by both is one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// The repository that the job belongs to.
    pub repository: RepositoryId,
    /// The check run that stands for the job.
    pub check_run: CheckRunId,
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.repository, self.check_run)
    }
}

/// EC2's id of an instance, such as `i-0123456789abcdef0`: lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

impl InstanceId {
    /// The id as EC2 writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let rest = value.strip_prefix("i-").unwrap_or_default();
        let fits = (1..=32).contains(&rest.len())
            && rest
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if fits {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName {
                value: value.to_owned(),
                expected: "an instance id: `i-` and lower-case letters and digits",
            })
        }
    }
}

impl TryFrom<String> for InstanceId {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<InstanceId> for String {
    fn from(value: InstanceId) -> Self {
        value.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How this deployment names its runners: `<prefix>-<deployment>-<instance id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerNames {
    stem: String,
}

impl RunnerNames {
    /// The longest prefix: with the longest deployment and instance id the name still fits into
    /// GitHub's 64 characters.
    pub const LONGEST_PREFIX: usize = 20;

    /// Names for runners of `deployment` that start with `prefix`, which is 1 to
    /// [`Self::LONGEST_PREFIX`] letters, digits and hyphens.
    pub fn new(prefix: &str, deployment: &Deployment) -> Result<Self, InvalidName> {
        let fits = (1..=Self::LONGEST_PREFIX).contains(&prefix.len())
            && prefix
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !fits {
            return Err(InvalidName {
                value: prefix.to_owned(),
                expected: "a runner name prefix: 1 to 20 letters, digits and hyphens",
            });
        }
        Ok(Self {
            stem: format!("{prefix}-{deployment}-"),
        })
    }

    /// The name of the runner on `instance`.
    pub fn name(&self, instance: &InstanceId) -> String {
        format!("{}{instance}", self.stem)
    }

    /// The instance that a runner of that name runs on; none if the runner is not ours.
    pub fn instance(&self, runner_name: &str) -> Option<InstanceId> {
        runner_name.strip_prefix(&self.stem)?.parse().ok()
    }
}

/// The name of a configured kind of runner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassName(pub String);

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a scope has been decided: the fence against two actors.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ScopeVersion(pub u64);

/// Which publication of the active policies something is: it only grows. 0: none was seen.
///
/// It is the UTC time of the publication in digits (`20261125031415`), so that it grows even where all
/// memory of earlier ones was lost; or the one before plus one, where the clock is behind.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PolicyGeneration(pub u64);

impl PolicyGeneration {
    /// The one that follows this one when it is published at that time.
    #[must_use]
    pub fn next(self, now: crate::time::Timestamp) -> Self {
        let seconds = i64::try_from(now.0).unwrap_or(i64::MAX);
        let digits = time::OffsetDateTime::from_unix_timestamp(seconds).map_or(0, |at| {
            let pairs = [
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute(),
                at.second(),
            ];
            let year = u64::from(at.year().unsigned_abs());
            pairs
                .into_iter()
                .fold(year, |digits, pair| digits * 100 + u64::from(pair))
        });
        Self(digits.max(self.0 + 1))
    }
}

impl fmt::Display for PolicyGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One round of deciding. 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub String);

impl DecisionId {
    /// The id of the decision that a scope of this version gets. The version is the fence; `turn` tells
    /// two actors apart who read the same version at the same time (who it is, and which of its turns
    /// this is), and the time keeps the decisions of a ledger that was lost apart from these.
    pub fn new(
        deployment: &Deployment,
        scope: ScopeKey,
        version: ScopeVersion,
        now: crate::time::Timestamp,
        turn: (u64, u64),
    ) -> Self {
        Self(short_hash(&[
            deployment.as_str(),
            &scope.to_string(),
            &version.0.to_string(),
            &now.0.to_string(),
            &turn.0.to_string(),
            &turn.1.to_string(),
        ]))
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One launch that was decided. 32 hexadecimal digits; it is EC2's client token (64 characters at
/// most) and the instances' tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub String);

impl IntentId {
    /// The id of a decision's launch in that place of the plan.
    pub fn new(decision: &DecisionId, place: usize) -> Self {
        Self(short_hash(&[&decision.0, &place.to_string()]))
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 128 bits of the SHA-256 of the parts, as hexadecimal digits.
fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}

/// The SHA-256 of an artefact, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactDigest(String);

impl FromStr for ArtifactDigest {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let fits = value.len() == 64
            && value
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if fits {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName {
                value: value.to_owned(),
                expected: "a SHA-256: 64 hexadecimal digits in lower case",
            })
        }
    }
}

impl TryFrom<String> for ArtifactDigest {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<ArtifactDigest> for String {
    fn from(digest: ArtifactDigest) -> Self {
        digest.0
    }
}

impl ArtifactDigest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits: enough to tell artefacts apart in a line for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for ArtifactDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
