//! Policies in a folder: `default/`, `orgs/<owner>/`, `repos/<owner>/<repository>/`.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use stoker_core::ids::ArtifactDigest;
use stoker_core::ports::{Fetched, PolicyStore, PolicyStoreError, RepositoryFolder};

/// A [`PolicyStore`] over a folder. Objects are known by the SHA-256 of their bytes, so an editor that
/// only touches a file changes nothing.
#[derive(Debug, Clone)]
pub struct FolderPolicies {
    root: PathBuf,
}

impl FolderPolicies {
    /// The policies in that folder. It need not exist: then there are none.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Reads a file under `root`; none if there is none. Links may point anywhere inside of it.
fn read(root: &Path, path: &str) -> io::Result<Option<Vec<u8>>> {
    let read = || {
        let root = root.canonicalize()?;
        let file = root.join(path).canonicalize()?;
        if file.starts_with(&root) {
            std::fs::read(file)
        } else {
            Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it leads out of the policies folder",
            ))
        }
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The folders below `repos/<owner>`; none if there is no such folder.
fn repositories(root: &Path, owner: &str) -> io::Result<Vec<RepositoryFolder>> {
    let entries = match std::fs::read_dir(root.join("repos").join(owner)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            // GitHub's names are ASCII: this is nobody's folder.
            continue;
        };
        folders.push(RepositoryFolder {
            name: name.to_owned(),
            policy: folder.join("policy.wasm").is_file(),
            settings: folder.join("settings.json").is_file(),
        });
    }
    folders.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(folders)
}

/// Whether a path is of names alone, in the characters that GitHub's names have.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|name| {
        !matches!(name, "" | "." | "..")
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    })
}

#[async_trait]
impl PolicyStore for FolderPolicies {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        let failed = |problem: String| PolicyStoreError {
            path: path.to_owned(),
            problem,
        };
        if !is_plain(path) {
            return Err(failed("it is not a path of plain names".to_owned()));
        }
        let (root, name) = (self.root.clone(), path.to_owned());
        let bytes = tokio::task::spawn_blocking(move || read(&root, &name))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        Ok(match bytes {
            None => Fetched::Absent,
            Some(bytes) => {
                let tag = ArtifactDigest::of(&bytes).to_string();
                if known == Some(tag.as_str()) {
                    Fetched::Unchanged
                } else {
                    Fetched::Found { bytes, tag }
                }
            }
        })
    }

    async fn repositories(&self, owner: &str) -> Result<Vec<RepositoryFolder>, PolicyStoreError> {
        let failed = |problem: String| PolicyStoreError {
            path: format!("repos/{owner}/"),
            problem,
        };
        if !is_plain(owner) || owner.contains('/') {
            return Err(failed("it is not a plain name".to_owned()));
        }
        let (root, name) = (self.root.clone(), owner.to_owned());
        tokio::task::spawn_blocking(move || repositories(&root, &name))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, FolderPolicies) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("policies");
        std::fs::create_dir_all(root.join("orgs/acme")).unwrap();
        std::fs::write(root.join("orgs/acme/policy.wasm"), b"one").unwrap();
        std::fs::write(outer.path().join("secret"), b"secret").unwrap();
        let policies = FolderPolicies::new(root);
        (outer, policies)
    }

    #[tokio::test]
    async fn a_policy_is_found_then_unchanged_then_found_again_when_it_is_another() {
        let (_outer, policies) = folder();
        let path = "orgs/acme/policy.wasm";
        let Fetched::Found { bytes, tag } = policies.fetch(path, None).await.unwrap() else {
            panic!("not found");
        };
        assert_eq!(bytes, b"one");
        let again = policies.fetch(path, Some(&tag)).await.unwrap();
        assert_eq!(again, Fetched::Unchanged);
        std::fs::write(policies.root().join(path), b"two").unwrap();
        let other = policies.fetch(path, Some(&tag)).await.unwrap();
        assert!(matches!(other, Fetched::Found { bytes, .. } if bytes == b"two"));
    }

    #[tokio::test]
    async fn what_is_not_there_is_absent_even_the_whole_folder() {
        let (_outer, policies) = folder();
        for path in ["default/policy.wasm", "orgs/acme/policy.wasm/deeper"] {
            let found = policies.fetch(path, None).await.unwrap();
            assert_eq!(found, Fetched::Absent, "{path}");
        }
        let none = FolderPolicies::new("/nonexistent/policies");
        let found = none.fetch("default/policy.wasm", None).await.unwrap();
        assert_eq!(found, Fetched::Absent);
    }

    #[tokio::test]
    async fn the_folders_of_an_owner_s_repositories_are_listed() {
        let (_outer, policies) = folder();
        assert_eq!(policies.repositories("acme").await.unwrap(), []);
        for file in ["app/policy.wasm", "app/settings.json", "web/settings.json"] {
            let file = policies.root().join("repos/acme").join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, b"{}").unwrap();
        }
        let of = |name: &str, policy| RepositoryFolder {
            name: name.to_owned(),
            policy,
            settings: true,
        };
        let listed = policies.repositories("acme").await.unwrap();
        assert_eq!(listed, [of("app", true), of("web", false)]);
        for owner in ["..", "acme/app", ""] {
            assert!(policies.repositories(owner).await.is_err(), "{owner:?}");
        }
    }

    #[tokio::test]
    async fn no_path_leaves_the_folder() {
        let (_outer, policies) = folder();
        for path in [
            "../secret",
            "orgs/../../secret",
            "/etc/passwd",
            "orgs//acme",
            "orgs\\..\\secret",
            "orgs/./acme",
            "",
            "a\0b",
        ] {
            assert!(policies.fetch(path, None).await.is_err(), "{path:?}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn no_link_leaves_the_folder() {
        let (outer, policies) = folder();
        let link = policies.root().join("orgs/acme/settings.json");
        std::os::unix::fs::symlink(outer.path().join("secret"), link).unwrap();
        let told = policies.fetch("orgs/acme/settings.json", None).await;
        assert!(told.unwrap_err().problem.contains("leads out"));
    }
}
