//! What is run.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant as Real};

use async_trait::async_trait;
use stoker_batch::event::Attributes;
use stoker_batch::{Record, SqsEvent};
use stoker_core::budget::Rates;
use stoker_core::class::Classes;
use stoker_core::contract::check_ledger;
use stoker_core::ids::{Deployment, RunnerNames, ScopeKey};
use stoker_core::job;
use stoker_core::limits::{
    BOOT_TIME, Guards, JOBS_SHOWN, Operation, REGISTRATIONS_A_MINUTE, RunnerLevel, RunnerMode,
    SPOT_FALLBACK,
};
use stoker_core::ports::{ActRequest, Clock as _, Decider, Fetched, PolicyStore, PolicyStoreError};
use stoker_core::situation::Trigger;
use stoker_intake::Action;
use stoker_policy::artifact::PublicKeys;
use stoker_policy::{HostSettings, OnFailure, PolicyHost, PolicyMode, SizeClass, Trust};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use crate::lambda::{Lambda, Work};
use crate::ledger::Far;
use crate::life;
use crate::process::{self, OneAct};
use crate::world::{PURPOSE, Purpose, World, locked};

/// When the burst begins: ticks come at full minutes, and nobody can count on one right after a burst.
const BURST_AT: Duration = Duration::from_secs(17);
const TICK: Duration = Duration::from_mins(1);
/// How long a scenario may take: what is not done by then is told.
const LONGEST: Duration = Duration::from_hours(3);

/// A scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) jobs: u64,
    pub(crate) limited: bool,
    /// How many runners a decision may launch and register.
    pub(crate) a_decision: u32,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) world: Arc<World>,
    /// Seconds from the burst until the last runner that a job needs was ready to boot; none: not all were.
    pub(crate) launched_in: Option<f64>,
    /// Seconds from the burst until every job had ended and every message was handled.
    pub(crate) over_in: f64,
    pub(crate) processes: u64,
    pub(crate) cpu: f64,
    pub(crate) real: f64,
    pub(crate) peak: f64,
    pub(crate) one_act: Option<OneAct>,
}

/// All of them: within the limits by the shipped defaults; without any by what an operator sets who has none,
/// and, for comparison, by the shipped maximum of a decision, which is made for GitHub's limit.
pub(crate) fn scenarios() -> [Scenario; 4] {
    let scenario = |name, jobs, limited, a_decision| Scenario {
        name,
        jobs,
        limited,
        a_decision,
    };
    [
        scenario("thousand", 1_000, true, REGISTRATIONS_A_MINUTE),
        scenario("unlimited", 1_000, false, 10_000),
        scenario("unlimited-180", 1_000, false, REGISTRATIONS_A_MINUTE),
        // Last: memory that was in use stays with the process.
        scenario("ten-thousand", 10_000, true, REGISTRATIONS_A_MINUTE),
    ]
}

fn scope() -> ScopeKey {
    ScopeKey::Organization(life::OWNER)
}

fn deployment() -> Deployment {
    let name = "burst".parse();
    name.unwrap_or_else(|_| unreachable!("letters are a name"))
}

/// The shipped defaults, but for how much a decision may launch, and room for every job.
fn operation(limited: bool, a_decision: u32) -> Operation {
    let broken = |what: &str| -> ! { unreachable!("{what} is as it has to be") };
    let deployment = deployment();
    let class = serde_json::json!([{
        "name": "small", "labels": life::labels(), "launch_template": "lt-0123456789abcdef0",
        "instance_types": ["c7i.large", "c7a.large"], "subnets": ["subnet-a", "subnet-b", "subnet-c"],
        "maximum": 10_000, "spot_price": 0.035, "on_demand_price": 0.089,
    }]);
    Operation {
        names: RunnerNames::new("stoker", &deployment).unwrap_or_else(|_| broken("the prefix")),
        deployment,
        level: RunnerLevel::Organization,
        mode: RunnerMode::Ephemeral,
        runner_group: None,
        classes: Classes::from_json(&class.to_string()).unwrap_or_else(|_| broken("the class")),
        scope_maximum: 10_000,
        boot_time: BOOT_TIME,
        minimum_running_time: stoker_core::limits::MINIMUM_RUNNING_TIME,
        jobs_shown: JOBS_SHOWN,
        guards: Guards {
            launches_per_decision: a_decision,
            registrations_per_decision: a_decision,
            ..Guards::default()
        },
        rates: if limited {
            Rates::default()
        } else {
            Rates::UNLIMITED
        },
        deployment_maximum: None,
        spot_fallback: SPOT_FALLBACK.map(str::to_owned).to_vec(),
    }
}

/// A store without policies: the built-in rules decide.
struct NoPolicies;

#[async_trait]
impl PolicyStore for NoPolicies {
    async fn fetch(&self, _: &str, _: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        Ok(Fetched::Absent)
    }
}

fn decider() -> Arc<dyn Decider> {
    let trust = Trust {
        deployment: deployment(),
        keys: PublicKeys::new([]),
        revalidate: 15,
    };
    let settings = HostSettings {
        mode: PolicyMode::BuiltIn,
        limits: SizeClass::Small.limits(),
        on_failure: OnFailure::BuiltIn,
    };
    let host = PolicyHost::new(Arc::new(NoPolicies), trust, settings);
    Arc::new(host.unwrap_or_else(|error| unreachable!("the engine is set up everywhere: {error}")))
}

/// A runtime with a clock that stands still while anything can run.
fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap_or_else(|error| unreachable!("a runtime without I/O needs nothing: {error}"))
}

/// Whether the stand-in of the ledger is one.
pub(crate) fn the_ledger_keeps_its_contract() -> Result<(), String> {
    runtime().block_on(async {
        let world = World::new(false);
        let now = world.now();
        let held = check_ledger(&Far(world), now).await;
        held.map_err(|breaches| breaches.to_string())
    })
}

impl Scenario {
    /// Runs it.
    pub(crate) fn run(&self) -> Outcome {
        let one_act = (self.jobs >= 10_000).then(OneAct::measure);
        let one_act = one_act.and_then(|measured| {
            measured
                .inspect_err(|error| eprintln!("one act could not be measured: {error}"))
                .ok()
        });
        process::forget_peak();
        let (cpu, real) = (process::cpu(), Real::now());
        let outcome = runtime().block_on(self.live(real));
        Outcome {
            cpu: process::cpu() - cpu,
            real: real.elapsed().as_secs_f64(),
            peak: process::peak(),
            one_act,
            ..outcome
        }
    }

    async fn live(&self, real: Real) -> Outcome {
        let world = World::new(self.limited);
        let lambda = Lambda::new(
            Arc::clone(&world),
            operation(self.limited, self.a_decision),
            decider(),
        );
        for fifo in [false, true] {
            let (world, lambda) = (Arc::clone(&world), Arc::clone(&lambda));
            tokio::spawn(async move {
                let queue = if fifo { &world.acts } else { &world.intake };
                queue.map_to(Arc::clone(&world), lambda).await;
            });
        }
        let ticked = Arc::clone(&lambda);
        tokio::spawn(async move {
            loop {
                sleep(TICK).await;
                let lambda = Arc::clone(&ticked);
                tokio::spawn(async move { lambda.invoked(Work::Tick).await });
            }
        });
        sleep(BURST_AT).await;
        let began = world.elapsed();
        life::burst(Arc::clone(&world), self.jobs).await;
        let mut told = 0;
        loop {
            sleep(Duration::from_secs(1)).await;
            let seconds = world.elapsed() - began;
            let (ready, ended) = {
                let outside = locked(&world.outside);
                (outside.ready.len() as u64, outside.jobs_ended)
            };
            let left = world.intake.len() + world.acts.len();
            if (ended >= self.jobs && left == 0) || seconds > LONGEST.as_secs_f64() {
                break;
            }
            let stretch = world.began().elapsed().as_secs() / 300;
            if stretch != told {
                told = stretch;
                let (waiting, running, runners, bytes) = locked(&world.table).there(scope());
                eprintln!(
                    "{}: {:.0} min: {ready} launched, {ended} ended; the ledger has {waiting} jobs waiting, \
                     {running} running, {runners} runners, {:.1} MB; {} messages ({:.0} s by the wall clock)",
                    self.name,
                    seconds / 60.0,
                    bytes as f64 / 1e6,
                    left,
                    real.elapsed().as_secs_f64(),
                );
            }
        }
        let over_in = world.elapsed() - began;
        // One more minute, in which the instances go.
        sleep(TICK).await;
        let last = usize::try_from(self.jobs).unwrap_or(usize::MAX) - 1;
        let ready = locked(&world.outside).ready.get(last).copied();
        Outcome {
            launched_in: ready.map(|at| at - began),
            over_in,
            processes: lambda.processes(),
            world,
            cpu: 0.0,
            real: 0.0,
            peak: 0.0,
            one_act: None,
        }
    }
}

/// One act on 10,000 waiting jobs: prints its memory before, with the table filled, and at its most.
pub(crate) fn one_act() -> ExitCode {
    let [before, filled] = runtime().block_on(async {
        let world = World::new(true);
        let lambda = Lambda::new(
            Arc::clone(&world),
            operation(true, REGISTRATIONS_A_MINUTE),
            decider(),
        );
        let request = ActRequest {
            scope: scope(),
            folded: String::new(),
            trigger: Trigger::Jobs,
        };
        let act = || {
            let record = Record {
                id: "1".to_owned(),
                body: serde_json::to_string(&request).unwrap_or_default(),
                attributes: Attributes {
                    group: Some("scope".to_owned()),
                    receives: None,
                },
                ..Record::default()
            };
            let records = vec![record];
            let acting = lambda.invoked(Work::Batch(SqsEvent { records }));
            PURPOSE.scope(Purpose::Act, acting)
        };
        // One with nothing to do, so that what a process has anyway is there.
        act().await;
        let before = process::resident();
        for number in 0..10_000 {
            let event = life::event(number, Action::Queued, None);
            let folded = job::fold(None, &event, scope(), world.now());
            let mut table = locked(&world.table);
            let _written = folded.map(|job| table.put_job(&job));
        }
        let filled = process::resident();
        process::forget_peak();
        act().await;
        [before, filled]
    });
    println!("{before} {filled} {}", process::peak());
    ExitCode::SUCCESS
}
