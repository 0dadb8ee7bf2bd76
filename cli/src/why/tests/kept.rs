//! A job's ledger and journal, as `stoker up` keeps them, and what may be in them.

use serde_json::json;
use stoker_core::class::Capacity;
use stoker_core::guardrails::Rule;
use stoker_core::happening::{DecidedDeferral, DecidedLaunch, Decision, Happening};
use stoker_core::ids::{ArtifactDigest, ClassName, DecisionId, IntentId, JobKey, ScopeKey};
use stoker_core::intent::Instance;
use stoker_core::job::{Job, JobPhase};
use stoker_core::journal::{Considered, RecordName, Writing};
use stoker_core::plan::{Basis, DecidedBy, Launch, Plan, PolicyLevel};
use stoker_core::ports::Ledger as _;
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_core::situation::Situation;
use stoker_intake::{Action, DeliveryId, EventKind};
use tempfile::TempDir;

use super::super::*;

/// When the job was queued.
pub(super) const QUEUED: u64 = 1_800_000_000;

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp(QUEUED + seconds)
}

pub(super) fn key(check_run: u64) -> JobKey {
    JobKey {
        repository: 1.into(),
        check_run: check_run.into(),
    }
}

pub(super) fn instance(n: u64) -> String {
    format!("i-{n:017}")
}

pub(super) fn job() -> Job {
    let job = json!({
        "key": key(4711), "scope": "org-4", "owner": "acme", "repository": "app", "visibility": "private",
        "job_id": 4711, "run_id": 71, "attempt": 1, "name": "build", "workflow": "CI", "branch": "main",
        "labels": ["self-hosted", "linux"], "phase": "queued", "standing": "announced", "installation": 7,
        "queued_at": QUEUED, "runner_name": null, "conclusion": null, "ended_at": null,
    });
    serde_json::from_value(job).unwrap()
}

pub(super) fn runner(n: u64) -> Runner {
    let runner = json!({
        "instance": instance(n), "name": format!("stoker-{n}"), "scope": "org-4", "class": "small",
        "capacity": "spot", "instance_type": "c7i.large", "mode": "ephemeral", "phase": "booting",
        "phase_since": at(4), "launched_for": 1, "intent": "i", "launched_at": at(4), "price": 0.03,
    });
    serde_json::from_value(runner).unwrap()
}

/// A situation with jobs 4700 to 4719 waiting, and one class.
pub(super) fn situation() -> Situation {
    let pending = (4700..4720).map(|check_run| {
        json!({
            "key": key(check_run), "repository": 0, "labels": 0, "workflow": "CI", "name": "build",
            "branch": "main", "attempt": 1, "waited": 3, "deferrals": 0, "last_deferral": null,
        })
    });
    let situation = json!({
        "now": at(3), "seed": 1, "scope": {"owner": "acme", "repository": null}, "mode": "ephemeral",
        "repositories": [{
            "id": 1, "name": "app", "visibility": "private", "waiting_jobs": 20, "running_jobs": 0, "left": 9,
        }],
        "label_sets": [{"labels": ["linux", "self-hosted"], "fits": [0]}],
        "classes": [{
            "class": {
                "name": "small", "labels": ["self-hosted", "linux"], "launch_template": "t", "maximum": 9,
                "spot_price": 0.03, "on_demand_price": 0.09,
            },
            "left": 9,
        }],
        "pending": pending.collect::<Vec<_>>(), "pending_unseen": 0, "runners": [],
        "headroom": {
            "runners_maximum": 9, "runners_left": 9, "launches_left": 9, "registrations_left": 9,
            "registrations_reset": 0,
        },
    });
    serde_json::from_value(situation).unwrap()
}

/// What a policy wants: a spot runner for each of these jobs, which are positions.
pub(super) fn plan(jobs: &[usize]) -> Plan {
    Plan {
        launches: vec![Launch {
            class: 0,
            capacity: Capacity::Spot,
            count: u32::try_from(jobs.len()).unwrap(),
            launched_for: None,
            jobs: jobs.to_vec(),
            reason: "jobs wait".to_owned(),
        }],
        ..Plan::default()
    }
}

pub(super) fn decision() -> Decision {
    Decision {
        id: DecisionId("d".to_owned()),
        scope: ScopeKey::Organization(4.into()),
        scope_name: "acme".to_owned(),
        by: DecidedBy {
            policy: "default 0.1.0".to_owned(),
            level: PolicyLevel::Organization,
            digest: Some(ArtifactDigest::of(b"x")),
            generation: None,
            fuel: Some(1),
        },
        fallback: None,
        pending: 20,
        runners: 0,
        launches: Vec::new(),
        deferrals: Vec::new(),
        edits: Vec::new(),
        notes: Vec::new(),
    }
}

pub(super) const BY: &str = "default 0.1.0 (organization level, sha256 2d711642b726)";

pub(super) fn launch(jobs: impl IntoIterator<Item = u64>) -> DecidedLaunch {
    let jobs: Vec<JobKey> = jobs.into_iter().map(key).collect();
    DecidedLaunch {
        unnamed_jobs: 0,
        intent: IntentId("i".to_owned()),
        class: ClassName("small".to_owned()),
        capacity: Capacity::Spot,
        count: u32::try_from(jobs.len()).unwrap(),
        jobs,
        reason: "jobs wait".to_owned(),
    }
}

pub(super) fn deferral(reason: &str) -> DecidedDeferral {
    DecidedDeferral {
        unnamed_jobs: 0,
        jobs: vec![key(4711)],
        retry_after: Some(60),
        rule: None,
        reason: reason.to_owned(),
    }
}

/// What a guardrail cut.
pub(super) fn cut(rule: Rule) -> DecidedDeferral {
    DecidedDeferral {
        rule: Some(rule),
        ..deferral(&rule.to_string())
    }
}

pub(super) fn launched(wanted: u32, instances: impl IntoIterator<Item = u64>) -> Happening {
    let instances = instances.into_iter().map(|n| Instance {
        id: instance(n).parse().unwrap(),
        instance_type: "c7i.large".to_owned(),
        gone: false,
    });
    Happening::Launched {
        intent: IntentId("i".to_owned()),
        decision: DecisionId("d".to_owned()),
        scope: ScopeKey::Organization(4.into()),
        class: ClassName("small".to_owned()),
        capacity: Capacity::Spot,
        wanted,
        instances: instances.collect(),
        refusals: Vec::new(),
    }
}

pub(super) fn changed(n: u64, phase: RunnerPhase) -> Happening {
    Happening::RunnerChanged {
        runner: format!("stoker-{n}"),
        instance: instance(n).parse().unwrap(),
        scope: ScopeKey::Organization(4.into()),
        phase,
    }
}

pub(super) fn folded(action: Action, phase: JobPhase) -> Happening {
    Happening::Folded {
        delivery: DeliveryId::new("a-b").unwrap(),
        event: EventKind::WorkflowJob,
        action,
        scope: ScopeKey::Organization(4.into()),
        job: key(4711),
        repository: "acme/app".to_owned(),
        name: "build".to_owned(),
        phase,
        waited: None,
    }
}

/// A ledger and a journal, as `stoker up` keeps them.
pub(super) struct Kept {
    pub(super) folder: TempDir,
    pub(super) ledger: SqliteLedger,
    writing: Writing,
    pub(super) job: Job,
}

impl Kept {
    pub(super) fn new() -> Self {
        let writing = Writing::new(RecordName::new(at(0), 1));
        let mut job = job();
        job.story.add(Some(writing.name().clone()));
        let mut kept = Self {
            folder: tempfile::tempdir().unwrap(),
            ledger: SqliteLedger::new(Database::in_memory().unwrap()),
            writing,
            job,
        };
        kept.happened(2, &folded(Action::Queued, JobPhase::Queued));
        kept
    }

    pub(super) fn happened(&mut self, seconds: u64, happening: &Happening) {
        self.writing.happened(at(seconds), happening);
    }

    pub(super) fn decided(&mut self, seconds: u64, decision: &Decision, plan: &Plan) {
        let considered = Considered {
            situation: &situation(),
            basis: &Basis::default(),
            plan,
        };
        self.writing.decided(at(seconds), decision, &considered);
    }

    pub(super) async fn runner(&self, runner: &Runner) {
        self.ledger.put_runner(runner).await.unwrap();
    }

    /// What is told of the job by now.
    pub(super) async fn known(&mut self) -> Known {
        let journal = FolderJournal::new(self.folder.path());
        self.writing.write_to(&journal).await.unwrap();
        self.ledger.put_job(&self.job).await.unwrap();
        let name = self.job.full_name();
        let id = self.job.repository_id();
        self.ledger.name_repository(&name, id).await.unwrap();
        match gather(&self.ledger, &journal, &named(4711)).await.unwrap() {
            Found::Job(known) => {
                // The next write is of what is there now.
                self.job = known.job.clone();
                *known
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn lines(&mut self) -> Vec<String> {
        told(&self.known().await)
    }
}

pub(super) fn named(job: u64) -> Named {
    Named {
        repository: "acme/app".to_owned(),
        job,
    }
}

pub(super) fn told(known: &Known) -> Vec<String> {
    lines(known, at(100), Style { colours: false })
}

/// What machines are told to have bound the job.
pub(super) fn bounds(known: &Known) -> Vec<Value> {
    let value = value(known, at(100));
    let steps = value["steps"].as_array().unwrap().iter();
    let bounds = steps.map(|step| step["bound"].clone());
    bounds.filter(|bound| !bound.is_null()).collect()
}
