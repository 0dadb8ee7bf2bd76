//! The rules, as claims.

use stoker_policy_sdk::run;
use stoker_policy_sdk::sync::{Plan, Release, Situation};
use stoker_policy_sdk::testing::properties::{Options, check_sync};

use super::{PinnedSync, Settings};

const DAY: u32 = 86_400;

fn decide(situation: &Situation) -> Result<Plan, String> {
    run::sync::<PinnedSync>(situation)
}

fn release(version: &str, days: u32) -> Release {
    Release {
        version: version.to_owned(),
        age: days * DAY,
        prerelease: false,
        platforms: vec!["linux-x64".to_owned()],
        mirrored: Vec::new(),
        offered: false,
        attributes: Vec::new(),
    }
}

fn mirrored(version: &str, days: u32) -> Release {
    let release = release(version, days);
    Release {
        mirrored: release.platforms.clone(),
        ..release
    }
}

fn situation(settings: &str, releases: Vec<Release>) -> Situation {
    Situation {
        now: 1_800_000_000,
        settings: settings.to_owned(),
        releases,
        minimum_version: None,
        attributes: Vec::new(),
    }
}

fn offered(situation: &Situation) -> (String, String) {
    let offer = decide(situation).unwrap().offer.unwrap();
    (offer.version, offer.reason)
}

#[test]
fn the_newest_release_that_has_soaked_is_offered_and_mirrored() {
    let releases = vec![
        release("2.331.0", 1),
        release("2.330.0", 4),
        release("2.329.0", 30),
    ];
    let plan = decide(&situation("{}", releases.clone())).unwrap();
    assert_eq!(plan.offer.unwrap().version, "2.330.0");
    assert_eq!(plan.mirror[0].version, "2.330.0");
    let at_once = situation(r#"{"soak_days":0}"#, releases);
    assert_eq!(offered(&at_once).0, "2.331.0");
}

#[test]
fn a_prerelease_is_for_its_channel_alone() {
    let releases = || {
        let mut releases = vec![release("2.331.0", 9), release("2.330.0", 9)];
        releases[0].prerelease = true;
        releases
    };
    assert_eq!(offered(&situation("{}", releases())).0, "2.330.0");
    let all = r#"{"channel":"prerelease"}"#;
    assert_eq!(offered(&situation(all, releases())).0, "2.331.0");
}

#[test]
fn a_pin_is_offered_whatever_its_age_and_refused_where_it_does_not_exist() {
    let releases = vec![release("2.331.0", 0), release("2.330.0", 4)];
    let pinned = situation(r#"{"pin":"2.331.0"}"#, releases.clone());
    assert_eq!(
        offered(&pinned),
        ("2.331.0".to_owned(), "it is pinned".to_owned())
    );
    let missing = decide(&situation(r#"{"pin":"2.300.0"}"#, releases)).unwrap_err();
    assert!(
        missing.contains("2.300.0 is not among the releases"),
        "{missing}"
    );
}

#[test]
fn what_github_would_refuse_is_never_offered_even_if_pin_or_soak_are_broken_for_it() {
    let releases = vec![
        release("2.332.0", 0),
        release("2.331.0", 1),
        release("2.330.0", 40),
    ];
    for (settings, broken) in [("{}", "soaked"), (r#"{"pin":"2.330.0"}"#, "pinned")] {
        let mut refused = situation(settings, releases.clone());
        refused.minimum_version = Some("2.331.0".to_owned());
        let (version, reason) = offered(&refused);
        assert_eq!(version, "2.331.0");
        assert!(
            reason.contains(&format!("the {broken} one is not")),
            "{reason}"
        );
    }
    let own = situation(r#"{"minimum_version":"2.333.0"}"#, releases);
    let plan = decide(&own).unwrap();
    assert_eq!(plan.offer, None);
    assert!(plan.notes[0].starts_with("no release is old enough"));
}

#[test]
fn what_is_offered_and_supported_stays_until_something_supported_has_soaked() {
    let releases = |offered: usize| {
        let mut releases = vec![
            release("2.331.0", 1),
            release("2.330.0", 20),
            release("2.329.0", 40),
            release("2.328.0", 90),
        ];
        releases[offered].offered = true;
        releases
    };
    let soak = r#"{"soak_days":60,"minimum_version":"2.329.0"}"#;
    // None: instances get what they get now. That 2.328.0 has soaked does not help it.
    let mut none_soaked = releases(1);
    none_soaked.pop();
    for releases in [releases(1), releases(0), none_soaked] {
        let plan = decide(&situation(soak, releases)).unwrap();
        assert_eq!(plan.offer, None);
        assert!(
            plan.notes[0].ends_with("instances get what they get now"),
            "{:?}",
            plan.notes
        );
    }
    let (version, reason) = offered(&situation(soak, releases(3)));
    assert_eq!(version, "2.329.0");
    assert!(reason.contains("the soaked one is not"), "{reason}");
}

#[test]
fn what_is_offered_and_not_supported_is_replaced_with_a_reason_that_is_true() {
    let releases = vec![
        release("2.331.0", 1),
        release("2.330.0", 20),
        release("2.329.0", 40),
    ];
    let soak = r#"{"soak_days":60,"minimum_version":"2.330.0"}"#;
    let mut old = situation(soak, releases);
    // Also where GitHub no longer says what it is.
    for at_present in [Some("2.329.0"), Some("2.300.0-beta"), None] {
        if let Some(version) = at_present {
            old.releases[2].version = version.to_owned();
        }
        old.releases[2].offered = at_present.is_some();
        let (version, reason) = offered(&old);
        assert_eq!(version, "2.330.0");
        assert_eq!(
            reason,
            "the oldest release that is still supported: no release that counts has been out for \
             60 days"
        );
    }
}

#[test]
fn a_pin_without_any_release_is_refused() {
    let refused = decide(&situation(r#"{"pin":"2.331.0"}"#, Vec::new())).unwrap_err();
    assert!(
        refused.contains("2.331.0 is not among the releases"),
        "{refused}"
    );
}

#[test]
fn a_release_without_the_platforms_that_are_wanted_does_not_count() {
    let settings = r#"{"platforms":["linux-arm64"]}"#;
    let mut both = release("2.330.0", 9);
    both.platforms.push("linux-arm64".to_owned());
    let plan = situation(settings, vec![release("2.331.0", 9), both]);
    assert_eq!(offered(&plan).0, "2.330.0");
}

#[test]
fn the_last_mirrored_versions_are_kept_for_going_back() {
    let mut offered_now = mirrored("2.328.0", 60);
    offered_now.offered = true;
    let releases = vec![
        mirrored("2.331.0", 9),
        mirrored("2.330.0", 20),
        mirrored("2.329.0", 30),
        offered_now,
        mirrored("2.327.0", 90),
    ];
    let plan = decide(&situation("{}", releases)).unwrap();
    assert_eq!(plan.offer.unwrap().version, "2.331.0");
    let deleted: Vec<&str> = plan
        .delete
        .iter()
        .map(|gone| gone.version.as_str())
        .collect();
    assert_eq!(deleted, ["2.327.0"]);
}

#[test]
fn settings_that_are_no_versions_are_complained_about() {
    let complaints = run::needs_to_sync::<PinnedSync>(r#"{"pin":"latest"}"#).unwrap_err();
    assert_eq!(complaints[0].at, "/pin");
    assert!(complaints[0].problem.contains("is no version"));
}

#[test]
fn every_property_holds_whatever_is_set() {
    for settings in [
        "{}",
        r#"{"soak_days":0,"keep":0}"#,
        r#"{"channel":"prerelease"}"#,
        r#"{"pin":"2.310.0"}"#,
        r#"{"platforms":["linux-arm64"]}"#,
    ] {
        let found = check_sync(&decide, &Options::with_settings(settings));
        assert_eq!(found, [], "{settings}");
    }
}

#[test]
fn the_schema_file_is_that_of_the_settings() {
    stoker_policy_sdk::testing::assert_schema_file(
        concat!(env!("CARGO_MANIFEST_DIR"), "/settings.schema.json"),
        [("sync", stoker_policy_sdk::settings::schema::<Settings>())],
    );
}
