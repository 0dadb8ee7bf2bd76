//! What happens by itself: jobs are queued, instances boot, runners take jobs, jobs end; and the messages that
//! the edge and EventBridge send of it.

use std::sync::Arc;
use std::time::Duration;

use stoker_core::ids::InstanceId;
use stoker_core::ports::Clock as _;
use stoker_intake::{
    Action, CheckRunId, DeliveryId, EventKind, InstallationId, JobEvent, JobId, MessageVersion,
    Owner, OwnerId, OwnerKind, Repository, RepositoryId, RunId, Visibility,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{PURPOSE, Purpose, World, locked};

/// The organisation whose jobs these are.
pub(crate) const OWNER: OwnerId = OwnerId::new(7_000);
/// What runners are called, but for their instance.
pub(crate) const STEM: &str = "stoker-burst-";
/// How many repositories it has.
const REPOSITORIES: u64 = 50;
/// Within which jobs are queued.
const BURST: Duration = Duration::from_secs(1);
/// GitHub's and the edge's part of a webhook's way.
const WEBHOOK: Duration = Duration::from_millis(200);
/// For how long an instance that has no configuration looks for one.
const LOOKS_FOR: Duration = Duration::from_mins(10);

pub(crate) fn labels() -> Vec<String> {
    ["self-hosted", "linux", "x64"].map(str::to_owned).to_vec()
}

/// An event of a job.
pub(crate) fn event(number: u64, action: Action, runner: Option<&str>) -> JobEvent {
    let repository = number % REPOSITORIES;
    let name = format!("service-{repository}");
    let digits = format!("{number:08x}-0000-11f0-8000-{:012x}", action as u64);
    JobEvent {
        version: MessageVersion::CURRENT,
        delivery: DeliveryId::new(digits)
            .unwrap_or_else(|_| unreachable!("digits and hyphens are visible")),
        event: EventKind::WorkflowJob,
        action,
        owner: Owner {
            id: OWNER,
            login: "Acme".to_owned(),
            kind: OwnerKind::Organization,
        },
        repository: Repository {
            id: RepositoryId::new(40_000 + repository),
            full_name: format!("Acme/{name}"),
            name,
            visibility: Visibility::Private,
        },
        installation_id: Some(InstallationId::new(9)),
        job_id: Some(JobId::new(50_000_000_000 + number)),
        check_run_id: CheckRunId::new(50_000_000_000 + number),
        run_id: Some(RunId::new(18_000_000_000 + number / 10)),
        run_attempt: Some(1),
        name: format!("test (shard {} of 10)", number % 10 + 1),
        workflow_name: Some("Build and test".to_owned()),
        labels: Some(labels()),
        head_branch: Some(format!("feature/change-{}", number / 10)),
        head_sha: Some(format!("{number:040x}")),
        runner_id: None,
        runner_name: runner.map(str::to_owned),
        conclusion: (action == Action::Completed).then(|| "success".to_owned()),
        created_at: None,
        started_at: None,
        completed_at: None,
    }
}

/// A message of an event.
async fn tell(world: &World, event: &JobEvent) {
    if let Ok(body) = event.to_message() {
        world.intake.send(world, body, None, Instant::now()).await;
    }
}

/// Queues so many jobs within a second.
pub(crate) async fn burst(world: Arc<World>, jobs: u64) {
    let began = Instant::now();
    for number in 0..jobs {
        let part = u32::try_from(number).unwrap_or(u32::MAX);
        let parts = u32::try_from(jobs.max(1)).unwrap_or(u32::MAX);
        sleep_until(began + BURST * part / parts).await;
        locked(&world.outside).waiting.push_back(number);
        let world = Arc::clone(&world);
        tokio::spawn(PURPOSE.scope(Purpose::Edge, async move {
            sleep(WEBHOOK).await;
            tell(&world, &event(number, Action::Queued, None)).await;
        }));
    }
}

/// What EventBridge tells of an instance.
async fn tell_state(world: &World, instance: &InstanceId, state: &str) {
    let body = serde_json::json!({
        "version": "0", "id": format!("{instance}-{state}"), "source": "aws.ec2",
        "detail-type": "EC2 Instance State-change Notification",
        "account": "123456789012", "time": world.now().0.to_string(), "region": "us-east-1",
        "resources": [format!("arn:aws:ec2:us-east-1:123456789012:instance/{instance}")],
        "detail": {"instance-id": instance.as_str(), "state": state},
    });
    world
        .intake
        .send(world, body.to_string(), None, Instant::now())
        .await;
}

fn seconds(world: &World, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + (most - least) * world.draw())
}

/// An instance from its launch to its end.
pub(crate) async fn of_an_instance(world: Arc<World>, instance: InstanceId) {
    PURPOSE.scope(Purpose::Edge, live(&world, &instance)).await;
}

/// What an instance finds that looks for its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    Configured,
    Nothing,
    /// It was terminated.
    Gone,
}

fn looks(world: &World, instance: &InstanceId) -> Looks {
    let mut outside = locked(&world.outside);
    if outside.terminated.contains(instance) {
        Looks::Gone
    } else if outside.parameters.remove(instance) {
        Looks::Configured
    } else {
        Looks::Nothing
    }
}

async fn live(world: &World, instance: &InstanceId) {
    let launched = Instant::now();
    tell_state(world, instance, "pending").await;
    sleep(seconds(world, 5.0, 10.0)).await;
    tell_state(world, instance, "running").await;
    sleep_until(launched + seconds(world, 35.0, 45.0)).await;
    let mut configured = looks(world, instance);
    while configured == Looks::Nothing && launched.elapsed() < LOOKS_FOR {
        sleep(Duration::from_secs(2)).await;
        configured = looks(world, instance);
    }
    let job = if configured == Looks::Configured {
        locked(&world.outside).waiting.pop_front()
    } else {
        None
    };
    let runner = format!("{STEM}{instance}");
    if let Some(job) = job {
        sleep(WEBHOOK).await;
        tell(world, &event(job, Action::InProgress, Some(&runner))).await;
        sleep(seconds(world, 480.0, 720.0)).await;
        tell(world, &event(job, Action::Completed, Some(&runner))).await;
        locked(&world.outside).jobs_ended += 1;
    }
    locked(&world.outside).registered.remove(&runner);
    sleep(seconds(world, 1.0, 3.0)).await;
    tell_state(world, instance, "shutting-down").await;
    sleep(seconds(world, 20.0, 40.0)).await;
    tell_state(world, instance, "terminated").await;
}
