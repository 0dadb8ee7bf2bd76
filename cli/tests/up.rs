//! The control plane of `stoker up`, end to end over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use stoker_cli::limits::LimitsArgs;
use stoker_cli::operation::{Mode, OnPolicyFailure, OperationArgs};
use stoker_cli::plane::{Observer, Plane, PlaneSettings};
use stoker_cli::tell::{Teller, Times};
use stoker_core::happening::{Decision, Happening};
use stoker_core::ids::{ArtifactDigest, ScopeKey};
use stoker_core::limits::PublicRepositories;
use stoker_core::plan::PolicyLevel;
use stoker_core::ports::Reporter;
use stoker_core::runner::RunnerPhase;
use stoker_core::time::Timestamp;
use stoker_intake::{Answer, Reception, Settings, sign};

const SECRET: &str = "hush";
const SCOPE: ScopeKey = ScopeKey::Organization(stoker_intake::OwnerId::new(4));

/// After this long a decision is by what is active now: the second after which `stoker up` confirms that, the
/// one within which the old one may still decide, and some.
const CONFIRMED: Duration = Duration::from_millis(2_500);

/// What happened, and what people are told of it.
struct Notes {
    happened: Mutex<Vec<Happening>>,
    lines: Lines,
    teller: Teller,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Notes {
    fn new() -> Self {
        let lines = Lines::default();
        let teller = Teller::new(Box::new(lines.clone()), false, Times::Clock, false);
        Self {
            happened: Mutex::default(),
            lines,
            teller,
        }
    }

    fn told(&self) -> String {
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
struct Stage {
    plane: Plane,
    notes: Arc<Notes>,
    client: reqwest::Client,
}

impl Stage {
    async fn new(data: &Path, max_runners: u32) -> Self {
        Self::start(data, None, max_runners).await
    }

    async fn start(data: &Path, policies: Option<&Path>, max_runners: u32) -> Self {
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
        let notes = self.notes.happened.lock().unwrap();
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
            panic!("no {what}: {:#?}", self.notes.happened.lock().unwrap());
        }
    }

    /// Waits until people are told that, for the nth time; what they are told from there on.
    async fn told(&self, words: &str, nth: usize) -> String {
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
    async fn decided(&self, job: u64) -> Decision {
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

/// A component that `scripts/build-policies --tests` made.
fn test_policy(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target.join("test-policies").join(name).join("policy.wasm");
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `make policies` (part of `make test`) builds it",
            path.display()
        )
    })
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
async fn what_is_put_into_the_folder_decides_next_and_what_is_bad_is_told_and_changes_nothing() {
    let (data, policies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(policies.path().join("default")).unwrap();
    // Into its place in one step, as `stoker policy publish` puts it.
    let put = |name: &str, bytes: &[u8]| {
        let beside = data.path().join(name);
        std::fs::write(&beside, bytes).unwrap();
        std::fs::rename(beside, policies.path().join("default").join(name)).unwrap();
    };
    let good = test_policy("notes-settings");
    let digest = Some(ArtifactDigest::of(&good));

    let stage = Stage::start(data.path(), Some(policies.path()), 5).await;
    let first = stage.decided(1).await;
    assert_eq!(first.by.level, PolicyLevel::BuiltIn);

    put("policy.wasm", &good);
    stage.told("default is active", 1).await;
    tokio::time::sleep(CONFIRMED).await;
    let by_it = stage.decided(2).await;
    assert_eq!(by_it.by.digest, digest);
    assert_eq!(by_it.by.level, PolicyLevel::Default);
    let line = format!(
        "by policy notes-settings 1.0.0 (sha256 {}",
        digest.as_ref().unwrap().short()
    );
    stage.told(&line, 1).await;

    put("settings.json", br#"{"scale-up":{"colour":"green"}}"#);
    stage.told("default is active", 2).await;
    tokio::time::sleep(CONFIRMED).await;
    let settings = r#"scope {"colour":"green"}"#;
    let with_them = stage.decided(3).await;
    assert_eq!(with_them.by.digest, digest);
    assert!(
        with_them.notes.iter().any(|note| note == settings),
        "{with_them:?}"
    );
    stage.told(&format!("note: \"{settings}\""), 1).await;

    for (nth, (name, bytes, why)) in [
        ("policy.wasm", test_policy("traps"), "scale-up: it fails"),
        ("settings.json", b"{nonsense".to_vec(), "settings.json: "),
    ]
    .into_iter()
    .enumerate()
    {
        put(name, &bytes);
        let words = "default is refused; what decided before goes on";
        let told = stage.told(words, nth + 1).await;
        assert!(told.contains(why), "{told}");
        tokio::time::sleep(CONFIRMED).await;
        let still = stage.decided(4 + nth as u64).await;
        assert_eq!(still.by.digest, digest, "after a bad {name}");
        assert_eq!(still.by.generation, with_them.by.generation);
        assert!(still.notes.iter().any(|note| note == settings), "{still:?}");
        assert_eq!(still.fallback, None);
    }
    stage.plane.stop().await.unwrap();
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

/// What `stoker why` says of that job.
fn why(job: u64, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stoker"))
        .args(["why", "octocoders/hello-world", &job.to_string()])
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let wrong = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), told + &wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_s_story_is_told_while_it_runs_and_when_all_is_over() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 1).await;
    let up = format!("http://{}", stage.plane.address());
    stage.job(1, "queued", None).await;
    let runner = stage.online(1).await;
    stage.job(2, "queued", None).await;
    stage.decided(2).await;
    stage.quiet().await;
    // What happened is written down every second.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let asked = |job| {
        let up = up.clone();
        tokio::task::spawn_blocking(move || why(job, &["--up", &up]))
    };
    let (code, told) = asked(2).await.unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("waits for"), "{told}");
    assert!(
        told.contains("the operator's maximum of 1 runners for this scope is reached"),
        "{told}"
    );
    let (code, told) = asked(99).await.unwrap();
    assert_eq!(code, Some(1));
    assert!(told.contains("Nothing is known of job 99"), "{told}");
    stage.job(1, "in_progress", Some(&runner)).await;
    stage.job(1, "completed", Some(&runner)).await;
    stage.quiet().await;
    stage.plane.stop().await.unwrap();
    let (code, told) = why(1, &["--data", data.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{told}");
    let order = [
        &format!("ended (no conclusion) on {runner}"),
        "webhook `workflow_job queued`",
        "launch 1 ",
        "gave 1 of 1",
        &format!("may register as {runner}"),
        &format!("{runner} is idle"),
        "webhook `workflow_job in_progress`",
        &format!("{runner} is busy"),
        "it has ended",
    ];
    let mut rest = told.as_str();
    for words in order {
        let at = rest.find(words);
        let at = at.unwrap_or_else(|| panic!("{words:?} is not (in that order) in {told}"));
        rest = &rest[at..];
    }
    assert!(!told.contains("not told"), "{told}");
    let (_, told) = why(1, &["--data", data.path().to_str().unwrap(), "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["job"]["phase"], "ended");
    assert_eq!(told["runners"][0]["name"], runner.as_str());
}
