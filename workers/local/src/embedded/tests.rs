use async_trait::async_trait;
use stoker_core::budget::Rates;
use stoker_core::class::{Capacity, Classes};
use stoker_core::happening::Happening;
use stoker_core::ids::{PolicyGeneration, RunnerNames};
use stoker_core::limits::{BOOT_TIME, Guards, JOBS_SHOWN, RunnerLevel, RunnerMode};
use stoker_core::plan::{
    DecidedBy, Fate, Launch, Plan, PolicyLevel, Proposal, ScaleDownPlan, Verdict,
};
use stoker_core::ports::{ScaleDownDecider, ScaleUpDecider};
use stoker_core::runner::RunnerPhase;
use stoker_core::situation::{PhaseFacts, Situation};
use stoker_intake::{Received, Settings, receive, sign};

use super::*;

/// One runner for each waiting job that none is on its way for.
struct OneEach;

#[async_trait]
impl ScaleUpDecider for OneEach {
    async fn decide(&self, situation: &Situation, _: PolicyGeneration) -> Proposal {
        let free = situation
            .runners
            .iter()
            .filter(|runner| matches!(runner.phase, PhaseFacts::Booting | PhaseFacts::Idle))
            .count();
        let jobs: Vec<usize> = (free..situation.pending.len()).collect();
        let launch = Launch {
            class: 0,
            capacity: Capacity::Spot,
            count: u32::try_from(jobs.len()).unwrap(),
            launched_for: None,
            jobs,
            reason: "they wait".to_owned(),
        };
        Proposal {
            plan: Plan {
                launches: vec![launch],
                ..Plan::default()
            },
            by: DecidedBy {
                policy: "one each".to_owned(),
                level: PolicyLevel::BuiltIn,
                digest: None,
                generation: None,
                fuel: None,
            },
            basis: stoker_core::plan::Basis::default(),
            fallback: None,
        }
    }
}

#[async_trait]
impl ScaleDownDecider for OneEach {
    /// All that are idle go.
    async fn decide(&self, situation: &Situation, _: PolicyGeneration) -> Proposal<ScaleDownPlan> {
        let places = 0..situation.runners.len();
        let idle = places.filter(|place| situation.runners[*place].phase == PhaseFacts::Idle);
        Proposal {
            plan: ScaleDownPlan {
                verdicts: vec![Verdict {
                    runners: idle.collect(),
                    fate: Fate::Retire,
                    reason: "nobody needs it".to_owned(),
                }],
                notes: Vec::new(),
            },
            by: DecidedBy {
                policy: "none idle".to_owned(),
                level: PolicyLevel::BuiltIn,
                digest: None,
                generation: None,
                fuel: None,
            },
            basis: stoker_core::plan::Basis::default(),
            fallback: None,
        }
    }
}

#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<Happening>>);

impl Reporter for Notes {
    fn report(&self, _: Timestamp, happening: &Happening) {
        self.0.lock().unwrap().push(happening.clone());
    }
}

impl Notes {
    fn count(&self, wanted: impl Fn(&Happening) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|h| wanted(h)).count()
    }

    async fn wait_for(&self, what: &str, count: usize, wanted: impl Fn(&Happening) -> bool) {
        let seen = async {
            while self.count(&wanted) < count {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(Duration::from_mins(2), seen)
            .await
            .is_err()
        {
            panic!("no {what}: {:?}", self.0.lock().unwrap());
        }
    }
}

fn settings(data: Option<PathBuf>) -> EmbeddedSettings {
    let deployment = "test".parse().unwrap();
    let classes = r#"[{"name":"linux","labels":["self-hosted","linux"],"launch_template":"lt","maximum":9,"spot_price":0.01}]"#;
    EmbeddedSettings {
        data,
        operation: Operation {
            names: RunnerNames::new("stoker", &deployment).unwrap(),
            deployment,
            level: RunnerLevel::Organization,
            mode: RunnerMode::Ephemeral,
            runner_group: None,
            classes: Classes::from_json(classes).unwrap(),
            scope_maximum: 2,
            boot_time: BOOT_TIME,
            minimum_running_time: stoker_core::limits::MINIMUM_RUNNING_TIME,
            jobs_shown: JOBS_SHOWN,
            guards: Guards::default(),
            rates: Rates::UNLIMITED,
            deployment_maximum: None,
            spot_fallback: Vec::new(),
        },
        fleet: SimulatedFleetSettings {
            boot: Duration::from_millis(300),
            spread: Duration::ZERO,
            capacity: 100,
        },
        unknown_jobs: UnknownJobs::Unknown,
        queues: QueueSettings::default(),
        act_again: Duration::from_secs(1),
        scale_down_every: Duration::from_secs(3),
    }
}

fn admitted(job: u64, action: &str, runner: Option<&str>) -> Enqueue {
    let intake =
        Settings::from_lookup(|name| (name == "GITHUB_WEBHOOK_SECRET").then(|| "hush".to_owned()))
            .unwrap();
    let status = if action == "queued" {
        "queued"
    } else {
        "completed"
    };
    let body = serde_json::json!({
        "action": action,
        "workflow_job": { "id": job, "run_id": 1, "name": "build", "status": status,
            "labels": ["self-hosted"], "runner_name": runner },
        "repository": { "id": 5, "name": "shop", "full_name": "acme/shop", "private": true,
            "owner": { "id": 4, "login": "acme", "type": "Organization" } },
    })
    .to_string();
    let signature = sign(&intake.secrets.current, body.as_bytes());
    let header = |name: &str| match name {
        "x-hub-signature-256" => Some(signature.clone()),
        "x-github-event" => Some("workflow_job".to_owned()),
        "x-github-delivery" => Some(format!("{job}-{action}")),
        _ => None,
    };
    match receive("POST", header, body.as_bytes(), &intake).received {
        Received::Enqueue(admitted) => *admitted,
        Received::Answer(answer) => panic!("{}", answer.body()),
    }
}

async fn start(data: Option<PathBuf>, notes: &Arc<Notes>) -> Embedded {
    let reporter: Arc<Notes> = Arc::clone(notes);
    Embedded::start(settings(data), Arc::new(OneEach), reporter)
        .await
        .unwrap()
}

fn online(happening: &Happening) -> bool {
    matches!(
        happening,
        Happening::RunnerChanged {
            phase: RunnerPhase::Idle,
            ..
        }
    )
}

fn launched(happening: &Happening) -> bool {
    matches!(happening, Happening::Launched { .. })
}

#[tokio::test]
async fn a_queued_job_gets_a_runner_which_ends_with_the_job() {
    let notes = Arc::new(Notes::default());
    let embedded = start(None, &notes).await;
    embedded
        .enqueue(&admitted(1, "queued", None), || {})
        .await
        .unwrap();
    notes.wait_for("runner online", 1, online).await;
    let scope = ScopeKey::Organization(4.into());
    let state = embedded.scope(scope).await.unwrap();
    let name = state.runners[0].name.clone();
    embedded
        .enqueue(&admitted(1, "completed", Some(&name)), || {})
        .await
        .unwrap();
    notes
        .wait_for("end", 1, |h| {
            matches!(
                h,
                Happening::RunnerChanged {
                    phase: RunnerPhase::Ended,
                    ..
                }
            )
        })
        .await;
    assert_eq!(
        embedded.fleet().running(),
        0,
        "the instance is gone with its runner"
    );
    assert_eq!(notes.count(launched), 1);
    embedded.stop().await;
}

#[tokio::test]
async fn what_was_accepted_before_a_stop_is_served_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().to_owned());
    let notes = Arc::new(Notes::default());
    let first = start(data.clone(), &notes).await;
    // Stopped before anything was folded.
    let accepted = first.enqueue(&admitted(1, "queued", None), || {}).await;
    accepted.unwrap();
    first.stop().await;
    drop(first);
    let again = Arc::new(Notes::default());
    let second = start(data.clone(), &again).await;
    again.wait_for("runner online", 1, online).await;
    second.stop().await;
    drop(second);
    // A third finds the runner alive and has nothing to do.
    let idle = Arc::new(Notes::default());
    let third = start(data, &idle).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(idle.count(launched), 0);
    assert_eq!(third.fleet().running(), 1);
    third.stop().await;
}

#[tokio::test]
async fn an_instance_that_was_booting_at_a_stop_is_replaced_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().to_owned());
    let notes = Arc::new(Notes::default());
    let first = start(data.clone(), &notes).await;
    first
        .enqueue(&admitted(1, "queued", None), || {})
        .await
        .unwrap();
    notes
        .wait_for("launch", 1, |h| matches!(h, Happening::Configured { .. }))
        .await;
    first.stop().await;
    drop(first);
    let again = Arc::new(Notes::default());
    let second = start(data, &again).await;
    again.wait_for("runner online", 1, online).await;
    let state = second
        .scope(ScopeKey::Organization(4.into()))
        .await
        .unwrap();
    assert_eq!(state.runners.len(), 1);
    second.stop().await;
}

#[tokio::test]
async fn a_message_that_nobody_can_read_is_dropped_and_told() {
    let notes = Arc::new(Notes::default());
    let embedded = start(None, &notes).await;
    embedded
        .intake()
        .send("{\"kind\":", Duration::ZERO)
        .await
        .unwrap();
    notes
        .wait_for("drop", 1, |h| {
            matches!(h, Happening::MessagePutAside { .. })
        })
        .await;
    while !embedded.is_quiet() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    embedded.stop().await;
}
