//! How long it takes to retire 500 idle runners of 1,000, and how often GitHub is asked for that: the control plane
//! and the real GitHub adapter over HTTP to the stand-in, which takes 100 ms for each answer. First where GitHub
//! sets no limit, then where it does.
//!
//!     make bench-retire

// A benchmark that can't go on is to say where, and what it measures is for people.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stoker_core::budget::Rates;
use stoker_core::class::Classes;
use stoker_core::contract::Fixtures;
use stoker_core::control::{Control, Ports};
use stoker_core::happening::Happening;
use stoker_core::ids::{ClassName, Deployment, RunnerNames};
use stoker_core::limits::{BOOT_TIME, Guards, JOBS_SHOWN, Operation, RunnerLevel, RunnerMode};
use stoker_core::ports::{
    Clock as _, Fetched, Fleet as _, Ledger as _, PolicyStore, PolicyStoreError, Reporter,
    Settlement, SharedItem,
};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_github::{App, AppCredentials, Credentials, CredentialsError, Endpoints};
use stoker_local::queue::QueueSettings;
use stoker_local::{
    ActsInProcess, Database, MemoryConfigurations, SimulatedFleet, SimulatedFleetSettings,
    SqliteLedger, SystemClock,
};
use stoker_policy::artifact::PublicKeys;
use stoker_policy::{HostSettings, OnFailure, PolicyHost, PolicyMode, SizeClass, Trust};
use stoker_tests::github::{AppKey, Call, GitHub, Level};

const APP: &str = "12345";
const OWNER: &str = "acme";
const RUNNERS: u32 = 1_000;
const IDLE: usize = 500;

/// How long GitHub takes for an answer.
const ANSWERS_IN: Duration = Duration::from_millis(100);

/// What GitHub takes in a minute, and what a removal costs of that.
const POINTS_A_MINUTE: u32 = 900;
const POINTS_A_REMOVAL: u32 = 5;

struct NoPolicies;

#[async_trait]
impl PolicyStore for NoPolicies {
    async fn fetch(&self, _: &str, _: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        Ok(Fetched::Absent)
    }
}

struct Key(String);

#[async_trait]
impl Credentials for Key {
    async fn read(&self) -> Result<AppCredentials, CredentialsError> {
        Ok(AppCredentials {
            app: APP.to_owned(),
            private_key: self.0.clone().into(),
        })
    }
}

/// Says what went wrong.
struct Troubles;

impl Reporter for Troubles {
    fn report(&self, _: Timestamp, happening: &Happening) {
        if let Happening::Trouble { problem, .. } = happening {
            eprintln!("{problem}");
        }
    }
}

#[tokio::main]
async fn main() {
    println!(
        "500 idle runners of 1,000, {} ms an answer",
        ANSWERS_IN.as_millis()
    );
    run("no limit", None).await;
    run("900 points a minute", Some(POINTS_A_MINUTE)).await;
}

async fn run(title: &str, limit: Option<u32>) {
    let key = AppKey::generate().unwrap();
    let github = GitHub::start(APP, &key).await.unwrap();
    github.state().install(1, OWNER, true);
    let ledger = SqliteLedger::new(Database::in_memory().unwrap());
    let fleet = launched(&github, &ledger).await;
    let operation = operation(limit);
    let control = control(&github, &key, &ledger, &fleet, operation);
    github.state().patience(ANSWERS_IN, limit);

    let begun = Instant::now();
    let until = Timestamp(SystemClock.now().0 + 800);
    let came = control.scale_down(until).await.unwrap();
    let took = begun.elapsed();

    let calls = |call| github.state().calls(call);
    let (removals, lists) = (calls(Call::Removal), calls(Call::Runners));
    let others = calls(Call::AccessToken) + calls(Call::Installation);
    assert_eq!(came.retired, IDLE, "{came:?}");
    assert_eq!(fleet.running(), IDLE);
    println!("\n{title}");
    println!(
        "  retired          {} in {:.1} s",
        came.retired,
        took.as_secs_f64()
    );
    println!(
        "  GitHub calls     {removals} removals, {lists} pages of lists, {others} others: {:.2} a retired runner \
         beyond the listing",
        count(removals + others) / count(IDLE)
    );
    if let Some(limit) = limit {
        // The first minute's share can be used at once, so the limit is what the whole may take.
        let minutes = took.as_secs_f64() / 60.0;
        let rate = count(IDLE) / minutes;
        let allowed = f64::from(limit / POINTS_A_REMOVAL);
        println!(
            "  rate             {rate:.1} a minute, {:.1} % of the {allowed} that GitHub allows; at most {} points \
             in a minute",
            100.0 * rate / allowed,
            github.state().most_points_in_a_minute()
        );
    }
}

#[allow(clippy::cast_precision_loss)]
fn count(number: usize) -> f64 {
    number as f64
}

fn names() -> (Deployment, RunnerNames) {
    let deployment: Deployment = "bench".parse().unwrap();
    let names = RunnerNames::new("stoker", &deployment).unwrap();
    (deployment, names)
}

/// Runners that have been there for two hours: half of them idle, half with a job.
async fn launched(github: &GitHub, ledger: &SqliteLedger) -> SimulatedFleet {
    let settings = SimulatedFleetSettings {
        // None boots: they have, long ago.
        boot: Duration::from_hours(1),
        spread: Duration::ZERO,
        capacity: 10_000,
    };
    let (fleet, _events) = SimulatedFleet::new(settings, Arc::default());
    let now = SystemClock.now();
    let fixtures = Fixtures::new(Timestamp(now.0 - 7_200), 1);
    let mut intent = fixtures.intent(1, 1, 0);
    intent.request.count = RUNNERS;
    intent.scope_name = Some(scope_name());
    let instances = fleet.launch(&intent).await.unwrap().instances;
    let (_, names) = names();
    let mut runners = Vec::new();
    for (place, instance) in instances.iter().enumerate() {
        let is_busy = place % 2 == 1;
        let name = names.name(&instance.id);
        github
            .state()
            .runner(Level::organization(OWNER), &name, true, is_busy);
        runners.push(Runner {
            instance: instance.id.clone(),
            name,
            scope_name: Some(scope_name()),
            class: ClassName("any".to_owned()),
            mode: RunnerMode::Persistent,
            phase: if is_busy {
                RunnerPhase::Occupied
            } else {
                RunnerPhase::Idle
            },
            phase_since: Timestamp(now.0 - 3_600),
            launched_at: Timestamp(now.0 - 7_200),
            booted_at: Some(Timestamp(now.0 - 7_100)),
            configured: true,
            ..fixtures.runner(&intent, 0)
        });
    }
    let settlement = Settlement {
        intent: intent.id.clone(),
        scope: intent.scope,
        runners,
    };
    ledger.settle(&settlement).await.unwrap();
    let origin = format!("{{\"at\":{},\"confirmed\":true}}", now.0 - 9_000);
    ledger
        .put_shared(SharedItem::Origin, 0, &origin)
        .await
        .unwrap();
    fleet
}

fn scope_name() -> ScopeName {
    ScopeName {
        owner: OWNER.to_owned(),
        repository: None,
    }
}

fn operation(limit: Option<u32>) -> Operation {
    let (deployment, names) = names();
    let classes = r#"[{"name":"any","labels":["linux"],"launch_template":"lt","maximum":2000,"on_demand_price":0.1}]"#;
    let rates = match limit {
        // As a Lambda has it that is told nothing.
        Some(_) => Rates::default(),
        None => Rates::UNLIMITED,
    };
    Operation {
        names,
        deployment,
        level: RunnerLevel::Organization,
        mode: RunnerMode::Persistent,
        runner_group: None,
        classes: Classes::from_json(classes).unwrap(),
        scope_maximum: 2_000,
        boot_time: BOOT_TIME,
        minimum_running_time: 60,
        jobs_shown: JOBS_SHOWN,
        guards: Guards::default(),
        rates,
        deployment_maximum: None,
        spot_fallback: Vec::new(),
    }
}

fn control(
    github: &GitHub,
    key: &AppKey,
    ledger: &SqliteLedger,
    fleet: &SimulatedFleet,
    operation: Operation,
) -> Control {
    let trust = Trust {
        deployment: operation.deployment.clone(),
        keys: PublicKeys::new([]),
        revalidate: 15,
    };
    let settings = HostSettings {
        mode: PolicyMode::BuiltIn,
        limits: SizeClass::Small.limits(),
        on_failure: OnFailure::BuiltIn,
    };
    let endpoints = Endpoints::new(&github.url(), None).unwrap();
    let credentials = Arc::new(Key(key.pem().unwrap()));
    let app = App::new(endpoints, credentials, Arc::new(SystemClock)).unwrap();
    Control::new(
        operation,
        Ports {
            ledger: Arc::new(ledger.clone()),
            fleet: Arc::new(fleet.clone()),
            github: Arc::new(app),
            configurations: Arc::new(MemoryConfigurations::default()),
            acts: Arc::new(ActsInProcess::new(QueueSettings::default())),
            decider: Arc::new(PolicyHost::new(Arc::new(NoPolicies), trust, settings).unwrap()),
            clock: Arc::new(SystemClock),
            timer: Arc::new(SystemClock),
            reporter: Arc::new(Troubles),
        },
    )
}
