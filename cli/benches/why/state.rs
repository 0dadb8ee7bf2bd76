//! The folder of a `stoker up` that has taken so many decisions in three and a half days.

use std::path::Path;

use futures::stream::{self, StreamExt as _};
use serde_json::json;
use stoker_cli::limits::LimitsArgs;
use stoker_cli::operation::{Mode, OnPolicyFailure, OperationArgs};
use stoker_core::class::Capacity;
use stoker_core::happening::{DecidedDeferral, DecidedLaunch, Decision, Happening};
use stoker_core::ids::{ArtifactDigest, ClassName, DecisionId, IntentId, JobKey, ScopeKey};
use stoker_core::intent::Instance;
use stoker_core::job::{Job, JobPhase};
use stoker_core::journal::{Considered, RecordName, Story, Writing};
use stoker_core::limits::{Operation, PublicRepositories};
use stoker_core::plan::{Basis, DecidedBy, Deferral, Launch, Plan, PolicyLevel};
use stoker_core::ports::{JournalStore as _, Ledger as _, ScopeState};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_core::situation::{Room, ScopeName, Situation, Trigger, situation};
use stoker_core::time::Timestamp;
use stoker_intake::{Action, DeliveryId, EventKind};
use stoker_local::embedded::{JOURNAL_FOLDER, LEDGER_FILE};
use stoker_local::{Database, FolderJournal, SqliteLedger};

/// Decisions in a record: a second of a busy `stoker up`, a batch of the Lambda.
const IN_A_RECORD: u64 = 10;

/// Jobs that wait when one is decided about, and runners that are there.
const WAITING: u64 = 50;
const THERE: u64 = 20;

const REPOSITORIES: u64 = 200;

/// Less than the four days after which ended jobs are forgotten.
const SPAN: u64 = 84 * 3_600;

/// Jobs, whose ids begin here.
const FIRST_JOB: u64 = 30_000_000_000;

/// How the asked job's records differ from all others'.
const APART: u64 = 1 << 40;

pub(crate) fn job_id(n: u64) -> u64 {
    FIRST_JOB + n
}

pub(crate) fn repository(n: u64) -> String {
    format!("acme/service-{}", n % REPOSITORIES)
}

/// A deployment's history.
pub(crate) struct State {
    /// As many jobs, each of which one decision launches for.
    pub(crate) decisions: u64,
    began: Timestamp,
    operation: Operation,
}

impl State {
    pub(crate) fn new(decisions: u64, now: Timestamp) -> Self {
        let arguments = OperationArgs {
            policies: None,
            on_policy_failure: OnPolicyFailure::BuiltIn,
            limits: LimitsArgs::default(),
            classes: None,
            max_runners: 1_000,
            max_runners_per_repository: None,
            max_spend_per_day: None,
            boot_seconds: 20.0,
            mode: Mode::Ephemeral,
        };
        let settings = arguments.settings("local", None, PublicRepositories::Refused);
        Self {
            decisions,
            began: Timestamp(now.0 - SPAN),
            operation: settings.unwrap().operation,
        }
    }

    /// The job with a story as long as an item names.
    pub(crate) fn long(&self) -> u64 {
        self.decisions / 3
    }

    /// Makes it. How many records that are, and how many bytes most of them have.
    pub(crate) async fn make(&self, data: &Path, asked: &[u64]) -> (u64, u64) {
        let journal = FolderJournal::new(data.join(JOURNAL_FOLDER));
        let all = self.decisions.div_ceil(IN_A_RECORD) + 2;
        // To whom a record is not shown it may be any: one is packed, and written under all names.
        let any = self.record(0).packed().unwrap();
        let size = any.len() as u64;
        let (journal, any) = (&journal, &any);
        let writes = stream::iter(0..all).map(async |n| {
            journal.write(&self.name(n), any.clone()).await.unwrap();
        });
        writes.buffer_unordered(8).collect::<()>().await;
        for &job in asked {
            for record in job / IN_A_RECORD..job / IN_A_RECORD + 3 {
                self.record(record).write_to(journal).await.unwrap();
            }
        }
        for record in self.long_story() {
            record.write_to(journal).await.unwrap();
        }

        let database = Database::open(&data.join(LEDGER_FILE)).unwrap();
        let ledger = SqliteLedger::new(database);
        for n in 0..REPOSITORIES.min(self.decisions) {
            let id = key(n).repository;
            ledger.name_repository(&repository(n), id).await.unwrap();
        }
        let template = job_template();
        for n in 0..self.decisions {
            let job = self.job(&template, n);
            ledger.put_job(&job).await.unwrap();
        }
        for &n in asked {
            ledger.put_runner(&self.runner(n)).await.unwrap();
        }
        (all + Story::MOST as u64, size)
    }

    fn began(&self, n: u64) -> Timestamp {
        Timestamp(self.began.0 + n * SPAN / self.decisions)
    }

    fn name(&self, record: u64) -> RecordName {
        let at = self.began(record * IN_A_RECORD);
        RecordName::new(at, 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(record + 1))
    }

    fn job(&self, template: &Job, n: u64) -> Job {
        let mut story = Story::default();
        if n == self.long() {
            for part in 0..Story::MOST as u64 {
                story.add(Some(self.long_name(part).1));
            }
        } else {
            let first = n / IN_A_RECORD;
            for record in first..first + 3 {
                story.add(Some(self.name(record)));
            }
        }
        let queued_at = self.began(n);
        let (owner, name) = ("acme".to_owned(), repository(n));
        Job {
            key: key(n),
            owner,
            repository: name["acme/".len()..].to_owned(),
            job_id: Some(job_id(n).into()),
            run_id: Some((FIRST_JOB / 3 + n / 4).into()),
            queued_at,
            runner_name: Some(format!("stoker-local-{}", instance(n))),
            ended_at: Some(Timestamp(queued_at.0 + 300)),
            story,
            ..template.clone()
        }
    }

    fn runner(&self, n: u64) -> Runner {
        let instance = instance(n);
        let launched_at = Timestamp(self.began(n).0 + 1);
        let runner = json!({
            "name": format!("stoker-local-{instance}"), "instance": instance, "scope": "org-4",
            "class": "small", "capacity": "spot", "instance_type": "c7i.large", "mode": "ephemeral",
            "phase": "ended", "phase_since": Timestamp(launched_at.0 + 300), "launched_for": null,
            "intent": intent(n), "launched_at": launched_at, "price": 0.0347,
            "booted_at": Timestamp(launched_at.0 + 25), "last_job": key(n),
        });
        serde_json::from_value(runner).unwrap()
    }

    /// What a policy is shown about that job, among others.
    fn situation(&self, n: u64, at: Timestamp) -> Situation {
        let template = job_template();
        let waits = (n..n + WAITING).map(|n| Job {
            phase: JobPhase::Queued,
            runner_name: None,
            ended_at: None,
            ..self.job(&template, n)
        });
        let there = (n..n + THERE).map(|n| Runner {
            phase: RunnerPhase::Busy { job: key(n) },
            ..self.runner(n + 2 * self.decisions)
        });
        let state = ScopeState {
            jobs: waits.collect(),
            runners: there.collect(),
            ..ScopeState::default()
        };
        let name = ScopeName {
            owner: "acme".to_owned(),
            repository: None,
        };
        let room = Room::UNLIMITED;
        situation(&self.operation, name, &state, &room, Trigger::Jobs, at)
    }

    /// The record with the decisions about ten jobs, all that followed, and the end of earlier ones.
    fn record(&self, record: u64) -> Writing {
        let mut writing = Writing::new(self.name(record));
        for n in record * IN_A_RECORD..(record + 1) * IN_A_RECORD {
            let at = self.began(n);
            writing.happened(at, &folded(n, Action::Queued, JobPhase::Queued));
            self.decide(&mut writing, at, n, true);
            let runner = self.runner(n);
            writing.happened(at, &launched(n, &runner));
            let configured = Happening::Configured {
                instance: runner.instance.clone(),
                intent: runner.intent.clone(),
                scope: runner.scope,
                runner: runner.name.clone(),
            };
            writing.happened(at, &configured);
            if record >= 2 {
                let n = n - 2 * IN_A_RECORD;
                writing.happened(at, &folded(n, Action::Completed, JobPhase::Ended));
                writing.happened(at, &changed(&self.runner(n)));
            }
        }
        writing
    }

    fn long_name(&self, part: u64) -> (Timestamp, RecordName) {
        let at = Timestamp(self.began.0 + part * SPAN / Story::MOST as u64);
        (at, RecordName::new(at, APART + part))
    }

    /// The records of a job that was left waiting again and again.
    fn long_story(&self) -> Vec<Writing> {
        let n = self.long();
        let most = Story::MOST as u64;
        let records = (0..most).map(|part| {
            let (at, name) = self.long_name(part);
            let mut writing = Writing::new(name);
            for other in 0..IN_A_RECORD {
                let its = if other == 5 {
                    n
                } else {
                    n + 100 * other + part
                };
                self.decide(&mut writing, at, its, part + 1 == most);
            }
            if part + 1 == most {
                writing.happened(at, &launched(n, &self.runner(n)));
            }
            writing
        });
        records.collect()
    }

    fn decide(&self, writing: &mut Writing, at: Timestamp, n: u64, launches: bool) {
        let situation = self.situation(n, at);
        let place = situation.pending.iter().position(|job| job.key == key(n));
        let jobs: Vec<usize> = place.into_iter().collect();
        let reason =
            "the default policy: 50 jobs wait, 20 runners are there; at most 40".to_owned();
        let mut plan = Plan::default();
        if launches {
            plan.launches.push(Launch {
                class: 0,
                capacity: Capacity::Spot,
                count: 1,
                launched_for: None,
                jobs,
                reason: reason.clone(),
            });
        } else {
            plan.deferrals.push(Deferral {
                jobs,
                retry_after: Some(60),
                reason: reason.clone(),
            });
        }
        let launch = DecidedLaunch {
            unnamed_jobs: 0,
            intent: intent(n),
            class: ClassName("small".to_owned()),
            capacity: Capacity::Spot,
            count: 1,
            jobs: vec![key(n)],
            reason: reason.clone(),
        };
        let deferral = DecidedDeferral {
            unnamed_jobs: 0,
            jobs: vec![key(n)],
            retry_after: Some(60),
            rule: None,
            reason,
        };
        let decision = Decision {
            id: DecisionId(format!("{n:032x}")),
            scope: ScopeKey::Organization(4.into()),
            scope_name: "acme".to_owned(),
            by: DecidedBy {
                policy: "default 0.1.0".to_owned(),
                level: PolicyLevel::Organization,
                digest: Some(ArtifactDigest::of(b"default")),
                generation: None,
                fuel: Some(89_565),
            },
            fallback: None,
            pending: situation.pending.len(),
            runners: situation.runners.len(),
            launches: if launches { vec![launch] } else { Vec::new() },
            deferrals: if launches { Vec::new() } else { vec![deferral] },
            edits: Vec::new(),
            notes: Vec::new(),
        };
        let considered = Considered {
            situation: &situation,
            basis: &Basis::default(),
            plan: &plan,
        };
        writing.decided(at, &decision, &considered);
    }
}

fn key(n: u64) -> JobKey {
    JobKey {
        repository: (700_000_000 + n % REPOSITORIES).into(),
        check_run: job_id(n).into(),
    }
}

fn instance(n: u64) -> String {
    format!("i-{:017x}", job_id(n))
}

fn intent(n: u64) -> IntentId {
    IntentId::new(&DecisionId(format!("{n:032x}")), 0)
}

fn folded(n: u64, action: Action, phase: JobPhase) -> Happening {
    Happening::Folded {
        delivery: DeliveryId::new(format!("72d3162e-cc78-11e3-81ab-{n:012x}")).unwrap(),
        event: EventKind::WorkflowJob,
        action,
        scope: ScopeKey::Organization(4.into()),
        job: key(n),
        repository: repository(n),
        name: "build and test (ubuntu)".to_owned(),
        phase,
        waited: None,
    }
}

fn launched(n: u64, runner: &Runner) -> Happening {
    Happening::Launched {
        intent: intent(n),
        decision: DecisionId(format!("{n:032x}")),
        scope: runner.scope,
        class: runner.class.clone(),
        capacity: runner.capacity,
        wanted: 1,
        instances: vec![Instance {
            id: runner.instance.clone(),
            instance_type: runner.instance_type.clone(),
            gone: false,
        }],
        refusals: Vec::new(),
    }
}

fn changed(runner: &Runner) -> Happening {
    Happening::RunnerChanged {
        runner: runner.name.clone(),
        instance: runner.instance.clone(),
        scope: runner.scope,
        phase: runner.phase.clone(),
    }
}

/// A job that has ended.
fn job_template() -> Job {
    let job = json!({
        "key": {"repository": 1, "check_run": 1}, "scope": "org-4", "owner": "acme", "repository": "app",
        "visibility": "private", "job_id": 1, "run_id": 1, "attempt": 1, "name": "build and test (ubuntu)",
        "workflow": "Continuous integration", "branch": "main", "labels": ["self-hosted", "linux", "x64"],
        "phase": "ended", "standing": "announced", "installation": 7, "queued_at": 0, "runner_name": null,
        "conclusion": "success", "ended_at": 1,
    });
    serde_json::from_value(job).unwrap()
}
