//! GitHub's releases of the runner, simulated: whatever is put there, and what goes wrong with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use stoker_core::distribution::layout::{Asset, Published};
use stoker_core::distribution::version::archive_name;
use stoker_core::ports::{Download, Newest, Releases, ReleasesError};
use stoker_core::time::Timestamp;

/// How much of an archive comes at once.
const PIECE: usize = 64 << 10;

/// A [`Releases`] in memory. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct SimulatedReleases {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    published: Vec<Published>,
    /// By their addresses.
    archives: BTreeMap<String, Vec<u8>>,
    /// Each change makes another tag.
    changes: u64,
    lists: usize,
    downloads: Vec<String>,
    /// How many of the next downloads break off half-way.
    breaking: usize,
    /// From how many of the next downloads nothing comes any more half-way.
    silent: usize,
    unreachable: bool,
}

impl SimulatedReleases {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// GitHub publishes a release, with an archive of these bytes for each platform.
    pub fn publish(&self, version: &str, at: Timestamp, archives: &[(&str, &[u8])]) {
        let mut inner = self.inner();
        let mut assets = BTreeMap::new();
        for (platform, bytes) in archives {
            let url = address(platform, version);
            let asset = Asset {
                url: url.clone(),
                bytes: bytes.len() as u64,
                sha256: Some(hex::encode(Sha256::digest(bytes))),
            };
            assets.insert((*platform).to_owned(), asset);
            inner.archives.insert(url, bytes.to_vec());
        }
        inner.published.push(Published {
            version: version.to_owned(),
            published_at: at,
            prerelease: false,
            assets,
        });
        inner.changes += 1;
    }

    /// Changes a release that is there.
    pub fn change(&self, version: &str, change: impl FnOnce(&mut Published)) {
        let mut inner = self.inner();
        if let Some(one) = inner
            .published
            .iter_mut()
            .find(|one| one.version == version)
        {
            change(one);
        }
        inner.changes += 1;
    }

    /// GitHub takes a release back.
    pub fn withdraw(&self, version: &str) {
        let mut inner = self.inner();
        inner.published.retain(|one| one.version != version);
        inner.changes += 1;
    }

    /// An archive has other bytes than its digest says.
    pub fn corrupt(&self, platform: &str, version: &str, bytes: &[u8]) {
        let url = address(platform, version);
        self.inner().archives.insert(url, bytes.to_vec());
    }

    /// So many of the next downloads break off half-way.
    pub fn break_next(&self, downloads: usize) {
        self.inner().breaking = downloads;
    }

    /// From so many of the next downloads nothing comes any more half-way.
    pub fn silence_next(&self, downloads: usize) {
        self.inner().silent = downloads;
    }

    /// Whether it can't be reached from now on.
    pub fn unreachable(&self, unreachable: bool) {
        self.inner().unreachable = unreachable;
    }

    /// How often it was asked what there is.
    pub fn lists(&self) -> usize {
        self.inner().lists
    }

    /// What was downloaded.
    pub fn downloads(&self) -> Vec<String> {
        self.inner().downloads.clone()
    }
}

fn address(platform: &str, version: &str) -> String {
    format!("simulated:{}", archive_name(platform, version))
}

#[async_trait]
impl Releases for SimulatedReleases {
    fn source(&self) -> String {
        "simulated".to_owned()
    }

    async fn newest(&self, known: Option<&str>) -> Result<Newest, ReleasesError> {
        let mut inner = self.inner();
        inner.lists += 1;
        if inner.unreachable {
            return Err(ReleasesError {
                what: "list the releases of the runner".to_owned(),
                problem: "it is unreachable".to_owned(),
            });
        }
        let tag = format!("\"{}\"", inner.changes);
        if known == Some(&tag) {
            return Ok(Newest::Unchanged);
        }
        Ok(Newest::Listed {
            published: inner.published.clone(),
            tag: Some(tag),
        })
    }

    async fn open(&self, url: &str) -> Result<Box<dyn Download>, ReleasesError> {
        let mut inner = self.inner();
        inner.downloads.push(url.to_owned());
        let archive = inner.archives.get(url).cloned();
        let bytes = archive.ok_or_else(|| ReleasesError {
            what: format!("give {url}"),
            problem: "there is nothing".to_owned(),
        })?;
        let breaks = inner.breaking > 0;
        inner.breaking = inner.breaking.saturating_sub(1);
        let is_silent = inner.silent > 0;
        inner.silent = inner.silent.saturating_sub(1);
        Ok(Box::new(Reading {
            url: url.to_owned(),
            breaks_at: (breaks || is_silent).then_some(bytes.len() / 2),
            is_silent,
            bytes,
            read: 0,
        }))
    }
}

struct Reading {
    url: String,
    bytes: Vec<u8>,
    read: usize,
    breaks_at: Option<usize>,
    is_silent: bool,
}

#[async_trait]
impl Download for Reading {
    async fn read(&mut self, to: &mut Vec<u8>) -> Result<bool, ReleasesError> {
        if self.breaks_at.is_some_and(|at| self.read >= at) {
            if self.is_silent {
                std::future::pending::<()>().await;
            }
            return Err(ReleasesError {
                what: format!("give all of {}", self.url),
                problem: "the connection broke".to_owned(),
            });
        }
        let end = self.bytes.len().min(self.read + PIECE);
        let end = self.breaks_at.map_or(end, |at| end.min(at));
        to.extend_from_slice(&self.bytes[self.read..end]);
        self.read = end;
        Ok(self.read < self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::contract::check_releases;

    use super::*;

    #[tokio::test]
    async fn simulated_releases_keep_the_contract_of_all() {
        let releases = SimulatedReleases::default();
        releases.publish(
            "2.330.0",
            Timestamp(1),
            &[("linux-x64", &vec![7; 100_000]), ("win-x64", b"x")],
        );
        if let Err(breaches) = check_releases(&releases).await {
            panic!("{breaches}");
        }
    }
}
