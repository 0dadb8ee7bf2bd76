use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::PolicyLevel;
use stoker_policy::PolicyMode;

use crate::fixtures::{Bench, component, launched, situation};

#[tokio::test]
async fn the_shipped_component_decides_as_the_built_in_rules_do() {
    let bytes = component("default");
    let by_component = Bench::new();
    by_component.store.put("default/policy.wasm", bytes.clone());
    let built_in = Bench::with(PolicyMode::BuiltIn);
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
async fn the_same_decision_costs_the_same_fuel_every_time() {
    let bench = Bench::new();
    bench.store.put("default/policy.wasm", component("default"));
    let first = bench.decide(&situation(20)).await;
    let again = bench.decide(&situation(20)).await;
    assert_eq!(first, again);
    assert!(first.by.fuel.unwrap() > 0);
}

#[tokio::test]
async fn two_thousand_jobs_stay_far_below_the_fuel_limit() {
    let bench = Bench::new();
    bench.store.put("default/policy.wasm", component("default"));
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
