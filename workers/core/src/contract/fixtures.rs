//! Jobs, launches and runners for tests of adapters.

use stoker_intake::{
    Action, CheckRunId, DeliveryId, EventKind, InstallationId, JobEvent, JobId, MessageVersion,
    Owner, OwnerId, OwnerKind, Repository, RepositoryId, RunId, Visibility,
};

use crate::class::Capacity;
use crate::ids::{ClassName, DecisionId, InstanceId, IntentId, JobKey, ScopeKey};
use crate::intent::{FleetRequest, Intent};
use crate::job::{Job, JobPhase, Standing};
use crate::journal::Story;
use crate::limits::RunnerMode;
use crate::ports::Settlement;
use crate::runner::{Runner, RunnerPhase};
use crate::time::Timestamp;

/// Makes things with ids of their own: those of another time or place never meet.
#[derive(Debug, Clone, Copy)]
pub struct Fixtures {
    /// The time that the things are of.
    pub now: Timestamp,
    base: u64,
}

impl Fixtures {
    /// Things of that time and place (a small number).
    pub fn new(now: Timestamp, place: u64) -> Self {
        Self {
            now,
            base: now.0 * 100 + place % 100,
        }
    }

    /// One of ten organisations.
    pub fn scope(&self, n: u64) -> ScopeKey {
        ScopeKey::Organization(OwnerId::new(self.owner(n)))
    }

    fn owner(&self, n: u64) -> u64 {
        self.base * 10 + n
    }

    /// One of a thousand jobs; the same number is the same job, whatever its scope.
    pub fn job_key(&self, n: u64) -> JobKey {
        JobKey {
            repository: RepositoryId::new(self.base * 10 + n % 3),
            check_run: CheckRunId::new(self.base * 1_000 + n),
        }
    }

    /// A job that waits, with fields that are easily lost or mangled: absent, empty, and not ASCII.
    pub fn job(&self, scope: u64, n: u64) -> Job {
        Job {
            key: self.job_key(n),
            scope: self.scope(scope),
            owner: "acme".to_owned(),
            repository: format!("shop-{}", n % 3),
            visibility: Visibility::Internal,
            job_id: Some(JobId::new(self.base * 1_000 + n)),
            run_id: Some(RunId::new(self.base)),
            attempt: 2,
            name: "build (\"größe\", 🚂)\n".to_owned(),
            workflow: Some(String::new()),
            branch: None,
            labels: Some(vec!["self-hosted".to_owned(), "Linux".to_owned()]),
            phase: JobPhase::Queued,
            standing: Standing::Announced,
            installation: Some(InstallationId::new(7)),
            queued_at: self.now,
            runner_name: None,
            conclusion: None,
            denials: 0,
            checked_at: None,
            deferrals: 3,
            last_deferral: Some("at most 2 runners".to_owned()),
            story: Story::default(),
            ended_at: None,
            revision: 0,
        }
    }

    /// The `queued` event of the job [`Self::job`] of the same numbers.
    pub fn queued_event(&self, scope: u64, n: u64) -> JobEvent {
        let job = self.job(scope, n);
        JobEvent {
            version: MessageVersion::CURRENT,
            // Hexadecimal digits are always a delivery's id.
            delivery: DeliveryId::new(format!("{:x}", job.key.check_run.get()))
                .unwrap_or_else(|_| unreachable!("digits are visible")),
            event: EventKind::WorkflowJob,
            action: Action::Queued,
            owner: Owner {
                id: OwnerId::new(self.owner(scope)),
                login: "Acme".to_owned(),
                kind: OwnerKind::Organization,
            },
            repository: Repository {
                id: job.key.repository,
                full_name: job.full_name(),
                name: job.repository,
                visibility: job.visibility,
            },
            installation_id: job.installation,
            job_id: job.job_id,
            check_run_id: job.key.check_run,
            run_id: None,
            run_attempt: Some(2),
            name: job.name,
            workflow_name: None,
            labels: job.labels,
            head_branch: None,
            head_sha: None,
            runner_id: None,
            runner_name: None,
            conclusion: None,
            created_at: None,
            started_at: None,
            completed_at: None,
        }
    }

    /// One of a scope's decisions.
    pub fn decision(&self, scope: u64, n: u64) -> DecisionId {
        DecisionId(format!("{:016x}{n:016x}", self.owner(scope)))
    }

    /// The launch in that place of a decision.
    pub fn intent(&self, scope: u64, decision: u64, place: usize) -> Intent {
        let decision = self.decision(scope, decision);
        Intent {
            id: IntentId::new(&decision, place),
            decision,
            scope: self.scope(scope),
            scope_name: None,
            request: FleetRequest {
                class: ClassName("large".to_owned()),
                capacity: Capacity::Spot,
                count: 2,
                launch_template: "stoker-large".to_owned(),
                launch_template_version: "$Default".to_owned(),
                instance_types: vec!["c7i.large".to_owned(), "c7a.large".to_owned()],
                subnets: Vec::new(),
            },
            launched_for: None,
            jobs: vec![self.job_key(0), self.job_key(1)],
            reason: "2 jobs wait — «large» fits".to_owned(),
            price: 0.0347,
            decided_at: self.now,
        }
    }

    /// The `n`th runner of a launch.
    pub fn runner(&self, intent: &Intent, n: usize) -> Runner {
        let id = format!("i-{}x{n}", &intent.id.0[..16]);
        let instance: InstanceId = id
            .parse()
            .unwrap_or_else(|_| unreachable!("digits and letters are an instance's id"));
        Runner {
            name: format!("stoker-test-{instance}"),
            instance,
            scope: intent.scope,
            scope_name: None,
            class: intent.request.class.clone(),
            capacity: intent.request.capacity,
            instance_type: "c7i.large".to_owned(),
            mode: RunnerMode::Ephemeral,
            phase: RunnerPhase::Launching,
            phase_since: self.now,
            launched_for: Some(self.job_key(0).repository),
            intent: intent.id.clone(),
            launched_at: self.now,
            price: intent.price,
            booted_at: None,
            interrupted: false,
            last_job: None,
            configured: false,
            attempt: 0,
            retirement: None,
            revision: 0,
        }
    }

    /// The outcome of a launch that gave so many runners.
    pub fn settlement(&self, intent: &Intent, runners: usize) -> Settlement {
        Settlement {
            intent: intent.id.clone(),
            scope: intent.scope,
            runners: (0..runners).map(|n| self.runner(intent, n)).collect(),
        }
    }
}
