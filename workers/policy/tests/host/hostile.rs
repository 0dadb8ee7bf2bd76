use crate::fixtures::{Bench, component, launched, situation};

/// What the host says of a component as the default policy, having decided all the same.
async fn fallback(bytes: Vec<u8>) -> (String, String) {
    let bench = Bench::new();
    bench.store.put("default/policy.wasm", bytes);
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(launched(&proposal), 3, "the built-in rules decide");
    let fallback = proposal.fallback.expect("a fallback with its reason");
    assert!(fallback.digest.is_some());
    (fallback.cause, fallback.message)
}

#[tokio::test]
async fn every_hostile_policy_is_survived_with_its_reason() {
    let cases = [
        ("spins", "out-of-fuel", "fuel"),
        ("traps", "trapped", "unreachable"),
        ("eats-memory", "out-of-memory", "bytes of memory"),
        ("recurses", "stack-overflow", "stack"),
        ("hands-back-megabytes", "bad-output", "scale-up"),
        ("names-nothing", "bad-output", "pending job 4294967295"),
        ("refuses", "refused", "acme is closed today"),
    ];
    for (name, cause, words) in cases {
        let (found, message) = fallback(component(name)).await;
        assert_eq!(found, cause, "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
        assert!(message.contains("the built-in rules decided"), "{message}");
    }
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    for bytes in [
        b"not wasm at all".to_vec(),
        Vec::new(),
        wat::parse_str("(module)").unwrap(),
        component("default")[..20_000].to_vec(),
    ] {
        assert_eq!(fallback(bytes).await.0, "not-a-component");
    }
}

#[tokio::test]
async fn a_component_of_another_world_is_refused() {
    let (cause, message) = fallback(wat::parse_str("(component)").unwrap()).await;
    assert_eq!(cause, "wrong-world");
    assert!(message.contains("stoker:policy/about"), "{message}");
}

#[tokio::test]
async fn an_import_that_policies_do_not_get_is_refused_by_name() {
    let wants_http = r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance
        (export "handle" (func)))))"#;
    let (cause, message) = fallback(wat::parse_str(wants_http).unwrap()).await;
    assert_eq!(cause, "forbidden-import");
    assert!(message.contains("wasi:http/outgoing-handler"), "{message}");
}

#[tokio::test]
async fn a_component_that_is_too_large_is_refused_before_it_is_looked_at() {
    let (cause, message) = fallback(vec![0; (1 << 20) + 1]).await;
    assert_eq!(cause, "too-large");
    assert!(message.contains("POLICY_SIZE_CLASS"), "{message}");
}

#[tokio::test]
async fn control_characters_of_a_policy_never_get_through() {
    let bench = Bench::new();
    let bytes = component("writes-control-characters");
    bench.store.put("default/policy.wasm", bytes);
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(
        proposal.plan.deferrals[0].reason,
        "\\u{1b}[2Jall is well\\nreally"
    );
}

#[tokio::test]
async fn a_policy_that_failed_is_tried_again_and_one_that_works_is_taken_up() {
    let bench = Bench::new();
    bench.store.put("default/policy.wasm", component("traps"));
    assert!(bench.decide(&situation(1)).await.fallback.is_some());
    assert!(bench.decide(&situation(1)).await.fallback.is_some());
    bench
        .store
        .put("default/policy.wasm", component("launches-nothing"));
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.by.policy, "launches-nothing 1.0.0");
}
