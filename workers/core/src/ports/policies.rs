//! Where policies come from: what people upload, what admission makes of it, and who signs for that.

use async_trait::async_trait;
use thiserror::Error;

use crate::time::Timestamp;

/// What admission has published, as a deciding process reads it: `active.json` and the objects that it
/// names, which are known by their digest and never change.
#[async_trait]
pub trait PolicyStore: Send + Sync {
    /// Reads an object, if it is another than the one that the tag `known` names.
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError>;
}

/// What there is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Nothing.
    Absent,
    /// The one that is known.
    Unchanged,
    /// Another.
    Found {
        /// Its bytes.
        bytes: Vec<u8>,
        /// What to pass as `known` next time.
        tag: String,
    },
}

/// The same store, as admission alone has it.
#[async_trait]
pub trait AdmissionStore: PolicyStore {
    /// Writes an object if there is none at that path; whether there was none. Whatever is there stays,
    /// so an answer that was lost is repeated safely.
    async fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, PolicyStoreError>;

    /// Writes an object over the one that the tag `known` names (none: over nothing), in one step with
    /// that comparison.
    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, PolicyStoreError>;

    /// Writes an object over whatever is there.
    async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), PolicyStoreError>;

    /// The paths that begin with `prefix` and come after `after`, in order, at most 1,000.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, PolicyStoreError>;
}

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// It is written, and known by this tag.
    Written {
        /// What to pass as `known` next time.
        tag: String,
    },
    /// Somebody else had written: nothing was changed.
    Conflict,
}

/// A file that somebody put under `policies/`, in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Such as `orgs/acme/policy.wasm`.
    pub path: String,
    /// What this version is known by, and no other of this path.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// When.
    pub at: Timestamp,
}

/// The bytes of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadBytes {
    /// All of them.
    pub bytes: Vec<u8>,
    /// Who uploaded it, as far as the upload itself says: anybody may claim anything.
    pub by: Option<String>,
}

/// What people put under `policies/`: requests.
#[async_trait]
pub trait PolicyUploads: Send + Sync {
    /// Everything that is there now, each in its latest version, whatever it is called.
    async fn list(&self) -> Result<Vec<Upload>, PolicyStoreError>;

    /// The bytes of that very version; none if it is gone.
    async fn read(&self, upload: &Upload) -> Result<Option<UploadBytes>, PolicyStoreError>;

    /// Uploads a file, as anybody with the permission can. `by` is what the upload says of who did.
    async fn put(&self, path: &str, bytes: &[u8], by: &str) -> Result<(), PolicyStoreError>;
}

/// The policies could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the policy store could not give or take `{path}`: {problem}")]
pub struct PolicyStoreError {
    /// What was asked for.
    pub path: String,
    /// The answer.
    pub problem: String,
}

/// Who signs for what is active. No other part of Stoker may use that key.
#[async_trait]
pub trait PolicySigner: Send + Sync {
    /// Signs: ECDSA P-256 over the SHA-256 of these bytes (4,096 at most), in ASN.1.
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignerError>;

    /// What verifies its signatures: a DER-encoded `SubjectPublicKeyInfo`.
    async fn public_key(&self) -> Result<Vec<u8>, SignerError>;
}

/// Nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the signing key {key} could not {what}: {problem}")]
pub struct SignerError {
    /// Which key.
    pub key: String,
    /// What was asked.
    pub what: &'static str,
    /// The answer, and what to do.
    pub problem: String,
}
