//! How long a decision waits for a store that hangs, and what decides meanwhile.

use std::time::{Duration, Instant};

use stoker_core::plan::{Instead, PolicyLevel, Proposal};
use stoker_core::ports::ScaleUpDecider;
use stoker_policy::PolicyHost;
use stoker_policy::activation::paths;

use crate::fixtures::{Bench, NEVER, NOW, SECOND, component, decide_at, situation};
use crate::slow::{
    ANOTHER, ONE, decided, decided_without_the_store, process, publish_another, published, until,
};

/// A decision that waited for no longer than this did not wait for the store: the machine is busy.
const AT_ONCE: Duration = Duration::from_millis(1_500);

/// One that waited for no longer than this waited for the document and not for what it names.
const FOR_THE_DOCUMENT: Duration = Duration::from_secs(4);

/// One that waited for no longer than this waited once for what the document names.
const FOR_OBJECTS: Duration = Duration::from_secs(8);

const MACHINE_CODE: &str = "admitted/native/";
const SETTINGS: &str = "admitted/settings/";

/// What is decided about so many seconds after [`NOW`], and how long that took.
async fn decide(host: &PolicyHost, later: u64) -> (Proposal, Duration) {
    let start = Instant::now();
    let decided = tokio::time::timeout(Duration::from_secs(20), decide_at(host, later, NEVER));
    let decided = decided.await.expect("a decision though the store hangs");
    (decided, start.elapsed())
}

/// That the built-in rules decided because the store gave no answer about that path.
#[track_caller]
fn the_built_in_rules_decided(proposal: &Proposal, about: &str) {
    assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
    let fallback = proposal.fallback.as_ref().expect("a fallback");
    assert_eq!(fallback.cause, "policy-store");
    assert_eq!(fallback.instead, Instead::BuiltIn);
    assert!(!fallback.alarm, "nobody has tampered with anything");
    let told = &fallback.message;
    assert!(
        told.contains(about) && told.contains("has not answered yet"),
        "{told}"
    );
}

#[tokio::test]
async fn a_process_without_a_document_waits_for_it_once_and_then_decides_without() {
    let (_bench, slow, host) = published().await;
    let held_up = slow.hold_up("").await;
    let (first, waited) = decide(&host, 0).await;
    the_built_in_rules_decided(&first, paths::ACTIVE);
    assert!(AT_ONCE < waited && waited < FOR_THE_DOCUMENT, "{waited:?}");
    for later in 1..10 {
        let (next, waited) = decide(&host, later).await;
        the_built_in_rules_decided(&next, paths::ACTIVE);
        assert!(waited < AT_ONCE, "{waited:?}");
    }
    assert_eq!(slow.count(), 1, "the same request goes on");
    drop(held_up);
    until(async || decide_at(&host, 10, NEVER).await.by.policy == ONE).await;
}

#[tokio::test]
async fn a_process_without_a_document_waits_for_it_again_after_a_while() {
    let (_bench, slow, host) = published().await;
    let held_up = slow.hold_up("").await;
    the_built_in_rules_decided(&decide(&host, 0).await.0, paths::ACTIVE);
    let waits = decide(&host, 20);
    let go_on = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(held_up);
    };
    let ((proposal, _), ()) = futures::future::join(waits, go_on).await;
    decided(&proposal, ONE);
}

#[tokio::test]
async fn decisions_at_once_wait_for_the_first_document_together() {
    let (_bench, slow, host) = published().await;
    let _held_up = slow.hold_up("").await;
    let at_once = (0..20).map(|_| decide(&host, 0));
    for (proposal, waited) in futures::future::join_all(at_once).await {
        the_built_in_rules_decided(&proposal, paths::ACTIVE);
        assert!(waited < FOR_THE_DOCUMENT, "{waited:?}");
    }
    assert_eq!(slow.count(), 1);
}

#[tokio::test]
async fn a_process_that_is_warmed_up_starts_though_the_store_hangs() {
    let (_bench, slow, host) = published().await;
    let _held_up = slow.hold_up("").await;
    let warm_up = tokio::time::timeout(FOR_THE_DOCUMENT, host.warm_up(NOW));
    warm_up.await.expect("a process that starts");
    let (first, waited) = decide(&host, 1).await;
    the_built_in_rules_decided(&first, paths::ACTIVE);
    assert!(waited < AT_ONCE, "it was waited for already: {waited:?}");
}

#[tokio::test]
async fn a_process_with_a_document_waits_for_its_confirmation_once_and_goes_on_by_it() {
    let (_bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    let _held_up = slow.hold_up("").await;
    for (later, within) in [(100, FOR_THE_DOCUMENT), (101, AT_ONCE), (110, AT_ONCE)] {
        let (proposal, waited) = decide(&host, later).await;
        decided_without_the_store(&proposal, ONE);
        let told = proposal.fallback.unwrap().message;
        assert!(told.contains("has not answered yet"), "{told}");
        assert!(waited < within, "{waited:?}");
    }
}

#[tokio::test]
async fn who_knows_of_a_newer_document_waits_for_it_once_and_raises_no_alarm() {
    let (bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    publish_another(&bench).await;
    let held_up = slow.hold_up("").await;
    for (later, within) in [(1, FOR_THE_DOCUMENT), (2, AT_ONCE)] {
        let start = Instant::now();
        let proposal = decide_at(&host, later, SECOND).await;
        the_built_in_rules_decided(&proposal, paths::ACTIVE);
        assert!(start.elapsed() < within, "{:?}", start.elapsed());
    }
    drop(held_up);
    until(async || decide_at(&host, 3, SECOND).await.by.policy == ANOTHER).await;
}

#[tokio::test]
async fn what_a_document_names_is_waited_for_once_and_read_on_for_a_later_decision() {
    let waits_once = async |about| {
        let (_bench, slow, host) = published().await;
        let held_up = slow.hold_up(about).await;
        let (first, waited) = decide(&host, 0).await;
        the_built_in_rules_decided(&first, about);
        assert!(AT_ONCE < waited && waited < FOR_OBJECTS, "{waited:?}");
        let (next, waited) = decide(&host, 1).await;
        the_built_in_rules_decided(&next, about);
        assert!(waited < AT_ONCE, "{waited:?}");
        drop(held_up);
        until(async || decide_at(&host, 2, NEVER).await.by.policy == ONE).await;
        let asked = slow.asked();
        let asked = asked.iter().filter(|(path, _)| path.starts_with(about));
        assert_eq!(asked.count(), 1, "{about}: the same request went on");
    };
    futures::future::join(waits_once(MACHINE_CODE), waits_once(SETTINGS)).await;
}

#[tokio::test]
async fn what_decided_before_is_not_waited_for_as_well() {
    let (bench, ..) = published().await;
    publish_another(&bench).await;
    let (slow, host) = process(&bench);
    let held_up = slow.hold_up(MACHINE_CODE).await;
    let (proposal, waited) = decide(&host, 0).await;
    the_built_in_rules_decided(&proposal, MACHINE_CODE);
    assert!(waited < FOR_OBJECTS, "{waited:?}");
    drop(held_up);
    until(async || decide_at(&host, 1, NEVER).await.by.policy == ANOTHER).await;
}

#[tokio::test]
async fn what_decided_before_decides_if_it_is_there_while_its_successor_is_not() {
    let bench = Bench::new();
    for path in ["default/policy.wasm", "orgs/acme/policy.wasm"] {
        bench.put(path, component("launches-one"));
    }
    bench.publish().await;
    bench.put("orgs/acme/policy.wasm", component("launches-nothing"));
    bench.publish().await;
    let (slow, host) = process(&bench);
    let mut another_s = situation(3);
    another_s.scope.owner = "another".to_owned();
    decided(&ScaleUpDecider::decide(&host, &another_s, NEVER).await, ONE);
    let held_up = slow.hold_up(MACHINE_CODE).await;
    decided_without_the_store(&decide(&host, 1).await.0, ONE);
    drop(held_up);
    until(async || decide_at(&host, 2, NEVER).await.by.policy == ANOTHER).await;
}

#[tokio::test]
async fn settings_of_a_repository_that_do_not_come_are_left_aside_until_they_are_there() {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("launches-one"));
    bench.put("repos/acme/app/settings.json", r#"{"scale-up":{"a":1}}"#);
    bench.publish().await;
    let (slow, host) = process(&bench);
    let mut of_another = situation(3);
    of_another.repositories[0].name = "another".to_owned();
    decided(
        &ScaleUpDecider::decide(&host, &of_another, NEVER).await,
        ONE,
    );
    let held_up = slow.hold_up(SETTINGS).await;
    for (later, within) in [(1, FOR_OBJECTS), (2, AT_ONCE)] {
        let (proposal, waited) = decide(&host, later).await;
        decided(&proposal, ONE);
        assert!(waited < within, "{waited:?}");
        let told = &proposal.plan.notes[0];
        assert!(told.contains("app are left aside"), "{told}");
        assert!(told.contains("has not answered yet"), "{told}");
    }
    drop(held_up);
    until(async || {
        let proposal = decide_at(&host, 3, NEVER).await;
        proposal.basis.repository_settings.contains_key(&0)
    })
    .await;
}

#[tokio::test]
async fn a_busy_process_has_the_machine_code_before_it_swaps_however_long_that_takes() {
    let (bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    publish_another(&bench).await;
    let held_up = slow.hold_up(MACHINE_CODE).await;
    decided(&decide(&host, 15).await.0, ONE);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (proposal, waited) = decide(&host, 16).await;
    decided(&proposal, ONE);
    assert!(waited < AT_ONCE, "{waited:?}");
    drop(held_up);
    until(async || {
        let proposal = decide_at(&host, 16, NEVER).await;
        assert_eq!(proposal.fallback, None);
        proposal.by.policy == ANOTHER
    })
    .await;
}
