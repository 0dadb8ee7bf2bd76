//! Claims about where the runner's distribution is mirrored, and where it comes from.

use sha2::{Digest as _, Sha256};

use super::{Breaches, Held, Seen, Tried, ensure, same};
use crate::ports::{
    DistributionError, DistributionStore, Fetched, Newest, Releases, ReleasesError, Replaced,
    Stored,
};

/// The smallest part that S3 takes, but for the last one.
const PART: usize = 5 << 20;

impl From<DistributionError> for Seen {
    fn from(error: DistributionError) -> Self {
        Self(error.to_string())
    }
}

impl From<ReleasesError> for Seen {
    fn from(error: ReleasesError) -> Self {
        Self(error.to_string())
    }
}

/// Tries every claim on a mirror that is empty below `releases/9.9.*`, `offered.json` included. `read` reads
/// what is at a path, as an instance does.
///
/// # Errors
/// The claims that do not hold.
pub async fn check_distribution_store(
    store: &dyn DistributionStore,
    read: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) -> Result<(), Breaches> {
    let mut tried = Tried::of("mirror of the distribution");
    macro_rules! claims {
        ($($claim:ident($($argument:expr),*),)+) => {
            $(tried.note(stringify!($claim), $claim(store, $($argument),*).await);)+
        };
    }
    claims! {
        what_was_never_written_is_absent(),
        a_document_is_replaced_by_who_knows_it_alone(),
        an_archive_of_several_parts_is_read_back_to_the_letter(read),
        an_archive_is_seen_when_it_is_complete_and_not_before(read),
        an_archive_that_is_given_up_leaves_what_was_there(read),
        an_archive_may_be_empty(read),
        what_is_there_is_listed_with_its_size_and_what_is_deleted_is_not(),
    }
    tried.result()
}

async fn what_was_never_written_is_absent(store: &dyn DistributionStore) -> Held {
    let fetched = store.fetch("releases/9.9.0/mirrored.json").await?;
    same("the document", &fetched, &Fetched::Absent)?;
    same(
        "the list",
        &store.list("releases/9.9.0/").await?,
        &Vec::new(),
    )?;
    // Nothing is there to be deleted, and that is no error.
    store.delete("releases/9.9.0/mirrored.json").await?;
    Ok(())
}

async fn a_document_is_replaced_by_who_knows_it_alone(store: &dyn DistributionStore) -> Held {
    let path = "releases/9.9.1/mirrored.json";
    let conflict = |replaced: &Replaced| same("the answer", replaced, &Replaced::Conflict);
    conflict(&store.replace(path, Some("\"nobody-s\""), b"lost").await?)?;
    let Replaced::Written { tag } = store.replace(path, None, b"one").await? else {
        return Err(Seen("the first write was refused".to_owned()));
    };
    conflict(&store.replace(path, None, b"lost").await?)?;
    let Replaced::Written { tag: second } = store.replace(path, Some(&tag), b"two").await? else {
        return Err(Seen("who knows it was refused".to_owned()));
    };
    conflict(&store.replace(path, Some(&tag), b"lost").await?)?;
    let expected = Fetched::Found {
        bytes: b"two".to_vec(),
        tag: second,
    };
    same("the document", &store.fetch(path).await?, &expected)
}

fn every_byte(length: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(length).collect()
}

async fn upload(
    store: &dyn DistributionStore,
    path: &str,
    parts: &[Vec<u8>],
) -> Result<(), DistributionError> {
    let mut upload = store.upload(path).await?;
    for part in parts {
        upload.add(part.clone()).await?;
    }
    upload.complete().await
}

async fn an_archive_of_several_parts_is_read_back_to_the_letter(
    store: &dyn DistributionStore,
    read: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) -> Held {
    let path = "releases/9.9.3/archive.tar.gz";
    let parts = [every_byte(PART), every_byte(PART + 7), every_byte(3)];
    upload(store, path, &parts).await?;
    let found = read(path).await.unwrap_or_default();
    ensure(found == parts.concat(), || {
        format!("{} other bytes are there", found.len())
    })
}

async fn an_archive_is_seen_when_it_is_complete_and_not_before(
    store: &dyn DistributionStore,
    read: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) -> Held {
    let path = "releases/9.9.4/archive.tar.gz";
    let mut upload = store.upload(path).await?;
    upload.add(b"one".to_vec()).await?;
    same("what is there", &read(path).await, &None)?;
    same(
        "the list",
        &store.list("releases/9.9.4/").await?,
        &Vec::new(),
    )?;
    upload.complete().await?;
    same("what is there", &read(path).await, &Some(b"one".to_vec()))
}

async fn an_archive_that_is_given_up_leaves_what_was_there(
    store: &dyn DistributionStore,
    read: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) -> Held {
    let path = "releases/9.9.5/archive.tar.gz";
    upload(store, path, &[b"one".to_vec()]).await?;
    let mut given_up = store.upload(path).await?;
    given_up.add(b"two".to_vec()).await?;
    given_up.abort().await?;
    let mut forgotten = store.upload(path).await?;
    forgotten.add(b"three".to_vec()).await?;
    drop(forgotten);
    same("what is there", &read(path).await, &Some(b"one".to_vec()))?;
    let listed = store.list("releases/9.9.5/").await?;
    same("how much is listed", &listed.len(), &1)
}

async fn an_archive_may_be_empty(
    store: &dyn DistributionStore,
    read: &impl AsyncFn(&str) -> Option<Vec<u8>>,
) -> Held {
    let path = "releases/9.9.6/archive.tar.gz";
    upload(store, path, &[Vec::new()]).await?;
    same("what is there", &read(path).await, &Some(Vec::new()))
}

async fn what_is_there_is_listed_with_its_size_and_what_is_deleted_is_not(
    store: &dyn DistributionStore,
) -> Held {
    let stored = |path: &str, bytes: u64| Stored {
        path: path.to_owned(),
        bytes,
    };
    let archive = "releases/9.9.7/archive.tar.gz";
    let document = "releases/9.9.7/mirrored.json";
    upload(store, archive, &[every_byte(1_000)]).await?;
    store.replace(document, None, b"{}").await?;
    store
        .replace("releases/9.9.70/mirrored.json", None, b"{}")
        .await?;
    let mut listed = store.list("releases/9.9.7/").await?;
    listed.sort_by(|one, other| one.path.cmp(&other.path));
    same(
        "the list",
        &listed,
        &vec![stored(archive, 1_000), stored(document, 2)],
    )?;
    store.delete(document).await?;
    let listed = store.list("releases/9.9.7/").await?;
    same("the list", &listed, &vec![stored(archive, 1_000)])?;
    same(
        "the document",
        &store.fetch(document).await?,
        &Fetched::Absent,
    )
}

/// Tries every claim on a place of releases that has some, with at least one archive that has a digest.
///
/// # Errors
/// The claims that do not hold.
pub async fn check_releases(releases: &dyn Releases) -> Result<(), Breaches> {
    let mut tried = Tried::of("place of releases");
    macro_rules! claims {
        ($($claim:ident,)+) => {
            $(tried.note(stringify!($claim), $claim(releases).await);)+
        };
    }
    claims! {
        what_is_known_is_unchanged,
        every_archive_is_what_its_digest_and_its_length_say,
        an_archive_that_is_not_there_is_an_error,
    }
    tried.result()
}

async fn what_is_known_is_unchanged(releases: &dyn Releases) -> Held {
    let Newest::Listed { published, tag } = releases.newest(None).await? else {
        return Err(Seen("who knows nothing was told that it holds".to_owned()));
    };
    ensure(!published.is_empty(), || "nothing is listed".to_owned())?;
    let tag = tag.ok_or_else(|| Seen("the answer has no tag".to_owned()))?;
    let again = releases.newest(Some(&tag)).await?;
    same("the second answer", &again, &Newest::Unchanged)?;
    let other = releases.newest(Some("\"another\"")).await?;
    ensure(other != Newest::Unchanged, || {
        "what is not known was said to hold".to_owned()
    })
}

async fn every_archive_is_what_its_digest_and_its_length_say(releases: &dyn Releases) -> Held {
    let Newest::Listed { published, .. } = releases.newest(None).await? else {
        return Err(Seen("nothing was listed".to_owned()));
    };
    let mut looked_at = 0;
    for asset in published.iter().flat_map(|one| one.assets.values()) {
        let mut bytes = Vec::new();
        let mut download = releases.open(&asset.url).await?;
        while download.read(&mut bytes).await? {}
        same("the length", &(bytes.len() as u64), &asset.bytes)?;
        if let Some(sha256) = &asset.sha256 {
            same("the digest", &hex::encode(Sha256::digest(&bytes)), sha256)?;
            looked_at += 1;
        }
    }
    ensure(looked_at > 0, || "no archive has a digest".to_owned())
}

async fn an_archive_that_is_not_there_is_an_error(releases: &dyn Releases) -> Held {
    let Newest::Listed { published, .. } = releases.newest(None).await? else {
        return Err(Seen("nothing was listed".to_owned()));
    };
    let asset = published.iter().find_map(|one| one.assets.values().next());
    let url = asset.map(|one| format!("{}.gone", one.url));
    let opened = releases.open(&url.unwrap_or_default()).await;
    ensure(opened.is_err(), || "it was opened".to_owned())
}
