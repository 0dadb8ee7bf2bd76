//! The control plane of `stoker up`, end to end over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use stoker_cli::limits::LimitsArgs;
use stoker_cli::operation::{Mode, OnPolicyFailure, OperationArgs};
use stoker_cli::plane::{Observer, Plane, PlaneSettings};
use stoker_core::happening::Happening;
use stoker_core::ids::ScopeKey;
use stoker_core::limits::PublicRepositories;
use stoker_core::ports::Reporter;
use stoker_core::runner::RunnerPhase;
use stoker_core::time::Timestamp;
use stoker_intake::{Answer, Reception, Settings, sign};

const SECRET: &str = "hush";
const SCOPE: ScopeKey = ScopeKey::Organization(stoker_intake::OwnerId::new(4));

#[derive(Default)]
struct Notes(Mutex<Vec<Happening>>);

impl Reporter for Notes {
    fn report(&self, _: Timestamp, happening: &Happening) {
        self.0.lock().unwrap().push(happening.clone());
    }
}

impl Observer for Notes {
    fn webhook(&self, _: &Reception, _: &Answer) {}
    fn admission(&self, _: Result<&stoker_admission::Report, String>) {}
}

/// A control plane, and what happened in it.
struct Stage {
    plane: Plane,
    notes: Arc<Notes>,
    client: reqwest::Client,
}

impl Stage {
    async fn new(data: &Path, max_runners: u32) -> Self {
        let operation = OperationArgs {
            policies: None,
            on_policy_failure: OnPolicyFailure::BuiltIn,
            limits: LimitsArgs::default(),
            classes: None,
            max_runners,
            max_runners_per_repository: None,
            max_spend_per_day: None,
            boot_seconds: 0.3,
            mode: Mode::Ephemeral,
        };
        let settings = PlaneSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            intake: Settings::from_lookup(|name| {
                (name == "GITHUB_WEBHOOK_SECRET").then(|| SECRET.to_owned())
            })
            .unwrap(),
            embedded: operation
                .settings("test", Some(data.to_owned()), PublicRepositories::Refused)
                .unwrap(),
            policies: None,
            on_failure: operation.on_policy_failure.into(),
            limits: operation.limits.limits(),
        };
        let notes = Arc::new(Notes::default());
        let observer: Arc<dyn Observer> = Arc::<Notes>::clone(&notes);
        Self {
            plane: Plane::start(settings, observer).await.unwrap(),
            notes,
            client: reqwest::Client::new(),
        }
    }

    async fn post(&self, secret: &str, delivery: &str, payload: &Value) -> u16 {
        let body = payload.to_string();
        let signature = sign(&SecretString::from(secret.to_owned()), body.as_bytes());
        let request = self
            .client
            .post(self.plane.webhook_url())
            .header("x-github-event", "workflow_job")
            .header("x-github-delivery", delivery)
            .header("x-hub-signature-256", signature)
            .body(body);
        request.send().await.unwrap().status().as_u16()
    }

    async fn job(&self, id: u64, action: &str, runner: Option<&str>) {
        let delivery = format!("{id}-{action}");
        assert_eq!(
            self.post(SECRET, &delivery, &job(id, action, runner)).await,
            202
        );
    }

    fn count(&self, wanted: impl Fn(&Happening) -> bool) -> usize {
        let notes = self.notes.0.lock().unwrap();
        notes.iter().filter(|happening| wanted(happening)).count()
    }

    fn launched(&self) -> usize {
        self.count(|happening| matches!(happening, Happening::Launched { .. }))
    }

    async fn wait_for(&self, what: &str, times: usize, wanted: impl Fn(&Happening) -> bool) {
        let seen = async {
            while self.count(&wanted) < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(Duration::from_mins(1), seen)
            .await
            .is_err()
        {
            panic!("no {what}: {:#?}", self.notes.0.lock().unwrap());
        }
    }

    async fn quiet(&self) {
        while !self.plane.embedded().is_quiet() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The name of the runner that came online as the nth, once it has.
    async fn online(&self, nth: usize) -> String {
        let idle = |happening: &Happening| {
            matches!(
                happening,
                Happening::RunnerChanged {
                    phase: RunnerPhase::Idle,
                    ..
                }
            )
        };
        self.wait_for("runner online", nth, idle).await;
        let notes = self.notes.0.lock().unwrap();
        match notes
            .iter()
            .filter(|happening| idle(happening))
            .nth(nth - 1)
        {
            Some(Happening::RunnerChanged { runner, .. }) => runner.clone(),
            other => panic!("{other:?}"),
        }
    }
}

/// GitHub's own example, for a job of the tests.
fn job(id: u64, action: &str, runner: Option<&str>) -> Value {
    let json = include_str!("../fixtures/github/workflow_job.queued.json");
    let mut payload: Value = serde_json::from_str(json).unwrap();
    payload["action"] = action.into();
    payload["repository"]["private"] = true.into();
    payload["repository"]["visibility"] = "private".into();
    payload["repository"]["owner"]["id"] = 4.into();
    let told = &mut payload["workflow_job"];
    told["id"] = id.into();
    told["check_run_url"] = format!("https://api.github.com/repos/o/r/check-runs/{id}").into();
    told["status"] = action.into();
    told["labels"] = json!(["self-hosted", "linux", "x64"]);
    told["runner_name"] = json!(runner);
    for time in ["created_at", "started_at"] {
        told[time] = Value::Null;
    }
    payload
}

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
    assert!(stage.notes.0.lock().unwrap().is_empty());
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
