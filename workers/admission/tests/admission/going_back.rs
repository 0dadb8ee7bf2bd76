//! Going back to what decided before, and taking what proved itself elsewhere.

use stoker_admission::{Outcome, Source, Task, Verdict};
use stoker_core::ids::PolicyGeneration;
use stoker_policy::activation::paths;

use crate::verdicts::{A, B, BOTH, ONE, POLICY, SETTINGS, TWO, folder, outcome, told};
use crate::world::World;

#[test]
fn an_operator_goes_back_and_the_upload_is_passed_over_until_there_is_another() {
    let mut world = World::new(4);
    world.upload("default", POLICY, ONE.as_bytes());
    let first = world.sweep().generation;
    world.clock_goes_on();
    world.upload("default", POLICY, TWO.as_bytes());
    let second = world.sweep().generation;
    let back = world.republish("default", Source::Before);
    assert!(back.published && back.generation > second);
    assert_eq!(outcome(&back, "default"), Outcome::PassedOver);
    assert_eq!(world.decides("default").0, "one");
    assert!(world.document().why.starts_with("julia took default back"));
    // Sweeps leave it so.
    let swept = world.sweep();
    assert!(!swept.published);
    assert_eq!(outcome(&swept, "default"), Outcome::PassedOver);
    // Forward again, by its number.
    world.republish("default", Source::Generation(second));
    assert_eq!(world.decides("default").0, "two");
    world.republish("default", Source::Generation(first));
    assert_eq!(world.decides("default").0, "one");
    // The same bytes, uploaded again, are another upload.
    world.upload("default", POLICY, TWO.as_bytes());
    assert_eq!(world.stands("default"), Outcome::Active);
    assert_eq!(world.decides("default").0, "two");
}

#[test]
fn a_policy_that_proved_itself_in_one_place_is_promoted_to_another() {
    let mut world = World::new(5);
    world.upload("default", POLICY, ONE.as_bytes());
    world.upload("default", SETTINGS, A.as_bytes());
    world.upload("orgs/acme", POLICY, BOTH.as_bytes());
    world.upload("orgs/other", POLICY, TWO.as_bytes());
    world.sweep();
    let promoted = world.republish("default", Source::Folder(folder("orgs/acme")));
    assert_eq!(outcome(&promoted, "default"), Outcome::PassedOver);
    assert_eq!(
        world.decides("default"),
        ("both".to_owned(), r#"{"a":1}"#.to_owned())
    );
    // One that does not go with the settings that are there is refused.
    let refused = world.republish("default", Source::Folder(folder("orgs/other")));
    assert_eq!(outcome(&refused, "default"), Outcome::Refused);
    assert!(!refused.published);
    assert_eq!(world.decides("default").0, "both");
}

#[test]
fn settings_that_are_published_after_a_rollback_go_with_what_was_gone_back_to() {
    let mut world = World::new(1);
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    world.clock_goes_on();
    world.upload("default", POLICY, BOTH.as_bytes());
    world.sweep();
    world.republish("default", Source::Before);
    assert_eq!(world.decides("default").0, "one");
    world.upload("default", SETTINGS, A.as_bytes());
    world.sweep();
    let with_settings = ("one".to_owned(), r#"{"a":1}"#.to_owned());
    assert_eq!(world.decides("default"), with_settings);
    // What is refused changes nothing.
    world.upload("default", SETTINGS, B.as_bytes());
    assert_eq!(world.stands("default"), Outcome::Refused);
    assert_eq!(world.decides("default"), with_settings);
    world.upload("default", SETTINGS, A.as_bytes());
    assert_eq!(world.stands("default"), Outcome::PassedOver);
    assert_eq!(world.decides("default"), with_settings);
    // Another policy is what an operator uploads next.
    world.upload("default", POLICY, BOTH.as_bytes());
    assert_eq!(world.stands("default"), Outcome::Active);
    assert_eq!(world.decides("default").0, "both");
}

#[test]
fn a_promoted_policy_stays_where_nothing_else_is_uploaded_whatever_settings_come() {
    let mut world = World::new(1);
    world.upload("orgs/acme", POLICY, ONE.as_bytes());
    world.sweep();
    world.republish("default", Source::Folder(folder("orgs/acme")));
    assert_eq!(world.decides("default").0, "one");
    world.upload("default", SETTINGS, B.as_bytes());
    assert_eq!(world.stands("default"), Outcome::Refused);
    assert_eq!(
        world.decides("default"),
        ("one".to_owned(), "{}".to_owned())
    );
    world.upload("default", SETTINGS, A.as_bytes());
    world.sweep();
    assert_eq!(
        world.decides("default"),
        ("one".to_owned(), r#"{"a":1}"#.to_owned())
    );
}

#[test]
fn a_rollback_to_nothing_is_not_undone_by_the_next_sweep() {
    let mut world = World::new(1);
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    world.clock_goes_on();
    world.upload("orgs/acme", POLICY, TWO.as_bytes());
    world.sweep();
    world.republish("orgs/acme", Source::Before);
    for _ in 0..2 {
        assert_eq!(world.decides("orgs/acme").0, "one");
        assert_eq!(world.stands("orgs/acme"), Outcome::PassedOver);
    }
}

#[test]
fn a_promotion_that_is_refused_is_told_to_who_asked_and_brands_nothing() {
    let mut world = World::new(1);
    world.upload("orgs/acme", POLICY, TWO.as_bytes());
    world.upload("default", POLICY, ONE.as_bytes());
    world.upload("default", SETTINGS, A.as_bytes());
    world.sweep();
    let report = world.republish("default", Source::Folder(folder("orgs/acme")));
    assert_eq!(outcome(&report, "default"), Outcome::Refused);
    assert!(told(&report, "default").contains("does not know"));
    assert!(!report.published);
    assert_eq!(world.stands("default"), Outcome::Active);
    let written = world
        .ports
        .store
        .object(&paths::verdict(&folder("default")))
        .unwrap();
    let written: Verdict = serde_json::from_slice(&written).unwrap();
    assert_eq!(written.outcome, Outcome::Active);
}

#[test]
fn who_goes_back_from_what_is_there_no_more_is_told() {
    let mut world = World::new(1);
    world.upload("default", POLICY, ONE.as_bytes());
    let first = world.sweep().generation;
    world.clock_goes_on();
    world.upload("default", POLICY, BOTH.as_bytes());
    world.sweep();
    let told = world.run(Task::Republish {
        folder: folder("default"),
        source: Source::Before,
        from: Some(first),
        by: "julia".to_owned(),
    });
    let told = told.unwrap_err().to_string();
    assert!(
        told.contains("somebody published there meanwhile"),
        "{told}"
    );
    assert_eq!(world.decides("default").0, "both");
}

#[test]
fn what_can_not_be_gone_back_to_is_told() {
    let mut world = World::new(6);
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    for source in [
        Source::Generation(PolicyGeneration(7)),
        Source::Folder(folder("orgs/none")),
    ] {
        let folder = folder("default");
        let told = world
            .run(Task::Republish {
                folder,
                source,
                from: None,
                by: "julia".to_owned(),
            })
            .unwrap_err();
        let told = told.to_string();
        assert!(told.contains("there is no"), "{told}");
    }
}
