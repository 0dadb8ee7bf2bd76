//! What is published: read, and verified where there is a key for that. Nothing of it is run.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use futures::future::try_join_all;
use serde::Serialize;
use stoker_admission::{Problem, Verdict};
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::{Fetched, PolicyStoreError};
use stoker_policy::activation::{Activation, Document, Unverified, paths};

use super::Deployment;

/// How many objects are read at once.
const AT_ONCE: usize = 32;

/// A publication.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// Whose it is; none: nothing was ever published.
    pub(crate) deployment: Option<String>,
    pub(crate) signature: Signature,
    pub(crate) document: Document,
}

/// Whether who may has signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    rename_all = "kebab-case",
    tag = "signature",
    content = "signature_problem"
)]
pub(crate) enum Signature {
    /// It was verified.
    Verified,
    /// It was not.
    NotVerified(String),
}

impl Published {
    fn nothing() -> Self {
        Self {
            deployment: None,
            signature: Signature::Verified,
            document: Document::empty(),
        }
    }
}

impl Deployment {
    /// What is active. One that is signed by nobody who may is refused here as by those that decide.
    pub(crate) async fn active(&self) -> anyhow::Result<Published> {
        let Some(bytes) = self.object(paths::ACTIVE).await? else {
            return Ok(Published::nothing());
        };
        let published = self.read(paths::ACTIVE, &bytes)?;
        match (&published.signature, &self.keys) {
            (Signature::NotVerified(why), Ok(_)) => bail!("{why}"),
            _ => Ok(published),
        }
    }

    /// An earlier publication, or this one.
    pub(crate) async fn archived(
        &self,
        generation: PolicyGeneration,
    ) -> anyhow::Result<Option<Published>> {
        let path = paths::generation(generation);
        let bytes = self.object(&path).await?;
        bytes.map(|bytes| self.read(&path, &bytes)).transpose()
    }

    /// All publications, the first one first.
    pub(crate) async fn generations(&self) -> anyhow::Result<Vec<PolicyGeneration>> {
        let paths = self.list(paths::GENERATIONS).await?;
        let generations = paths.iter().filter_map(|path| paths::generation_of(path));
        Ok(generations.collect())
    }

    /// What admission thinks of a folder.
    pub(crate) async fn verdict(&self, folder: &PolicyFolder) -> anyhow::Result<Option<Verdict>> {
        let bytes = self.object(&paths::verdict(folder)).await?;
        // One that can't be read is written anew by the next round.
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// What admission thinks of every folder.
    pub(crate) async fn verdicts(&self) -> anyhow::Result<BTreeMap<PolicyFolder, Verdict>> {
        let paths = self.list(paths::VERDICTS).await?;
        let folders = paths.iter().filter_map(|path| paths::verdict_of(path));
        let folders: Vec<PolicyFolder> = folders.collect();
        let mut verdicts = BTreeMap::new();
        for some in folders.chunks(AT_ONCE) {
            let read = try_join_all(some.iter().map(|folder| self.verdict(folder))).await?;
            for (folder, verdict) in some.iter().zip(read) {
                verdicts.extend(verdict.map(|verdict| (folder.clone(), verdict)));
            }
        }
        Ok(verdicts)
    }

    /// Files that decide nothing where they are.
    pub(crate) async fn misplaced(&self) -> anyhow::Result<Vec<Problem>> {
        let bytes = self.object(paths::MISPLACED).await?;
        let problems = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(problems.unwrap_or_default())
    }

    /// Settings, by their digest.
    pub(crate) async fn settings(&self, digest: &ArtifactDigest) -> anyhow::Result<Vec<u8>> {
        let path = paths::settings(digest);
        let bytes = self.object(&path).await?;
        let bytes = bytes.with_context(|| {
            format!(
                "{path} is named by what is published and is not there: somebody deleted it, or a \
                 life-cycle rule did; publish the settings again"
            )
        })?;
        if ArtifactDigest::of(&bytes) != *digest {
            bail!(
                "{path} has another SHA-256 than its name says: it was tampered with or is damaged; find \
                 out who may write there, and publish the settings again"
            );
        }
        Ok(bytes)
    }

    async fn object(&self, path: &str) -> Result<Option<Vec<u8>>, PolicyStoreError> {
        Ok(match self.store.fetch(path, None).await? {
            Fetched::Found { bytes, .. } => Some(bytes),
            Fetched::Absent | Fetched::Unchanged => None,
        })
    }

    async fn list(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let page = self.store.list(prefix, all.last().map(String::as_str));
            let page = page.await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    fn read(&self, path: &str, bytes: &[u8]) -> anyhow::Result<Published> {
        let unverified =
            Unverified::read(bytes).with_context(|| format!("{path} can't be understood"))?;
        let verified = match &self.keys {
            Err(why) => Err(why.clone()),
            Ok(keys) => Activation::verify(keys, &unverified.deployment, bytes)
                .map_err(|failure| failure.to_string()),
        };
        Ok(Published {
            deployment: Some(unverified.deployment.to_string()),
            signature: verified.map_or_else(Signature::NotVerified, |_| Signature::Verified),
            document: unverified.document,
        })
    }
}
