//! A control plane as `stoker up` runs it, and what happened in it.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use stoker_cli::limits::LimitsArgs;
use stoker_cli::operation::{Mode, OnPolicyFailure, OperationArgs};
use stoker_cli::plane::{Observer, Plane, PlaneSettings};
use stoker_cli::tell::{Teller, Times};
use stoker_core::happening::{Decision, Happening};
use stoker_core::limits::PublicRepositories;
use stoker_core::ports::Reporter;
use stoker_core::runner::RunnerPhase;
use stoker_core::time::Timestamp;
use stoker_intake::{Answer, Reception, Settings, sign};

const SECRET: &str = "hush";

/// What happened, and what people are told of it.
pub(crate) struct Notes {
    pub(crate) happened: Mutex<Vec<Happening>>,
    lines: Lines,
    teller: Teller,
}

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Notes {
    pub(crate) fn new() -> Self {
        let lines = Lines::default();
        let teller = Teller::new(Box::new(lines.clone()), false, Times::Clock, false);
        Self {
            happened: Mutex::default(),
            lines,
            teller,
        }
    }

    pub(crate) fn told(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

impl Reporter for Notes {
    fn report(&self, at: Timestamp, happening: &Happening) {
        self.happened.lock().unwrap().push(happening.clone());
        self.teller.report(at, happening);
    }
}

impl Observer for Notes {
    fn webhook(&self, reception: &Reception, answer: &Answer) {
        self.teller.webhook(reception, answer);
    }

    fn admission(&self, came_to: Result<&stoker_admission::Report, String>) {
        self.teller.admission(came_to);
    }
}

/// A control plane, and what happened in it.
pub(crate) struct Stage {
    pub(crate) plane: Plane,
    pub(crate) notes: Arc<Notes>,
    pub(crate) client: reqwest::Client,
}

impl Stage {
    pub(crate) async fn new(data: &Path, max_runners: u32) -> Self {
        Self::start(data, None, max_runners).await
    }

    pub(crate) async fn start(data: &Path, policies: Option<&Path>, max_runners: u32) -> Self {
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
            policies: policies.map(Path::to_owned),
            on_failure: operation.on_policy_failure.into(),
            limits: operation.limits.limits(),
        };
        let notes = Arc::new(Notes::new());
        let observer: Arc<dyn Observer> = Arc::<Notes>::clone(&notes);
        Self {
            plane: Plane::start(settings, observer).await.unwrap(),
            notes,
            client: reqwest::Client::new(),
        }
    }

    pub(crate) async fn post(&self, secret: &str, delivery: &str, payload: &Value) -> u16 {
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

    pub(crate) async fn job(&self, id: u64, action: &str, runner: Option<&str>) {
        let delivery = format!("{id}-{action}");
        assert_eq!(
            self.post(SECRET, &delivery, &job(id, action, runner)).await,
            202
        );
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Happening) -> bool) -> usize {
        let notes = self.notes.happened.lock().unwrap();
        notes.iter().filter(|happening| wanted(happening)).count()
    }

    pub(crate) fn launched(&self) -> usize {
        self.count(|happening| matches!(happening, Happening::Launched { .. }))
    }

    pub(crate) async fn wait_for(
        &self,
        what: &str,
        times: usize,
        wanted: impl Fn(&Happening) -> bool,
    ) {
        let seen = async {
            while self.count(&wanted) < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(Duration::from_mins(1), seen)
            .await
            .is_err()
        {
            panic!("no {what}: {:#?}", self.notes.happened.lock().unwrap());
        }
    }

    /// Waits until people are told that, for the nth time; what they are told from there on.
    pub(crate) async fn told(&self, words: &str, nth: usize) -> String {
        let seen = async {
            loop {
                let told = self.notes.told();
                if let Some((at, _)) = told.match_indices(words).nth(nth - 1) {
                    return told[at..].to_owned();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let told = tokio::time::timeout(Duration::from_mins(1), seen).await;
        told.unwrap_or_else(|_| panic!("nobody is told `{words}`:\n{}", self.notes.told()))
    }

    /// Has one more job decided about, and gives the decision.
    pub(crate) async fn decided(&self, job: u64) -> Decision {
        let is_decision = |happening: &Happening| matches!(happening, Happening::Decided(_));
        self.quiet().await;
        let before = self.count(is_decision);
        self.job(job, "queued", None).await;
        self.wait_for("decision", before + 1, is_decision).await;
        let notes = self.notes.happened.lock().unwrap();
        let last = notes.iter().rev().find_map(|happening| match happening {
            Happening::Decided(decision) => Some(decision.as_ref().clone()),
            _ => None,
        });
        last.unwrap()
    }

    pub(crate) async fn quiet(&self) {
        while !self.plane.embedded().is_quiet() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The name of the runner that came online as the nth, once it has.
    pub(crate) async fn online(&self, nth: usize) -> String {
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
        let notes = self.notes.happened.lock().unwrap();
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
pub(crate) fn job(id: u64, action: &str, runner: Option<&str>) -> Value {
    let json = include_str!("../../fixtures/github/workflow_job.queued.json");
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
