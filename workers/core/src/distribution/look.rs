//! What is found before anything is decided: three reads of the mirror and one for each mirrored version, and one
//! request to GitHub.

use std::collections::BTreeMap;

use crate::ports::{Fetched, Newest};

use super::known::Known;
use super::layout::{
    Document as _, Mirrored, OFFERED, Offered, RELEASES, SEEN, Seen, archive_path, mirrored_path,
    version_of,
};
use super::sync::{SyncError, Syncer};

/// What was found.
pub(super) struct Found {
    pub(super) known: Known,
    pub(super) seen: Seen,
    /// Another [`Seen`] is stored, or none.
    pub(super) is_news: bool,
    /// GitHub says that nothing has changed.
    pub(super) unchanged: bool,
    /// The tags of the documents that there are, by path.
    pub(super) tags: BTreeMap<String, String>,
}

impl Syncer {
    /// What GitHub has, what is mirrored, what is offered.
    pub(super) async fn look(&self) -> Result<Found, SyncError> {
        let store = &self.ports.store;
        let (seen, offered, stored) = futures::future::try_join3(
            store.fetch(SEEN),
            store.fetch(OFFERED),
            store.list(RELEASES),
        )
        .await?;
        let mut tags = BTreeMap::new();
        let offered = match offered {
            Fetched::Found { bytes, tag } => {
                tags.insert(OFFERED.to_owned(), tag);
                Some(Offered::from_bytes(&bytes).map_err(SyncError::Offered)?)
            }
            Fetched::Absent | Fetched::Unchanged => None,
        };
        let sizes: BTreeMap<String, u64> = stored
            .into_iter()
            .map(|one| (one.path, one.bytes))
            .collect();
        let mirrored = self.mirrored(&sizes, &mut tags).await?;
        let stored = self.last_seen(&seen);
        let source = self.ports.releases.source();
        // What another place has answered says nothing of this one.
        let last = stored.clone().filter(|seen| seen.source == source);
        let tag = last.as_ref().and_then(|seen| seen.tag.as_deref());
        let newest = self.ports.releases.newest(tag).await?;
        let unchanged = newest == Newest::Unchanged;
        let generation = stored
            .as_ref()
            .map(|seen| seen.generation)
            .unwrap_or_default();
        let (published, tag) = match (newest, last) {
            (Newest::Listed { published, tag }, _) => (published, tag),
            (Newest::Unchanged, Some(seen)) => (seen.published, seen.tag),
            // Nobody was told a tag.
            (Newest::Unchanged, None) => (Vec::new(), None),
        };
        let seen = Seen::new(&source, tag, published, generation);
        Ok(Found {
            known: Known {
                rules: self.rules.clone(),
                published: seen.published.clone(),
                mirrored,
                offered,
            },
            is_news: stored.as_ref() != Some(&seen),
            seen,
            unchanged,
            tags,
        })
    }

    /// What GitHub said last. What can't be read is asked for again.
    fn last_seen(&self, fetched: &Fetched) -> Option<Seen> {
        let Fetched::Found { bytes, .. } = fetched else {
            return None;
        };
        match Seen::from_bytes(bytes) {
            Ok(seen) => Some(seen),
            Err(problem) => {
                self.trouble(format!(
                    "`{SEEN}` is left aside, and GitHub is asked for everything: {problem}"
                ));
                None
            }
        }
    }

    /// What is mirrored: what a version's document names, as far as it is there.
    async fn mirrored(
        &self,
        sizes: &BTreeMap<String, u64>,
        tags: &mut BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Mirrored>, SyncError> {
        let documents: Vec<&String> = sizes
            .keys()
            .filter(|path| version_of(path).is_some_and(|version| **path == mirrored_path(version)))
            .collect();
        let reads = documents.iter().map(|path| self.ports.store.fetch(path));
        let fetched = futures::future::try_join_all(reads).await?;
        let mut all = BTreeMap::new();
        for (path, fetched) in documents.into_iter().zip(fetched) {
            let Fetched::Found { bytes, tag } = fetched else {
                continue;
            };
            tags.insert(path.clone(), tag);
            let version = version_of(path).unwrap_or_default();
            match Mirrored::from_bytes(&bytes) {
                Ok(mut mirrored) if mirrored.release == version => {
                    mirrored.platforms.retain(|platform, archive| {
                        archive.key == archive_path(platform, version)
                            && sizes.get(&archive.key) == Some(&archive.bytes)
                    });
                    all.insert(version.to_owned(), mirrored);
                }
                Ok(_) => self.trouble(format!("`{path}` is left aside: it names another version")),
                Err(problem) => self.trouble(format!(
                    "`{path}` is left aside, and its archives count as not mirrored: {problem}"
                )),
            }
        }
        Ok(all)
    }
}
