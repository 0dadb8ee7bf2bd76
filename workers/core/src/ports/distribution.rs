//! Where the runner's distribution comes from, and where it is mirrored.

use async_trait::async_trait;
use thiserror::Error;

use super::{Fetched, Replaced};
use crate::distribution::layout::Published;

/// GitHub's releases of the runner, or what stands in for them.
#[async_trait]
pub trait Releases: Send + Sync {
    /// Where they are: what was answered there means nothing elsewhere.
    fn source(&self) -> String;

    /// The newest releases, if they are others than those that the tag `known` names. One request.
    async fn newest(&self, known: Option<&str>) -> Result<Newest, ReleasesError>;

    /// Begins to read the archive at that address.
    async fn open(&self, url: &str) -> Result<Box<dyn Download>, ReleasesError>;
}

/// What GitHub has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newest {
    /// What is known.
    Unchanged,
    /// This.
    Listed {
        /// The releases, in whatever order.
        published: Vec<Published>,
        /// What to pass as `known` next time.
        tag: Option<String>,
    },
}

/// An archive that is being read.
#[async_trait]
pub trait Download: Send {
    /// Adds what comes next to `to`; false: there is no more.
    async fn read(&mut self, to: &mut Vec<u8>) -> Result<bool, ReleasesError>;
}

/// GitHub could not be asked, or not be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("GitHub could not {what}: {problem}")]
pub struct ReleasesError {
    /// What was asked.
    pub what: String,
    /// The answer, and what to do.
    pub problem: String,
}

/// Where the distribution is mirrored. Paths are those of [`crate::distribution::layout`].
#[async_trait]
pub trait DistributionStore: Send + Sync {
    /// Reads a document.
    async fn fetch(&self, path: &str) -> Result<Fetched, DistributionError>;

    /// Writes a document over the one that the tag `known` names (none: over nothing), in one step with that
    /// comparison.
    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, DistributionError>;

    /// Everything whose path begins with `prefix`.
    async fn list(&self, prefix: &str) -> Result<Vec<Stored>, DistributionError>;

    /// Deletes; what is not there is no error.
    async fn delete(&self, path: &str) -> Result<(), DistributionError>;

    /// Begins to write an archive, of which nothing is seen before it is complete.
    async fn upload(&self, path: &str) -> Result<Box<dyn ArchiveUpload>, DistributionError>;
}

/// Something that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its path.
    pub path: String,
    /// How many bytes it has.
    pub bytes: u64,
}

/// An archive that is being written. One that is dropped is never seen.
#[async_trait]
pub trait ArchiveUpload: Send {
    /// Adds bytes: 5 MiB at least, but for the last ones.
    async fn add(&mut self, bytes: Vec<u8>) -> Result<(), DistributionError>;

    /// It is seen from now on, in the place of whatever was there. Where that fails, nothing of it takes up room,
    /// as far as that can be told.
    async fn complete(self: Box<Self>) -> Result<(), DistributionError>;

    /// It never is, and nothing of it takes up room.
    async fn abort(self: Box<Self>) -> Result<(), DistributionError>;
}

/// The distribution could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the mirror of the runner's distribution could not {what} `{path}`: {problem}")]
pub struct DistributionError {
    /// `read`, `write`, `list` or `delete`.
    pub what: &'static str,
    /// What.
    pub path: String,
    /// The answer, and what to do.
    pub problem: String,
}
