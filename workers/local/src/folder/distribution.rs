//! The mirror of the runner's distribution, in a folder.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use stoker_core::ports::{
    ArchiveUpload, DistributionError, DistributionStore, Fetched, PolicyStoreError, Replaced,
    Stored,
};
use tempfile::NamedTempFile;

use super::{
    OURS, beside, blocking, entries, is_plain_name, locate, none_for_nothing, place, sha256, write,
};

/// A [`DistributionStore`] in a folder. Documents are known by the SHA-256 of their bytes; whoever writes one
/// holds the lock of a file in the folder.
#[derive(Debug, Clone)]
pub struct FolderDistribution {
    root: PathBuf,
}

impl FolderDistribution {
    /// The mirror in that folder, which is made with the first write.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Does something with the folder, off the runtime's threads.
    async fn with<T: Send + 'static>(
        &self,
        what: &'static str,
        path: &str,
        work: impl FnOnce(&Path, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DistributionError> {
        let (root, name) = (self.root.clone(), path.to_owned());
        let done = blocking(&self.root, path, move || work(&root, &name)).await;
        done.map_err(failed(what))
    }
}

/// The port's form of what a folder says.
fn failed(what: &'static str) -> impl Fn(PolicyStoreError) -> DistributionError {
    move |error| DistributionError {
        what,
        path: error.path,
        problem: error.problem,
    }
}

/// The bytes at a path; none if there is nothing.
fn read(root: &Path, path: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = locate(root, path)? else {
        return Ok(None);
    };
    none_for_nothing(std::fs::read(file).map(Some))
}

/// Every file below a folder, by its path from the root.
fn walk(root: &Path, prefix: &str) -> io::Result<Vec<Stored>> {
    let mut all = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&root.join(&folder))? {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_plain_name(name)) else {
                // Ours, or nobody's: no path has such a name.
                continue;
            };
            let path = format!("{folder}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(format!("{path}/"));
            } else if kind.is_file() && path.starts_with(prefix) {
                let bytes = entry.metadata()?.len();
                all.push(Stored { path, bytes });
            }
        }
    }
    Ok(all)
}

#[async_trait]
impl DistributionStore for FolderDistribution {
    async fn fetch(&self, path: &str) -> Result<Fetched, DistributionError> {
        let bytes = self.with("read", path, read).await?;
        Ok(bytes.map_or(Fetched::Absent, |bytes| Fetched::Found {
            tag: sha256(&bytes),
            bytes,
        }))
    }

    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, DistributionError> {
        let (known, bytes) = (known.map(ToOwned::to_owned), bytes.to_vec());
        self.with("write", path, move |root, path| {
            let file = place(root, path)?;
            let _until_it_is_dropped = lock(root)?;
            if read(root, path)?.map(|there| sha256(&there)) != known {
                return Ok(Replaced::Conflict);
            }
            write(&file, &bytes, None)?;
            Ok(Replaced::Written {
                tag: sha256(&bytes),
            })
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Stored>, DistributionError> {
        self.with("list", prefix, walk).await
    }

    async fn delete(&self, path: &str) -> Result<(), DistributionError> {
        self.with("delete", path, |root, path| match locate(root, path)? {
            Some(file) => none_for_nothing(std::fs::remove_file(file).map(Some)).map(drop),
            None => Ok(()),
        })
        .await
    }

    async fn upload(&self, path: &str) -> Result<Box<dyn ArchiveUpload>, DistributionError> {
        let (file, written) = self
            .with("write", path, |root, path| {
                let file = place(root, path)?;
                let written = beside(&file)?;
                Ok((file, written))
            })
            .await?;
        Ok(Box::new(Writing {
            root: self.root.clone(),
            path: path.to_owned(),
            file,
            written: Some(written),
        }))
    }
}

/// Waits until nobody else writes a document.
fn lock(root: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join(format!(".lock{OURS}")))?;
    file.lock()?;
    Ok(file)
}

/// A file beside its place, which goes when it is dropped.
struct Writing {
    root: PathBuf,
    path: String,
    file: PathBuf,
    /// None: a write has failed.
    written: Option<NamedTempFile>,
}

impl Writing {
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(NamedTempFile) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DistributionError> {
        let written = self.written.take();
        let lost = || io::Error::other("a part of it could not be written before");
        let done = blocking(&self.root, &self.path, move || {
            work(written.ok_or_else(lost)?)
        });
        done.await.map_err(failed("write"))
    }
}

#[async_trait]
impl ArchiveUpload for Writing {
    async fn add(&mut self, bytes: Vec<u8>) -> Result<(), DistributionError> {
        let written = self
            .with(move |mut written| {
                written.write_all(&bytes)?;
                Ok(written)
            })
            .await?;
        self.written = Some(written);
        Ok(())
    }

    async fn complete(mut self: Box<Self>) -> Result<(), DistributionError> {
        let file = self.file.clone();
        self.with(move |written| {
            // Else a machine that dies may leave the name with nothing in it.
            written.as_file().sync_all()?;
            written.persist(file).map_err(|error| error.error)?;
            Ok(())
        })
        .await
    }

    async fn abort(mut self: Box<Self>) -> Result<(), DistributionError> {
        self.with(NamedTempFile::close).await
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::contract::check_distribution_store;

    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_the_contract_of_all_mirrors() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("distribution");
        let store = FolderDistribution::new(&root);
        let read = async |path: &str| std::fs::read(root.join(path)).ok();
        if let Err(breaches) = check_distribution_store(&store, &read).await {
            panic!("{breaches}");
        }
    }

    #[tokio::test]
    async fn no_path_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderDistribution::new(folder.path().join("distribution"));
        for path in ["../stolen", "releases/../../stolen", "/stolen"] {
            assert!(store.replace(path, None, b"x").await.is_err(), "{path}");
            assert!(store.upload(path).await.is_err(), "{path}");
        }
        assert!(!folder.path().join("stolen").exists());
    }
}
