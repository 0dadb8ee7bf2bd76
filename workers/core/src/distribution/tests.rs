use std::collections::BTreeMap;

use proptest::prelude::*;

use super::layout::{Archive, Asset, Mirrored, Offered, Published, archive_path};
use super::*;

const DAY: u64 = 86_400;
const NOW: Timestamp = Timestamp(1_800_000_000);

fn asset(version: &str, platform: &str, sha256: bool) -> Asset {
    Asset {
        url: format!("https://github.example/{version}/{platform}"),
        bytes: 7,
        sha256: sha256.then(|| digest(version, platform)),
    }
}

fn digest(version: &str, platform: &str) -> String {
    format!("digest of {version} for {platform}")
}

fn published(version: &str, days: u64, platforms: &[&str]) -> Published {
    Published {
        version: version.to_owned(),
        published_at: Timestamp(NOW.0 - days * DAY),
        prerelease: false,
        assets: platforms
            .iter()
            .map(|platform| ((*platform).to_owned(), asset(version, platform, true)))
            .collect(),
    }
}

fn archive(version: &str, platform: &str) -> Archive {
    Archive {
        key: archive_path(platform, version),
        sha256: digest(version, platform),
        bytes: 7,
        unverified: false,
    }
}

fn mirrored(version: &str, days: u64, platforms: &[&str]) -> (String, Mirrored) {
    let archives = platforms
        .iter()
        .map(|platform| ((*platform).to_owned(), archive(version, platform)));
    let mut mirrored = Mirrored::nothing_of(&published(version, days, &[]));
    mirrored.platforms = archives.collect();
    (version.to_owned(), mirrored)
}

fn offered(version: &str, platforms: &[&str]) -> Offered {
    let archives = platforms
        .iter()
        .map(|platform| ((*platform).to_owned(), archive(version, platform)));
    Offered::new(version, archives.collect())
}

fn rules(platforms: &str) -> SyncRules {
    SyncRules {
        platforms: platforms.parse().unwrap(),
        allow_missing_digest: false,
        minimum_version: None,
    }
}

fn nothing(platforms: &str) -> Known {
    Known {
        rules: rules(platforms),
        published: Vec::new(),
        mirrored: BTreeMap::new(),
        offered: None,
    }
}

fn choice(version: &str) -> Choice {
    Choice {
        version: version.to_owned(),
        reason: "because".to_owned(),
    }
}

fn wants(version: &str) -> SyncPlan {
    SyncPlan {
        mirror: vec![choice(version)],
        offer: Some(choice(version)),
        ..SyncPlan::default()
    }
}

fn rules_of(granted: &SyncGranted) -> Vec<(SyncRule, Wish)> {
    let edits = granted.edits().iter();
    edits.map(|edit| (edit.rule, edit.asked)).collect()
}

#[test]
fn a_release_that_lacks_a_platform_or_its_digest_is_not_shown_and_it_is_said_why() {
    let mut known = nothing("linux-x64,win-x64");
    let mut without_digest = published("2.332.0", 9, &["linux-x64", "win-x64"]);
    let win = without_digest.assets.get_mut("win-x64").unwrap();
    win.sha256 = None;
    known.published = vec![
        without_digest,
        published("2.331.0", 10, &["linux-x64"]),
        published("2.330.0", 20, &["linux-x64", "win-x64", "osx-x64"]),
    ];
    let shown = known.situation(NOW).releases;
    let versions: Vec<&str> = shown.iter().map(|one| one.version.as_str()).collect();
    assert_eq!(versions, ["2.330.0"]);
    assert_eq!(shown[0].platforms, ["linux-x64", "win-x64"]);
    let told = known.left_out();
    assert_eq!(
        told[0].lacking,
        ["GitHub has published no digest for win-x64"]
    );
    assert_eq!(told[1].lacking, ["GitHub has no archive for win-x64"]);
    let granted = clamp(&wants("2.331.0"), &known);
    assert_eq!(
        rules_of(&granted),
        [
            (SyncRule::UnknownVersion, Wish::Mirror),
            (SyncRule::UnknownVersion, Wish::Offer)
        ]
    );
    known.rules.allow_missing_digest = true;
    assert_eq!(known.situation(NOW).releases[0].version, "2.332.0");
    assert_eq!(
        clamp(&wants("2.332.0"), &known).copies()[0].missing.len(),
        2
    );
}

#[test]
fn what_is_offered_and_gone_from_github_is_still_shown_with_what_is_mirrored_of_it() {
    let mut known = nothing("linux-x64");
    known.mirrored = [mirrored("2.329.0", 40, &["linux-x64"])].into();
    known.offered = Some(offered("2.329.0", &["linux-x64"]));
    let release = &known.situation(NOW).releases[0];
    assert!(release.offered);
    assert_eq!(u64::from(release.age), 40 * DAY);
    assert_eq!(release.mirrored, ["linux-x64"]);
    let granted = clamp(&wants("2.329.0"), &known);
    assert_eq!((granted.copies().len(), granted.edits().len()), (0, 0));
    assert_eq!(granted.offer(), Some(&choice("2.329.0")));
}

#[test]
fn an_archive_that_nobody_vouched_for_counts_while_the_operator_lets_it_or_github_confirms_it() {
    let mut known = nothing("linux-x64");
    let (version, mut unverified) = mirrored("2.330.0", 5, &["linux-x64"]);
    unverified
        .platforms
        .get_mut("linux-x64")
        .unwrap()
        .unverified = true;
    known.mirrored = [(version, unverified)].into();
    assert_eq!(known.whole("2.330.0"), None);
    known.rules.allow_missing_digest = true;
    assert!(known.whole("2.330.0").is_some());
    known.rules.allow_missing_digest = false;
    known.published = vec![published("2.330.0", 5, &["linux-x64"])];
    assert!(known.whole("2.330.0").is_some());
    let other = known.published[0].assets.get_mut("linux-x64").unwrap();
    other.sha256 = Some("another".to_owned());
    assert_eq!(known.missing("2.330.0").unwrap().len(), 1);
}

#[test]
fn an_archive_that_github_replaced_is_told_and_the_verified_copy_stays() {
    let mut known = nothing("linux-x64");
    known.mirrored = [mirrored("2.330.0", 5, &["linux-x64"])].into();
    known.published = vec![published("2.330.0", 5, &["linux-x64"])];
    assert_eq!(known.changed(), Vec::<String>::new());
    let other = known.published[0].assets.get_mut("linux-x64").unwrap();
    other.sha256 = Some("another".to_owned());
    let told = known.changed();
    assert!(told[0].contains("replaced the archive of 2.330.0 for linux-x64"));
    assert!(told[0].contains("replaced, and delete the mirrored version"));
    // Not while instances get it.
    known.offered = Some(offered("2.330.0", &["linux-x64"]));
    assert!(known.changed()[0].contains("and offer another version, and then delete"));
    assert!(known.whole("2.330.0").is_some());
}

#[test]
fn what_instances_get_is_copied_only_as_they_get_it() {
    let mut known = nothing("linux-x64");
    known.published = vec![published("2.330.0", 5, &["linux-x64"])];
    known.offered = Some(offered("2.330.0", &["linux-x64"]));
    assert_eq!(known.missing("2.330.0").unwrap().len(), 1);
    let asset = known.published[0].assets.get_mut("linux-x64").unwrap();
    asset.sha256 = Some("another".to_owned());
    let lacking = known.missing("2.330.0").unwrap_err();
    assert!(lacking[0].contains("has another archive"), "{lacking:?}");
    let granted = clamp(&wants("2.330.0"), &known);
    assert_eq!((granted.copies(), granted.offer()), (&[][..], None));
    // Where GitHub has published no digest, it must have the one that they get.
    let asset = known.published[0].assets.get_mut("linux-x64").unwrap();
    asset.sha256 = None;
    known.rules.allow_missing_digest = true;
    let (_, asset) = &known.missing("2.330.0").unwrap()[0];
    assert_eq!(asset.sha256, Some(digest("2.330.0", "linux-x64")));
}

#[test]
fn half_of_a_version_is_shown_without_platforms() {
    let mut known = nothing("linux-x64,win-x64");
    known.mirrored = [mirrored("2.330.0", 9, &["linux-x64"])].into();
    let shown = &known.situation(NOW).releases[0];
    assert_eq!(shown.mirrored, ["linux-x64"]);
    assert_eq!(shown.platforms, Vec::<String>::new());
    known.published = vec![published("2.330.0", 9, &["win-x64"])];
    let shown = &known.situation(NOW).releases[0];
    assert_eq!(shown.platforms, ["linux-x64", "win-x64"]);
}

#[test]
fn the_minimum_is_what_every_runner_must_have_taken_up_by_now() {
    let mut known = nothing("linux-x64");
    assert_eq!(known.minimum_version(NOW), None);
    known.published = vec![
        published("2.333.0", 2, &[]),
        published("2.332.0", 29, &[]),
        published("2.331.0", 31, &[]),
        published("2.9.0", 90, &[]),
    ];
    assert_eq!(known.minimum_version(NOW).as_deref(), Some("2.331.0"));
    known.published[2].prerelease = true;
    assert_eq!(known.minimum_version(NOW).as_deref(), Some("2.9.0"));
    known.rules.minimum_version = Some("2.329".parse().unwrap());
    assert_eq!(known.minimum_version(NOW).as_deref(), Some("2.329.0"));
}

#[test]
fn each_rule_says_what_it_did_not_grant() {
    let mut known = nothing("linux-x64");
    known.published = vec![published("2.332.0", 9, &["linux-x64"])];
    known.mirrored = [
        mirrored("2.331.0", 20, &["linux-x64"]),
        mirrored("2.330.0", 25, &["linux-x64"]),
        // Half of it was there when the platforms were others, and GitHub has it no more.
        mirrored("2.300.0", 90, &["osx-x64"]),
    ]
    .into();
    known.offered = Some(offered("2.331.0", &["linux-x64"]));
    let plan = SyncPlan {
        mirror: vec![choice("2.332.0"), choice("2.300.0"), choice("9.9.9")],
        offer: Some(choice("2.332.0")),
        delete: ["2.331.0", "2.332.0", "2.330.0", "2.330.0", "1.0.0"]
            .map(choice)
            .to_vec(),
        notes: Vec::new(),
    };
    let granted = clamp(&plan, &known);
    assert_eq!(granted.offer(), Some(&choice("2.332.0")));
    assert_eq!(granted.delete(), [choice("2.330.0")]);
    assert_eq!(
        rules_of(&granted),
        [
            (SyncRule::Incomplete, Wish::Mirror),
            (SyncRule::UnknownVersion, Wish::Mirror),
            (SyncRule::IsOffered, Wish::Delete),
            (SyncRule::IsWanted, Wish::Delete),
            (SyncRule::NothingThere, Wish::Delete),
        ]
    );
    let offer_alone = SyncPlan {
        offer: Some(choice("2.332.0")),
        ..SyncPlan::default()
    };
    let granted = clamp(&offer_alone, &known);
    assert_eq!(rules_of(&granted), [(SyncRule::NotMirrored, Wish::Offer)]);
    assert_eq!(granted.offer(), None);
}

#[test]
fn what_is_to_be_offered_is_copied_first() {
    let mut known = nothing("linux-x64");
    known.published = vec![
        published("2.332.0", 1, &["linux-x64"]),
        published("2.331.0", 20, &["linux-x64"]),
    ];
    let plan = SyncPlan {
        mirror: vec![choice("2.332.0"), choice("2.331.0"), choice("2.332.0")],
        offer: Some(choice("2.331.0")),
        ..SyncPlan::default()
    };
    let granted = clamp(&plan, &known);
    let order: Vec<&str> = granted
        .copies()
        .iter()
        .map(|copy| copy.choice.version.as_str())
        .collect();
    assert_eq!(order, ["2.331.0", "2.332.0"]);
}

const VERSIONS: [&str; 5] = ["2.330.0", "2.331.0", "2.331.1", "2.332.0", "9.9.9"];
const WANTED: [&str; 2] = ["linux-x64", "win-x64"];

fn some_platforms() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["linux-x64", "win-x64", "osx-x64"], 0..=3)
}

fn some_known() -> impl Strategy<Value = Known> {
    let versions = || prop::sample::subsequence(VERSIONS[..4].to_vec(), 0..=4);
    // None, that of what is mirrored and offered, or another.
    let digests = || prop::sample::select(vec![None, Some(false), Some(true)]);
    let per_version = prop::collection::vec((some_platforms(), digests(), any::<bool>()), 4);
    let published = (versions(), per_version).prop_map(|(versions, parts)| {
        let releases = versions.into_iter().zip(parts);
        releases
            .map(|(version, (platforms, digest, prerelease))| {
                let mut release = published(version, 9, &platforms);
                release.prerelease = prerelease;
                for asset in release.assets.values_mut() {
                    match digest {
                        None => asset.sha256 = None,
                        Some(true) => asset.sha256 = Some("another".to_owned()),
                        Some(false) => {}
                    }
                }
                release
            })
            .collect::<Vec<_>>()
    });
    let copies = prop::collection::vec((some_platforms(), any::<bool>()), 4);
    let mirror = (versions(), copies).prop_map(|(versions, parts)| {
        let all = versions.into_iter().zip(parts);
        all.map(|(version, (platforms, unverified))| {
            let (name, mut one) = mirrored(version, 9, &platforms);
            for archive in one.platforms.values_mut() {
                archive.unverified = unverified;
            }
            (name, one)
        })
        .collect::<BTreeMap<_, _>>()
    });
    let pointer = prop::option::of(prop::sample::select(VERSIONS[..4].to_vec()));
    (published, mirror, pointer, any::<bool>()).prop_map(|(published, mirrored, pointer, allow)| {
        Known {
            rules: SyncRules {
                allow_missing_digest: allow,
                ..rules("linux-x64,win-x64")
            },
            published,
            mirrored,
            offered: pointer.map(|version| offered(version, &WANTED)),
        }
    })
}

fn some_plan() -> impl Strategy<Value = SyncPlan> {
    let version = || prop::sample::select(VERSIONS.to_vec()).prop_map(choice);
    let versions = || prop::collection::vec(version(), 0..6);
    (versions(), prop::option::of(version()), versions()).prop_map(|(mirror, offer, delete)| {
        SyncPlan {
            mirror,
            offer,
            delete,
            notes: Vec::new(),
        }
    })
}

proptest! {
    /// What instances get is never deleted, nor what they are to get, nor what is copied.
    #[test]
    fn nothing_is_deleted_that_instances_get(known in some_known(), plan in some_plan()) {
        let granted = clamp(&plan, &known);
        for gone in granted.delete() {
            prop_assert!(!known.is_offered(&gone.version));
            prop_assert!(granted.offer().is_none_or(|offer| offer.version != gone.version));
            prop_assert!(granted.copies().iter().all(|copy| copy.choice.version != gone.version));
            prop_assert!(known.mirrored.contains_key(&gone.version));
        }
    }

    /// What is offered has an archive for every platform, each there or to be copied with a digest that
    /// somebody vouches for.
    #[test]
    fn nothing_is_offered_that_will_not_be_whole(known in some_known(), plan in some_plan()) {
        let granted = clamp(&plan, &known);
        if let Some(offer) = granted.offer() {
            let copy = granted.copies().iter().find(|copy| copy.choice.version == offer.version);
            for platform in WANTED {
                let archive = known.mirrored.get(&offer.version).and_then(|one| one.platforms.get(platform));
                let is_copied = copy.is_some_and(|copy| {
                    copy.missing.iter().any(|(name, asset)| {
                        name == platform && (asset.sha256.is_some() || known.rules.allow_missing_digest)
                    })
                });
                prop_assert!(archive.is_some() || is_copied, "{platform} of {}", offer.version);
            }
        }
    }

    /// What instances get keeps its place: nothing is copied over it but the same bytes.
    #[test]
    fn nothing_else_is_copied_over_what_instances_get(known in some_known(), plan in some_plan()) {
        let granted = clamp(&plan, &known);
        let Some(offered) = &known.offered else { return Ok(()) };
        let copies = granted.copies().iter().filter(|copy| copy.choice.version == offered.release);
        for (platform, asset) in copies.flat_map(|copy| &copy.missing) {
            if let Some(given) = offered.platforms.get(platform) {
                prop_assert_eq!(asset.sha256.as_ref(), Some(&given.sha256));
            }
        }
    }

    /// A policy that chooses among releases with all platforms is not refused.
    #[test]
    fn what_is_shown_with_platforms_may_be_offered(known in some_known()) {
        for release in known.situation(NOW).releases {
            let granted = clamp(&wants(&release.version), &known);
            prop_assert_eq!(granted.offer().is_some(), release.platforms == WANTED);
            prop_assert!(granted.offer().is_some() || release.platforms.is_empty());
        }
    }

    /// Every wish is granted, is there already, or is written down with a reason.
    #[test]
    fn no_wish_is_lost_without_a_word(known in some_known(), plan in some_plan()) {
        let granted = clamp(&plan, &known);
        let refused = |wish: Wish, version: &str| {
            granted.edits().iter().any(|edit| edit.asked == wish && edit.version == version && !edit.reason.is_empty())
        };
        for one in &plan.mirror {
            let copied = granted.copies().iter().any(|copy| copy.choice.version == one.version);
            let there = known.whole(&one.version).is_some();
            prop_assert!(copied || there || refused(Wish::Mirror, &one.version));
        }
        for one in &plan.delete {
            let gone = granted.delete().iter().any(|gone| gone.version == one.version);
            prop_assert!(gone || refused(Wish::Delete, &one.version));
        }
        if let Some(one) = &plan.offer {
            prop_assert!(granted.offer().is_some() || refused(Wish::Offer, &one.version));
        }
    }
}
