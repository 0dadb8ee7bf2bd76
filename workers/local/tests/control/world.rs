//! The ports, as the tests want them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use stoker_core::account::Account;
use stoker_core::boot::{InstanceConfiguration, Registration};
use stoker_core::budget::Rates;
use stoker_core::class::{Capacity, Classes};
use stoker_core::contract::Fixtures;
use stoker_core::control::{Acted, Control, Ports};
use stoker_core::happening::Happening;
use stoker_core::ids::{
    Deployment, InstanceId, IntentId, JobKey, PolicyGeneration, RunnerNames, ScopeKey, ScopeVersion,
};
use stoker_core::intent::{Instance, Intent, Launched, Refusal};
use stoker_core::job::Job;
use stoker_core::limits::{BOOT_TIME, Guards, JOBS_SHOWN, Operation, RunnerLevel, RunnerMode};
use stoker_core::plan::{DecidedBy, Deferral, Launch, Plan, PolicyLevel, Proposal};
use stoker_core::ports::{
    ActQueue, ActQueueError, ActRequest, Clock, ConfigurationError, Configurations, DecidedScope,
    Due, Fleet, FleetError, GitHub, GitHubError, GitHubFault, JobLookup, Ledger, LedgerError,
    RegisteredRunner, RegistrationTarget, Removed, Reporter, RunnerSpec, ScaleUpDecider,
    ScopeState, Settlement, Shared, SharedItem,
};
use stoker_core::runner::Runner;
use stoker_core::situation::{PhaseFacts, ScopeName, Situation, Trigger};
use stoker_core::time::Timestamp;
use stoker_intake::{Action, JobEvent, JobId, RepositoryId};
use stoker_local::{Database, SqliteLedger};

const START: Timestamp = Timestamp(1_800_000_000);

/// What the fleet is told, and what it did.
#[derive(Default)]
pub(crate) struct FleetState {
    pub(crate) down: bool,
    pub(crate) answers_get_lost: bool,
    /// Nothing is given of that capacity, for that reason.
    pub(crate) lacks: Option<(Capacity, &'static str)>,
    pub(crate) launched: HashMap<IntentId, Vec<Instance>>,
    /// What was asked for, in its order: capacity and count.
    pub(crate) asked: Vec<(Capacity, u32)>,
    pub(crate) terminated: BTreeSet<InstanceId>,
}

/// What GitHub is told.
#[derive(Default)]
pub(crate) struct GitHubState {
    pub(crate) down: bool,
    /// What the next registrations come to, and whether they are made all the same.
    pub(crate) faults: VecDeque<(GitHubFault, bool)>,
    /// Who is registered.
    pub(crate) registered: Vec<RegisteredRunner>,
    pub(crate) asked: usize,
}

/// What the parameter store is told, and what is in it.
#[derive(Default)]
pub(crate) struct ParameterState {
    pub(crate) answers_get_lost: bool,
    pub(crate) written: BTreeSet<InstanceId>,
}

/// What the act queue is told, and what it was asked.
#[derive(Default)]
pub(crate) struct ActState {
    pub(crate) down: bool,
    pub(crate) asked: Vec<ActRequest>,
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
        let fixtures = Fixtures::new(START, 1);
        let outside = Arc::new(Outside::default());
        *outside.now.lock().unwrap() = START.0;
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
            runner_group: 1,
            classes: Classes::from_json(&classes.to_string()).unwrap(),
            scope_maximum: 10,
            boot_time: BOOT_TIME,
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
                reporter: Arc::new(Silent),
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

    pub(crate) async fn state(&self) -> ScopeState {
        self.ledger.scope(self.scope()).await.unwrap()
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

impl Clock for Outside {
    fn now(&self) -> Timestamp {
        Timestamp(*self.now.lock().unwrap())
    }
}

fn no_answer(intent: &Intent) -> FleetError {
    FleetError {
        what: format!("launch {}", intent.id),
        problem: "no answer".to_owned(),
    }
}

#[async_trait]
impl Fleet for Outside {
    async fn launch(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let mut fleet = self.fleet.lock().unwrap();
        if fleet.down {
            return Err(no_answer(intent));
        }
        fleet
            .asked
            .push((intent.request.capacity, intent.request.count));
        if let Some((capacity, code)) = fleet.lacks
            && capacity == intent.request.capacity
        {
            return Ok(Launched {
                instances: Vec::new(),
                refusals: vec![Refusal {
                    code: code.to_owned(),
                    message: "none left".to_owned(),
                }],
            });
        }
        let instances = fleet
            .launched
            .entry(intent.id.clone())
            .or_insert_with(|| {
                (0..intent.request.count)
                    .map(|n| Instance {
                        id: format!("i-{}x{n}", &intent.id.0[..12]).parse().unwrap(),
                        instance_type: "c7i.large".to_owned(),
                        gone: false,
                    })
                    .collect()
            })
            .clone();
        if fleet.answers_get_lost {
            return Err(no_answer(intent));
        }
        Ok(Launched {
            instances,
            refusals: Vec::new(),
        })
    }

    async fn find(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let fleet = self.fleet.lock().unwrap();
        if fleet.down {
            return Err(no_answer(intent));
        }
        Ok(Launched {
            instances: fleet.launched.get(&intent.id).cloned().unwrap_or_default(),
            refusals: Vec::new(),
        })
    }

    async fn terminate(&self, instances: &[InstanceId]) -> Result<(), FleetError> {
        self.fleet
            .lock()
            .unwrap()
            .terminated
            .extend(instances.iter().cloned());
        Ok(())
    }
}

#[async_trait]
impl GitHub for Outside {
    async fn job(
        &self,
        _: &RegistrationTarget,
        _: &str,
        _: &str,
        _: JobId,
    ) -> Result<JobLookup, GitHubError> {
        Ok(JobLookup::Unknown)
    }

    async fn register(
        &self,
        _: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError> {
        let mut github = self.github.lock().unwrap();
        github.asked += 1;
        let fault = github.faults.pop_front();
        let taken = github.registered.iter().any(|one| one.name == runner.name);
        if fault.is_none_or(|(_, done)| done) && !taken && !github.down {
            let id = u64::try_from(github.registered.len()).unwrap() + 1;
            github.registered.push(RegisteredRunner {
                id,
                name: runner.name.clone(),
                online: false,
                busy: false,
            });
        }
        let fault = fault.map(|(fault, _)| fault);
        if let Some(fault) = fault.or(taken.then_some(GitHubFault::Conflict)) {
            return Err(GitHubError {
                what: format!("register {}", runner.name),
                problem: "a fault".to_owned(),
                fault,
            });
        }
        if github.down {
            return Err(GitHubError {
                what: format!("register {}", runner.name),
                problem: "it is down".to_owned(),
                fault: GitHubFault::Refused,
            });
        }
        Ok(Registration::Ephemeral("configuration".to_owned().into()))
    }

    async fn runner(
        &self,
        _: &RegistrationTarget,
        name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError> {
        let github = self.github.lock().unwrap();
        let mut all = github.registered.iter();
        Ok(all.find(|runner| runner.name == name).cloned())
    }

    async fn remove(&self, _: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError> {
        let mut github = self.github.lock().unwrap();
        let Some(place) = github.registered.iter().position(|one| one.id == id) else {
            return Ok(Removed::Unknown);
        };
        if github.registered[place].busy {
            return Ok(Removed::Busy);
        }
        github.registered.remove(place);
        Ok(Removed::Removed)
    }

    fn page(&self, scope: &ScopeName) -> String {
        format!("https://github.com/{scope}")
    }
}

#[async_trait]
impl Configurations for Outside {
    async fn put(
        &self,
        instance: &InstanceId,
        _: &InstanceConfiguration,
    ) -> Result<(), ConfigurationError> {
        let mut parameters = self.parameters.lock().unwrap();
        parameters.written.insert(instance.clone());
        if parameters.answers_get_lost {
            return Err(ConfigurationError {
                instance: instance.clone(),
                what: "written",
                problem: "no answer".to_owned(),
            });
        }
        Ok(())
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), ConfigurationError> {
        self.parameters.lock().unwrap().written.remove(instance);
        Ok(())
    }
}

#[async_trait]
impl ActQueue for Outside {
    async fn ask(&self, request: &ActRequest) -> Result<(), ActQueueError> {
        let mut acts = self.acts.lock().unwrap();
        if acts.down {
            return Err(ActQueueError {
                scope: request.scope,
                problem: "it is down".to_owned(),
            });
        }
        acts.asked.push(request.clone());
        Ok(())
    }
}

/// The real ledger, and other writers of its jobs when the test wants them.
struct ContendedLedger {
    ledger: SqliteLedger,
    outside: Arc<Outside>,
}

#[async_trait]
impl Ledger for ContendedLedger {
    async fn job(&self, key: JobKey) -> Result<Option<Job>, LedgerError> {
        self.ledger.job(key).await
    }

    async fn put_job(&self, job: &Job) -> Result<(), LedgerError> {
        if *self.outside.jobs_are_contended.lock().unwrap() {
            return Err(LedgerError::Conflict(format!("job {}", job.key)));
        }
        self.ledger.put_job(job).await
    }

    async fn scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError> {
        self.ledger.scope(scope).await
    }

    async fn save_decision(&self, decided: &DecidedScope<'_>) -> Result<ScopeVersion, LedgerError> {
        self.ledger.save_decision(decided).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), LedgerError> {
        self.ledger.settle(settlement).await
    }

    async fn book(
        &self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Result<(), LedgerError> {
        self.ledger.book(scope, account, booked).await
    }

    async fn runner(&self, instance: &InstanceId) -> Result<Option<Runner>, LedgerError> {
        self.ledger.runner(instance).await
    }

    async fn put_runner(&self, runner: &Runner) -> Result<(), LedgerError> {
        self.ledger.put_runner(runner).await
    }

    async fn shared(&self, item: SharedItem) -> Result<Shared, LedgerError> {
        self.ledger.shared(item).await
    }

    async fn put_shared(&self, item: SharedItem, seen: u64, body: &str) -> Result<(), LedgerError> {
        self.ledger.put_shared(item, seen, body).await
    }

    async fn put_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.ledger.put_due(due).await
    }

    async fn due(&self, until: Timestamp, most: usize) -> Result<Vec<Due>, LedgerError> {
        self.ledger.due(until, most).await
    }

    async fn drop_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.ledger.drop_due(due).await
    }

    async fn name_repository(&self, name: &str, id: RepositoryId) -> Result<(), LedgerError> {
        self.ledger.name_repository(name, id).await
    }

    async fn repository(&self, name: &str) -> Result<Option<RepositoryId>, LedgerError> {
        self.ledger.repository(name).await
    }
}

struct Silent;

impl Reporter for Silent {
    fn report(&self, _: Timestamp, _: &Happening) {}
}

/// One runner for each waiting job that none is on its way for, by policies of the generation that the
/// test says.
struct OneEach(Arc<Outside>);

#[async_trait]
impl ScaleUpDecider for OneEach {
    async fn decide(&self, situation: &Situation, seen: PolicyGeneration) -> Proposal {
        let generation = *self.0.generation.lock().unwrap();
        self.0.generations_seen.lock().unwrap().push(seen);
        let coming = situation
            .runners
            .iter()
            .filter(|runner| {
                matches!(
                    runner.phase,
                    PhaseFacts::Launching | PhaseFacts::Booting | PhaseFacts::Idle
                )
            })
            .count();
        let jobs: Vec<usize> = (coming..situation.pending.len()).collect();
        Proposal {
            plan: Plan {
                launches: vec![Launch {
                    class: 0,
                    capacity: Capacity::Spot,
                    count: u32::try_from(jobs.len()).unwrap(),
                    launched_for: None,
                    jobs,
                    reason: "they wait".to_owned(),
                }],
                deferrals: vec![Deferral {
                    jobs: (0..coming.min(situation.pending.len())).collect(),
                    retry_after: None,
                    reason: "one is on its way".to_owned(),
                }],
                ..Plan::default()
            },
            by: DecidedBy {
                policy: "one each".to_owned(),
                level: PolicyLevel::BuiltIn,
                digest: None,
                generation,
                fuel: None,
            },
            basis: stoker_core::plan::Basis::default(),
            fallback: None,
        }
    }
}
