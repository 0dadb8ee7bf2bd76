//! The journal in a folder: one file a record.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use stoker_core::journal::RecordName;
use stoker_core::ports::{JournalError, JournalStore};
use tempfile::NamedTempFile;

/// A [`JournalStore`] in a folder.
#[derive(Debug, Clone)]
pub struct FolderJournal {
    root: PathBuf,
}

impl FolderJournal {
    /// The journal below that folder, which is made with the first record.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, name: &RecordName) -> PathBuf {
        // A record's name is digits, slashes and a hyphen: it leads nowhere else.
        self.root.join(format!("{name}.jsonl.gz"))
    }
}

#[async_trait]
impl JournalStore for FolderJournal {
    async fn write(&self, name: &RecordName, bytes: Vec<u8>) -> Result<(), JournalError> {
        let path = self.path(name);
        off_the_runtime(name, "written", move || write(&path, &bytes)).await
    }

    async fn read(&self, name: &RecordName) -> Result<Option<Vec<u8>>, JournalError> {
        let path = self.path(name);
        off_the_runtime(name, "read", move || match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }
}

/// Whoever reads sees all of a record or none of it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

async fn off_the_runtime<T: Send + 'static>(
    name: &RecordName,
    what: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, JournalError> {
    let failed = |problem: String| JournalError {
        name: name.clone(),
        what,
        problem,
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::contract::check_journal;
    use stoker_core::time::Timestamp;

    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_the_contract_of_all_journals() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(folder.path().join("journal"));
        if let Err(breaches) = check_journal(&journal, Timestamp(1_800_000_000)).await {
            panic!("{breaches}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_can_not_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let journal = FolderJournal::new(&file);
        let name = RecordName::new(Timestamp(1), 1);
        let told = journal.write(&name, Vec::new()).await.unwrap_err();
        assert!(told.to_string().contains("could not be written"), "{told}");
    }
}
