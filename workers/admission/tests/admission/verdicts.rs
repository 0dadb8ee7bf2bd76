//! What each way to be refused, held back, taken back and published again looks like.

use stoker_admission::{Hint, Outcome, Report, Source, Task};
use stoker_core::plan::PolicyLevel;
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::time::Timestamp;
use stoker_policy::Decision;
use stoker_policy::activation::{Activation, Document, Entry, paths};
use stoker_policy::engine::Configuration;

use crate::world::World;

pub(crate) const POLICY: &str = "policy.wasm";
pub(crate) const SETTINGS: &str = "settings.json";

/// Accepts `a`.
pub(crate) const ONE: &str = "policy one takes scale-up,scale-down accepts a";
/// Accepts `b`.
pub(crate) const TWO: &str = "policy two takes scale-up,scale-down accepts b";
pub(crate) const BOTH: &str = "policy both takes scale-up,scale-down accepts a,b";
pub(crate) const A: &str = r#"{"scale-up":{"a":1}}"#;
pub(crate) const B: &str = r#"{"scale-up":{"b":1}}"#;

pub(crate) fn folder(name: &str) -> PolicyFolder {
    name.parse().unwrap()
}

impl World {
    pub(crate) fn document(&self) -> Document {
        let bytes = self.ports.store.object(paths::ACTIVE).unwrap();
        let deployment = "sim".parse().unwrap();
        let active = Activation::verify(&self.trusted(), &deployment, &bytes).unwrap();
        active.document().clone()
    }

    /// What decides scale-up for a folder's scope.
    pub(crate) fn entry(&self, name: &str) -> Entry {
        let document = self.document();
        let (entry, _) = document.entry(&folder(name), Decision::ScaleUp).unwrap();
        entry.clone()
    }

    /// The name of the policy that decides scale-up, and its settings.
    pub(crate) fn decides(&self, name: &str) -> (String, String) {
        let entry = self.entry(name);
        let policies = self.document().policies;
        let settings = paths::settings(&entry.pair.settings.digest);
        let text = self.ports.store.object(&settings).unwrap();
        (
            policies[&entry.pair.policy.unwrap()].name.clone(),
            String::from_utf8(text).unwrap(),
        )
    }

    pub(crate) fn stands(&self, name: &str) -> Outcome {
        outcome(&self.sweep(), name)
    }

    pub(crate) fn republish(&self, name: &str, source: Source) -> Report {
        self.clock_goes_on();
        self.run(Task::Republish {
            folder: folder(name),
            source,
            from: None,
            by: "julia".to_owned(),
        })
        .unwrap()
    }

    pub(crate) fn clock_goes_on(&self) {
        use stoker_core::ports::Clock as _;
        self.clock.set(Timestamp(self.clock.now().0 + 60));
    }
}

pub(crate) fn outcome(report: &Report, name: &str) -> Outcome {
    report.verdicts[&folder(name)].outcome
}

pub(crate) fn told(report: &Report, name: &str) -> String {
    let problems = report.verdicts[&folder(name)].problems.iter();
    let all: Vec<&str> = problems.map(|problem| problem.message.as_str()).collect();
    all.join("; ")
}

#[test]
fn a_half_that_is_refused_alone_waits_for_the_other() {
    let mut world = World::new(1);
    world.upload("default", POLICY, ONE.as_bytes());
    world.upload("default", SETTINGS, A.as_bytes());
    assert_eq!(world.stands("default"), Outcome::Active);
    world.upload("default", SETTINGS, B.as_bytes());
    let refused = world.sweep();
    assert_eq!(outcome(&refused, "default"), Outcome::Refused);
    assert!(told(&refused, "default").contains("does not know"));
    assert_eq!(
        world.decides("default"),
        ("one".to_owned(), r#"{"a":1}"#.to_owned())
    );
    world.upload("default", POLICY, TWO.as_bytes());
    let report = world.sweep();
    assert_eq!(outcome(&report, "default"), Outcome::Active);
    assert_eq!(
        world.decides("default"),
        ("two".to_owned(), r#"{"b":1}"#.to_owned())
    );
    let verdict = &report.verdicts[&folder("default")];
    assert_eq!(verdict.last_refusal.as_ref().unwrap().problems.len(), 1);
}

#[test]
fn a_new_default_that_refuses_an_organisation_s_settings_leaves_that_one_with_the_old() {
    let mut world = World::new(2);
    world.upload("default", POLICY, ONE.as_bytes());
    world.upload("orgs/acme", SETTINGS, A.as_bytes());
    world.sweep();
    world.upload("default", POLICY, TWO.as_bytes());
    let report = world.sweep();
    assert_eq!(outcome(&report, "default"), Outcome::Active);
    assert_eq!(outcome(&report, "orgs/acme"), Outcome::HeldBack);
    assert_eq!(world.decides("orgs/acme").0, "one");
    assert_eq!(world.decides("orgs/other").0, "two", "it has no folder");
    // Its settings are mended: it goes with the others.
    world.upload("orgs/acme", SETTINGS, B.as_bytes());
    assert_eq!(world.stands("orgs/acme"), Outcome::Active);
    assert_eq!(world.decides("orgs/acme").0, "two");
    let previous = world.entry("orgs/acme").previous.unwrap();
    assert_eq!(previous.level, PolicyLevel::Default);
}

#[test]
fn what_was_deleted_decides_no_more_whatever_its_settings_were() {
    let mut world = World::new(3);
    world.upload("default", POLICY, TWO.as_bytes());
    world.upload("orgs/acme", POLICY, ONE.as_bytes());
    world.upload("orgs/acme", SETTINGS, A.as_bytes());
    world.upload("repos/acme/app", SETTINGS, A.as_bytes());
    world.sweep();
    assert_eq!(world.decides("repos/acme/app").0, "one");
    world.delete("orgs/acme", POLICY);
    let report = world.sweep();
    // The settings that it left do not go with the default policy.
    assert_eq!(outcome(&report, "orgs/acme"), Outcome::Refused);
    for name in ["orgs/acme", "repos/acme/app"] {
        assert_eq!(world.decides(name).0, "two", "{name}");
        assert_eq!(world.entry(name).previous, None, "{name}");
    }
    world.delete("orgs/acme", SETTINGS);
    world.delete("repos/acme/app", SETTINGS);
    assert_eq!(world.stands("orgs/acme"), Outcome::Withdrawn);
    assert_eq!(world.document().folders.len(), 1);
}

#[test]
fn an_organisation_s_own_policy_goes_on_when_a_broader_one_is_deleted() {
    const UP: &str = "policy up takes scale-up accepts a";
    const DOWN: &str = "policy down takes scale-up,scale-down accepts a,c";
    let mut world = World::new(1);
    world.upload("default", POLICY, DOWN.as_bytes());
    world.upload("orgs/acme", POLICY, UP.as_bytes());
    let settings = r#"{"scale-up":{"a":1},"scale-down":{"c":1}}"#;
    world.upload("orgs/acme", SETTINGS, settings.as_bytes());
    assert_eq!(world.stands("orgs/acme"), Outcome::Active);
    world.delete("default", POLICY);
    for _ in 0..2 {
        // The built-in rules don't know `c`.
        assert_eq!(world.stands("orgs/acme"), Outcome::HeldBack);
        assert_eq!(world.decides("orgs/acme").0, "up");
        let document = world.document();
        let scope = &document.folders[&folder("orgs/acme")].scope;
        assert!(
            !scope.contains_key(&Decision::ScaleDown),
            "what was deleted is gone"
        );
    }
}

#[test]
fn settings_that_are_gone_are_taken_from_where_they_were_uploaded_or_told_of_alone() {
    let mut world = World::new(1);
    world.upload("orgs/acme", SETTINGS, b"{}");
    world.upload("default", POLICY, ONE.as_bytes());
    world.upload("default", SETTINGS, A.as_bytes());
    world.sweep();
    let document = world.document();
    let own = document.folders[&folder("default")]
        .own
        .settings
        .clone()
        .unwrap();
    world
        .ports
        .store
        .tamper(&paths::settings(&own.digest), None);
    world.upload("orgs/other", SETTINGS, b"{}");
    let report = world.sweep();
    assert_eq!(report.alarms, [""; 0]);
    assert_eq!(outcome(&report, "orgs/other"), Outcome::Active);
    // After a rollback the upload is another one.
    world.clock_goes_on();
    world.upload("default", SETTINGS, b"{}");
    world.sweep();
    world.republish("default", Source::Before);
    world
        .ports
        .store
        .tamper(&paths::settings(&own.digest), None);
    world.upload("orgs/third", SETTINGS, b"{}");
    let report = world.sweep();
    assert!(report.alarms[0].contains("settings"), "{:?}", report.alarms);
    assert_eq!(outcome(&report, "default"), Outcome::HeldBack);
    assert_eq!(world.decides("default").0, "one");
}

#[test]
fn what_is_published_again_mends_what_was_tampered_with() {
    let mut world = World::new(1);
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    let document = world.document();
    let (digest, record) = document.policies.first_key_value().unwrap();
    let code = &record.natives[0];
    let paths = [
        paths::component(digest),
        paths::native(&code.engine, &code.digest),
    ];
    let sound: Vec<_> = paths
        .iter()
        .map(|path| world.ports.store.object(path))
        .collect();
    for path in &paths {
        world
            .ports
            .store
            .tamper(path, Some(b"something else".to_vec()));
    }
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    let mended: Vec<_> = paths
        .iter()
        .map(|path| world.ports.store.object(path))
        .collect();
    assert_eq!(mended, sound);
}

#[test]
fn what_nobody_would_believe_does_not_take_the_place_of_what_is_active() {
    let mut world = World::new(1);
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    let before = world.ports.store.object(paths::ACTIVE);
    world.rotate_untold();
    world.upload("default", POLICY, BOTH.as_bytes());
    let told = world.run(Task::Sweep).unwrap_err().to_string();
    assert!(told.contains("POLICY_PUBLIC_KEYS"), "{told}");
    assert_eq!(world.ports.store.object(paths::ACTIVE), before);
}

#[test]
fn a_component_that_killed_its_child_is_not_tried_again() {
    let mut world = World::new(7);
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    world.upload("default", POLICY, b"killer x");
    let report = world.sweep();
    assert_eq!(outcome(&report, "default"), Outcome::Refused);
    assert!(told(&report, "default").contains("signal 9"));
    assert_eq!(world.decides("default").0, "one");
    // Nor where somebody else uploads it.
    world.upload("orgs/acme", POLICY, b"killer x");
    let judge = world.judge();
    let again = world.run_with(Task::Sweep, &judge).unwrap();
    assert_eq!(outcome(&again, "orgs/acme"), Outcome::Refused);
    assert_eq!(judge.opened.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn a_refusal_costs_nothing_until_something_changes() {
    let mut world = World::new(8);
    world.upload("default", POLICY, ONE.as_bytes());
    world.upload("default", SETTINGS, B.as_bytes());
    world.upload("orgs/acme", POLICY, b"refused x");
    world.sweep();
    let judge = world.judge();
    let swept = world.run_with(Task::Sweep, &judge).unwrap();
    assert!(!swept.published && swept.news.is_empty());
    assert_eq!(judge.opened.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn an_upgrade_carries_machine_code_for_both_engines_while_it_rolls_out() {
    let mut world = World::new(9);
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    let engines = |world: &World| -> Vec<String> {
        let policies = world.document().policies;
        let record = policies.values().next().unwrap();
        record
            .natives
            .iter()
            .map(|n| n.engine.to_string())
            .collect()
    };
    let old = Configuration::STANDARD;
    assert_eq!(engines(&world), [old.id().to_string()]);
    let since = world.entry("default").since;
    let new = old.with_stack(1 << 18);
    world.configuration = new;
    assert!(world.sweep().published);
    assert_eq!(
        engines(&world),
        [new.id().to_string(), old.id().to_string()]
    );
    assert_eq!(world.entry("default").since, since, "nothing else decides");
    assert!(!world.sweep().published);
    let newest = old.with_stack(1 << 17);
    world.configuration = newest;
    world.sweep();
    assert_eq!(
        engines(&world),
        [newest.id().to_string(), new.id().to_string()]
    );
}

#[test]
fn a_repository_that_only_has_settings_tunes_its_organisation_s_policy() {
    let mut world = World::new(10);
    world.upload("default", POLICY, BOTH.as_bytes());
    world.upload("default", SETTINGS, A.as_bytes());
    world.upload("repos/acme/app", SETTINGS, B.as_bytes());
    world.upload("repos/acme/bad", SETTINGS, br#"{"scale-up":{"c":1}}"#);
    let report = world.sweep();
    assert_eq!(outcome(&report, "repos/acme/bad"), Outcome::Refused);
    let document = world.document();
    assert!(!document.folders.contains_key(&folder("repos/acme/bad")));
    let tunes = &document.folders[&folder("repos/acme/app")].tunes;
    let text = paths::settings(&tunes[&Decision::ScaleUp].digest);
    let text = world.ports.store.object(&text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), r#"{"a":1,"b":1}"#);
}

#[test]
fn who_uploaded_it_is_s3_s_word_or_else_the_upload_s() {
    let mut world = World::new(11);
    world.upload("default", POLICY, ONE.as_bytes());
    world.sweep();
    let by = |world: &World| {
        let own = world.document().folders[&folder("default")].own.clone();
        own.policy.unwrap().by.unwrap()
    };
    assert_eq!(by(&world), "a test (says the upload)");
    world.upload("default", POLICY, TWO.as_bytes());
    let version = world.now["default"][0].clone().unwrap();
    let hint = |path: &str, by: &str| Hint {
        path: path.to_owned(),
        version: version.clone(),
        by: by.to_owned(),
    };
    let hints = [
        hint("orgs/acme/policy.wasm", "somebody else"),
        hint("default/policy.wasm", "AWS:AIDA"),
    ];
    world.run_hinted(&hints).unwrap();
    assert_eq!(by(&world), "AWS:AIDA");
}

#[test]
fn files_where_they_decide_nothing_are_told_of() {
    let mut world = World::new(12);
    world.upload("orgs/Acme", POLICY, ONE.as_bytes());
    let report = world.sweep();
    assert_eq!(report.misplaced[0].about, "orgs/Acme/policy.wasm");
    let written = world.ports.store.object(paths::MISPLACED).unwrap();
    assert!(
        String::from_utf8(written)
            .unwrap()
            .contains("in lower case")
    );
    assert_eq!(world.document().folders.len(), 0);
}

#[test]
fn a_pointer_that_is_broken_or_forged_is_replaced_by_what_was_published_last() {
    for forged in [Some(b"nonsense".to_vec()), None] {
        let mut world = World::new(13);
        world.upload("default", POLICY, ONE.as_bytes());
        let first = world.sweep().generation;
        world.ports.store.tamper(paths::ACTIVE, forged.clone());
        world.clock_goes_on();
        let report = world.sweep();
        assert!(report.published && report.generation > first);
        assert!(!report.alarms.is_empty());
        assert_eq!(world.decides("default").0, "one");
        assert!(world.sweep().alarms.is_empty());
    }
}

#[test]
fn settings_of_a_repository_that_a_new_policy_refuses_are_not_put_before_it() {
    let mut world = World::new(14);
    world.upload("default", POLICY, BOTH.as_bytes());
    world.upload("repos/acme/app", SETTINGS, B.as_bytes());
    world.sweep();
    world.upload("default", POLICY, ONE.as_bytes());
    assert_eq!(world.stands("repos/acme/app"), Outcome::HeldBack);
    // Its organisation is decided for by the new one, which would be shown them for its jobs.
    assert_eq!(world.decides("orgs/acme").0, "one");
    let record = &world.document().folders[&folder("repos/acme/app")];
    assert!(record.tunes.is_empty(), "{record:?}");
    assert_eq!(world.decides("repos/acme/app").0, "both");
    assert!(!world.sweep().published);
}

#[test]
fn a_report_that_is_too_long_keeps_what_is_new_and_what_is_refused() {
    let mut world = World::new(1);
    for number in 0..5 {
        world.upload(&format!("repos/acme/r{number}"), SETTINGS, b"{}");
    }
    world.sweep();
    world.upload("repos/acme/r2", SETTINGS, b"not JSON");
    let report = world.sweep();
    assert_eq!(report.verdicts.len(), 5);
    let short = report.clone().shortened(1);
    let kept: Vec<&PolicyFolder> = short.verdicts.keys().collect();
    assert_eq!(kept, [&folder("repos/acme/r2")]);
    assert_eq!(short.left_out, 4);
    assert_eq!(report.clone().shortened(5), report);
}
