//! One archive, from GitHub to the mirror: a part at a time, so that its size costs no memory, and never seen
//! unless every byte of it is what GitHub published.

use std::pin::pin;

use futures::future::{Either, select};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::ports::{
    ArchiveUpload, Clock, DistributionError, DistributionStore, Download, Releases, ReleasesError,
    Timer,
};
use crate::time::Timestamp;

use super::layout::Asset;

/// What is held in memory of an archive, and sent at once: S3 takes parts of 5 MiB or more, and ten thousand
/// of them.
const PART: usize = 8 << 20;

/// Slower than this nothing is copied between GitHub and S3, in bytes a second: by it is told whether an archive
/// that is begun could be finished in time.
const SLOWEST: u64 = 4 << 20;

/// What the requests around an archive may take besides, in seconds.
const AROUND: u64 = 5;

/// How long it may take to give up an archive, in seconds: there is little left for the pointer and the journal.
const GIVING_UP: u64 = 3;

/// Why an archive is not mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CopyError {
    /// It could not be read.
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] DistributionError),
    /// It has another digest.
    #[error(
        "what was read has the digest {found}, and GitHub published {published}: nothing of it was kept; if it \
         is so again in the next run, something between GitHub and Stoker changes it"
    )]
    Digest {
        /// GitHub's.
        published: String,
        /// What was read.
        found: String,
    },
    /// It has another length.
    #[error("{found} bytes were read of {published}: nothing of it was kept")]
    Length {
        /// GitHub's.
        published: u64,
        /// How many were read: what is too much is not read to its end.
        found: u64,
    },
    /// The time is over.
    #[error(
        "the time was over before its {0} bytes were copied, and nothing of it was kept: give the Lambda a longer \
         time-out, or more memory, with which it gets more of the network"
    )]
    TimeIsOver(u64),
}

impl CopyError {
    /// Whether it may be otherwise at once.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Releases(_) | Self::Digest { .. } | Self::Length { .. }
        )
    }
}

/// From where, to where, and until when.
pub(super) struct Copying<'a> {
    pub(super) releases: &'a dyn Releases,
    pub(super) store: &'a dyn DistributionStore,
    pub(super) clock: &'a dyn Clock,
    pub(super) timer: &'a dyn Timer,
    pub(super) until: Timestamp,
}

impl Copying<'_> {
    /// Whether it could be copied until the time is over.
    pub(super) fn has_time_for(&self, asset: &Asset) -> bool {
        self.clock.now().0 + AROUND + asset.bytes / SLOWEST < self.until.0
    }

    /// Copies an archive to that path, and says its digest. A broken connection is common, so it is begun again
    /// once; one that is broken twice in a row is the next round's to mend.
    pub(super) async fn copy(&self, asset: &Asset, path: &str) -> Result<String, CopyError> {
        match self.attempt(asset, path).await {
            Err(first) if first.may_pass() && self.has_time_for(asset) => {
                match self.attempt(asset, path).await {
                    // There would have been time enough but for that.
                    Err(CopyError::TimeIsOver(_)) => Err(first),
                    second => second,
                }
            }
            first => first,
        }
    }

    async fn attempt(&self, asset: &Asset, path: &str) -> Result<String, CopyError> {
        let opened = async { Ok(self.releases.open(&asset.url).await?) };
        let mut download = self.in_time(asset, opened).await?;
        let begun = async { Ok(self.store.upload(path).await?) };
        let mut upload = self.in_time(asset, begun).await?;
        let sent = self.send(asset, download.as_mut(), upload.as_mut());
        match self.in_time(asset, sent).await {
            Ok(sha256) => {
                let completed = async { Ok(upload.complete().await?) };
                self.in_time(asset, completed).await?;
                Ok(sha256)
            }
            Err(error) => {
                // What can't be tidied up now, a life-cycle rule tidies up; the reason is more important.
                let enough = Timestamp(self.clock.now().0 + GIVING_UP);
                let _tidied = select(upload.abort(), self.timer.wait_until(enough)).await;
                Err(error)
            }
        }
    }

    /// What is waited for no longer than there is time: a silent connection would outlast it.
    async fn in_time<T>(
        &self,
        asset: &Asset,
        work: impl Future<Output = Result<T, CopyError>>,
    ) -> Result<T, CopyError> {
        let over = self.timer.wait_until(self.until);
        match select(pin!(work), over).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => Err(CopyError::TimeIsOver(asset.bytes)),
        }
    }

    /// Sends all of it, and looks at it on the way: its digest, if it is what was published.
    async fn send(
        &self,
        asset: &Asset,
        download: &mut dyn Download,
        upload: &mut dyn ArchiveUpload,
    ) -> Result<String, CopyError> {
        let mut hash = Sha256::new();
        let mut copied = 0;
        loop {
            if self.clock.now() >= self.until {
                return Err(CopyError::TimeIsOver(asset.bytes));
            }
            // A piece of the network may be larger than what is lacking.
            let mut part = Vec::with_capacity(PART + (PART >> 3));
            let mut has_more = true;
            while has_more && part.len() < PART {
                has_more = download.read(&mut part).await?;
            }
            hash.update(&part);
            copied += part.len() as u64;
            if copied > asset.bytes || (!has_more && copied < asset.bytes) {
                return Err(CopyError::Length {
                    published: asset.bytes,
                    found: copied,
                });
            }
            if !has_more {
                let found = hex::encode(hash.finalize());
                if let Some(published) = asset.sha256.as_ref().filter(|one| **one != found) {
                    return Err(CopyError::Digest {
                        published: published.clone(),
                        found,
                    });
                }
                // Looked at before the last part is sent.
                upload.add(part).await?;
                return Ok(found);
            }
            upload.add(part).await?;
        }
    }
}
