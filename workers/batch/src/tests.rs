#[path = "tests/fakes.rs"]
mod fakes;

use std::sync::atomic::Ordering;

use super::*;
use fakes::{Noon, Noted, Noting, Silent};

/// What became of one message that was delivered so often; a request to act is its scope's turn.
async fn one(
    steer: Noting,
    queues: Noted,
    body: String,
    receives: u32,
) -> (bool, Arc<Noted>, Vec<String>) {
    let queues = Arc::new(queues);
    let told: Arc<dyn Queues> = Arc::<Noted>::clone(&queues);
    let handler = Handler::new(steer, told, Arc::new(Silent), Arc::new(Noon), 4);
    let record = Record {
        id: "m".to_owned(),
        attributes: crate::event::Attributes {
            group: body.contains(r#""kind":"act""#).then(|| "g".to_owned()),
            receives: Some(receives.to_string()),
        },
        body,
        ..Record::default()
    };
    let until = Instant::now() + Duration::from_secs(10);
    let response = handler
        .handle(
            SqsEvent {
                records: vec![record],
            },
            until,
        )
        .await;
    let done = handler.steer.done.lock().unwrap().clone();
    (!response.failures.is_empty(), queues, done)
}

#[tokio::test]
async fn what_failed_comes_again_within_seconds_and_in_the_end_is_put_aside_with_its_reason() {
    let failing = || Noting {
        fails: vec!["one"],
        ..Noting::default()
    };
    for (receives, pause) in [(1, 2), (2, 4), (3, 8)] {
        let (stays, queues, _) = one(failing(), Noted::default(), event("one"), receives).await;
        assert!(stays);
        assert_eq!(*queues.delayed.lock().unwrap(), [("m".to_owned(), pause)]);
    }
    let (stays, queues, _) = one(failing(), Noted::default(), event("one"), 4).await;
    assert!(!stays);
    let aside = queues.aside.lock().unwrap().clone();
    assert!(aside[0].1.contains("failed 4 times"), "{aside:?}");
    assert!(
        aside[0].1.contains("changed by another writer"),
        "{aside:?}"
    );
}

#[tokio::test]
async fn what_nobody_can_read_is_put_aside_at_once_and_stays_where_that_fails() {
    let broken = || "not json".to_owned();
    let (stays, queues, _) = one(Noting::default(), Noted::default(), broken(), 1).await;
    assert!(!stays);
    assert_eq!(queues.aside.lock().unwrap().len(), 1);
    let down = Noted {
        full: true,
        ..Noted::default()
    };
    let (stays, ..) = one(Noting::default(), down, broken(), 9).await;
    assert!(stays, "nothing is lost");
}

#[tokio::test]
async fn an_act_that_waits_for_capacity_is_never_put_aside_and_holds_up_no_others() {
    let waiting = || Noting {
        try_again: vec!["org-1"],
        ..Noting::default()
    };
    let (stays, queues, _) = one(waiting(), Noted::default(), act("org-1"), 1).await;
    assert!(stays);
    assert_eq!(*queues.delayed.lock().unwrap(), [("m".to_owned(), 7)]);
    let (stays, queues, done) = one(waiting(), Noted::default(), act("org-1"), 5).await;
    assert!(!stays);
    assert_eq!(queues.aside.lock().unwrap().len(), 0);
    assert_eq!(done, ["org-1", "org-1 in 7"]);
}

#[tokio::test]
async fn an_act_that_fails_for_good_is_put_aside_and_its_scope_is_looked_at_again_all_the_same() {
    let failing = Noting {
        fails: vec!["org-1"],
        ..Noting::default()
    };
    let (stays, queues, done) = one(failing, Noted::default(), act("org-1"), 4).await;
    assert!(!stays);
    assert_eq!(queues.aside.lock().unwrap().len(), 1);
    assert_eq!(done, ["org-1", "org-1 in 300"]);
}

#[tokio::test]
async fn news_of_instances_is_folded_and_what_says_nothing_new_is_done() {
    let told = |state: &str| {
        serde_json::json!({
            "id": "e-1", "source": "aws.ec2",
            "detail-type": "EC2 Instance State-change Notification",
            "detail": {"instance-id": "i-0abc", "state": state},
        })
        .to_string()
    };
    let (stays, _, done) = one(Noting::default(), Noted::default(), told("terminated"), 1).await;
    assert!(!stays);
    assert_eq!(done, ["i-0abc Gone e-1"]);
    let (stays, _, done) = one(Noting::default(), Noted::default(), told("running"), 1).await;
    assert!(!stays && done.is_empty());
}

fn event(name: &str) -> String {
    serde_json::json!({
        "kind": "job-event", "version": 1, "delivery": "d", "event": "workflow_job",
        "action": "queued", "owner": {"id": 1, "login": "acme", "type": "Organization"},
        "repository": {"id": 2, "name": "site", "full_name": "acme/site", "visibility": "private"},
        "check_run_id": 3, "name": name,
    })
    .to_string()
}

fn act(scope: &str) -> String {
    format!(r#"{{"kind":"act","scope":"{scope}","folded":"x"}}"#)
}

/// Bodies and groups, by id.
async fn handled(
    steer: Noting,
    messages: &[(&str, String, Option<&str>)],
) -> (Vec<String>, Vec<String>) {
    let (failed, steer) = handled_by(steer, messages).await;
    let done = steer.done.lock().unwrap().clone();
    (failed, done)
}

/// The messages that are to come again, and what was done.
async fn handled_by(
    steer: Noting,
    messages: &[(&str, String, Option<&str>)],
) -> (Vec<String>, Noting) {
    let records = messages
        .iter()
        .map(|(id, body, group)| Record {
            id: (*id).to_owned(),
            body: body.clone(),
            attributes: crate::event::Attributes {
                group: group.map(str::to_owned),
                receives: None,
            },
            ..Record::default()
        })
        .collect();
    let queues = Arc::new(Noted::default());
    let handler = Handler::new(steer, queues, Arc::new(Silent), Arc::new(Noon), 4);
    let until = Instant::now() + Duration::from_secs(10);
    let response = handler.handle(SqsEvent { records }, until).await;
    let mut failed: Vec<String> = response.failures.into_iter().map(|f| f.id).collect();
    failed.sort();
    (failed, handler.steer)
}

fn of(delivery: &str, owner: u64) -> String {
    event(delivery)
        .replace(r#""delivery":"d""#, &format!(r#""delivery":"{delivery}""#))
        .replace(r#""owner":{"id":1"#, &format!(r#""owner":{{"id":{owner}"#))
}

#[tokio::test]
async fn what_is_folded_in_one_batch_asks_once_for_each_scope() {
    let asked = async |deliveries: &[&str]| {
        let messages: Vec<_> = deliveries
            .iter()
            .map(|delivery| (*delivery, of(delivery, 1), None))
            .chain([("m", of("x", 2), None)])
            .collect();
        let (failed, steer) = handled_by(Noting::default(), &messages).await;
        assert!(failed.is_empty());
        let asked = steer.asked.into_inner().unwrap();
        let scopes: Vec<String> = asked.iter().map(|one| one.scope.to_string()).collect();
        assert_eq!(scopes, ["org-1", "org-2"]);
        asked[0].folded.clone()
    };
    // A queue that swallows what was asked before swallows nothing of another batch.
    assert_eq!(asked(&["a", "b"]).await, asked(&["b", "a"]).await);
    assert_ne!(asked(&["a", "b"]).await, asked(&["a", "c"]).await);
    assert_eq!(asked(&["a"]).await, "a");
}

#[tokio::test]
async fn events_whose_request_could_not_be_made_come_again() {
    let steer = Noting {
        fails: vec!["asking", "three"],
        ..Noting::default()
    };
    let messages = [
        ("m1", event("one"), None),
        ("m2", event("two"), None),
        ("m3", event("three"), None),
        ("m4", act("org-7"), Some("org-7")),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m1", "m2", "m3"]);
    assert_eq!(done.len(), 4);
}

#[tokio::test]
async fn a_request_that_waited_among_the_events_is_made_in_its_turn_and_not_acted_on_at_once() {
    let messages = [("m1", act("org-1"), None), ("m2", act("org-1"), None)];
    let (failed, steer) = handled_by(Noting::default(), &messages).await;
    assert!(failed.is_empty());
    assert!(steer.done.lock().unwrap().is_empty());
    let asked = steer.asked.into_inner().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].folded, "x");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_takes_too_long_does_not_keep_the_others_from_asking() {
    let steer = Noting {
        hangs: vec!["two"],
        ..Noting::default()
    };
    let messages = [("m1", event("one"), None), ("m2", event("two"), None)];
    let (failed, steer) = handled_by(steer, &messages).await;
    assert_eq!(failed, ["m2"]);
    assert_eq!(steer.asked.into_inner().unwrap().len(), 1);
}

#[tokio::test]
async fn a_broken_message_is_put_aside_and_those_beside_it_are_handled() {
    let messages = [
        ("m1", event("one"), None),
        ("m2", "not json".to_owned(), None),
        ("m3", event("three"), None),
    ];
    let (failed, done) = handled(Noting::default(), &messages).await;
    assert!(failed.is_empty());
    assert_eq!(done, ["one", "three"]);
}

#[tokio::test]
async fn a_message_of_a_newer_stoker_stays_in_its_queue() {
    let newer = event("x").replace("\"version\":1", "\"version\":9");
    let messages = [("m1", newer, None), ("m2", event("two"), None)];
    let (failed, done) = handled(Noting::default(), &messages).await;
    assert_eq!(failed, ["m1"]);
    assert_eq!(done, ["two"]);
}

#[tokio::test]
async fn a_message_that_fails_fails_alone() {
    let steer = Noting {
        fails: vec!["two"],
        ..Noting::default()
    };
    let messages = [
        ("m1", event("one"), None),
        ("m2", event("two"), None),
        ("m3", event("three"), None),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m2"]);
    assert_eq!(done.len(), 3);
}

#[tokio::test]
async fn a_panic_fails_its_message_and_no_other() {
    let steer = Noting {
        panics: vec!["two"],
        ..Noting::default()
    };
    let messages = [("m1", event("two"), None), ("m2", event("one"), None)];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m1"]);
    assert_eq!(done, ["one"]);
}

#[tokio::test]
async fn requests_for_one_scope_need_one_act() {
    let messages = [
        ("m1", act("org-1"), Some("org-1")),
        ("m2", act("org-2"), Some("org-2")),
        ("m3", act("org-1"), Some("org-1")),
        ("m4", act("org-1"), Some("org-1")),
    ];
    let (failed, mut done) = handled(Noting::default(), &messages).await;
    assert!(failed.is_empty());
    done.sort();
    assert_eq!(done, ["org-1", "org-2"]);
}

#[tokio::test]
async fn an_act_is_for_the_reason_that_asks_for_most() {
    let tick = act("org-1").replace("\"folded\"", "\"trigger\":\"tick\",\"folded\"");
    let messages = [
        ("m1", act("org-1"), Some("org-1")),
        ("m2", tick, Some("org-1")),
        ("m3", act("org-2"), Some("org-2")),
    ];
    let (failed, steer) = handled_by(Noting::default(), &messages).await;
    assert!(failed.is_empty());
    let triggers = steer.triggers.into_inner().unwrap();
    assert_eq!(triggers, [Trigger::Tick, Trigger::Jobs]);
}

#[tokio::test]
async fn behind_a_failed_message_its_group_waits_and_the_others_do_not() {
    let steer = Noting {
        try_again: vec!["org-1"],
        ..Noting::default()
    };
    let messages = [
        ("m1", act("org-1"), Some("a")),
        ("m2", act("org-2"), Some("b")),
        ("m3", act("org-3"), Some("a")),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m1", "m3"]);
    assert!(!done.contains(&"org-3".to_owned()), "{done:?}");
}

#[tokio::test]
async fn what_could_not_be_done_now_is_delivered_again() {
    let steer = Noting {
        try_again: vec!["org-1"],
        ..Noting::default()
    };
    let messages = [
        ("m1", act("org-1"), Some("org-1")),
        ("m2", act("org-1"), Some("org-1")),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m1", "m2"]);
    assert_eq!(done, ["org-1"]);
}

#[tokio::test(start_paused = true)]
async fn work_ends_before_the_lambda_does_and_the_rest_is_delivered_again() {
    let steer = Noting {
        takes: Duration::from_secs(6),
        ..Noting::default()
    };
    let messages = [
        ("m1", act("org-1"), Some("a")),
        ("m2", act("org-2"), Some("a")),
        ("m3", act("org-3"), Some("a")),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(done, ["org-1"]);
    assert_eq!(failed, ["m2", "m3"]);
}

#[tokio::test(start_paused = true)]
async fn scopes_are_acted_on_at_the_same_time() {
    let steer = Noting {
        takes: Duration::from_secs(6),
        ..Noting::default()
    };
    let messages = [
        ("m1", act("org-1"), Some("org-1")),
        ("m2", act("org-2"), Some("org-2")),
        ("m3", event("one"), None),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert!(failed.is_empty());
    assert_eq!(done.len(), 3);
}

#[tokio::test]
async fn a_tick_has_what_was_put_aside_handled_once_more_though_it_fails_itself() {
    let steer = Noting {
        fails: vec!["tick"],
        ..Noting::default()
    };
    let queues = Arc::new(Noted::default());
    let told: Arc<dyn Queues> = Arc::<Noted>::clone(&queues);
    let handler = Handler::new(steer, told, Arc::new(Silent), Arc::new(Noon), 4);
    handler.tick().await.unwrap_err();
    assert_eq!(queues.redriven.load(Ordering::Relaxed), 1);
}
