//! What lies in folders: policies that people upload ([`FolderUploads`]), what admission publishes of them
//! ([`FolderPolicies`]), and the mirror of the runner's distribution ([`FolderDistribution`]).
//!
//! No path leads out of its folder, neither by `..` nor by a link. Files are written beside their place
//! and then renamed into it, so that whoever reads sees one or the other, and never half of one.

mod distribution;
mod store;
mod uploads;

use std::fs::{DirEntry, File};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest;
use stoker_core::ports::PolicyStoreError;
use tempfile::NamedTempFile;

pub use distribution::FolderDistribution;
pub use store::FolderPolicies;
pub use uploads::FolderUploads;

/// How the names of files end that are ours alone: no path has this character in it.
const OURS: &str = "~";

/// Does something with files, off the runtime's threads.
async fn blocking<T: Send + 'static>(
    root: &Path,
    path: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, PolicyStoreError> {
    let failed = |problem| PolicyStoreError {
        path: path.to_owned(),
        problem,
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failed(told(root, &error))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// What went wrong, and what to do where that is not plain.
fn told(root: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; let the user that this runs as read and write everything in "
        }
        io::ErrorKind::StorageFull => "; make room on the disk of ",
        io::ErrorKind::ReadOnlyFilesystem => "; mount it for writing: ",
        _ => return error.to_string(),
    };
    format!("{error}{advice}{}", root.display())
}

/// Whether a path is of names alone, in the characters that GitHub's names have.
fn is_plain(path: &str) -> bool {
    path.split('/').all(is_plain_name)
}

fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.chars().all(is_plain_character)
}

fn is_plain_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn not_plain() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "it is not a path of plain names (letters, digits, `-`, `_` and `.`)",
    )
}

fn leads_out() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it leads out of its folder")
}

/// What there is nothing at.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The regular file at a path below `root`; none if there is none. Links may point anywhere inside.
fn locate(root: &Path, path: &str) -> io::Result<Option<PathBuf>> {
    let names_alone = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !names_alone {
        return Err(leads_out());
    }
    let resolve = || {
        let root = root.canonicalize()?;
        let file = root.join(path).canonicalize()?;
        if !file.starts_with(&root) {
            return Err(leads_out());
        }
        // Whatever else there is (a folder, a pipe) is no file, and opening it might wait for ever.
        Ok(file.is_file().then_some(file))
    };
    none_for_nothing(resolve())
}

/// What is in a folder; nothing if there is no such folder.
fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    match std::fs::read_dir(folder) {
        Err(error) if is_nothing(&error) => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

fn none_for_nothing<T>(result: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match result {
        Err(error) if is_nothing(&error) => Ok(None),
        result => result,
    }
}

/// Where a file of that path is to be written. Makes the folders that it lies in.
fn place(root: &Path, path: &str) -> io::Result<PathBuf> {
    if !is_plain(path) {
        return Err(not_plain());
    }
    std::fs::create_dir_all(root)?;
    let root = root.canonicalize()?;
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut folder = root.clone();
    // One by one: making all at once would follow a link out of the folder.
    for name in folders.split('/').filter(|name| !name.is_empty()) {
        folder.push(name);
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        folder = folder.canonicalize()?;
        if !folder.starts_with(&root) {
            return Err(leads_out());
        }
    }
    Ok(folder.join(name))
}

/// Writes a file, all at once. `newer_than`: what its time of modification must be after.
fn write(file: &Path, bytes: &[u8], newer_than: Option<SystemTime>) -> io::Result<()> {
    let mut beside = beside(file)?;
    beside.write_all(bytes)?;
    if let Some(before) = newer_than {
        let next = before + std::time::Duration::from_nanos(1);
        beside.as_file().set_modified(SystemTime::now().max(next))?;
    }
    // Else a machine that dies may leave the new name with nothing in it.
    beside.as_file().sync_all()?;
    beside.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// An empty file next to another, under a name that nobody else has, which goes when it is dropped.
fn beside(file: &Path) -> io::Result<NamedTempFile> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(OURS);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any other file: less is what the umask says.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// The SHA-256 of these bytes, in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// The SHA-256 of a file, in hexadecimal digits.
fn sha256_of(mut file: File) -> io::Result<String> {
    struct Hasher(digest::Context);
    impl io::Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = Hasher(digest::Context::new(&digest::SHA256));
    io::copy(&mut file, &mut hasher)?;
    Ok(hex::encode(hasher.0.finish()))
}
