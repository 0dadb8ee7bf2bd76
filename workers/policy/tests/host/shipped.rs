//! The shipped policy as a component, beside the same rules built in.

use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::PolicyLevel;
use stoker_core::ports::{ScaleDownDecider, SyncDecider};
use stoker_policy::{PolicyMode, self_check};

use crate::fixtures::{Bench, FIRST, NEVER, SetUp, component, launched, situation};

#[tokio::test]
async fn the_shipped_component_decides_as_the_built_in_rules_do() {
    let bytes = component("default");
    let by_component = Bench::new();
    by_component.put("default/policy.wasm", bytes.clone());
    let built_in = Bench::set_up(SetUp {
        mode: PolicyMode::BuiltIn,
        ..SetUp::default()
    });
    for jobs in [0, 1, 7, 25] {
        let component = by_component.decide(&situation(jobs)).await;
        let native = built_in.decide(&situation(jobs)).await;
        assert_eq!(component.fallback, None);
        assert_eq!(component.plan, native.plan);
        assert_eq!(component.by.level, PolicyLevel::Default);
        assert_eq!(component.by.digest, Some(ArtifactDigest::of(&bytes)));
        assert_eq!(native.by.level, PolicyLevel::BuiltIn);
        assert_eq!(native.by.digest, None);
    }
}

#[tokio::test]
async fn what_is_retired_and_mirrored_is_decided_by_components_as_well() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("pinned-sync"));
    bench.put("orgs/acme/policy.wasm", component("default"));
    bench.publish().await;
    let built_in = Bench::new();

    let (fleet, releases) = (situation(0), self_check::distribution(9));
    let retired = ScaleDownDecider::decide(&bench.host, &fleet, NEVER).await;
    assert_eq!(retired.by.level, PolicyLevel::Organization);
    let natively = ScaleDownDecider::decide(&built_in.host, &fleet, NEVER).await;
    assert_eq!(retired.plan, natively.plan);

    let mirrored = SyncDecider::decide(&bench.host, &releases, NEVER).await;
    assert_eq!(mirrored.by.level, PolicyLevel::Default);
    assert!(!mirrored.plan.mirror.is_empty());
    let natively = SyncDecider::decide(&built_in.host, &releases, NEVER).await;
    assert_eq!(mirrored.plan, natively.plan);
    assert_eq!(mirrored.by.generation, Some(FIRST));
    assert_eq!((retired.fallback, mirrored.fallback), (None, None));
}

#[tokio::test]
async fn the_same_decision_costs_the_same_fuel_every_time() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("default"));
    let first = bench.decide(&situation(20)).await;
    let again = bench.decide(&situation(20)).await;
    assert_eq!(first, again);
    assert!(first.by.fuel.unwrap() > 0);
}

#[tokio::test]
async fn two_thousand_jobs_stay_far_below_the_fuel_limit() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("default"));
    let proposal = bench.decide(&situation(2_000)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(launched(&proposal), 10);
    let limit = stoker_policy::SizeClass::Small.limits().fuel(2_000);
    assert!(proposal.by.fuel.unwrap() < limit / 5);
}

#[tokio::test]
async fn without_a_policy_the_built_in_rules_decide_and_that_is_no_fallback() {
    let bench = Bench::new();
    let proposal = bench.decide(&situation(2)).await;
    assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
    assert_eq!(proposal.fallback, None);
    assert_eq!(launched(&proposal), 2);
}
