//! A control plane over a real ledger, in a world that fails as it is told.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use stoker_core::budget::Rates;
use stoker_core::class::{Capacity, Classes};
use stoker_core::contract::Fixtures;
use stoker_core::control::{Acted, Control, Ports, ScaledDown};
use stoker_core::happening::Happening;
use stoker_core::ids::{
    Deployment, InstanceId, IntentId, JobKey, PolicyGeneration, RunnerNames, ScopeKey,
};
use stoker_core::intent::{Instance, Intent};
use stoker_core::limits::{BOOT_TIME, Guards, JOBS_SHOWN, Operation, RunnerLevel, RunnerMode};
use stoker_core::ports::{
    ActRequest, Clock as _, Delivery, GitHubFault, InstalledAccount, JobLookup, Ledger, LiveJobs,
    Ours, RegisteredRunner, ScopeState,
};
use stoker_core::situation::Trigger;
use stoker_core::time::Timestamp;
use stoker_intake::{Action, JobEvent};
use stoker_local::{Database, SqliteLedger};

mod deciders;
mod ports;

use deciders::OneEach;
use ports::{ContendedLedger, Silent};

const START: Timestamp = Timestamp(1_800_000_000);

/// What the fleet is told, and what it did.
// Each is one thing that goes wrong.
#[allow(clippy::struct_excessive_bools)]
#[derive(Default)]
pub(crate) struct FleetState {
    pub(crate) down: bool,
    pub(crate) answers_get_lost: bool,
    /// No more than `has` are given of that capacity, for that reason.
    pub(crate) lacks: Option<(Capacity, &'static str)>,
    pub(crate) has: usize,
    pub(crate) launched: HashMap<IntentId, Vec<Instance>>,
    /// What was asked for, in its order: capacity and count.
    pub(crate) asked: Vec<(Capacity, u32)>,
    /// How many configurations were written when each of it was asked for.
    pub(crate) configured_before: Vec<usize>,
    /// How many configurations are written before EC2 answers to a launch of on-demand instances.
    pub(crate) waits_for: usize,
    pub(crate) terminated: BTreeSet<InstanceId>,
    /// It terminates nothing.
    pub(crate) refuses_to_terminate: bool,
    /// What EC2 shows besides what was launched here.
    pub(crate) others: Ours,
    /// It does not say which instances there are.
    pub(crate) hides: bool,
    /// The launches, by their intents' ids.
    pub(crate) intents: HashMap<IntentId, Intent>,
    /// When each of them was made.
    pub(crate) launched_at: HashMap<IntentId, Timestamp>,
}

/// What GitHub is told.
// Each is one thing that goes wrong.
#[allow(clippy::struct_excessive_bools)]
#[derive(Default)]
pub(crate) struct GitHubState {
    pub(crate) down: bool,
    /// What the next registrations come to, and whether they are made all the same.
    pub(crate) faults: VecDeque<(GitHubFault, bool)>,
    /// Who is registered.
    pub(crate) registered: Vec<RegisteredRunner>,
    pub(crate) asked: usize,
    /// The jobs that wait or run.
    pub(crate) live: LiveJobs,
    /// It lists neither runners nor jobs.
    pub(crate) lists_nothing: bool,
    /// Its lists have none of the runners, which it knows by their names.
    pub(crate) hides_from_lists: bool,
    /// It does not let the App at anything any more.
    pub(crate) closed: bool,
    /// Each runner takes a job in the moment in which it is to be removed.
    pub(crate) gives_jobs_at_removal: bool,
    /// It answers to a removal that it knows no such runner.
    pub(crate) knows_no_removal: bool,
    /// How often it was asked for a job.
    pub(crate) looked_up: usize,
    /// What it says of any job; none: that it knows none.
    pub(crate) says: Option<JobLookup>,
    /// The repositories that were pushed to lately.
    pub(crate) active: Vec<String>,
    /// What it has sent to the webhook, newest first.
    pub(crate) deliveries: Vec<Delivery>,
    /// Of which attempts another one was asked for.
    pub(crate) delivered_again: Vec<u64>,
    /// How often it was asked to remove one.
    pub(crate) removals: usize,
    /// Where the App is installed.
    pub(crate) accounts: Vec<InstalledAccount>,
    /// How often jobs were listed.
    pub(crate) listed: usize,
}

/// What the parameter store is told, and what is in it.
#[derive(Default)]
pub(crate) struct ParameterState {
    pub(crate) answers_get_lost: bool,
    /// What is to be written is refused.
    pub(crate) refuses: bool,
    pub(crate) written: BTreeSet<InstanceId>,
}

/// What the act queue is told, and what it was asked.
#[derive(Default)]
pub(crate) struct ActState {
    pub(crate) down: bool,
    pub(crate) asked: Vec<ActRequest>,
    /// Asked for in so many seconds.
    pub(crate) reminders: Vec<(ActRequest, u32)>,
}

#[derive(Default)]
struct Outside {
    now: Mutex<u64>,
    fleet: Mutex<FleetState>,
    github: Mutex<GitHubState>,
    parameters: Mutex<ParameterState>,
    acts: Mutex<ActState>,
    /// Somebody else writes every job first.
    jobs_are_contended: Mutex<bool>,
    /// Of which the deciding policy is.
    generation: Mutex<Option<PolicyGeneration>>,
    /// What happened.
    told: Mutex<Vec<Happening>>,
    /// What the policy was told that its scope has seen, each time.
    generations_seen: Mutex<Vec<PolicyGeneration>>,
}

/// A control plane over a real ledger, and the outside that it acts on.
pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) ledger: SqliteLedger,
    outside: Arc<Outside>,
    fixtures: Fixtures,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// One that is run in another way.
    pub(crate) fn with(change: impl FnOnce(&mut Operation)) -> Self {
        let outside = Arc::new(Outside::default());
        *outside.now.lock().unwrap() = START.0;
        Self::over(outside, change)
    }

    /// The same world after its ledger was lost, with a new one that is empty.
    pub(crate) fn without_ledger(&self, change: impl FnOnce(&mut Operation)) -> Self {
        Self::over(Arc::clone(&self.outside), change)
    }

    fn over(outside: Arc<Outside>, change: impl FnOnce(&mut Operation)) -> Self {
        let fixtures = Fixtures::new(START, 1);
        let ledger = SqliteLedger::new(Database::in_memory().unwrap());
        let labels = fixtures.queued_event(1, 1).labels.unwrap();
        let classes = serde_json::json!([{
            "name": "any", "labels": labels, "launch_template": "runners",
            "maximum": 10, "spot_price": 0.03, "on_demand_price": 0.1
        }]);
        let deployment: Deployment = "test".parse().unwrap();
        let mut operation = Operation {
            names: RunnerNames::new("stoker", &deployment).unwrap(),
            deployment,
            level: RunnerLevel::Organization,
            mode: RunnerMode::Ephemeral,
            runner_group: None,
            classes: Classes::from_json(&classes.to_string()).unwrap(),
            scope_maximum: 10,
            boot_time: BOOT_TIME,
            minimum_running_time: stoker_core::limits::MINIMUM_RUNNING_TIME,
            jobs_shown: JOBS_SHOWN,
            guards: Guards::default(),
            rates: Rates::UNLIMITED,
            deployment_maximum: None,
            spot_fallback: Vec::new(),
        };
        change(&mut operation);
        let control = Control::new(
            operation,
            Ports {
                ledger: Arc::new(ContendedLedger {
                    ledger: ledger.clone(),
                    outside: Arc::clone(&outside),
                }),
                fleet: Arc::<Outside>::clone(&outside),
                github: Arc::<Outside>::clone(&outside),
                configurations: Arc::<Outside>::clone(&outside),
                acts: Arc::<Outside>::clone(&outside),
                decider: Arc::new(OneEach(Arc::clone(&outside))),
                clock: Arc::<Outside>::clone(&outside),
                timer: Arc::<Outside>::clone(&outside),
                reporter: Arc::new(Silent(Arc::clone(&outside))),
            },
        );
        Self {
            control,
            ledger,
            outside,
            fixtures,
        }
    }

    pub(crate) fn scope(&self) -> ScopeKey {
        self.fixtures.scope(1)
    }

    pub(crate) fn job_key(&self, n: u64) -> JobKey {
        self.fixtures.job_key(n)
    }

    pub(crate) fn queued(&self, n: u64) -> JobEvent {
        self.fixtures.queued_event(1, n)
    }

    pub(crate) async fn queue_in(&self, scope: u64, n: u64) {
        let event = self.fixtures.queued_event(scope, n);
        self.control.fold(&event).await.unwrap();
    }

    pub(crate) async fn act_in(&self, scope: u64) -> Acted {
        let scope = self.fixtures.scope(scope);
        self.control.act(scope, Trigger::Jobs).await.unwrap()
    }

    pub(crate) async fn state_in(&self, scope: u64) -> ScopeState {
        self.ledger.scope(self.fixtures.scope(scope)).await.unwrap()
    }

    pub(crate) async fn queue(&self, n: u64) {
        self.control.fold(&self.queued(n)).await.unwrap();
    }

    pub(crate) fn completed(&self, n: u64) -> JobEvent {
        JobEvent {
            action: Action::Completed,
            conclusion: Some("cancelled".to_owned()),
            ..self.queued(n)
        }
    }

    pub(crate) async fn complete(&self, n: u64) {
        self.control.fold(&self.completed(n)).await.unwrap();
    }

    pub(crate) async fn act(&self) -> Acted {
        self.control.act(self.scope(), Trigger::Jobs).await.unwrap()
    }

    /// An act that was due.
    pub(crate) async fn act_when_due(&self) -> Acted {
        self.control.act(self.scope(), Trigger::Tick).await.unwrap()
    }

    pub(crate) async fn state(&self) -> ScopeState {
        self.ledger.scope(self.scope()).await.unwrap()
    }

    /// Looks for runners that nobody needs, as the schedule does.
    pub(crate) async fn scale_down(&self) -> ScaledDown {
        let until = Timestamp(self.now().0 + 20);
        self.control.scale_down(until).await.unwrap()
    }

    /// What happened since this was asked last.
    pub(crate) fn told(&self) -> Vec<Happening> {
        std::mem::take(&mut self.outside.told.lock().unwrap())
    }

    /// GitHub's words of all runners of ours: whether they are connected, and whether they have a job.
    pub(crate) fn runners_are(&self, online: bool, busy: bool) {
        for runner in &mut self.github().registered {
            (runner.online, runner.busy) = (online, busy);
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.outside.now()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        *self.outside.now.lock().unwrap() += seconds;
    }

    pub(crate) fn fleet(&self) -> MutexGuard<'_, FleetState> {
        self.outside.fleet.lock().unwrap()
    }

    pub(crate) fn github(&self) -> MutexGuard<'_, GitHubState> {
        self.outside.github.lock().unwrap()
    }

    pub(crate) fn parameters(&self) -> MutexGuard<'_, ParameterState> {
        self.outside.parameters.lock().unwrap()
    }

    pub(crate) fn contend_jobs(&self) {
        *self.outside.jobs_are_contended.lock().unwrap() = true;
    }

    /// From now on policies of that generation decide.
    pub(crate) fn publish(&self, generation: u64) {
        *self.outside.generation.lock().unwrap() = Some(PolicyGeneration(generation));
    }

    pub(crate) fn generations_seen(&self) -> Vec<PolicyGeneration> {
        self.outside.generations_seen.lock().unwrap().clone()
    }

    pub(crate) fn acts(&self) -> MutexGuard<'_, ActState> {
        self.outside.acts.lock().unwrap()
    }
}
