//! What lies in the place of the distribution, and how it reads.
//!
//! ```text
//! offered.json                        what instances get: the pointer, moved last
//! sync.json                           what GitHub said last
//! releases/<version>/mirrored.json    which archives of it are whole
//! releases/<version>/<archive>        as GitHub has it
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::PolicyGeneration;
use crate::time::Timestamp;

use super::version::{Version, archive_name};

/// The form of every document here. One with a greater number means something else.
const FORM: u32 = 1;

/// The path of [`Offered`].
pub const OFFERED: &str = "offered.json";

/// The path of [`Seen`].
pub const SEEN: &str = "sync.json";

/// Below which versions lie.
pub const RELEASES: &str = "releases/";

/// Where a version's [`Mirrored`] is.
pub fn mirrored_path(version: &str) -> String {
    format!("{RELEASES}{version}/mirrored.json")
}

/// Where an archive is.
pub fn archive_path(platform: &str, version: &str) -> String {
    format!("{RELEASES}{version}/{}", archive_name(platform, version))
}

/// The version that a path lies below; none: it is nobody's here.
pub fn version_of(path: &str) -> Option<&str> {
    let (version, _) = path.strip_prefix(RELEASES)?.split_once('/')?;
    version.parse::<Version>().is_ok().then_some(version)
}

/// An archive that is mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Its path.
    pub key: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// How many they are.
    pub bytes: u64,
    /// GitHub had published no digest: nobody but the connection vouches for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
}

/// What instances get. They read this form; it only grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The form.
    version: u32,
    /// Such as `2.330.0`.
    pub release: String,
    /// The archive of each platform.
    pub platforms: BTreeMap<String, Archive>,
}

impl Offered {
    /// That version, with these archives.
    pub fn new(release: &str, platforms: BTreeMap<String, Archive>) -> Self {
        // Instances have no use for how it was verified.
        let plain = |archive| Archive {
            unverified: false,
            ..archive
        };
        Self {
            version: FORM,
            release: release.to_owned(),
            platforms: platforms
                .into_iter()
                .map(|(platform, archive)| (platform, plain(archive)))
                .collect(),
        }
    }
}

/// Which archives of a version are whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirrored {
    /// The form.
    version: u32,
    /// Such as `2.330.0`.
    pub release: String,
    /// When GitHub published it.
    pub published_at: Timestamp,
    /// GitHub calls it a pre-release.
    pub prerelease: bool,
    /// Those that are whole.
    pub platforms: BTreeMap<String, Archive>,
}

impl Mirrored {
    /// None of it yet.
    pub fn nothing_of(release: &Published) -> Self {
        Self {
            published_at: release.published_at,
            prerelease: release.prerelease,
            ..Self::nothing(&release.version)
        }
    }

    /// None of a version of which nothing is known: it is as old as can be.
    pub(super) fn nothing(version: &str) -> Self {
        Self {
            version: FORM,
            release: version.to_owned(),
            published_at: Timestamp::default(),
            prerelease: false,
            platforms: BTreeMap::new(),
        }
    }
}

/// A release as GitHub lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Such as `2.330.0`.
    pub version: String,
    /// When it was published.
    pub published_at: Timestamp,
    /// GitHub calls it a pre-release.
    pub prerelease: bool,
    /// The archive of each platform.
    pub assets: BTreeMap<String, Asset>,
}

/// An archive as GitHub lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Its address.
    pub url: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256 in hexadecimal digits; none: GitHub has published none.
    pub sha256: Option<String>,
}

/// What GitHub said last: where it says that nothing has changed, this is what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The form.
    version: u32,
    /// Who was asked.
    pub source: String,
    /// By what GitHub knows that answer.
    pub tag: Option<String>,
    /// The answer.
    pub published: Vec<Published>,
    /// The highest generation of policies that has decided here: none below it decides any more.
    pub generation: PolicyGeneration,
}

impl Seen {
    /// An answer of `source`.
    pub fn new(
        source: &str,
        tag: Option<String>,
        published: Vec<Published>,
        generation: PolicyGeneration,
    ) -> Self {
        Self {
            version: FORM,
            source: source.to_owned(),
            tag,
            published,
            generation,
        }
    }
}

/// A document, which says by which form it is written.
pub trait Document: Serialize + for<'a> Deserialize<'a> {
    /// As it is stored.
    fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and maps of them by strings: they always have a JSON form.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Unread> {
        // By its form first: of a newer one, nothing else needs to be as it is here.
        let broken = |error: serde_json::Error| Unread::Broken(error.to_string());
        let Form { version } = serde_json::from_slice(bytes).map_err(broken)?;
        if version > FORM {
            return Err(Unread::Newer(version));
        }
        serde_json::from_slice(bytes).map_err(broken)
    }
}

/// All that documents of every form have in common.
#[derive(Deserialize)]
struct Form {
    version: u32,
}

/// A document that is not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unread {
    /// It is not what Stoker wrote.
    #[error("it can't be read: {0}")]
    Broken(String),
    /// It has that form.
    #[error("a newer Stoker wrote it (form {0}; this one reads up to {FORM}): use that one")]
    Newer(u32),
}

impl Document for Offered {}
impl Document for Mirrored {}
impl Document for Seen {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_read_what_they_have_always_read() {
        let archive = Archive {
            key: archive_path("linux-x64", "2.330.0"),
            sha256: "ab".repeat(32),
            bytes: 123,
            unverified: true,
        };
        let offered = Offered::new("2.330.0", [("linux-x64".to_owned(), archive)].into());
        let read: serde_json::Value = serde_json::from_slice(&offered.to_bytes()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "version": 1,
                "release": "2.330.0",
                "platforms": {
                    "linux-x64": {
                        "key": "releases/2.330.0/actions-runner-linux-x64-2.330.0.tar.gz",
                        "sha256": "ab".repeat(32),
                        "bytes": 123,
                    },
                },
            })
        );
        assert_eq!(Offered::from_bytes(&offered.to_bytes()), Ok(offered));
    }

    #[test]
    fn a_newer_form_is_not_guessed_at() {
        let newer = br#"{"version": 2, "runners": ["2.330.0"]}"#;
        let told = Offered::from_bytes(newer).unwrap_err();
        assert_eq!(told, Unread::Newer(2));
        let told = told.to_string();
        assert!(told.contains("a newer Stoker wrote it"), "{told}");
    }

    #[test]
    fn what_lies_below_no_version_is_nobody_s() {
        assert_eq!(version_of(&mirrored_path("2.330.0")), Some("2.330.0"));
        for path in [
            "releases/latest/x",
            "releases/2.1",
            "offered.json",
            "releases/../x",
        ] {
            assert_eq!(version_of(path), None, "{path}");
        }
    }
}
