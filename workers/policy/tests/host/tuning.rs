//! What repositories set for their own jobs: it reaches whoever decides, and costs nobody else anything.

use std::collections::BTreeMap;

use stoker_core::plan::{Instead, PolicyLevel, Proposal};
use stoker_core::ports::ScaleUpDecider;
use stoker_core::situation::Situation;
use stoker_intake::RepositoryId;
use stoker_policy::Decision;
use stoker_policy::activation::{Activation, paths};
use stoker_policy::artifact::PublicKeys;

use crate::fixtures::{Bench, NEVER, component, deployment, launched, situation};

/// One job of the first of so many repositories `r0`, `r1`, … waits.
fn repositories(count: usize) -> Situation {
    let mut situation = situation(1);
    let one = situation.repositories[0].clone();
    situation.repositories = (0..count)
        .map(|place| {
            let mut repository = one.clone();
            repository.name = format!("r{place}");
            repository.id = RepositoryId::new(7 + u64::try_from(place).unwrap());
            repository
        })
        .collect();
    situation
}

/// A bench on which a policy that does what its settings say decides.
fn minding() -> Bench {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("minds-its-settings"));
    bench
}

fn set(bench: &Bench, repository: usize, settings: &str) {
    bench.put(
        &format!("repos/acme/r{repository}/settings.json"),
        format!(r#"{{"scale-up":{settings}}}"#),
    );
}

fn notes_with<'a>(proposal: &'a Proposal, words: &str) -> Vec<&'a String> {
    let notes = proposal.plan.notes.iter();
    notes.filter(|note| note.contains(words)).collect()
}

#[tokio::test]
async fn what_a_policy_refuses_of_one_repository_is_told_to_that_one_alone() {
    let bench = minding();
    set(&bench, 0, r#"{"spin":true}"#);
    set(&bench, 1, r#"{"refuse":true}"#);
    set(&bench, 2, r#"{"fine":true}"#);
    let spinning = bench.refusal("repos/acme/r0").await;
    assert_eq!(spinning.cause, "out-of-fuel");
    let refused = bench.refusal("repos/acme/r1").await;
    assert_eq!(refused.cause, "settings-refused");
    assert!(refused.message.contains("as you wish"), "{refused:?}");
    let proposal = bench.decide(&repositories(3)).await;
    assert_eq!(proposal.fallback, None);
    let accepted: Vec<&usize> = proposal.basis.repository_settings.keys().collect();
    assert_eq!(accepted, [&2]);
    assert_eq!(proposal.plan.notes, [""; 0]);
}

#[tokio::test]
async fn a_thousand_repositories_with_settings_are_shown_in_one_decision() {
    let bench = minding();
    for repository in 0..1_000 {
        set(&bench, repository, &format!(r#"{{"n":{repository}}}"#));
    }
    let proposal = bench.decide(&repositories(1_000)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.basis.repository_settings.len(), 1_000);
    assert_eq!(proposal.plan.notes, [""; 0]);
}

#[tokio::test]
async fn a_policy_is_told_the_time_in_the_zones_of_all_repositories_after_its_scope_s_own() {
    let bench = minding();
    bench.put(
        "default/settings.json",
        r#"{"scale-up":{"zones":"Europe/Berlin UTC"}}"#,
    );
    set(&bench, 0, r#"{"zones":"Asia/Tokyo UTC"}"#);
    set(&bench, 1, r#"{"zones":"Europe/Atlantis Asia/Seoul"}"#);
    let many: Vec<String> = (1..=12)
        .flat_map(|hours| [format!("Etc/GMT+{hours}"), format!("Etc/GMT-{hours}")])
        .collect();
    set(&bench, 2, &format!(r#"{{"zones":"{}"}}"#, many.join(" ")));
    set(&bench, 3, r#"{"zones":"Asia/Kolkata"}"#);
    let proposal = bench.decide(&repositories(4)).await;
    assert_eq!(proposal.fallback, None);
    let zones: Vec<&str> = proposal
        .basis
        .zones
        .iter()
        .map(|z| z.zone.as_str())
        .collect();
    assert_eq!(
        zones,
        ["Europe/Berlin", "UTC", "Asia/Tokyo", "Asia/Kolkata"]
    );
    let accepted: Vec<&usize> = proposal.basis.repository_settings.keys().collect();
    assert_eq!(accepted, [&0, &3]);
    let atlantis = bench.refusal("repos/acme/r1").await;
    assert_eq!(atlantis.cause, "unknown-zone");
    let [many] = notes_with(&proposal, "the repository r2 are left aside")[..] else {
        panic!("{:?}", proposal.plan.notes);
    };
    assert!(many.contains("told in 27, and 24"), "{many}");
}

#[tokio::test]
async fn settings_of_repositories_bring_the_fuel_to_read_them() {
    let bench = minding();
    for repository in 0..100 {
        set(&bench, repository, r#"{"work":true}"#);
    }
    let proposal = bench.decide(&repositories(100)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.basis.repository_settings.len(), 100);
    let without = stoker_policy::SizeClass::Small.limits().fuel(1);
    assert!(proposal.by.fuel.unwrap() > without, "{:?}", proposal.by);
}

#[tokio::test]
async fn a_decision_that_fails_with_the_settings_of_repositories_is_taken_without_them() {
    let bench = minding();
    set(&bench, 0, r#"{"trap":true}"#);
    set(&bench, 1, r#"{"fine":true}"#);
    // More often than a failure is borne.
    for _ in 0..5 {
        let proposal = bench.decide(&repositories(2)).await;
        assert_eq!(proposal.fallback, None);
        assert_eq!(proposal.by.policy, "minds-its-settings 1.0.0");
        assert_eq!(proposal.basis.repository_settings, BTreeMap::new());
        let told = &proposal.plan.notes[0];
        assert!(
            told.contains("of all repositories are left aside"),
            "{told}"
        );
        assert!(told.contains("trapped in `scale-up`"), "{told}");
    }
    set(&bench, 0, r#"{"fine":true}"#);
    let proposal = bench.decide(&repositories(2)).await;
    assert_eq!(proposal.basis.repository_settings.len(), 2);
    assert_eq!(proposal.plan.notes, [""; 0]);
}

#[tokio::test]
async fn settings_of_a_repository_that_were_tampered_with_are_left_aside_and_an_alarm() {
    let bench = minding();
    set(&bench, 0, r#"{"fine":true}"#);
    set(&bench, 1, r#"{"fine":false}"#);
    bench.publish().await;
    let active = bench.store.object(paths::ACTIVE).unwrap();
    let keys = PublicKeys::new([bench.signer.key()]);
    let active = Activation::verify(&keys, &deployment(), &active).unwrap();
    let theirs = &active.document().folders[&"repos/acme/r1".parse().unwrap()];
    let path = paths::settings(&theirs.tunes[&Decision::ScaleUp].digest);
    bench
        .store
        .tamper(&path, Some(br#"{"trap":true}"#.to_vec()));
    let proposal = ScaleUpDecider::decide(&bench.cold(), &repositories(2), NEVER).await;
    let fallback = proposal.fallback.as_ref().unwrap();
    assert!(fallback.alarm);
    assert_eq!(fallback.cause, "tampered");
    assert_eq!(fallback.instead, Instead::LeftAside);
    assert!(
        fallback.message.contains("the repository r1"),
        "{fallback:?}"
    );
    assert_eq!(proposal.by.policy, "minds-its-settings 1.0.0");
    let used: Vec<&usize> = proposal.basis.repository_settings.keys().collect();
    assert_eq!(used, [&0]);
}

#[tokio::test]
async fn a_policy_that_fails_with_and_without_the_settings_of_repositories_has_failed() {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("traps"));
    set(&bench, 0, r#"{"fine":true}"#);
    let fallback = bench.decide(&repositories(1)).await.fallback.unwrap();
    assert_eq!(fallback.cause, "trapped");
    assert_eq!(fallback.instead, Instead::BuiltIn);
}

#[tokio::test]
async fn the_host_s_notes_are_kept_however_much_a_policy_writes_down() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("forges-log-lines"));
    set(&bench, 0, r#"{"idle":[{"class":"linux","count":1}]}"#);
    bench.put("repos/acme/r1/policy.wasm", component("launches-one"));
    let proposal = bench.decide(&repositories(2)).await;
    let notes = &proposal.plan.notes;
    assert_eq!(notes.len(), 50);
    assert!(notes[0].contains("r1 has a policy of its own"), "{notes:?}");
    assert!(notes[1].contains("`idle` in repos/acme/r0/settings.json is left aside"));
}

#[tokio::test]
async fn the_built_in_rules_decide_by_the_settings_of_repositories_as_well() {
    let bench = Bench::new();
    bench.put("default/settings.json", r#"{"scale-up":{"max_runners":9}}"#);
    set(&bench, 0, r#"{"max_runners":2}"#);
    set(&bench, 1, r#"{"max_runner":2}"#);
    let mut situation = situation(5);
    situation.repositories = repositories(2).repositories;
    let proposal = bench.decide(&situation).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
    assert_eq!(launched(&proposal), 2, "{:?}", proposal.plan);
    let accepted: Vec<&usize> = proposal.basis.repository_settings.keys().collect();
    assert_eq!(accepted, [&0]);
    let refused = bench.refusal("repos/acme/r1").await;
    assert!(refused.message.contains("max_runner"), "{refused:?}");
}

#[tokio::test]
async fn settings_of_a_failed_policy_that_the_built_in_rules_don_t_understand_are_left_aside() {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("traps"));
    bench.put("default/settings.json", r#"{"scale-up":{"theirs":9}}"#);
    let proposal = bench.decide(&repositories(1)).await;
    assert_eq!(launched(&proposal), 1);
    assert_eq!(proposal.basis.settings, "{}");
    let [told] = &proposal.plan.notes[..] else {
        panic!("{:?}", proposal.plan.notes);
    };
    assert!(
        told.starts_with("the built-in rules leave the settings aside"),
        "{told}"
    );
}
