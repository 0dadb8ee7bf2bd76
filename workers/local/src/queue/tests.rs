use std::sync::Arc;

use stoker_core::ids::ScopeKey;
use stoker_core::ports::{ActQueue as _, ActRequest};
use stoker_core::situation::Trigger;
use tokio::time::{Instant, timeout};

use super::*;
use crate::database::Database;

const SECOND: Duration = Duration::from_secs(1);

async fn queue() -> IntakeQueue {
    IntakeQueue::open(Database::in_memory().unwrap(), QueueSettings::default())
        .await
        .unwrap()
}

async fn message(queue: &IntakeQueue) -> Message {
    match queue.receive().await.unwrap() {
        Delivery::Message(message) => message,
        Delivery::PutAside(message) => panic!("put aside: {message:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_is_hidden_for_its_delay_and_passed_by_others() {
    let queue = queue().await;
    let start = Instant::now();
    queue.send("work", 30 * SECOND).await.unwrap();
    queue.send("news", Duration::ZERO).await.unwrap();
    let first = message(&queue).await;
    assert_eq!(
        (first.body.as_str(), start.elapsed()),
        ("news", Duration::ZERO)
    );
    queue.delete(first.id).await.unwrap();
    assert_eq!(message(&queue).await.body, "work");
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_deleted_is_delivered_again_and_what_is_deleted_is_not() {
    let queue = queue().await;
    queue.send("a", Duration::ZERO).await.unwrap();
    let start = Instant::now();
    assert_eq!(message(&queue).await.receives, 1);
    let again = message(&queue).await;
    assert_eq!(again.receives, 2);
    assert!(start.elapsed() >= QueueSettings::default().visibility);
    queue.delete(again.id).await.unwrap();
    assert!(queue.is_empty());
    assert!(timeout(60 * SECOND, queue.receive()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_never_deleted_is_put_aside_and_told_once() {
    let queue = queue().await;
    queue.send("poison", Duration::ZERO).await.unwrap();
    for receives in 1..=5 {
        assert_eq!(message(&queue).await.receives, receives);
    }
    let Delivery::PutAside(aside) = queue.receive().await.unwrap() else {
        panic!("it is received a sixth time");
    };
    assert_eq!((aside.body.as_str(), aside.receives), ("poison", 5));
    assert!(timeout(60 * SECOND, queue.receive()).await.is_err());
    assert_eq!(queue.put_aside().await.unwrap(), [aside]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_waits_is_woken_by_a_message() {
    let queue = Arc::new(queue().await);
    let receiver = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { message(&queue).await.body }
    });
    tokio::time::sleep(SECOND).await;
    queue.send("hello", Duration::ZERO).await.unwrap();
    assert_eq!(receiver.await.unwrap(), "hello");
}

#[tokio::test]
async fn what_was_accepted_is_delivered_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    {
        let first = IntakeQueue::open(Database::open(&path).unwrap(), QueueSettings::default())
            .await
            .unwrap();
        let done = first.send("done", Duration::ZERO).await.unwrap();
        first.send("left", Duration::ZERO).await.unwrap();
        first.delete(done).await.unwrap();
    }
    let second = IntakeQueue::open(Database::open(&path).unwrap(), QueueSettings::default())
        .await
        .unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(message(&second).await.body, "left");
}

fn request(scope: u64, folded: &str) -> ActRequest {
    ActRequest {
        scope: ScopeKey::Organization(scope.into()),
        folded: folded.to_owned(),
        trigger: Trigger::Fleet,
    }
}

#[tokio::test(start_paused = true)]
async fn one_scope_has_one_turn_at_a_time_and_another_scope_its_own() {
    let acts = ActsInProcess::new(QueueSettings::default());
    acts.ask(&request(1, "a")).await.unwrap();
    acts.ask(&request(1, "b")).await.unwrap();
    acts.ask(&request(2, "a")).await.unwrap();
    let one = acts.turn().await;
    assert_eq!(one.requests, 2, "what has gathered is served by one turn");
    let two = acts.turn().await;
    assert_ne!(one.scope, two.scope);
    acts.ask(&request(1, "c")).await.unwrap();
    let blocked = timeout(SECOND, acts.turn()).await;
    assert!(blocked.is_err(), "{blocked:?}");
    acts.finish(&one);
    let next = acts.turn().await;
    assert_eq!((next.scope, next.requests), (one.scope, 1));
    acts.finish(&next);
    acts.finish(&two);
    assert!(acts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_is_taken_again_only_after_five_minutes() {
    let acts = ActsInProcess::new(QueueSettings::default());
    for _ in 0..2 {
        acts.ask(&request(1, "a")).await.unwrap();
    }
    let turn = acts.turn().await;
    assert_eq!(turn.requests, 1);
    acts.finish(&turn);
    acts.ask(&request(1, "a")).await.unwrap();
    assert!(acts.is_empty());
    tokio::time::sleep(301 * SECOND).await;
    acts.ask(&request(1, "a")).await.unwrap();
    assert_eq!(acts.turn().await.requests, 1);
}

#[tokio::test(start_paused = true)]
async fn a_turn_given_back_comes_again_after_its_delay_until_it_is_put_aside() {
    let acts = ActsInProcess::new(QueueSettings::default());
    acts.ask(&request(1, "a")).await.unwrap();
    let start = Instant::now();
    for receives in 1..=5 {
        let turn = acts.turn().await;
        assert_eq!(turn.receives, receives);
        assert_eq!(acts.give_back(&turn, SECOND), receives == 5);
    }
    assert_eq!(start.elapsed().as_secs(), 4);
    assert!(acts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_turn_whose_taker_died_comes_again_and_the_dead_one_can_finish_nothing() {
    let acts = ActsInProcess::new(QueueSettings::default());
    acts.ask(&request(1, "a")).await.unwrap();
    let dead = acts.turn().await;
    let again = acts.turn().await;
    assert_eq!((again.scope, again.receives), (dead.scope, 2));
    acts.finish(&dead);
    assert!(!acts.is_empty());
    acts.finish(&again);
    assert!(acts.is_empty());
}
