//! What admission publishes, in a folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use stoker_core::ports::{AdmissionStore, Fetched, PolicyStore, PolicyStoreError, Replaced};

use super::{
    OURS, blocking, entries, is_plain, is_plain_character, is_plain_name, locate, none_for_nothing,
    not_plain, place, sha256, write,
};

/// How many paths are listed at once.
const LISTED_AT_ONCE: usize = 1_000;

/// The [`PolicyStore`] and [`AdmissionStore`] of a folder. Objects are known by the SHA-256 of their
/// bytes.
///
/// Whoever writes holds the lock of a file in the folder, so that processes that write at the same time
/// write one after the other. Whoever reads needs none.
#[derive(Debug, Clone)]
pub struct FolderPolicies {
    root: PathBuf,
}

impl FolderPolicies {
    /// What is published in that folder. It need not exist: then there is nothing, and the first write
    /// makes it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Does something with the folder, off the runtime's threads.
    async fn with<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, PolicyStoreError> {
        let root = self.root.clone();
        blocking(&self.root, path, move || work(&root)).await
    }

    /// The same, while nobody else writes. `work` gets the bytes that are to be written, and the file.
    async fn write<T: Send + 'static>(
        &self,
        path: &str,
        bytes: &[u8],
        work: impl FnOnce(&Path, &[u8]) -> io::Result<T> + Send + 'static,
    ) -> Result<T, PolicyStoreError> {
        let (name, bytes) = (path.to_owned(), bytes.to_vec());
        self.with(path, move |root| {
            let file = place(root, &name)?;
            let _until_it_is_dropped = lock(root)?;
            work(&file, &bytes)
        })
        .await
    }
}

/// Waits until nobody else writes.
fn lock(root: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join(format!(".lock{OURS}")))?;
    file.lock()?;
    Ok(file)
}

/// The bytes at a path; none if there is nothing.
fn read(root: &Path, path: &str) -> io::Result<Option<Vec<u8>>> {
    if !is_plain(path) {
        return Err(not_plain());
    }
    let Some(file) = locate(root, path)? else {
        return Ok(None);
    };
    none_for_nothing(std::fs::read(file).map(Some))
}

/// Every path that begins with `prefix` and comes after `after`.
fn list(root: &Path, prefix: &str, after: &str) -> io::Result<Vec<String>> {
    let (folder, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let names_alone = folder.is_empty() || is_plain(folder);
    if prefix.starts_with('/') || !names_alone || !name.chars().all(is_plain_character) {
        return Err(not_plain());
    }
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&root.join(&folder))? {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_plain_name(name)) else {
                // Ours, or nobody's: no path has such a name.
                continue;
            };
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            // Links are nobody's here: admission makes none.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.starts_with(prefix) && path.as_str() > after {
                paths.push(path);
            }
        }
    }
    paths.sort_unstable();
    paths.truncate(LISTED_AT_ONCE);
    Ok(paths)
}

#[async_trait]
impl PolicyStore for FolderPolicies {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        let (name, known) = (path.to_owned(), known.map(ToOwned::to_owned));
        self.with(path, move |root| {
            let Some(bytes) = read(root, &name)? else {
                return Ok(Fetched::Absent);
            };
            let tag = sha256(&bytes);
            Ok(if known.as_ref() == Some(&tag) {
                Fetched::Unchanged
            } else {
                Fetched::Found { bytes, tag }
            })
        })
        .await
    }
}

#[async_trait]
impl AdmissionStore for FolderPolicies {
    async fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, PolicyStoreError> {
        self.write(path, bytes, |file, bytes| {
            if std::fs::symlink_metadata(file).is_ok() {
                return Ok(false);
            }
            write(file, bytes, None)?;
            Ok(true)
        })
        .await
    }

    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, PolicyStoreError> {
        let known = known.map(ToOwned::to_owned);
        self.write(path, bytes, move |file, bytes| {
            let there = none_for_nothing(std::fs::read(file).map(Some))?;
            if there.map(|there| sha256(&there)) != known {
                return Ok(Replaced::Conflict);
            }
            write(file, bytes, None)?;
            Ok(Replaced::Written { tag: sha256(bytes) })
        })
        .await
    }

    async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), PolicyStoreError> {
        self.write(path, bytes, |file, bytes| write(file, bytes, None))
            .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, PolicyStoreError> {
        let (begin, after) = (prefix.to_owned(), after.unwrap_or_default().to_owned());
        self.with(prefix, move |root| list(root, &begin, &after))
            .await
    }
}

#[cfg(test)]
mod tests;
