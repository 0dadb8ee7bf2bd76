//! What is found before anything is decided: three reads of the mirror and one for each mirrored version, and one
//! request to GitHub.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::{Fetched, Newest};

use super::known::Known;
use super::layout::{
    Document as _, Mirrored, OFFERED, Offered, RELEASES, SEEN, Seen, Unread, archive_path,
    mirrored_path, version_of,
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
    /// Why GitHub could not be asked now; what it said last has to do.
    pub(super) unasked: Option<String>,
    /// The tags of the documents that there are, by path.
    pub(super) tags: BTreeMap<String, String>,
    /// Versions of which something lies there and nothing is whole, other than what instances get.
    pub(super) remains: BTreeSet<String>,
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
                let read = Offered::from_bytes(&bytes);
                Some(read.map_err(|problem| SyncError::Offered(problem.to_string()))?)
            }
            Fetched::Absent | Fetched::Unchanged => None,
        };
        let sizes: BTreeMap<String, u64> = stored
            .into_iter()
            .map(|one| (one.path, one.bytes))
            .collect();
        let mirrored = self.mirrored(&sizes, &mut tags).await?;
        let is_of_use = |version: &str| {
            let is_offered = offered.as_ref().is_some_and(|one| one.release == version);
            let noted = mirrored.get(version);
            is_offered || noted.is_some_and(|one| !one.platforms.is_empty())
        };
        let versions = sizes.keys().filter_map(|path| version_of(path));
        let remains = versions.filter(|version| !is_of_use(version));
        let remains = remains.map(str::to_owned).collect();
        let stored = self.last_seen(seen, &mut tags)?;
        let source = self.ports.releases.source();
        // What another place has answered says nothing of this one.
        let last = stored.clone().filter(|seen| seen.source == source);
        let tag = last.as_ref().and_then(|seen| seen.tag.as_deref());
        let (newest, unasked) = match self.ports.releases.newest(tag).await {
            // Going back to a mirrored version needs no GitHub.
            Err(error) if last.is_some() => (Newest::Unchanged, Some(error.to_string())),
            newest => (newest?, None),
        };
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
            unasked,
            tags,
            remains,
        })
    }

    /// What GitHub said last. What can't be read is asked for again.
    fn last_seen(
        &self,
        fetched: Fetched,
        tags: &mut BTreeMap<String, String>,
    ) -> Result<Option<Seen>, SyncError> {
        let Fetched::Found { bytes, tag } = fetched else {
            return Ok(None);
        };
        tags.insert(SEEN.to_owned(), tag);
        match Seen::from_bytes(&bytes) {
            Ok(seen) => Ok(Some(seen)),
            Err(Unread::Newer(form)) => Err(newer(SEEN, form)),
            Err(problem) => {
                self.trouble(format!(
                    "`{SEEN}` is left aside, GitHub is asked for everything, and policies of any generation may \
                     decide: {problem}"
                ));
                Ok(None)
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
                Err(Unread::Newer(form)) => return Err(newer(path, form)),
                Err(problem) => self.trouble(format!(
                    "`{path}` is left aside, and its archives count as not mirrored: {problem}"
                )),
            }
        }
        Ok(all)
    }
}

/// Written over by this Stoker, it would lose what the newer one has to say.
fn newer(path: &str, form: u32) -> SyncError {
    SyncError::Newer {
        path: path.to_owned(),
        problem: Unread::Newer(form).to_string(),
    }
}
