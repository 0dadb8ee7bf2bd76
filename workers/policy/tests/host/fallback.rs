//! Who decides when a policy fails, and for how long it is left alone.

use stoker_core::plan::{Instead, PolicyLevel};
use stoker_core::time::Timestamp;
use stoker_policy::{OnFailure, PolicyMode};

use crate::fixtures::{Bench, component, launched, situation};

#[tokio::test]
async fn what_was_good_before_decides_when_its_successor_fails() {
    let bench = Bench::new();
    bench
        .store
        .put("default/policy.wasm", component("launches-one"));
    assert_eq!(bench.decide(&situation(3)).await.fallback, None);
    bench.store.put("default/policy.wasm", component("traps"));
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
    assert_eq!(launched(&proposal), 1);
    let fallback = proposal.fallback.unwrap();
    assert_eq!(fallback.instead, Instead::Previous);
    assert_eq!(fallback.cause, "trapped");
    assert!(fallback.message.contains("what was good before decided"));
    assert_ne!(fallback.digest, proposal.by.digest);
}

#[tokio::test]
async fn settings_that_a_policy_refuses_leave_the_last_good_pair_in_place() {
    let bench = Bench::new();
    bench.store.put("default/policy.wasm", component("default"));
    let settings = "default/settings.json";
    bench
        .store
        .put(settings, r#"{"scale-up":{"max_runners":2}}"#);
    assert_eq!(launched(&bench.decide(&situation(5)).await), 2);
    bench
        .store
        .put(settings, r#"{"scale-up":{"max_runner":9}}"#);
    let proposal = bench.decide(&situation(5)).await;
    assert_eq!(launched(&proposal), 2, "by the settings that were good");
    let fallback = proposal.fallback.unwrap();
    assert_eq!(fallback.cause, "settings-refused");
    assert!(
        fallback.message.contains("max_runner"),
        "{}",
        fallback.message
    );
    // Mended settings decide at once: nobody is left alone for them.
    for maximum in [4, 5] {
        let mended = format!(r#"{{"scale-up":{{"max_runners":{maximum}}}}}"#);
        bench.store.put(settings, mended);
        let proposal = bench.decide(&situation(9)).await;
        assert_eq!(launched(&proposal), maximum);
        assert_eq!(proposal.fallback, None);
    }
}

#[tokio::test]
async fn settings_that_can_t_be_read_leave_the_last_good_pair_in_place_even_an_empty_one() {
    let bench = Bench::new();
    bench
        .store
        .put("default/policy.wasm", component("launches-one"));
    assert_eq!(bench.decide(&situation(3)).await.fallback, None);
    bench.store.put("default/settings.json", "{nonsense");
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
    let fallback = proposal.fallback.unwrap();
    assert_eq!(fallback.cause, "settings");
    assert_eq!(fallback.instead, Instead::Previous);
}

#[tokio::test]
async fn a_policy_that_was_withdrawn_does_not_come_back() {
    let (organization, default) = ("orgs/acme/policy.wasm", "default/policy.wasm");
    let withdrawn = async |then: &[(&str, &str)]| {
        let bench = Bench::new();
        bench.store.put(organization, component("launches-one"));
        assert_eq!(bench.decide(&situation(3)).await.fallback, None);
        bench.store.remove(organization);
        for (path, bytes) in then {
            let bytes = match *bytes {
                "{" => b"{".to_vec(),
                name => component(name),
            };
            bench.store.put(path, bytes);
        }
        bench.decide(&situation(3)).await
    };
    for (then, cause) in [
        (vec![], None),
        (vec![("default/settings.json", "{")], Some("settings")),
        (vec![(default, "traps")], Some("trapped")),
        (vec![(organization, "only-about")], None),
        (
            vec![(organization, "only-about"), (default, "traps")],
            Some("trapped"),
        ),
    ] {
        let proposal = withdrawn(&then).await;
        assert_eq!(proposal.by.level, PolicyLevel::BuiltIn, "{then:?}");
        let found = proposal.fallback.map(|fallback| fallback.cause);
        assert_eq!(found.as_deref(), cause, "{then:?}");
    }
}

#[tokio::test]
async fn where_the_operator_wants_it_nothing_is_done_and_every_job_has_the_reason() {
    let bench = Bench::failing(PolicyMode::Policies, OnFailure::Hold);
    bench.store.put("default/policy.wasm", component("spins"));
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(launched(&proposal), 0);
    assert_eq!(proposal.plan.deferrals[0].jobs, [0, 1, 2]);
    assert!(proposal.plan.deferrals[0].reason.contains("out-of-fuel"));
    assert_eq!(proposal.fallback.unwrap().instead, Instead::Hold);
    // Where no policy is meant to decide, there is nothing to hold for.
    bench.store.remove("default/policy.wasm");
    assert_eq!(launched(&bench.decide(&situation(3)).await), 3);
}

#[tokio::test]
async fn a_policy_that_keeps_failing_for_a_scope_is_left_alone_for_five_minutes_there_alone() {
    let bench = Bench::new();
    bench.store.put("default/policy.wasm", component("traps"));
    let cause = async |scope: &str, later: u64| {
        let mut situation = situation(1);
        scope.clone_into(&mut situation.scope.owner);
        situation.now = Timestamp(situation.now.0 + later);
        let proposal = bench.decide(&situation).await;
        assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
        assert_eq!(launched(&proposal), 1);
        proposal.fallback.unwrap()
    };
    for _ in 0..3 {
        assert_eq!(cause("acme", 0).await.cause, "trapped");
    }
    let alone = cause("acme", 10).await;
    assert_eq!(alone.cause, "quarantined");
    assert!(
        alone.message.contains("failed 3 times in a row"),
        "{}",
        alone.message
    );
    assert!(
        alone.message.contains("in 290 seconds"),
        "{}",
        alone.message
    );
    assert!(alone.message.contains("trapped"), "{}", alone.message);
    assert_eq!(cause("other", 10).await.cause, "trapped");
    assert_eq!(cause("acme", 301).await.cause, "trapped");
    assert_eq!(cause("acme", 302).await.cause, "quarantined");
    // Another policy in its place is another matter.
    bench
        .store
        .put("default/policy.wasm", component("launches-one"));
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
}
