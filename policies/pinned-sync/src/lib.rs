//! Which version of the runner is mirrored and offered: a channel, days to soak, a pin, and a floor.
//!
//! - The newest release of the channel that has been out for `soak_days` is offered: a bad release is
//!   usually withdrawn or mended within days.
//! - A `pin` is offered whatever its age.
//! - Nothing older than the floor (GitHub's minimum, or the owner's) is ever offered: GitHub would refuse
//!   the runner. Where the pinned version is older, or nothing above the floor has soaked and what is
//!   offered now is not above it either, the oldest release above the floor is offered, and the reason
//!   says that the pin or the soak was broken for it.
//! - Where nothing above the floor has soaked, what is offered now stays if it is above the floor.
//! - The last `keep` versions that were mirrored stay, so that going back is a change of the pin alone.

use std::cmp::Reverse;

use schemars::JsonSchema;
use serde::Deserialize;
use stoker_policy_sdk::about::Complaint;
use stoker_policy_sdk::blocks::version::Version;
use stoker_policy_sdk::sync::{Choice, Plan, Release, Situation};
use stoker_policy_sdk::{Policy, RunnerSync};

/// Under `sync`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Which releases count.
    pub channel: Channel,
    /// Days for which a release must have been out before it is offered.
    pub soak_days: u32,
    /// The version to offer, whatever its age, such as `2.330.0`.
    pub pin: Option<String>,
    /// Nothing older is offered, such as `2.329.0`. GitHub's own minimum applies too.
    pub minimum_version: Option<String>,
    /// How many mirrored versions are kept besides the one that is offered.
    pub keep: usize,
    /// Platforms that a release must have to count, such as `linux-x64`. Empty: any one.
    pub platforms: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            channel: Channel::Stable,
            soak_days: 3,
            pin: None,
            minimum_version: None,
            keep: 2,
            platforms: Vec::new(),
        }
    }
}

/// Which releases count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Those that GitHub does not call pre-releases.
    #[default]
    Stable,
    /// All.
    Prerelease,
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct PinnedSync;

impl Policy for PinnedSync {
    const NAME: &'static str = "pinned-sync";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Offers the newest runner that has soaked for some days, or a pinned \
                                   one, and never one that GitHub would refuse.";
    const SETTINGS_SCHEMA: Option<&str> = Some(include_str!("../settings.schema.json"));
}

impl RunnerSync for PinnedSync {
    type Settings = Settings;

    fn decide(situation: &Situation, settings: &Settings) -> Result<Plan, String> {
        let candidates = candidates(situation, settings);
        let floor = floor(situation, settings);
        let offer = offer(situation, &candidates, settings, floor.as_ref())?;
        let mut plan = Plan {
            mirror: offer.iter().cloned().collect(),
            delete: surplus(situation, settings, offer.as_ref()),
            offer,
            notes: Vec::new(),
            attributes: Vec::new(),
        };
        if plan.offer.is_none() {
            plan.notes.push(
                "no release is old enough, complete and supported: instances get what they get now"
                    .to_owned(),
            );
        }
        Ok(plan)
    }

    fn complaints(settings: &Settings) -> Vec<Complaint> {
        [
            ("/pin", &settings.pin),
            ("/minimum_version", &settings.minimum_version),
        ]
        .into_iter()
        .filter_map(|(at, text)| {
            let problem = text.as_ref()?.parse::<Version>().err()?;
            Some(Complaint {
                at: at.to_owned(),
                problem: problem.to_string(),
            })
        })
        .collect()
    }
}

/// A release that counts, with its version understood.
struct Candidate<'a> {
    version: Version,
    release: &'a Release,
}

/// Those that count, newest first. A version that is not understood does not count.
fn candidates<'a>(situation: &'a Situation, settings: &Settings) -> Vec<Candidate<'a>> {
    let complete = |release: &Release| {
        !release.platforms.is_empty()
            && settings
                .platforms
                .iter()
                .all(|platform| release.platforms.contains(platform))
    };
    let mut candidates: Vec<Candidate<'a>> = situation
        .releases
        .iter()
        .filter(|release| complete(release))
        .filter_map(|release| {
            Some(Candidate {
                version: release.version.parse().ok()?,
                release,
            })
        })
        .collect();
    candidates.sort_by(|a, b| b.version.cmp(&a.version));
    candidates
}

/// Below which nothing is offered: GitHub's minimum or the owner's, whichever is higher.
fn floor(situation: &Situation, settings: &Settings) -> Option<Version> {
    [&situation.minimum_version, &settings.minimum_version]
        .into_iter()
        .flatten()
        .filter_map(|text| text.parse().ok())
        .max()
}

/// None: instances get what they get now.
fn offer(
    situation: &Situation,
    candidates: &[Candidate<'_>],
    settings: &Settings,
    floor: Option<&Version>,
) -> Result<Option<Choice>, String> {
    let choice = |candidate: &Candidate<'_>, reason: String| {
        Some(Choice {
            version: candidate.release.version.clone(),
            reason,
        })
    };
    let above = |version: &Version| floor.is_none_or(|floor| version >= floor);
    let of_channel = |candidate: &&Candidate<'_>| {
        settings.channel == Channel::Prerelease || !candidate.release.prerelease
    };
    let broken = if let Some(pin) = &settings.pin {
        let pinned = pin.parse::<Version>().ok();
        let found = candidates
            .iter()
            .find(|candidate| Some(&candidate.version) == pinned.as_ref())
            .ok_or_else(|| {
                format!(
                    "the pinned version {pin} is not among the releases with the platforms that are \
                     wanted: pin another, or remove the pin"
                )
            })?;
        if above(&found.version) {
            return Ok(choice(found, "it is pinned".to_owned()));
        }
        "the pinned one is not".to_owned()
    } else {
        let days = settings.soak_days;
        let soak = days.saturating_mul(86_400);
        let soaked = candidates
            .iter()
            .filter(of_channel)
            .find(|candidate| candidate.release.age >= soak);
        if let Some(found) = soaked.filter(|candidate| above(&candidate.version)) {
            let why = format!("the newest release that has been out for {days} days");
            return Ok(choice(found, why));
        }
        // Time alone will soak a newer one; until then nothing is gained by going back.
        let offered = situation.releases.iter().find(|release| release.offered);
        let stays = offered.and_then(|release| release.version.parse().ok());
        if stays.is_some_and(|version| above(&version)) {
            return Ok(None);
        }
        match soaked {
            Some(_) => "the soaked one is not".to_owned(),
            None => format!("no release that counts has been out for {days} days"),
        }
    };
    // The oldest that GitHub accepts: as far from the newest, untried one as can be.
    Ok(candidates
        .iter()
        .rev()
        .filter(of_channel)
        .find(|candidate| floor.is_some() && above(&candidate.version))
        .and_then(|candidate| {
            choice(
                candidate,
                format!("the oldest release that is still supported: {broken}"),
            )
        }))
}

/// Mirrored versions beyond those that are kept.
fn surplus(situation: &Situation, settings: &Settings, offer: Option<&Choice>) -> Vec<Choice> {
    let mut mirrored: Vec<(&Release, Option<Version>)> = situation
        .releases
        .iter()
        .filter(|release| !release.mirrored.is_empty() && !release.offered)
        .filter(|release| offer.is_none_or(|offer| offer.version != release.version))
        .map(|release| (release, release.version.parse().ok()))
        .collect();
    mirrored.sort_by_key(|(_, version)| Reverse(version.clone()));
    mirrored
        .into_iter()
        .skip(settings.keep)
        .map(|(release, _)| Choice {
            version: release.version.clone(),
            reason: format!("{} newer mirrored versions are kept", settings.keep),
        })
        .collect()
}

stoker_policy_sdk::export!(PinnedSync: sync);

#[cfg(test)]
mod tests;
