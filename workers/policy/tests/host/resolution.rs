//! Whose policy and whose settings decide.

use stoker_core::plan::PolicyLevel;

use crate::fixtures::{Bench, component, launched, situation};

#[tokio::test]
async fn the_organisation_s_policy_goes_before_the_default() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("default"));
    bench.put("orgs/acme/policy.wasm", component("launches-nothing"));
    let proposal = bench.decide(&situation(2)).await;
    assert_eq!(proposal.by.level, PolicyLevel::Organization);
    assert_eq!(launched(&proposal), 0);

    bench.remove("orgs/acme/policy.wasm");
    let proposal = bench.decide(&situation(2)).await;
    assert_eq!(proposal.by.level, PolicyLevel::Default);
    assert_eq!(launched(&proposal), 2);
}

#[tokio::test]
async fn a_policy_that_takes_no_such_decision_leaves_it_to_the_broader_level() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("launches-one"));
    bench.put("orgs/acme/policy.wasm", component("only-about"));
    let proposal = bench.decide(&situation(2)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.by.level, PolicyLevel::Default);
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
}

#[tokio::test]
async fn settings_reach_the_policy_merged_and_bad_ones_are_named() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("default"));
    bench.put(
        "default/settings.json",
        r#"{"scale-up":{"max_runners":1,"capacity":"on-demand"}}"#,
    );
    assert_eq!(launched(&bench.decide(&situation(5)).await), 1);
    bench.put(
        "orgs/acme/settings.json",
        r#"{"scale-up":{"max_runners":2}}"#,
    );
    let proposal = bench.decide(&situation(5)).await;
    assert_eq!(launched(&proposal), 2);
    assert_eq!(
        proposal.plan.launches[0].capacity,
        stoker_core::class::Capacity::OnDemand
    );

    bench.put("orgs/acme/settings.json", "{nonsense");
    let refusal = bench.refusal("orgs/acme").await;
    assert_eq!(refusal.cause, "settings");
    assert!(
        refusal.message.contains("orgs/acme/settings.json"),
        "{refusal:?}"
    );
    let proposal = bench.decide(&situation(5)).await;
    assert_eq!(launched(&proposal), 2, "by those that were good");
    assert_eq!(proposal.fallback, None);
}

#[tokio::test]
async fn a_repository_s_folder_tunes_its_organisation_s_policy_for_its_jobs() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("notes-settings"));
    bench.put("default/settings.json", r#"{"scale-up":{"a":1,"b":1}}"#);
    bench.put("repos/acme/app/settings.json", r#"{"scale-up":{"b":2}}"#);
    bench.put("repos/acme/elsewhere/settings.json", "not even JSON");
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(
        proposal.plan.notes,
        [r#"scope {"a":1,"b":1}"#, r#"app Some("{\"a\":1,\"b\":2}")"#]
    );
    assert_eq!(proposal.basis.settings, r#"{"a":1,"b":1}"#);
    assert_eq!(proposal.basis.repository_settings[&0], r#"{"a":1,"b":2}"#);

    // One repository's mistake is its own, and leaves its last good settings in place.
    bench.put("repos/acme/app/settings.json", "[]");
    for mistaken in ["repos/acme/app", "repos/acme/elsewhere"] {
        assert_eq!(bench.refusal(mistaken).await.cause, "settings");
    }
    let after = bench.decide(&situation(1)).await;
    assert_eq!(after.fallback, None);
    assert_eq!(after.plan, proposal.plan);

    bench.remove("repos/acme/app/settings.json");
    bench.put("repos/acme/app/policy.wasm", component("launches-one"));
    let proposal = bench.decide(&situation(1)).await;
    let told = &proposal.plan.notes[0];
    assert!(told.contains("app has a policy of its own"), "{told}");
}

#[tokio::test]
async fn a_repository_that_is_a_scope_is_decided_by_its_own_folder_first() {
    let bench = Bench::new();
    bench.put("orgs/acme/policy.wasm", component("launches-nothing"));
    bench.put("repos/acme/app/policy.wasm", component("launches-one"));
    let mut situation = situation(2);
    for (repository, policy) in [("app", "launches-one"), ("other", "launches-nothing")] {
        situation.scope.repository = Some(repository.to_owned());
        let proposal = bench.decide(&situation).await;
        assert_eq!(proposal.by.policy, format!("{policy} 1.0.0"));
        assert_eq!(proposal.fallback, None);
    }
}

#[tokio::test]
async fn a_stock_of_idle_runners_is_for_the_scope_in_whose_folder_it_is_declared() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("notes-settings"));
    let settings = r#"{"scale-up":{"idle":[1],"a":1}}"#;
    bench.put("orgs/acme/settings.json", settings);
    let mut situation = situation(1);
    for (repository, settings) in [(None, r#"{"a":1,"idle":[1]}"#), (Some("app"), r#"{"a":1}"#)] {
        situation.scope.repository = repository.map(str::to_owned);
        let proposal = bench.decide(&situation).await;
        assert_eq!(proposal.basis.settings, settings);
        let told = &proposal.plan.notes[0];
        let is_told = told.contains("only where it is declared");
        assert_eq!(is_told, repository.is_some(), "{told}");
    }
}

#[tokio::test]
async fn a_policy_is_told_the_time_in_the_zones_that_it_asks_for() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("asks-for-the-time"));
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(
        proposal.plan.notes,
        ["Europe/Berlin 9:01 +60", "America/New_York 3:01 -300"]
    );
    assert_eq!(proposal.basis.zones.len(), 2, "recorded for a replay");
}
