//! Claims about places for uploads. Each has `place` to itself, a repository's folder.

use crate::contract::{Held, Seen, ensure, same};
use crate::ports::{PolicyUploads, Upload, UploadBytes};

/// What is listed of a path; at most one.
async fn listed(uploads: &dyn PolicyUploads, path: &str) -> Result<Option<Upload>, Seen> {
    let mut all = uploads.list().await?;
    all.retain(|upload| upload.path == path);
    ensure(all.len() <= 1, || format!("listed are {all:?}"))?;
    Ok(all.pop())
}

async fn latest(uploads: &dyn PolicyUploads, path: &str) -> Result<Upload, Seen> {
    listed(uploads, path)
        .await?
        .ok_or_else(|| Seen(format!("{path} is not listed")))
}

async fn read(uploads: &dyn PolicyUploads, upload: &Upload) -> Result<UploadBytes, Seen> {
    uploads
        .read(upload)
        .await?
        .ok_or_else(|| Seen(format!("{upload:?} can't be read")))
}

/// Uploads, and what is listed of it.
async fn put(uploads: &dyn PolicyUploads, path: &str, bytes: &[u8]) -> Result<Upload, Seen> {
    uploads.put(path, bytes, "the contract").await?;
    latest(uploads, path).await
}

pub(super) async fn what_was_never_uploaded_is_not_there(
    uploads: &dyn PolicyUploads,
    place: &str,
) -> Held {
    let path = format!("{place}/policy.wasm");
    same("the upload", &listed(uploads, &path).await?, &None)?;
    let other = put(uploads, &format!("{place}/settings.json"), b"{}").await?;
    let never = Upload { path, ..other };
    same("its bytes", &uploads.read(&never).await?, &None)
}

pub(super) async fn an_upload_is_listed_with_its_size_and_read_back_to_the_letter(
    uploads: &dyn PolicyUploads,
    place: &str,
) -> Held {
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(1_000_000).collect();
    for (name, bytes) in [("settings.json", Vec::new()), ("policy.wasm", every_byte)] {
        let upload = put(uploads, &format!("{place}/{name}"), &bytes).await?;
        let size = usize::try_from(upload.size).unwrap_or(usize::MAX);
        same("the size", &size, &bytes.len())?;
        ensure(upload.at.0 > 0, || format!("it has no time: {upload:?}"))?;
        let stored = read(uploads, &upload).await?.bytes;
        ensure(stored == bytes, || {
            format!("{} has other bytes: {} of them", upload.path, stored.len())
        })?;
    }
    Ok(())
}

pub(super) async fn uploads_of_every_level_are_listed_each_once(
    uploads: &dyn PolicyUploads,
    place: &str,
) -> Held {
    let mut paths = vec![
        "default/settings.json".to_owned(),
        "default/policy.wasm".to_owned(),
        "orgs/contract/settings.json".to_owned(),
        format!("{place}/settings.json"),
        "repos/contract/.github/settings.json".to_owned(),
    ];
    for path in &paths {
        uploads.put(path, path.as_bytes(), "the contract").await?;
    }
    paths.sort();
    let mut found: Vec<Upload> = uploads.list().await?;
    found.retain(|upload| paths.contains(&upload.path));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let names: Vec<String> = found.iter().map(|upload| upload.path.clone()).collect();
    same("what is listed of them", &names, &paths)?;
    for upload in &found {
        let bytes = read(uploads, upload).await?.bytes;
        same(&upload.path, &bytes, &upload.path.clone().into_bytes())?;
    }
    Ok(())
}

pub(super) async fn another_upload_of_a_path_is_another_version_and_the_only_one_listed(
    uploads: &dyn PolicyUploads,
    place: &str,
) -> Held {
    let path = format!("{place}/policy.wasm");
    let mut versions = Vec::new();
    for n in 0..4_u8 {
        let upload = put(uploads, &path, &[n; 8]).await?;
        ensure(!versions.contains(&upload.version), || {
            format!("the version of {upload:?} comes again: {versions:?}")
        })?;
        let bytes = read(uploads, &upload).await?.bytes;
        same("the latest", &bytes, &vec![n; 8])?;
        versions.push(upload.version);
    }
    Ok(())
}

pub(super) async fn an_old_version_never_gives_the_bytes_of_a_newer_one(
    uploads: &dyn PolicyUploads,
    place: &str,
) -> Held {
    let path = format!("{place}/policy.wasm");
    let old = put(uploads, &path, b"old").await?;
    put(uploads, &path, b"new").await?;
    // A folder keeps no old versions.
    let bytes = uploads.read(&old).await?.map(|read| read.bytes);
    ensure(bytes.is_none() || bytes.as_deref() == Some(b"old"), || {
        format!("the old version gives {bytes:?}")
    })
}

pub(super) async fn an_upload_says_who_made_it(uploads: &dyn PolicyUploads, place: &str) -> Held {
    let path = format!("{place}/policy.wasm");
    for by in ["julia", "José Ñandú <jose@example.com>, 100 %", "%41 🚂"] {
        uploads.put(&path, by.as_bytes(), by).await?;
        let upload = latest(uploads, &path).await?;
        let read = read(uploads, &upload).await?;
        same("who", &read.by, &Some(by.to_owned()))?;
    }
    // The same bytes, but by another.
    uploads.put(&path, "%41 🚂".as_bytes(), "another").await?;
    let upload = latest(uploads, &path).await?;
    let by = read(uploads, &upload).await?.by;
    same("who", &by, &Some("another".to_owned()))
}

pub(super) async fn what_is_deleted_is_listed_no_more(
    uploads: &dyn PolicyUploads,
    place: &str,
    delete: &impl AsyncFn(&str),
) -> Held {
    let path = format!("{place}/policy.wasm");
    let kept = format!("{place}/settings.json");
    let upload = put(uploads, &path, b"one").await?;
    put(uploads, &kept, b"{}").await?;
    delete(&path).await;
    same("the upload", &listed(uploads, &path).await?, &None)?;
    latest(uploads, &kept).await?;
    let bytes = uploads.read(&upload).await?.map(|read| read.bytes);
    ensure(bytes.is_none() || bytes.as_deref() == Some(b"one"), || {
        format!("the deleted version gives {bytes:?}")
    })
}

pub(super) async fn what_was_deleted_can_be_uploaded_again(
    uploads: &dyn PolicyUploads,
    place: &str,
    delete: &impl AsyncFn(&str),
) -> Held {
    let path = format!("{place}/policy.wasm");
    put(uploads, &path, b"one").await?;
    delete(&path).await;
    let again = put(uploads, &path, b"two").await?;
    let bytes = read(uploads, &again).await?.bytes;
    same("the bytes", &bytes, &b"two".to_vec())
}
