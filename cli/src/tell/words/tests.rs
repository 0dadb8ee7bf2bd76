use stoker_core::class::Capacity;
use stoker_core::happening::{DecidedDeferral, DecidedLaunch};
use stoker_core::ids::{ArtifactDigest, ClassName, DecisionId, IntentId, ScopeKey};

use super::*;

fn job(n: u64) -> JobKey {
    JobKey {
        repository: 1.into(),
        check_run: n.into(),
    }
}

fn decision(launches: Vec<DecidedLaunch>, deferrals: Vec<DecidedDeferral>) -> Happening {
    Happening::Decided(Box::new(Decision {
        id: DecisionId("d".to_owned()),
        scope: ScopeKey::Organization(4.into()),
        scope_name: "acme".to_owned(),
        by: DecidedBy {
            policy: "default 0.1.0".to_owned(),
            level: PolicyLevel::Default,
            digest: Some(ArtifactDigest::of(b"x")),
            generation: None,
            fuel: Some(1),
        },
        fallback: None,
        pending: 2,
        runners: 1,
        launches,
        deferrals,
        edits: Vec::new(),
        notes: Vec::new(),
    }))
}

#[test]
fn a_decision_says_who_decided_what_and_why() {
    let mut memory = Memory::default();
    memory.jobs.insert(job(1), "acme/shop \"build\"".to_owned());
    let launch = DecidedLaunch {
        unnamed_jobs: 0,
        intent: IntentId("i".to_owned()),
        class: ClassName("large".to_owned()),
        capacity: Capacity::Spot,
        count: 1,
        jobs: vec![job(1)],
        reason: "it waits".to_owned(),
    };
    let told = of_happening(&mut memory, &decision(vec![launch], Vec::new())).unwrap();
    assert!(
        told.text.contains("by policy default 0.1.0 (sha256 "),
        "{}",
        told.text
    );
    assert!(
        told.text
            .starts_with("acme: 2 jobs waiting, 1 runner there"),
        "{}",
        told.text
    );
    let expected = "launch 1 × large (spot) for acme/shop \"build\": \"it waits\"";
    assert_eq!(told.more, [expected]);
}

#[test]
fn a_deferral_is_told_once_and_again_only_with_another_reason() {
    let mut memory = Memory::default();
    let deferral = |reason: &str| DecidedDeferral {
        unnamed_jobs: 0,
        jobs: vec![job(1)],
        retry_after: None,
        rule: None,
        reason: reason.to_owned(),
    };
    let mut tell =
        |reason| of_happening(&mut memory, &decision(Vec::new(), vec![deferral(reason)]));
    assert!(tell("full").is_some());
    assert!(tell("full").is_none());
    assert!(tell("other").is_some());
}
