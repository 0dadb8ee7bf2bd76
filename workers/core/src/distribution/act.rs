//! What a decision has done: archives copied, the pointer moved, what nobody needs deleted. In this order, so that
//! whatever breaks leaves the pointer on something whole.

use crate::happening::Happening;
use crate::ports::Replaced;
use crate::time::Timestamp;

use super::Choice;
use super::clamp::Copy;
use super::copy::{CopyError, Copying};
use super::layout::{
    Asset, Document as _, Mirrored, OFFERED, Offered, RELEASES, archive_path, mirrored_path,
};
use super::look::Found;
use super::sync::{SyncError, Synced, Syncer};

/// Slower than this nothing is copied between GitHub and S3, in bytes a second: by it is told whether an archive
/// that is begun could be finished in time.
const SLOWEST: u64 = 4 << 20;

/// What the requests around an archive may take besides, in seconds.
const AROUND: u64 = 5;

/// A round that acts.
pub(super) struct Acting<'a> {
    syncer: &'a Syncer,
    found: Found,
    until: Timestamp,
    /// How many archives were begun.
    begun: usize,
    mirrored: Vec<String>,
    deleted: Vec<String>,
    unfinished: Vec<String>,
    problems: Vec<String>,
}

impl<'a> Acting<'a> {
    /// Begins no archive that could not be finished `until` then.
    pub(super) fn new(syncer: &'a Syncer, found: Found, until: Timestamp) -> Self {
        Self {
            syncer,
            found,
            until,
            begun: 0,
            mirrored: Vec::new(),
            deleted: Vec::new(),
            unfinished: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Mirrors what is missing of a version. What fails of it is told at the end: another version may do.
    pub(super) async fn copy(&mut self, copy: &Copy) -> Result<(), SyncError> {
        let version = &copy.choice.version;
        for (platform, asset) in &copy.missing {
            let now = self.syncer.ports.clock.now();
            if now.0 + AROUND + asset.bytes / SLOWEST >= self.until.0 {
                if self.begun == 0 {
                    return Err(SyncError::NoTime {
                        version: version.clone(),
                        platform: platform.clone(),
                        bytes: asset.bytes,
                    });
                }
                self.unfinished.push(version.clone());
                return Ok(());
            }
            self.begun += 1;
            let copied = self.archive(version, platform, asset).await;
            // The next round has all of its time for it.
            if self.begun > 1 && matches!(copied, Err(CopyError::TimeIsOver(_))) {
                self.unfinished.push(version.clone());
                return Ok(());
            }
            if let Err(error) = copied {
                let problem = error.to_string();
                self.problems.push(format!(
                    "{version} for {platform} could not be mirrored: {problem}"
                ));
                self.syncer.tell(&Happening::MirrorFailed {
                    version: version.clone(),
                    platform: platform.clone(),
                    problem,
                });
                return Ok(());
            }
            self.note(version).await?;
        }
        if self.found.known.whole(version).is_some() {
            self.mirrored.push(version.clone());
        }
        Ok(())
    }

    /// Copies an archive.
    async fn archive(
        &mut self,
        version: &str,
        platform: &str,
        asset: &Asset,
    ) -> Result<(), CopyError> {
        let ports = &self.syncer.ports;
        let copying = Copying {
            releases: ports.releases.as_ref(),
            store: ports.store.as_ref(),
            clock: ports.clock.as_ref(),
            timer: ports.timer.as_ref(),
            until: self.until,
        };
        let began = ports.clock.now();
        let archive = copying
            .copy(asset, &archive_path(platform, version))
            .await?;
        self.syncer.tell(&Happening::Mirrored {
            version: version.to_owned(),
            platform: platform.to_owned(),
            bytes: archive.bytes,
            sha256: archive.sha256.clone(),
            unverified: archive.unverified,
            seconds: began.age(ports.clock.now()),
        });
        let known = &mut self.found.known;
        let release = known.published.iter().find(|one| one.version == version);
        if let Some(release) = release {
            let mirrored = known
                .mirrored
                .entry(version.to_owned())
                .or_insert_with(|| Mirrored::nothing_of(release));
            mirrored.platforms.insert(platform.to_owned(), archive);
        }
        Ok(())
    }

    /// Writes down what is whole of a version: after each archive, so that a round that breaks off loses one.
    async fn note(&mut self, version: &str) -> Result<(), SyncError> {
        if let Some(mirrored) = self.found.known.mirrored.get(version) {
            let bytes = mirrored.to_bytes();
            self.replace(&mirrored_path(version), &bytes).await?;
        }
        Ok(())
    }

    /// Instances get that version from now on, if all of it is there.
    pub(super) async fn offer(&mut self, choice: &Choice) -> Result<(), SyncError> {
        let Some(whole) = self.found.known.whole(&choice.version) else {
            return Ok(());
        };
        let offered = Offered::new(&choice.version, whole);
        if self.found.known.offered.as_ref() == Some(&offered) {
            return Ok(());
        }
        self.replace(OFFERED, &offered.to_bytes()).await?;
        let before = self.found.known.offered.replace(offered);
        self.syncer.tell(&Happening::RunnerOffered {
            version: choice.version.clone(),
            before: before.map(|one| one.release),
            reason: choice.reason.clone(),
        });
        Ok(())
    }

    /// Deletes versions. None while something did not go as it should: whatever is there may be needed.
    pub(super) async fn delete(&mut self, choices: &[Choice]) -> Result<(), SyncError> {
        if !self.problems.is_empty() || !self.unfinished.is_empty() || choices.is_empty() {
            return Ok(());
        }
        let store = &self.syncer.ports.store;
        for Choice { version, reason } in choices {
            // What names it goes first, so that what is left of it is not believed.
            store.delete(&mirrored_path(version)).await?;
            for stored in store.list(&format!("{RELEASES}{version}/")).await? {
                store.delete(&stored.path).await?;
            }
            self.found.known.mirrored.remove(version);
            self.syncer.tell(&Happening::RunnerDeleted {
                version: version.clone(),
                reason: reason.clone(),
            });
            self.deleted.push(version.clone());
        }
        Ok(())
    }

    /// What became of it.
    pub(super) fn came(self, unchanged: bool, now: Timestamp) -> Result<Synced, SyncError> {
        if !self.problems.is_empty() {
            return Err(SyncError::Copies(self.problems));
        }
        let known = &self.found.known;
        let offered = known.offered.as_ref().map(|one| one.release.clone());
        let published_at = offered
            .as_ref()
            .and_then(|version| known.published_at(version));
        Ok(Synced {
            offered_age: published_at.map(|at| at.age(now)),
            offered,
            mirrored: self.mirrored,
            deleted: self.deleted,
            unfinished: self.unfinished,
            unchanged,
        })
    }

    /// Writes a document over the one that was found.
    async fn replace(&mut self, path: &str, bytes: &[u8]) -> Result<(), SyncError> {
        let tags = &mut self.found.tags;
        let known = tags.get(path).map(String::as_str);
        let replaced = self.syncer.ports.store.replace(path, known, bytes).await?;
        match replaced {
            Replaced::Written { tag } => {
                tags.insert(path.to_owned(), tag);
                Ok(())
            }
            Replaced::Conflict => Err(SyncError::Rival(path.to_owned())),
        }
    }
}
