//! The control plane of `stoker up`, end to end over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod policies;
mod stage;
mod why;

use stoker_core::happening::Happening;
use stoker_core::ids::ScopeKey;

use crate::stage::{Stage, job};

const SCOPE: ScopeKey = ScopeKey::Organization(stoker_intake::OwnerId::new(4));

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_webhook_becomes_a_runner_that_is_online() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 5).await;
    stage.job(1, "queued", None).await;
    let runner = stage.online(1).await;
    assert!(runner.starts_with("stoker-test-i-"), "{runner}");
    stage.plane.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_refused_and_leaves_the_queue_empty() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 5).await;
    assert_eq!(
        stage
            .post("other", "1-queued", &job(1, "queued", None))
            .await,
        401
    );
    assert!(stage.plane.embedded().intake().is_empty());
    stage.quiet().await;
    assert!(stage.notes.happened.lock().unwrap().is_empty());
    stage.plane.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_launches_nothing_more() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 5).await;
    for _ in 0..3 {
        stage.job(1, "queued", None).await;
    }
    stage.online(1).await;
    stage.job(1, "queued", None).await;
    stage
        .wait_for("repetition", 3, |h| {
            matches!(h, Happening::NothingNew { .. })
        })
        .await;
    stage.quiet().await;
    assert_eq!(stage.launched(), 1);
    stage.plane.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_over_the_maximum_is_deferred_and_served_when_a_runner_ends() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 1).await;
    stage.job(1, "queued", None).await;
    let first = stage.online(1).await;
    stage.job(1, "in_progress", Some(&first)).await;
    stage.job(2, "queued", None).await;
    stage
        .wait_for("deferral at the maximum", 1, |happening| match happening {
            Happening::Decided(decision) => decision
                .deferrals
                .iter()
                .any(|deferral| deferral.reason.contains("maximum")),
            _ => false,
        })
        .await;
    stage.job(1, "completed", Some(&first)).await;
    let second = stage.online(2).await;
    assert_ne!(first, second);
    stage.plane.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_the_same_data_folder_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 1).await;
    stage.job(1, "queued", None).await;
    let runner = stage.online(1).await;
    stage.job(1, "in_progress", Some(&runner)).await;
    // Accepted, and stopped at once: folded or not, it waits for its turn.
    stage.job(2, "queued", None).await;
    stage.plane.stop().await.unwrap();

    let again = Stage::new(data.path(), 1).await;
    again.quiet().await;
    let left = again.plane.embedded().scope(SCOPE).await.unwrap();
    assert_eq!(left.jobs.len(), 2, "{left:?}");
    assert_eq!(left.runners.len(), 1, "the busy runner is still there");
    again.job(1, "completed", Some(&runner)).await;
    again.online(1).await;
    again.plane.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_requests_are_answered_as_the_edge_answers_them() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 1).await;
    let root = format!("http://{}", stage.plane.address());
    let get = async |path: &str| {
        let answer = stage
            .client
            .get(format!("{root}{path}"))
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    };
    assert_eq!(get("/healthz").await, 200);
    assert_eq!(get("/webhook").await, 405);
    assert_eq!(get("/elsewhere").await, 404);
    let large = vec![b' '; stoker_intake::MAX_BODY_BYTES + 1];
    let answer = stage
        .client
        .post(format!("{root}/webhook"))
        .body(large)
        .send()
        .await;
    // Refused before all of it was read, so the client may not hear the answer.
    if let Ok(answer) = answer {
        assert_eq!(answer.status().as_u16(), 413);
    }
    stage.plane.stop().await.unwrap();
}
