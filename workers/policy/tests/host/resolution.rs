use stoker_core::plan::PolicyLevel;
use stoker_policy::PolicyMode;

use crate::fixtures::{Bench, component, launched, situation};

#[tokio::test]
async fn the_organisation_s_policy_goes_before_the_default() {
    let bench = Bench::new();
    bench.store.put("default/policy.wasm", component("default"));
    bench
        .store
        .put("orgs/acme/policy.wasm", component("launches-nothing"));
    let proposal = bench.decide(&situation(2)).await;
    assert_eq!(proposal.by.level, PolicyLevel::Organization);
    assert_eq!(launched(&proposal), 0);

    bench.store.remove("orgs/acme/policy.wasm");
    let proposal = bench.decide(&situation(2)).await;
    assert_eq!(proposal.by.level, PolicyLevel::Default);
    assert_eq!(launched(&proposal), 2);
}

#[tokio::test]
async fn a_policy_that_takes_no_such_decision_leaves_it_to_the_broader_level() {
    let bench = Bench::new();
    bench
        .store
        .put("default/policy.wasm", component("launches-one"));
    bench
        .store
        .put("orgs/acme/policy.wasm", component("only-about"));
    let proposal = bench.decide(&situation(2)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.by.level, PolicyLevel::Default);
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
}

#[tokio::test]
async fn settings_reach_the_policy_merged_and_bad_ones_are_named() {
    let bench = Bench::new();
    bench.store.put("default/policy.wasm", component("default"));
    bench.store.put(
        "default/settings.json",
        r#"{"scale-up":{"max_runners":1,"capacity":"on-demand"}}"#,
    );
    assert_eq!(launched(&bench.decide(&situation(5)).await), 1);
    bench.store.put(
        "orgs/acme/settings.json",
        r#"{"scale-up":{"max_runners":2}}"#,
    );
    let proposal = bench.decide(&situation(5)).await;
    assert_eq!(launched(&proposal), 2);
    assert_eq!(
        proposal.plan.launches[0].capacity,
        stoker_core::class::Capacity::OnDemand
    );

    bench.store.put("orgs/acme/settings.json", "{nonsense");
    let fallback = bench.decide(&situation(5)).await.fallback.unwrap();
    assert_eq!(fallback.cause, "settings");
    assert!(
        fallback.message.contains("orgs/acme/settings.json"),
        "{}",
        fallback.message
    );
}

#[tokio::test]
async fn a_repository_s_folder_tunes_its_organisation_s_policy_for_its_jobs() {
    let bench = Bench::new();
    bench
        .store
        .put("default/policy.wasm", component("notes-settings"));
    bench
        .store
        .put("default/settings.json", r#"{"scale-up":{"a":1,"b":1}}"#);
    bench
        .store
        .put("repos/acme/app/settings.json", r#"{"scale-up":{"b":2}}"#);
    bench
        .store
        .put("repos/acme/elsewhere/settings.json", "not even JSON");
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(
        proposal.plan.notes,
        [r#"scope {"a":1,"b":1}"#, r#"app Some("{\"a\":1,\"b\":2}")"#]
    );
    assert_eq!(proposal.basis.settings, r#"{"a":1,"b":1}"#);
    assert_eq!(proposal.basis.repository_settings[&0], r#"{"a":1,"b":2}"#);

    bench.store.put("repos/acme/app/settings.json", "[]");
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(
        proposal.fallback, None,
        "one repository's mistake is its own"
    );
    let left_aside = &proposal.plan.notes[0];
    assert!(
        left_aside.starts_with("repos/acme/app/settings.json is left aside"),
        "{left_aside}"
    );

    bench
        .store
        .put("repos/acme/app/policy.wasm", component("launches-one"));
    let proposal = bench.decide(&situation(1)).await;
    let told = &proposal.plan.notes[0];
    assert!(told.contains("app has a policy of its own"), "{told}");
}

#[tokio::test]
async fn a_policy_is_told_the_time_in_the_zones_that_it_asks_for() {
    let bench = Bench::new();
    bench
        .store
        .put("default/policy.wasm", component("asks-for-the-time"));
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(
        proposal.plan.notes,
        ["Europe/Berlin 9:00 +60", "America/New_York 3:00 -300"]
    );
    assert_eq!(proposal.basis.zones.len(), 2, "recorded for a replay");
}

#[tokio::test]
async fn a_store_that_is_down_is_survived_first_by_what_was_read_then_by_the_built_in_rules() {
    let bench = Bench::new();
    bench
        .store
        .put("default/policy.wasm", component("launches-nothing"));
    assert_eq!(bench.decide(&situation(1)).await.fallback, None);
    bench.store.set_down(true);
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.by.policy, "launches-nothing 1.0.0");
    assert_eq!(proposal.fallback.unwrap().cause, "policy-store");
    bench.store.set_down(false);
    assert_eq!(bench.decide(&situation(1)).await.fallback, None);

    let cold = Bench::new();
    cold.store.set_down(true);
    let proposal = cold.decide(&situation(1)).await;
    assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
    assert_eq!(proposal.fallback.unwrap().cause, "policy-store");
}

#[tokio::test]
async fn the_glass_to_break_reads_no_policy_at_all() {
    let bench = Bench::with(PolicyMode::BuiltIn);
    bench
        .store
        .put("default/policy.wasm", component("launches-nothing"));
    bench.store.set_down(true);
    let proposal = bench.decide(&situation(4)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(launched(&proposal), 4);
}
