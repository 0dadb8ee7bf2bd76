//! What is known of the distribution, and what a policy is shown of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

use super::layout::{Archive, Asset, Mirrored, Offered, Published};
use super::version::{Platforms, Version};
use super::{Distribution, Release};

/// GitHub has runners take up a new release within so many days of its publication, and gives older ones no
/// jobs after that (its reference "Self-hosted runners", runner software updates).
pub const SUPPORTED_DAYS: u32 = 30;

const DAY: u32 = 86_400;

/// What the operator says of the distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRules {
    /// What is mirrored of a version, all of it.
    pub platforms: Platforms,
    /// Whether archives without a published digest are mirrored.
    pub allow_missing_digest: bool,
    /// GitHub's minimum, where the operator knows better than [`SUPPORTED_DAYS`].
    pub minimum_version: Option<Version>,
}

/// All that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What the operator says.
    pub rules: SyncRules,
    /// What GitHub has.
    pub published: Vec<Published>,
    /// What is mirrored and there, by version.
    pub mirrored: BTreeMap<String, Mirrored>,
    /// What instances get; none: nothing yet.
    pub offered: Option<Offered>,
}

/// A release of which a policy is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which.
    pub version: String,
    /// What keeps it from being offered, for each platform.
    pub lacking: Vec<String>,
}

/// What is to be copied of a version: the platform, and its archive as GitHub lists it.
pub type Missing = Vec<(String, Asset)>;

impl Known {
    /// The archive of a platform that may be offered.
    fn archive(&self, version: &str, platform: &str) -> Option<&Archive> {
        let archive = self.mirrored.get(version)?.platforms.get(platform)?;
        let vouched = !archive.unverified
            || match self.digest(version, platform) {
                // GitHub has published its digest since.
                Some(sha256) => *sha256 == archive.sha256,
                None => self.rules.allow_missing_digest,
            };
        vouched.then_some(archive)
    }

    fn asset(&self, version: &str, platform: &str) -> Option<&Asset> {
        self.release(version)?.assets.get(platform)
    }

    /// The digest that GitHub has published.
    pub(super) fn digest(&self, version: &str, platform: &str) -> Option<&String> {
        self.asset(version, platform)?.sha256.as_ref()
    }

    /// What is written down of a version; nothing, if that is so.
    pub(super) fn noted(&self, version: &str) -> Mirrored {
        let noted = self.mirrored.get(version).cloned();
        let nothing = || match self.release(version) {
            Some(release) => Mirrored::nothing_of(release),
            None => Mirrored::nothing(version),
        };
        noted.unwrap_or_else(nothing)
    }

    fn release(&self, version: &str) -> Option<&Published> {
        self.published.iter().find(|one| one.version == version)
    }

    /// Every version of which anything is known.
    fn versions(&self) -> BTreeSet<&str> {
        let published = self.published.iter().map(|one| one.version.as_str());
        let mirrored = self.mirrored.keys().map(String::as_str);
        let offered = self.offered.iter().map(|one| one.release.as_str());
        published.chain(mirrored).chain(offered).collect()
    }

    /// The archives of a version, if all that are wanted are there.
    pub fn whole(&self, version: &str) -> Option<BTreeMap<String, Archive>> {
        let platforms = self.rules.platforms.names().iter();
        platforms
            .map(|platform| {
                let archive = self.archive(version, platform)?;
                Some((platform.clone(), archive.clone()))
            })
            .collect()
    }

    /// What is to be copied of a version so that all is there.
    ///
    /// # Errors
    /// What can't be copied, for each platform.
    pub fn missing(&self, version: &str) -> Result<Missing, Vec<String>> {
        let (mut missing, mut lacking) = (Missing::new(), Vec::new());
        for platform in self.rules.platforms.names() {
            if self.archive(version, platform).is_some() {
                continue;
            }
            match self.asset(version, platform) {
                None => lacking.push(format!("GitHub has no archive for {platform}")),
                Some(asset) if asset.sha256.is_none() && !self.rules.allow_missing_digest => {
                    lacking.push(format!("GitHub has published no digest for {platform}"));
                }
                Some(asset) => match self.kept(version, platform, asset) {
                    Some(asset) => missing.push((platform.clone(), asset)),
                    None => lacking.push(format!(
                        "GitHub has another archive for {platform} now than the one that instances get: it can be \
                         copied when they get another version"
                    )),
                },
            }
        }
        if lacking.is_empty() {
            Ok(missing)
        } else {
            Err(lacking)
        }
    }

    /// The archive, as it may be copied; none: instances are given its place with another digest.
    fn kept(&self, version: &str, platform: &str, asset: &Asset) -> Option<Asset> {
        let offered = self.offered.as_ref().filter(|one| one.release == version);
        let given = offered.and_then(|one| one.platforms.get(platform));
        let sha256 = match (given, &asset.sha256) {
            (None, published) => published.clone(),
            (Some(given), published) => {
                let is_other = published.as_ref().is_some_and(|one| *one != given.sha256);
                (!is_other).then(|| Some(given.sha256.clone()))?
            }
        };
        Some(Asset {
            sha256,
            ..asset.clone()
        })
    }

    /// Releases that a policy is not shown: they could not be offered, and nothing is known of them here.
    pub fn left_out(&self) -> Vec<LeftOut> {
        let unknown_here = self
            .published
            .iter()
            .filter(|one| !self.is_here(&one.version));
        unknown_here
            .filter_map(|one| {
                let lacking = self.missing(&one.version).err()?;
                let version = one.version.clone();
                Some(LeftOut { version, lacking })
            })
            .collect()
    }

    /// Whether something of it is mirrored or offered.
    pub(super) fn is_here(&self, version: &str) -> bool {
        self.mirrored.contains_key(version) || self.is_offered(version)
    }

    /// Whether the pointer names it.
    pub(super) fn is_offered(&self, version: &str) -> bool {
        self.offered
            .as_ref()
            .is_some_and(|one| one.release == version)
    }

    /// When a version was published, as far as that is known.
    pub fn published_at(&self, version: &str) -> Option<Timestamp> {
        let published = self.release(version).map(|one| one.published_at);
        published.or_else(|| Some(self.mirrored.get(version)?.published_at))
    }

    /// Seconds since what instances get was published, as far as that is known.
    pub fn offered_age(&self, now: Timestamp) -> Option<u32> {
        let offered = self.offered.as_ref()?;
        Some(self.published_at(&offered.release)?.age(now))
    }

    /// Below which version GitHub gives a runner no jobs: what the operator says, or else the newest release
    /// that every runner must have taken up by now.
    pub fn minimum_version(&self, now: Timestamp) -> Option<String> {
        if let Some(version) = &self.rules.minimum_version {
            return Some(version.to_string());
        }
        let due = self.published.iter().filter(|one| {
            !one.prerelease && one.published_at.age(now) >= SUPPORTED_DAYS.saturating_mul(DAY)
        });
        due.max_by_key(|one| one.version.parse::<Version>().ok())
            .map(|one| one.version.clone())
    }

    /// What a policy is shown.
    pub fn situation(&self, now: Timestamp) -> Distribution {
        let left_out = self.left_out();
        let is_shown = |version: &&str| !left_out.iter().any(|one| one.version == **version);
        let mut releases: Vec<Release> = self
            .versions()
            .into_iter()
            .filter(is_shown)
            .map(|version| self.shown(version, now))
            .collect();
        releases.sort_by_cached_key(|one| Reverse(one.version.parse::<Version>().ok()));
        Distribution {
            now,
            releases,
            minimum_version: self.minimum_version(now),
        }
    }

    fn shown(&self, version: &str, now: Timestamp) -> Release {
        let wanted = self.rules.platforms.names().iter();
        let mirrored: Vec<String> = wanted
            .clone()
            .filter(|platform| self.archive(version, platform).is_some())
            .cloned()
            .collect();
        // Half of it is of no use: a policy that chose it would have it refused, again and again.
        let platforms = match self.missing(version) {
            Ok(_) => wanted.cloned().collect(),
            Err(_) => Vec::new(),
        };
        let release = self.release(version);
        let prerelease = release.map(|one| one.prerelease);
        let of_mirror = || self.mirrored.get(version).map(|one| one.prerelease);
        Release {
            version: version.to_owned(),
            // Offered, and neither at GitHub nor in the mirror: it is as old as can be.
            age: self.published_at(version).unwrap_or_default().age(now),
            prerelease: prerelease.or_else(of_mirror).unwrap_or(false),
            platforms,
            mirrored,
            offered: self.is_offered(version),
        }
    }

    /// Archives whose digest GitHub now says to be another than that of the verified copy.
    pub fn changed(&self) -> Vec<String> {
        let mut changed = Vec::new();
        for (version, mirrored) in &self.mirrored {
            for (platform, archive) in &mirrored.platforms {
                let published = self.asset(version, platform);
                let sha256 = published.and_then(|asset| asset.sha256.as_ref());
                if !archive.unverified && sha256.is_some_and(|other| *other != archive.sha256) {
                    let first = if self.is_offered(version) {
                        "offer another version, and then "
                    } else {
                        ""
                    };
                    changed.push(format!(
                        "GitHub has replaced the archive of {version} for {platform}: its digest is another than \
                         the one that the mirrored copy was verified by. The copy stays; see why it was replaced, \
                         and {first}delete the mirrored version to have it copied again"
                    ));
                }
            }
        }
        changed
    }
}
