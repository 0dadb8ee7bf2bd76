//! When the document is read again, who waits for that, and what is decided by meanwhile.

use std::time::Duration;

use stoker_core::plan::PolicyLevel;
use stoker_policy::activation::paths;

use crate::fixtures::{NEVER, NOW, REVALIDATE, SECOND, THIRD, decide_at};
use crate::slow::{
    ANOTHER, ONE, decide_without_waiting, decided, decided_without_the_store, publish_another,
    published, until,
};

/// When a document is to be confirmed, when it no longer decides unconfirmed, and the second after.
const DUE: u64 = REVALIDATE as u64;
const OVERDUE: u64 = DUE + 2;

#[tokio::test]
async fn within_the_interval_nothing_is_read_and_after_it_one_condition_is_asked() {
    let (_bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    let first = slow.asked();
    assert_eq!(first.len(), 3, "the document, the code, the settings");
    assert_eq!(first[0], (paths::ACTIVE.to_owned(), false));
    for later in 0..DUE {
        decided(&decide_at(&host, later, NEVER).await, ONE);
    }
    assert_eq!(slow.asked(), []);

    let held_up = slow.hold_up("").await;
    let at_once = (0..20).map(|_| decide_without_waiting(&host, DUE));
    for proposal in futures::future::join_all(at_once).await {
        decided(&proposal, ONE);
    }
    until(async || slow.count() > 0).await;
    drop(held_up);
    for later in DUE..2 * DUE {
        decided(&decide_at(&host, later, NEVER).await, ONE);
    }
    assert_eq!(slow.asked(), [(paths::ACTIVE.to_owned(), true)]);
}

#[tokio::test]
async fn a_process_that_was_warmed_up_has_the_document_when_it_decides() {
    let (_bench, slow, host) = published().await;
    host.warm_up(NOW).await;
    assert_eq!(slow.asked(), [(paths::ACTIVE.to_owned(), false)]);
    decided(&decide_at(&host, 1, NEVER).await, ONE);
    let asked = slow.asked();
    assert!(
        asked.iter().all(|(path, _)| path != paths::ACTIVE),
        "{asked:?}"
    );
}

#[tokio::test]
async fn decisions_at_once_share_what_a_process_reads_first() {
    let (_bench, slow, host) = published().await;
    let at_once = (0..20).map(|_| decide_at(&host, 0, NEVER));
    for proposal in futures::future::join_all(at_once).await {
        decided(&proposal, ONE);
    }
    let active = slow.asked();
    let active = active.iter().filter(|(path, _)| path == paths::ACTIVE);
    assert_eq!(active.count(), 1);
}

#[tokio::test]
async fn a_busy_process_waits_for_nothing_and_swaps_once_all_that_is_new_is_there() {
    let (bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    slow.asked();
    publish_another(&bench).await;
    let held_up = slow.hold_up("").await;
    decided(&decide_without_waiting(&host, DUE).await, ONE);
    decided(&decide_without_waiting(&host, DUE + 1).await, ONE);
    drop(held_up);
    until(async || slow.count() == 3).await;
    // From here on whoever asks the store for anything waits for ever.
    let _held_up = slow.hold_up("").await;
    until(async || {
        let proposal = decide_without_waiting(&host, DUE + 1).await;
        assert_eq!(proposal.fallback, None);
        proposal.by.policy == ANOTHER
    })
    .await;
    assert_eq!(slow.count(), 3, "the document, the code, the settings");
}

#[tokio::test]
async fn settings_of_repositories_in_use_are_there_with_the_document_that_names_them() {
    let (bench, slow, host) = published().await;
    let theirs = "repos/acme/app/settings.json";
    bench.put(theirs, r#"{"scale-up":{"a":1}}"#);
    bench.publish().await;
    let before = decide_at(&host, 0, NEVER).await;
    assert_eq!(before.basis.repository_settings[&0], r#"{"a":1}"#);
    bench.put(theirs, r#"{"scale-up":{"a":2}}"#);
    bench.publish().await;
    slow.asked();
    decide_without_waiting(&host, DUE).await;
    until(async || slow.count() == 2).await;
    let _held_up = slow.hold_up("").await;
    until(async || {
        let proposal = decide_without_waiting(&host, DUE + 1).await;
        assert!(proposal.basis.repository_settings.contains_key(&0));
        proposal.basis.repository_settings[&0] == r#"{"a":2}"#
    })
    .await;
}

#[tokio::test]
async fn a_process_that_never_rests_has_its_document_confirmed_once_an_interval() {
    let (bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    slow.asked();
    for interval in 1..=5 {
        decided(&decide_at(&host, interval * DUE, NEVER).await, ONE);
        until(async || slow.count() > 0).await;
        assert_eq!(slow.asked(), [(paths::ACTIVE.to_owned(), true)]);
    }
    publish_another(&bench).await;
    decided(&decide_at(&host, 6 * DUE, NEVER).await, ONE);
    until(async || decide_at(&host, 6 * DUE, NEVER).await.by.policy == ANOTHER).await;
}

#[tokio::test]
async fn a_process_that_was_idle_has_what_is_new_at_once() {
    let (bench, _slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    publish_another(&bench).await;
    decided(&decide_at(&host, OVERDUE, NEVER).await, ANOTHER);
}

#[tokio::test]
async fn a_store_that_is_down_is_borne_for_a_while_and_then_told_of() {
    let (bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    bench.store.set_down(true);
    for later in [DUE, DUE + 1] {
        decided(&decide_at(&host, later, NEVER).await, ONE);
        until(async || slow.count() > 0).await;
    }
    for later in [OVERDUE, OVERDUE + DUE, OVERDUE + 10 * DUE] {
        decided_without_the_store(&decide_at(&host, later, NEVER).await, ONE);
    }
    // Nothing of that is remembered.
    bench.store.set_down(false);
    publish_another(&bench).await;
    decided(&decide_at(&host, OVERDUE + 20 * DUE, NEVER).await, ANOTHER);
}

#[tokio::test]
async fn a_store_that_is_up_again_is_noticed_within_seconds() {
    let (bench, _slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    bench.store.set_down(true);
    decided_without_the_store(&decide_at(&host, OVERDUE, NEVER).await, ONE);
    bench.store.set_down(false);
    until(async || {
        let proposal = decide_at(&host, OVERDUE + 1, NEVER).await;
        assert_eq!(proposal.by.policy, ONE);
        proposal.fallback.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_down_when_a_process_starts_leaves_it_to_the_built_in_rules_until_it_is_up()
{
    let (bench, slow, host) = published().await;
    bench.store.set_down(true);
    let at_once = (0..20).map(|_| decide_at(&host, 0, NEVER));
    let mut proposals = futures::future::join_all(at_once).await;
    proposals.push(decide_at(&host, 0, NEVER).await);
    for proposal in proposals {
        assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
        let fallback = proposal.fallback.unwrap();
        assert_eq!(fallback.cause, "policy-store");
        assert!(!fallback.alarm);
    }
    assert_eq!(slow.asked().len(), 1, "once a second");
    bench.store.set_down(false);
    decided(&decide_at(&host, 1, NEVER).await, ONE);
}

#[tokio::test]
async fn who_knows_of_a_newer_document_has_it_read_at_once() {
    let (bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    publish_another(&bench).await;
    slow.asked();
    // Even in the very second in which it was read last.
    decided(&decide_at(&host, 0, SECOND).await, ANOTHER);
    assert_eq!(slow.asked()[0], (paths::ACTIVE.to_owned(), true));
    decided(&decide_at(&host, 1, SECOND).await, ANOTHER);
    assert_eq!(slow.asked(), []);

    // There is none that is newer still: an alarm, and each decision looks again.
    for _ in 0..2 {
        let proposal = decide_at(&host, 1, THIRD).await;
        assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
        let fallback = proposal.fallback.unwrap();
        assert_eq!(fallback.cause, "old-generation");
        assert!(fallback.alarm);
        assert_eq!(slow.asked(), [(paths::ACTIVE.to_owned(), true)]);
    }
}

#[tokio::test]
async fn who_knows_of_a_newer_document_is_not_content_with_an_answer_from_before_it() {
    for is_cold in [true, false] {
        let (bench, slow, host) = published().await;
        if !is_cold {
            decided(&decide_at(&host, 0, NEVER).await, ONE);
            slow.asked();
        }
        let later = if is_cold { 0 } else { DUE };
        let held_up = slow.hold_up("").await;
        let first = decide_at(&host, later, NEVER);
        let second = async {
            until(async || slow.count() > 0).await;
            publish_another(&bench).await;
            let knowing = decide_at(&host, later, SECOND);
            let go_on = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                drop(held_up);
            };
            futures::future::join(knowing, go_on).await.0
        };
        let (first, second) = futures::future::join(first, second).await;
        decided(&second, ANOTHER);
        assert_eq!(first.fallback, None);
    }
}

#[tokio::test]
async fn an_answer_that_a_frozen_process_had_asked_for_long_ago_confirms_nothing() {
    let (bench, slow, host) = published().await;
    decided(&decide_at(&host, 0, NEVER).await, ONE);
    slow.asked();
    let held_up = slow.hold_up("").await;
    decided(&decide_without_waiting(&host, DUE).await, ONE);
    until(async || slow.count() > 0).await;
    publish_another(&bench).await;
    let long_after = decide_at(&host, 10_000, NEVER);
    let thaw = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(held_up);
    };
    let (proposal, ()) = futures::future::join(long_after, thaw).await;
    decided(&proposal, ANOTHER);
}

#[tokio::test]
async fn of_two_decisions_the_one_that_began_earlier_may_come_later_and_reads_nothing_again() {
    let (_bench, slow, host) = published().await;
    decided(&decide_at(&host, 100, NEVER).await, ONE);
    slow.asked();
    decided(&decide_at(&host, 99, NEVER).await, ONE);
    assert_eq!(slow.asked(), []);
    // A clock that was set back tells nothing.
    decided(&decide_at(&host, 50, NEVER).await, ONE);
    assert_eq!(slow.asked(), [(paths::ACTIVE.to_owned(), true)]);
}
