//! The folder that people put policies into.

use std::fs::{DirEntry, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stoker_core::ports::{PolicyStoreError, PolicyUploads, Upload, UploadBytes};
use stoker_core::time::Timestamp;

use super::{
    blocking, entries, is_nothing, is_plain, locate, none_for_nothing, not_plain, place, sha256,
    sha256_of, write,
};

/// See [`FolderUploads::LARGEST`].
const LARGEST: u64 = FolderUploads::LARGEST;

/// How deep a file may lie: `repos/<owner>/<repository>/<file>`.
const DEEPEST: usize = 4;

/// How many of the digits of a SHA-256 a version has.
const DIGITS: usize = 16;

/// What stands for these digits where the bytes were not read.
const TOO_LARGE: &str = "too-large";
/// See [`TOO_LARGE`].
const UNREADABLE: &str = "unreadable";

/// The longest name of who uploaded, in characters.
const LONGEST_BY: usize = 256;

/// The [`PolicyUploads`] of a folder: every file that is not hidden, at most four levels deep. A
/// version is a time of modification and what the bytes are, so touching a file uploads it again. Only
/// the latest version can be read.
///
/// Who uploaded is the file's owner (`uid 1000`), unless [`PolicyUploads::put`] was told of another: a
/// hidden file beside the upload keeps that (`.policy.wasm.by`), with the SHA-256 of the bytes for which
/// it is true.
#[derive(Debug, Clone)]
pub struct FolderUploads {
    root: PathBuf,
}

impl FolderUploads {
    /// No upload is larger: the largest policy that is known, a whole Python interpreter in a component,
    /// has 18 MB. Of what is larger not one byte is read.
    pub const LARGEST: u64 = 20 << 20;

    /// What was put into that folder. It need not exist: then it is nothing, and the first upload makes
    /// it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// What a version is known by. `mark`: the first digits of the SHA-256, or what stands for them.
fn version(modified: SystemTime, mark: &str) -> String {
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{mark}", since.as_nanos())
}

fn mark(digest: &str) -> &str {
    &digest[..DIGITS]
}

/// Everything below a folder, in order.
fn list(root: &Path) -> io::Result<Vec<Upload>> {
    let mut uploads = Vec::new();
    match root.canonicalize() {
        Err(error) if is_nothing(&error) => {}
        root => {
            let root = root?;
            walk(&root, &root, "", 1, &mut uploads)?;
        }
    }
    uploads.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(uploads)
}

/// Adds the files of a folder, `prefix` before their names, that lie `depth` names below the root.
fn walk(
    root: &Path,
    folder: &Path,
    prefix: &str,
    depth: usize,
    uploads: &mut Vec<Upload>,
) -> io::Result<()> {
    // A folder that can't be read is an error: not to list it would say that all of it was deleted.
    for entry in entries(folder)? {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            // GitHub's names are ASCII: this is nobody's.
            continue;
        };
        let path = format!("{prefix}{name}");
        let Some((file, there)) = resolve(root, &entry)? else {
            // It went away, or it is a link that leads nowhere or out of the folder: nothing to list.
            continue;
        };
        if there.is_dir() {
            // `.github` is a repository's name; anywhere else a dot hides.
            let is_repository = depth == 3 && prefix.starts_with("repos/");
            if depth < DEEPEST && (is_repository || !name.starts_with('.')) {
                walk(root, &file, &format!("{path}/"), depth + 1, uploads)?;
            }
        } else if there.is_file() && !name.starts_with('.') {
            uploads.push(upload(path, &file, &there)?);
        }
    }
    Ok(())
}

/// Where an entry leads, if that is inside.
fn resolve(root: &Path, entry: &DirEntry) -> io::Result<Option<(PathBuf, Metadata)>> {
    let found = || {
        let file = entry.path().canonicalize()?;
        let there = file.metadata()?;
        Ok(file.starts_with(root).then_some((file, there)))
    };
    match none_for_nothing(found()) {
        // A link to itself, or into a folder that is somebody else's.
        Err(_) if entry.file_type()?.is_symlink() => Ok(None),
        found => found,
    }
}

fn upload(path: String, file: &Path, there: &Metadata) -> io::Result<Upload> {
    let modified = there.modified()?;
    let digest;
    let mark = if there.len() > LARGEST {
        TOO_LARGE
    } else {
        // One that can't be read keeps nobody from seeing the others; who reads it hears why.
        match File::open(file).and_then(sha256_of) {
            Ok(found) => {
                digest = found;
                mark(&digest)
            }
            Err(_) => UNREADABLE,
        }
    };
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Upload {
        path,
        version: version(modified, mark),
        size: there.len(),
        at: Timestamp(since.as_secs()),
    })
}

fn read(root: &Path, upload: &Upload) -> io::Result<Option<UploadBytes>> {
    let Some(path) = locate(root, &upload.path)? else {
        return Ok(None);
    };
    let Some(file) = none_for_nothing(File::open(&path).map(Some))? else {
        return Ok(None);
    };
    let there = file.metadata()?;
    let is_latest = |mark: &str| {
        let modified = there.modified()?;
        Ok::<_, io::Error>(upload.version == version(modified, mark))
    };
    let mut bytes = Vec::new();
    if there.len() <= LARGEST {
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    }
    if there.len().max(bytes.len() as u64) > LARGEST {
        return if is_latest(TOO_LARGE)? {
            Err(too_large())
        } else {
            Ok(None)
        };
    }
    let digest = sha256(&bytes);
    if !is_latest(mark(&digest))? {
        return Ok(None);
    }
    let by = told_by(root, &upload.path, &digest).or_else(|| owner(&there));
    Ok(Some(UploadBytes { bytes, by }))
}

fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is larger than the {LARGEST} bytes that a policy may have; it is not read"),
    )
}

/// The hidden file that says who uploaded.
fn by_path(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/.{name}.by"),
        None => format!(".{path}.by"),
    }
}

/// Who is said to have uploaded these very bytes.
fn told_by(root: &Path, path: &str, digest: &str) -> Option<String> {
    let file = locate(root, &by_path(path)).ok()??;
    let mut line = String::new();
    let longest = (digest.len() + 4 * LONGEST_BY) as u64;
    let opened = File::open(file).ok()?;
    opened.take(longest).read_to_string(&mut line).ok()?;
    let (of, by) = line.trim_end().split_once(' ')?;
    (of == digest && !by.is_empty()).then(|| by.to_owned())
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere files have no owner")]
fn owner(there: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    Some(format!("uid {}", there.uid()))
}

#[cfg(not(unix))]
fn owner(_: &Metadata) -> Option<String> {
    None
}

fn put(root: &Path, path: &str, bytes: &[u8], by: &str) -> io::Result<()> {
    if bytes.len() as u64 > LARGEST {
        return Err(too_large());
    }
    let hidden = path.rsplit('/').next().is_some_and(|n| n.starts_with('.'));
    if !is_plain(path) || hidden || path.split('/').count() > DEEPEST {
        return Err(not_plain());
    }
    let one_line: String = by
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_BY)
        .collect();
    let (file, beside) = (place(root, path)?, place(root, &by_path(path))?);
    // First: an upload that is there before its name is read without it.
    let line = format!("{} {}\n", sha256(bytes), one_line.trim());
    write(&beside, line.as_bytes(), None)?;
    // Clocks of file systems are coarse: of two uploads in one of their ticks both are heard of.
    let before = match std::fs::symlink_metadata(&file) {
        Ok(there) => there.modified()?,
        Err(error) if is_nothing(&error) => UNIX_EPOCH,
        Err(error) => return Err(error),
    };
    write(&file, bytes, Some(before))
}

#[async_trait]
impl PolicyUploads for FolderUploads {
    async fn list(&self) -> Result<Vec<Upload>, PolicyStoreError> {
        let root = self.root.clone();
        blocking(&self.root, "", move || list(&root)).await
    }

    async fn read(&self, upload: &Upload) -> Result<Option<UploadBytes>, PolicyStoreError> {
        let (root, wanted) = (self.root.clone(), upload.clone());
        blocking(&self.root, &upload.path, move || read(&root, &wanted)).await
    }

    async fn put(&self, path: &str, bytes: &[u8], by: &str) -> Result<(), PolicyStoreError> {
        let (root, name) = (self.root.clone(), path.to_owned());
        let (bytes, by) = (bytes.to_vec(), by.to_owned());
        blocking(&self.root, path, move || put(&root, &name, &bytes, &by)).await
    }
}

#[cfg(test)]
mod tests;
