//! Who decides when a policy fails or an upload is refused, and for how long a policy is left alone.

use stoker_core::plan::{Instead, PolicyLevel};
use stoker_core::time::Timestamp;
use stoker_policy::OnFailure;
use stoker_policy::activation::paths;

use crate::fixtures::{Bench, SetUp, component, launched, situation};

#[tokio::test]
async fn what_was_good_before_decides_when_its_successor_fails() {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("launches-one"));
    assert_eq!(bench.decide(&situation(3)).await.fallback, None);
    bench.put("default/policy.wasm", component("traps"));
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
    assert_eq!(launched(&proposal), 1);
    let fallback = proposal.fallback.unwrap();
    assert_eq!(fallback.instead, Instead::Previous);
    assert_eq!(fallback.cause, "trapped");
    assert!(!fallback.alarm, "a policy's fault is its author's");
    assert!(fallback.message.contains("what was good before decided"));
    assert_ne!(fallback.digest, proposal.by.digest);
}

#[tokio::test]
async fn what_was_good_before_decides_in_a_process_that_never_saw_it_decide() {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("launches-one"));
    bench.publish().await;
    bench.put("default/policy.wasm", component("traps"));
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
    assert_eq!(proposal.fallback.unwrap().instead, Instead::Previous);
}

#[tokio::test]
async fn what_was_good_before_decides_with_the_settings_that_it_had() {
    let bench = Bench::lenient();
    let settings = |maximum: u32| format!(r#"{{"scale-up":{{"max_runners":{maximum}}}}}"#);
    bench.put("default/policy.wasm", component("default"));
    bench.put("default/settings.json", settings(2));
    assert_eq!(launched(&bench.decide(&situation(5)).await), 2);
    bench.put("default/policy.wasm", component("traps"));
    bench.put("default/settings.json", settings(4));
    let proposal = bench.decide(&situation(5)).await;
    assert_eq!(proposal.basis.settings, r#"{"max_runners":2}"#);
    assert_eq!(launched(&proposal), 2);
    assert_eq!(proposal.fallback.unwrap().instead, Instead::Previous);
}

#[tokio::test]
async fn where_the_one_before_fails_as_well_the_built_in_rules_decide_by_the_settings_of_now() {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("spins"));
    bench.publish().await;
    bench.put("default/policy.wasm", component("traps"));
    bench.put("default/settings.json", r#"{"scale-up":{"max_runners":2}}"#);
    let proposal = bench.decide(&situation(5)).await;
    assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
    assert_eq!(launched(&proposal), 2);
    let fallback = proposal.fallback.unwrap();
    assert_eq!(fallback.cause, "trapped");
    assert_eq!(fallback.instead, Instead::BuiltIn);
}

#[tokio::test]
async fn a_policy_s_failure_does_not_hide_that_the_document_was_tampered_with() {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("traps"));
    bench.publish().await;
    assert!(!bench.decide_at(0).await.fallback.unwrap().alarm);
    bench.store.tamper(paths::ACTIVE, Some(b"{}".to_vec()));
    let fallback = bench.decide_at(1_000).await.fallback.unwrap();
    assert_eq!(fallback.cause, "trapped");
    assert!(fallback.alarm, "{}", fallback.message);
    let told = &fallback.message;
    assert!(
        told.contains("besides, `active.json` is not what"),
        "{told}"
    );
}

#[tokio::test]
async fn settings_that_a_policy_refuses_leave_the_last_good_pair_in_place() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("default"));
    let settings = "default/settings.json";
    bench.put(settings, r#"{"scale-up":{"max_runners":2}}"#);
    assert_eq!(launched(&bench.decide(&situation(5)).await), 2);
    bench.put(settings, r#"{"scale-up":{"max_runner":9}}"#);
    let refusal = bench.refusal("default").await;
    assert_eq!(refusal.cause, "settings-refused");
    assert!(refusal.message.contains("max_runner"), "{refusal:?}");
    let proposal = bench.decide(&situation(5)).await;
    assert_eq!(launched(&proposal), 2, "by the settings that were good");
    assert_eq!(proposal.fallback, None);
    // Mended settings decide at once: nobody is left alone for them.
    for maximum in [4, 5] {
        let mended = format!(r#"{{"scale-up":{{"max_runners":{maximum}}}}}"#);
        bench.put(settings, mended);
        let proposal = bench.decide(&situation(9)).await;
        assert_eq!(launched(&proposal), maximum);
        assert_eq!(proposal.fallback, None);
    }
}

#[tokio::test]
async fn settings_that_can_t_be_read_leave_the_last_good_pair_in_place_even_an_empty_one() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("launches-one"));
    assert_eq!(bench.decide(&situation(3)).await.fallback, None);
    bench.put("default/settings.json", "{nonsense");
    assert_eq!(bench.refusal("default").await.cause, "settings");
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
    assert_eq!(proposal.fallback, None);
}

#[tokio::test]
async fn a_policy_that_was_withdrawn_does_not_come_back() {
    let (organization, default) = ("orgs/acme/policy.wasm", "default/policy.wasm");
    let withdrawn = async |then: &[(&str, &str)]| {
        let bench = Bench::lenient();
        bench.put(organization, component("launches-one"));
        assert_eq!(bench.decide(&situation(3)).await.fallback, None);
        bench.remove(organization);
        for (path, bytes) in then {
            let bytes = match *bytes {
                "{" => b"{".to_vec(),
                name => component(name),
            };
            bench.put(path, bytes);
        }
        bench.decide(&situation(3)).await
    };
    for (then, cause) in [
        (vec![], None),
        (vec![("default/settings.json", "{")], None),
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
    let bench = Bench::set_up(SetUp {
        on_failure: OnFailure::Hold,
        lenient: true,
        ..SetUp::default()
    });
    bench.put("default/policy.wasm", component("spins"));
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(launched(&proposal), 0);
    assert_eq!(proposal.plan.deferrals[0].jobs, [0, 1, 2]);
    assert!(proposal.plan.deferrals[0].reason.contains("out-of-fuel"));
    assert_eq!(proposal.fallback.unwrap().instead, Instead::Hold);
    // Where no policy is meant to decide, there is nothing to hold for.
    bench.remove("default/policy.wasm");
    assert_eq!(launched(&bench.decide(&situation(3)).await), 3);
}

#[tokio::test]
async fn a_policy_that_keeps_failing_for_a_scope_is_left_alone_for_five_minutes_there_alone() {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("traps"));
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
    bench.put("default/policy.wasm", component("launches-one"));
    let mut situation = situation(1);
    situation.now = Timestamp(situation.now.0 + 303);
    let proposal = bench.decide(&situation).await;
    assert_eq!(proposal.fallback, None);
}
