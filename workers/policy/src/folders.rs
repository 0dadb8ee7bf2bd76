//! Where policies and settings are found, and reading them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::PolicyLevel;
use stoker_core::ports::{Fetched, PolicyStore, PolicyStoreError, RepositoryFolder};
use stoker_core::situation::ScopeName;

/// A place where a policy may be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) level: PolicyLevel,
    pub(crate) folder: String,
}

impl Place {
    fn policy(&self) -> String {
        format!("{}/policy.wasm", self.folder)
    }

    fn settings(&self) -> String {
        format!("{}/settings.json", self.folder)
    }
}

/// The one place for decisions of the whole deployment.
pub(crate) fn deployment() -> Vec<Place> {
    vec![Place {
        level: PolicyLevel::Default,
        folder: "default".to_owned(),
    }]
}

/// The folder of a repository.
pub(crate) fn repository_folder(owner: &str, repository: &str) -> String {
    format!("repos/{owner}/{repository}")
}

/// The places for a scope, most specific first.
pub(crate) fn places(scope: &ScopeName) -> Vec<Place> {
    let repository = scope.repository.as_ref().map(|repository| Place {
        level: PolicyLevel::Repository,
        folder: repository_folder(&scope.owner, repository),
    });
    let organization = Place {
        level: PolicyLevel::Organization,
        folder: format!("orgs/{}", scope.owner),
    };
    repository
        .into_iter()
        .chain([organization])
        .chain(deployment())
        .collect()
}

/// An object as it was last read.
#[derive(Debug, Clone)]
struct Object {
    tag: String,
    bytes: Arc<Vec<u8>>,
    /// Taken when it was fetched: that takes a while for a large component.
    digest: ArtifactDigest,
}

impl Object {
    async fn fetched(tag: String, bytes: Vec<u8>) -> Self {
        let bytes = Arc::new(bytes);
        let all = Arc::clone(&bytes);
        let digest = tokio::task::spawn_blocking(move || ArtifactDigest::of(&all))
            .await
            // Only where the runtime shuts down.
            .unwrap_or_else(|_| ArtifactDigest::of(&bytes));
        Self { tag, bytes, digest }
    }
}

/// What was found at a place.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) level: PolicyLevel,
    pub(crate) folder: String,
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) settings: Option<SettingsFile>,
}

/// A component as it was read.
#[derive(Debug, Clone)]
pub(crate) struct PolicyFile {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) digest: ArtifactDigest,
}

/// A settings file as it was read.
#[derive(Debug, Clone)]
pub(crate) struct SettingsFile {
    pub(crate) path: String,
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// What repositories have of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tuning {
    /// By the repository's place.
    pub(crate) settings: Vec<(usize, SettingsFile)>,
    /// Names of those that have a policy.
    pub(crate) own_policy: Vec<String>,
    /// Some of it could not be read now, and is what was read before.
    pub(crate) stale: Option<PolicyStoreError>,
}

/// Everything that was found for a scope.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// Most specific first.
    pub(crate) found: Vec<Found>,
    /// Some of it could not be read now, and is what was read before.
    pub(crate) stale: Option<PolicyStoreError>,
}

impl Folders {
    /// Whether there is a policy on that level, whatever it decides.
    pub(crate) fn have_policy(&self, level: PolicyLevel) -> bool {
        self.found
            .iter()
            .any(|found| found.level == level && found.policy.is_some())
    }
}

/// Reads policies and settings, and remembers what it read (never that it could not).
pub(crate) struct Reader {
    store: Arc<dyn PolicyStore>,
    /// None: there was nothing at that path.
    known: Mutex<HashMap<String, Option<Object>>>,
    /// The folders of an owner's repositories, as they were last listed.
    listed: Mutex<HashMap<String, Arc<Vec<RepositoryFolder>>>>,
}

/// What there is at a path; the error comes with what there was before, if that is known.
type Read = Result<Option<Object>, (PolicyStoreError, Option<Option<Object>>)>;

impl Reader {
    pub(crate) fn new(store: Arc<dyn PolicyStore>) -> Self {
        Self {
            store,
            known: Mutex::default(),
            listed: Mutex::default(),
        }
    }

    /// Reads all places at once; each costs one conditional request.
    pub(crate) async fn read(&self, places: &[Place]) -> Result<Folders, PolicyStoreError> {
        let mut stale = None;
        let objects =
            join_all(places.iter().flat_map(|place| {
                [place.policy(), place.settings()].map(|path| self.object(path))
            }))
            .await;
        let mut objects = objects.into_iter();
        let mut found = Vec::with_capacity(places.len());
        for place in places {
            let mut next = || match objects.next() {
                Some(Ok(object)) => Ok(object),
                Some(Err((error, Some(before)))) => {
                    stale = Some(error);
                    Ok(before)
                }
                Some(Err((error, None))) => Err(error),
                None => Ok(None),
            };
            found.push(Found {
                level: place.level,
                folder: place.folder.clone(),
                policy: next()?.map(|object| PolicyFile {
                    bytes: object.bytes,
                    digest: object.digest,
                }),
                settings: next()?.map(|object| SettingsFile {
                    path: place.settings(),
                    bytes: object.bytes,
                }),
            });
        }
        Ok(Folders { found, stale })
    }

    /// The settings of those of an owner's repositories that have some, by the repository's place in
    /// `repositories`; and those that have a policy of their own instead.
    pub(crate) async fn tuning(
        &self,
        owner: &str,
        repositories: &[String],
    ) -> Result<Tuning, PolicyStoreError> {
        let (folders, mut stale) = self.folders_of(owner).await?;
        let mut tuning = Tuning::default();
        let mut wanted = Vec::new();
        for (place, name) in repositories.iter().enumerate() {
            match folders.iter().find(|folder| folder.name == *name) {
                Some(folder) if folder.policy => tuning.own_policy.push(name.clone()),
                Some(folder) if folder.settings => {
                    let path = format!("{}/settings.json", repository_folder(owner, name));
                    wanted.push(async move { (place, path.clone(), self.object(path).await) });
                }
                _ => {}
            }
        }
        for (place, path, read) in join_all(wanted).await {
            let object = match read {
                Ok(object) => object,
                Err((error, before)) => {
                    stale = Some(error);
                    before.flatten()
                }
            };
            if let Some(Object { bytes, .. }) = object {
                tuning.settings.push((place, SettingsFile { path, bytes }));
            }
        }
        tuning.stale = stale;
        Ok(tuning)
    }

    async fn folders_of(
        &self,
        owner: &str,
    ) -> Result<(Arc<Vec<RepositoryFolder>>, Option<PolicyStoreError>), PolicyStoreError> {
        let listed = || self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        match self.store.repositories(owner).await {
            Ok(folders) => {
                let folders = Arc::new(folders);
                listed().insert(owner.to_owned(), Arc::clone(&folders));
                Ok((folders, None))
            }
            Err(error) => match listed().get(owner) {
                Some(before) => Ok((Arc::clone(before), Some(error))),
                None => Err(error),
            },
        }
    }

    async fn object(&self, path: String) -> Read {
        let known = self.known().get(&path).cloned();
        let before = known.clone().flatten();
        let tag = before.as_ref().map(|object| object.tag.as_str());
        let now = match self.store.fetch(&path, tag).await {
            Ok(Fetched::Unchanged) => before,
            Ok(Fetched::Absent) => None,
            Ok(Fetched::Found { bytes, tag }) => Some(Object::fetched(tag, bytes).await),
            Err(error) => return Err((error, known)),
        };
        self.known().insert(path, now.clone());
        Ok(now)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Object>>> {
        // A panic elsewhere leaves the map whole: every change of it is one call.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_looks_in_its_own_folder_first() {
        let scope = ScopeName {
            owner: "acme".to_owned(),
            repository: Some("app".to_owned()),
        };
        let folders: Vec<String> = places(&scope).into_iter().map(|p| p.folder).collect();
        assert_eq!(folders, ["repos/acme/app", "orgs/acme", "default"]);
    }
}
