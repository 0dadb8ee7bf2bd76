//! What a decision has done: archives copied, the pointer moved, what nobody needs deleted. Whatever breaks leaves the
//! pointer on something whole, and what breaks of one version keeps no other one from being offered.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::happening::Happening;
use crate::ports::Fetched;
use crate::time::Timestamp;

use super::Choice;
use super::clamp::{Copy, SyncGranted};
use super::copy::{CopyError, Copying};
use super::layout::{
    Archive, Asset, Document as _, Mirrored, OFFERED, Offered, RELEASES, archive_path,
    mirrored_path,
};
use super::look::Found;
use super::sync::{SyncError, Synced, Syncer};

/// A round that acts.
pub(super) struct Acting<'a> {
    syncer: &'a Syncer,
    found: Found,
    until: Timestamp,
    /// How many archives were begun.
    begun: usize,
    /// What the first archive that could not be begun is told as.
    no_time: Option<String>,
    mirrored: Vec<String>,
    deleted: Vec<String>,
    unfinished: BTreeSet<String>,
    problems: Vec<String>,
}

impl<'a> Acting<'a> {
    /// Begins no archive that could not be finished `until` then.
    pub(super) fn new(syncer: &'a Syncer, mut found: Found, until: Timestamp) -> Self {
        let unasked = found.unasked.take();
        Self {
            syncer,
            found,
            until,
            begun: 0,
            no_time: None,
            mirrored: Vec::new(),
            deleted: Vec::new(),
            unfinished: BTreeSet::new(),
            problems: unasked.into_iter().collect(),
        }
    }

    /// Does what is granted.
    pub(super) async fn act(&mut self, granted: &SyncGranted) -> Result<(), SyncError> {
        // Its instances wait for it, and not for what else is mirrored.
        let offer = granted.offer();
        let is_offer = |copy: &&Copy| offer.is_some_and(|one| one.version == copy.choice.version);
        for copy in granted.copies().iter().filter(is_offer) {
            self.copy(copy).await;
        }
        if let Some(choice) = offer {
            self.offer(choice).await?;
        }
        for copy in granted.copies().iter().filter(|copy| !is_offer(copy)) {
            self.copy(copy).await;
        }
        self.delete(granted.delete()).await
    }

    /// Mirrors what is missing of a version. What fails of it is told at the end: another one may do.
    async fn copy(&mut self, copy: &Copy) {
        let version = &copy.choice.version;
        for (platform, asset) in &copy.missing {
            if !self.copying().has_time_for(asset) {
                let no_time = || no_time(version, platform, asset.bytes);
                self.no_time.get_or_insert_with(no_time);
                self.unfinished.insert(version.clone());
                continue;
            }
            self.begun += 1;
            match self.archive(version, platform, asset).await {
                Ok(()) => {}
                // The next round has all of its time for it.
                Err(NotMirrored::Copy(CopyError::TimeIsOver(_))) if self.begun > 1 => {
                    self.unfinished.insert(version.clone());
                }
                Err(error) => self.failed(version, platform, error.to_string()),
            }
        }
        if self.found.known.whole(version).is_some() {
            self.mirrored.push(version.clone());
        }
    }

    fn failed(&mut self, version: &str, platform: &str, problem: String) {
        self.problems.push(format!(
            "{version} for {platform} could not be mirrored: {problem}"
        ));
        self.syncer.tell(&Happening::MirrorFailed {
            version: version.to_owned(),
            platform: platform.to_owned(),
            problem,
        });
    }

    fn copying(&self) -> Copying<'a> {
        let ports = &self.syncer.ports;
        Copying {
            releases: ports.releases.as_ref(),
            store: ports.store.as_ref(),
            clock: ports.clock.as_ref(),
            timer: ports.timer.as_ref(),
            until: self.until,
        }
    }

    /// Copies an archive, and writes down that it is whole: after each one, so that a round that breaks off loses
    /// one at most.
    async fn archive(
        &mut self,
        version: &str,
        platform: &str,
        asset: &Asset,
    ) -> Result<(), NotMirrored> {
        let clock = &self.syncer.ports.clock;
        let began = clock.now();
        let path = archive_path(platform, version);
        let mut mirrored = self.found.known.noted(version);
        if mirrored.platforms.remove(platform).is_some() {
            // What is written over is not what is noted, if the rest breaks off.
            self.note(mirrored.clone()).await?;
        }
        let sha256 = self.copying().copy(asset, &path).await?;
        let archive = Archive {
            key: path,
            sha256,
            bytes: asset.bytes,
            unverified: self.found.known.digest(version, platform).is_none(),
        };
        self.syncer.tell(&Happening::Mirrored {
            version: version.to_owned(),
            platform: platform.to_owned(),
            bytes: archive.bytes,
            sha256: archive.sha256.clone(),
            unverified: archive.unverified,
            seconds: began.age(clock.now()),
        });
        mirrored.platforms.insert(platform.to_owned(), archive);
        // What could not be written down does not count: somebody else may have a hand in it.
        self.note(mirrored).await?;
        Ok(())
    }

    /// Writes down what is whole of a version.
    async fn note(&mut self, mirrored: Mirrored) -> Result<(), SyncError> {
        let version = mirrored.release.clone();
        self.replace(&mirrored_path(&version), &mirrored.to_bytes())
            .await?;
        self.found.known.mirrored.insert(version, mirrored);
        Ok(())
    }

    /// Instances get that version from now on, if all of it is there.
    async fn offer(&mut self, choice: &Choice) -> Result<(), SyncError> {
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

    /// Deletes versions, and what nothing names. None while something did not go as it should: whatever is there
    /// may be needed.
    async fn delete(&mut self, choices: &[Choice]) -> Result<(), SyncError> {
        if !self.problems.is_empty() || !self.unfinished.is_empty() {
            return Ok(());
        }
        let is_settled = |version: &String| {
            let known = &self.found.known;
            known.whole(version).is_some() || choices.iter().any(|one| one.version == *version)
        };
        let remains = self.found.remains.iter().filter(|one| !is_settled(one));
        let remains: Vec<Choice> = remains
            .map(|version| Choice {
                version: version.clone(),
                reason: "a copy or a deletion of it has broken off, and nothing of it is whole"
                    .to_owned(),
            })
            .collect();
        for Choice { version, reason } in choices.iter().chain(&remains) {
            self.delete_version(version).await?;
            self.syncer.tell(&Happening::RunnerDeleted {
                version: version.clone(),
                reason: reason.clone(),
            });
            self.deleted.push(version.clone());
        }
        Ok(())
    }

    async fn delete_version(&mut self, version: &str) -> Result<(), SyncError> {
        let store = &self.syncer.ports.store;
        // Copying takes minutes, in which somebody may have gone back to it.
        let tag = match store.fetch(OFFERED).await? {
            Fetched::Found { tag, .. } => Some(tag),
            Fetched::Absent | Fetched::Unchanged => None,
        };
        if tag.as_ref() != self.found.tags.get(OFFERED) {
            return Err(SyncError::Rival(OFFERED.to_owned()));
        }
        // First nothing of it counts any more, and what says so goes last: a deletion that breaks off is neither
        // believed nor forgotten.
        let mut nothing = self.found.known.noted(version);
        nothing.platforms.clear();
        self.note(nothing).await?;
        let document = mirrored_path(version);
        for stored in store.list(&format!("{RELEASES}{version}/")).await? {
            if stored.path != document {
                store.delete(&stored.path).await?;
            }
        }
        store.delete(&document).await?;
        self.found.known.mirrored.remove(version);
        Ok(())
    }

    /// What became of it.
    pub(super) fn came(mut self, now: Timestamp) -> Result<Synced, SyncError> {
        if self.begun == 0 {
            self.problems.extend(self.no_time);
        }
        if !self.problems.is_empty() {
            return Err(SyncError::Problems(self.problems));
        }
        let known = &self.found.known;
        let offered = known.offered.as_ref().map(|one| one.release.clone());
        Ok(Synced {
            offered_age: known.offered_age(now),
            offered,
            mirrored: self.mirrored,
            deleted: self.deleted,
            unfinished: self.unfinished.into_iter().collect(),
            unchanged: self.found.unchanged,
        })
    }

    async fn replace(&mut self, path: &str, bytes: &[u8]) -> Result<(), SyncError> {
        self.syncer.replace(&mut self.found.tags, path, bytes).await
    }
}

/// Why an archive does not count as mirrored.
#[derive(Debug, Error)]
#[error(transparent)]
enum NotMirrored {
    Copy(#[from] CopyError),
    Note(#[from] SyncError),
}

fn no_time(version: &str, platform: &str, bytes: u64) -> String {
    format!(
        "there is no time for any archive, such as the {bytes} bytes of {version} for {platform}: give the Lambda a \
         longer time-out"
    )
}
