//! Runners that nobody needs go, and nothing else: the real Lambda over moto and the stand-in.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stoker_core::class::Capacity;
use stoker_core::contract::Fixtures;
use stoker_core::ids::{ClassName, InstanceId, IntentId, ScopeKey};
use stoker_core::intent::{FleetRequest, Intent};
use stoker_core::limits::RunnerMode;
use stoker_core::ports::{Fleet as _, Ledger as _, Settlement, SharedItem};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_tests::github::{Call, Level};

use crate::parts::aws::{DEPLOYMENT, TEMPLATE};
use crate::parts::stack::{ORGANIZATION, Stack};

/// GitHub's id of the organisation of its `workflow_job` example.
const ORGANIZATION_ID: u64 = 38_302_899;

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn scope() -> ScopeKey {
    ScopeKey::Organization(ORGANIZATION_ID.into())
}

fn scope_name() -> ScopeName {
    ScopeName {
        owner: ORGANIZATION.to_lowercase(),
        repository: None,
    }
}

fn intent(number: u64, count: u32) -> Intent {
    let fixtures = Fixtures::new(Timestamp(now() - 7_200), 1);
    let drawn = fixtures.intent(1, number, 0);
    Intent {
        id: IntentId(format!("{number:032x}")),
        scope: scope(),
        scope_name: Some(scope_name()),
        request: FleetRequest {
            class: ClassName("ubuntu".to_owned()),
            launch_template: TEMPLATE.to_owned(),
            launch_template_version: "$Default".to_owned(),
            instance_types: Vec::new(),
            subnets: Vec::new(),
            capacity: Capacity::OnDemand,
            count,
        },
        ..drawn
    }
}

/// Instances that have been there for half an hour, and their runners as the ledger knows them.
async fn launched(stack: &Stack, number: u64, count: u32, phase: &RunnerPhase) -> Vec<InstanceId> {
    let intent = intent(number, count);
    let launched = stack.aws.fleet(DEPLOYMENT).launch(&intent).await.unwrap();
    let fixtures = Fixtures::new(Timestamp(now() - 7_200), 1);
    let ids: Vec<InstanceId> = launched
        .instances
        .iter()
        .map(|one| one.id.clone())
        .collect();
    assert_eq!(ids.len(), usize::try_from(count).unwrap(), "{launched:?}");
    let runners = ids.iter().map(|id| Runner {
        instance: id.clone(),
        name: format!("stoker-{DEPLOYMENT}-{id}"),
        scope: scope(),
        scope_name: Some(scope_name()),
        class: ClassName("ubuntu".to_owned()),
        mode: RunnerMode::Persistent,
        phase: phase.clone(),
        phase_since: Timestamp(now() - 1_200),
        launched_at: Timestamp(now() - 1_800),
        booted_at: Some(Timestamp(now() - 1_700)),
        configured: true,
        ..fixtures.runner(&intent, 0)
    });
    // A transaction has room for so many.
    let runners: Vec<Runner> = runners.collect();
    for some in runners.chunks(90) {
        let settlement = Settlement {
            intent: intent.id.clone(),
            scope: scope(),
            runners: some.to_vec(),
        };
        stack.aws.ledger().settle(&settlement).await.unwrap();
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_idle_goes_and_what_is_busy_unknown_or_somebody_else_s_stays() {
    let stack = Stack::start("persistent").await;
    let github = stack.github.state();
    let level = || Level::organization(ORGANIZATION);
    let name = |id: &InstanceId| format!("stoker-{DEPLOYMENT}-{id}");
    let idle = launched(&stack, 1, 500, &RunnerPhase::Idle).await;
    for id in &idle {
        github.runner(level(), &name(id), true, false);
    }
    // Half of them have taken a job of which no webhook has come.
    let busy = launched(&stack, 2, 50, &RunnerPhase::Idle).await;
    for id in &busy {
        github.runner(level(), &name(id), true, true);
    }
    // GitHub does not know some, and has no connection to the others.
    let unknown = launched(&stack, 3, 10, &RunnerPhase::Idle).await;
    for id in &unknown[..5] {
        github.runner(level(), &name(id), false, false);
    }
    // Another deployment's instances, and runners of nobody knows whom.
    let foreign = stack.aws.fleet("other");
    let foreign = foreign.launch(&intent(4, 10)).await.unwrap().instances;
    for number in 0..10 {
        github.runner(level(), &format!("build-server-{number}"), true, false);
    }
    let before = github.calls(Call::Removal);
    assert_eq!(before, 0);

    // The ledger has been there for long.
    let origin = json!({ "at": now() - 9_000, "confirmed": true }).to_string();
    let ledger = stack.aws.ledger();
    ledger
        .put_shared(SharedItem::Origin, 0, &origin)
        .await
        .unwrap();
    let (early, requests) = watch_terminations(&stack);

    let lambda = stack.scale_down().await;
    let mut retired = 0;
    // On a slow machine an answer may be lost: what is left is seen through by the next acts.
    for _ in 0..5 {
        let came = lambda.asked(&json!({})).await;
        assert_eq!(came["taken_away"], 0, "{came}");
        retired += came["retired"].as_u64().unwrap();
        if retired == 500 {
            break;
        }
        stack.lambda.asked(&json!({ "task": "tick" })).await;
        stack.settle().await;
    }

    let log = lambda.log();
    let gone = stack.aws.running().await.len();
    assert_eq!(gone, 60, "{retired} retired; {:#?}", problems(&log));
    let running: BTreeSet<String> = stack
        .aws
        .running()
        .await
        .into_iter()
        .map(|one| one.id)
        .collect();
    let stay: BTreeSet<String> = busy
        .iter()
        .chain(&unknown)
        .map(ToString::to_string)
        .collect();
    assert_eq!(running, stay);
    let shown = stack.aws.fleet("other").ours().await.unwrap().instances;
    assert_eq!(shown.len(), foreign.len());
    let left: BTreeSet<String> = github.runners().into_iter().map(|one| one.name).collect();
    assert_eq!(left.len(), 50 + 5 + 10, "{left:?}");
    assert!(idle.iter().all(|id| !left.contains(&name(id))));
    assert!(github.calls(Call::Removal) >= 500);
    let early = early.lock().unwrap().clone();
    assert!(
        early.is_empty(),
        "terminated while they were registered: {early:?}"
    );
    // Many at once.
    let requests = requests.load(Ordering::Relaxed);
    assert!(
        (1..=100).contains(&requests),
        "{requests} requests to terminate"
    );
    // The ledger knows what has become of them, and that the others are not idle.
    let state = stack.aws.ledger().scope(scope()).await.unwrap();
    let occupied = state
        .runners
        .iter()
        .filter(|one| one.phase == RunnerPhase::Occupied);
    assert_eq!((state.runners.len(), occupied.count()), (60, 50));
    // And the journal says why.
    let told = lambda.happened("decided-retirement");
    let reasons: Vec<&Value> = told
        .iter()
        .flat_map(|one| one["retired"].as_array().unwrap())
        .collect();
    assert!(!reasons.is_empty());
    for reason in &reasons {
        assert!(
            reason["reason"].as_str().unwrap().contains("idle"),
            "{reason}"
        );
    }
    let journal = stack.aws.everything_below("journal/").await.concat();
    assert!(journal.contains("decided-retirement"), "{journal}");
    // Once more: there is nothing left to do.
    let came = lambda.asked(&json!({})).await;
    assert_eq!(
        (&came["retired"], &came["taken_away"]),
        (&json!(0), &json!(0))
    );
}

/// The runners whose instances are terminated before GitHub has removed them, and how many requests to terminate
/// there are.
fn watch_terminations(stack: &Stack) -> (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) {
    let (early, requests) = (
        Arc::new(Mutex::new(Vec::<String>::new())),
        Arc::new(AtomicUsize::new(0)),
    );
    let (told, counted) = (Arc::clone(&early), Arc::clone(&requests));
    let github = stack.github.shared();
    stack.wire.watch(move |body| {
        let body = String::from_utf8_lossy(body);
        if !body.contains("Action=TerminateInstances") {
            return;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("stoker-{DEPLOYMENT}-");
        let registered = github.runners().into_iter();
        let early = registered.filter(|runner| {
            let instance = runner.name.strip_prefix(&prefix);
            instance.is_some_and(|instance| body.contains(instance))
        });
        told.lock().unwrap().extend(early.map(|runner| runner.name));
    });
    (early, requests)
}

fn problems(log: &[Value]) -> Vec<&Value> {
    let bad = |line: &&Value| line["level"] == "WARN" || line["level"] == "ERROR";
    log.iter().filter(bad).collect()
}
