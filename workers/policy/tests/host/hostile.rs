//! Hostile policies: what admission makes of them, and what a decision survives if they get that far.

use stoker_admission::Outcome;
use stoker_core::guardrails::clamp;
use stoker_core::limits::Guards;
use stoker_core::plan::{PolicyLevel, Proposal};

use crate::fixtures::{Bench, component, launched, situation};

/// What the host says of a component that got in as the default policy, having decided all the same.
async fn fallback(bytes: Vec<u8>) -> (String, String) {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", bytes);
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(launched(&proposal), 3, "the built-in rules decide");
    let fallback = proposal.fallback.expect("a fallback with its reason");
    assert!(fallback.digest.is_some());
    (fallback.cause, fallback.message)
}

/// Why admission refuses a component as the default policy, of which no decision gets to know.
async fn refused(bytes: Vec<u8>) -> (String, String) {
    let bench = Bench::new();
    bench.put("default/policy.wasm", bytes);
    let refusal = bench.refusal("default").await;
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
    assert_eq!(launched(&proposal), 3);
    assert_eq!(proposal.fallback, None);
    (refusal.cause, refusal.message)
}

/// How each of the tests' policies fails, and words of the reason.
const FAILING: [(&str, &str, &str); 7] = [
    ("spins", "out-of-fuel", "fuel"),
    ("traps", "trapped", "unreachable"),
    ("eats-memory", "out-of-memory", "bytes of memory"),
    ("recurses", "stack-overflow", "stack"),
    ("hands-back-megabytes", "bad-output", "scale-up"),
    ("names-nothing", "bad-output", "pending job 4294967295"),
    ("shouts", "logged-too-much", "bytes in `scale-up`"),
];

#[tokio::test]
async fn every_hostile_policy_is_survived_with_its_reason() {
    let refuses = ("refuses", "refused", "acme is closed today");
    for (name, cause, words) in FAILING.into_iter().chain([refuses]) {
        let (found, message) = fallback(component(name)).await;
        assert_eq!(found, cause, "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
        assert!(message.contains("the built-in rules decided"), "{message}");
    }
}

#[tokio::test]
async fn every_hostile_policy_is_refused_by_admission_for_the_same_reason() {
    let atlantis = ("asks-for-atlantis", "unknown-zone", "Europe/Atlantis");
    for (name, cause, words) in FAILING.into_iter().chain([atlantis]) {
        let (found, message) = refused(component(name)).await;
        assert_eq!(found, cause, "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
    }
}

#[tokio::test]
async fn a_policy_that_refuses_to_decide_may_be_right_and_is_admitted() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("refuses"));
    assert_eq!(bench.verdict("default").await.outcome, Outcome::Active);
}

#[tokio::test]
async fn absurd_counts_are_clamped_to_what_the_operator_allows() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("wants-billions"));
    let situation = situation(3);
    let proposal = bench.decide(&situation).await;
    assert_eq!(proposal.fallback, None);
    assert!(launched_in_all(&proposal) > 4_000_000_000);
    let granted = clamp(&proposal.plan, &situation, &Guards::default());
    let all: u32 = granted.launches().iter().map(|launch| launch.count).sum();
    assert_eq!(all, situation.headroom.runners_left);
    let edits = granted.edits();
    assert!(!edits.is_empty() && edits.len() < 10, "{edits:?}");
}

#[tokio::test]
async fn a_plan_that_names_every_job_thousands_of_times_is_no_more_work_than_one_that_names_it_once()
 {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("repeats-itself"));
    let proposal = bench.decide(&situation(3)).await;
    assert_eq!(proposal.fallback, None);
    let deferrals = &proposal.plan.deferrals;
    assert_eq!(deferrals.len(), 1);
    assert_eq!(deferrals[0].jobs, [0, 1, 2]);
    let note = &proposal.plan.notes[0];
    assert!(note.contains("14997 times"), "{note}");
}

#[tokio::test]
async fn a_component_with_a_flipped_bit_decides_or_is_refused_and_never_stops_a_decision() {
    let whole = component("launches-one");
    let mut refused = 0;
    for place in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        let bench = Bench::lenient();
        bench.put("default/policy.wasm", bytes);
        let verdict = bench.verdict("default").await;
        let proposal = bench.decide(&situation(3)).await;
        if verdict.outcome == Outcome::Refused {
            refused += 1;
            assert!(!verdict.problems[0].cause.is_empty());
            assert_eq!(proposal.fallback, None);
        }
        if proposal.by.level == PolicyLevel::BuiltIn {
            assert_eq!(launched(&proposal), 3);
        } else {
            assert_eq!(proposal.fallback, None);
            assert!(proposal.by.digest.is_some());
        }
    }
    assert!(refused > 10, "{refused}");
}

fn launched_in_all(proposal: &Proposal) -> u64 {
    let counts = proposal.plan.launches.iter().map(|l| u64::from(l.count));
    counts.sum()
}

#[tokio::test]
async fn a_policy_that_uses_the_file_system_or_the_network_for_real_traps_by_name() {
    for (name, import) in [
        ("reads-files", "wasi:filesystem/preopens@0.2.0"),
        ("opens-sockets", "wasi:sockets/instance-network@0.2.0"),
    ] {
        let (cause, message) = fallback(component(name)).await;
        assert_eq!(cause, "called-a-stub", "{message}");
        assert!(message.contains(import), "{message}");
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
        assert_eq!(refused(bytes).await.0, "not-a-component");
    }
}

#[tokio::test]
async fn a_component_of_another_world_is_refused() {
    let (cause, message) = refused(wat::parse_str("(component)").unwrap()).await;
    assert_eq!(cause, "wrong-world");
    assert!(message.contains("stoker:policy/about"), "{message}");
}

#[tokio::test]
async fn an_import_that_policies_do_not_get_is_refused_by_name() {
    let wants_http = r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance
        (export "handle" (func)))))"#;
    let (cause, message) = refused(wat::parse_str(wants_http).unwrap()).await;
    assert_eq!(cause, "forbidden-import");
    assert!(message.contains("wasi:http/outgoing-handler"), "{message}");
}

#[tokio::test]
async fn what_a_refusal_quotes_of_a_component_is_one_short_line() {
    let name = format!("a\nb\u{1b}[2J{}", "c".repeat(5_000));
    let plain = format!("wasi:http/{}@0.2.0", "d".repeat(5_000));
    for wat in [
        format!(r#"(component (import "{}" (func)))"#, name.escape_default()),
        format!(r#"(component (import "{plain}" (instance (export "f" (func)))))"#),
        format!(
            r#"(component (instance (export "stoker:policy/about@9.0.0-{}")))"#,
            "9".repeat(5_000)
        ),
    ] {
        let (cause, message) = refused(wat::parse_str(&wat).unwrap()).await;
        assert!(!message.contains(char::is_control), "{cause}: {message:?}");
        assert!(message.len() < 1_000, "{cause}: {message}");
    }
}

#[tokio::test]
async fn a_component_that_is_too_large_is_refused_before_it_is_looked_at() {
    let (cause, message) = refused(vec![0; (1 << 20) + 1]).await;
    assert_eq!(cause, "too-large");
    assert!(message.contains("POLICY_SIZE_CLASS"), "{message}");
}

#[tokio::test]
async fn lines_that_a_policy_logs_are_notes_and_can_t_pretend_to_be_log_lines() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("forges-log-lines"));
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    let notes = &proposal.plan.notes;
    assert_eq!(notes.len(), 50, "the last fifty of many");
    for note in notes {
        assert!(!note.contains('\n') && !note.contains('\u{1b}'), "{note}");
    }
    let last = notes.last().unwrap();
    assert!(
        last.starts_with("warning: fine\\n{\"level\":\"ERROR\""),
        "{last}"
    );
}

#[tokio::test]
async fn settings_too_deep_or_too_large_are_refused_before_any_policy_sees_them() {
    let deep = format!(
        r#"{{"scale-up":{}1{}}}"#,
        r#"{"a":"#.repeat(32),
        "}".repeat(32)
    );
    let large = format!(r#"{{"scale-up":{{"a":"{}"}}}}"#, "x".repeat(66_000));
    for (settings, problem) in [(deep, "deeper than 32"), (large, "may have 65536")] {
        let bench = Bench::new();
        bench.put("default/policy.wasm", component("default"));
        bench.publish().await;
        bench.put("default/settings.json", settings);
        let refusal = bench.refusal("default").await;
        assert_eq!(refusal.cause, "settings");
        assert!(refusal.message.contains(problem), "{refusal:?}");
        let proposal = bench.decide(&situation(2)).await;
        assert_eq!(launched(&proposal), 2);
        assert_eq!(proposal.by.level, PolicyLevel::Default);
        assert_eq!(proposal.fallback, None);
    }
}

#[tokio::test]
async fn control_characters_of_a_policy_never_get_through() {
    let bench = Bench::new();
    let bytes = component("writes-control-characters");
    bench.put("default/policy.wasm", bytes);
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(
        proposal.plan.deferrals[0].reason,
        "\\u{1b}[2Jall is well\\nreally"
    );
}

#[tokio::test]
async fn a_policy_that_failed_is_tried_again_and_one_that_works_is_taken_up() {
    let bench = Bench::lenient();
    bench.put("default/policy.wasm", component("traps"));
    assert!(bench.decide(&situation(1)).await.fallback.is_some());
    assert!(bench.decide(&situation(1)).await.fallback.is_some());
    bench.put("default/policy.wasm", component("launches-nothing"));
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.by.policy, "launches-nothing 1.0.0");
}
