//! What an act that died, or a configuration that could not be written, leaves behind.

use stoker_core::class::Capacity;
use stoker_core::journal::RecordName;
use stoker_core::limits::{RunnerMode, SPOT_FALLBACK};
use stoker_core::ports::{Ledger as _, RegisteredRunner};
use stoker_core::runner::{Runner, RunnerPhase};

use crate::world::World;

fn persistent() -> World {
    World::with(|operation| operation.mode = RunnerMode::Persistent)
}

#[tokio::test]
async fn a_configuration_that_was_refused_leaves_no_persistent_instance_behind() {
    let world = persistent();
    world.queue(1).await;
    world.parameters().refuses = true;
    world.act().await;
    assert_eq!(world.fleet().terminated.len(), 1);
    assert!(world.state().await.runners.is_empty(), "its demand stays");
    world.parameters().refuses = false;
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 1);
}

#[tokio::test]
async fn a_persistent_runner_that_may_have_its_token_is_left_to_boot_and_looked_after_once() {
    let world = persistent();
    world.queue(1).await;
    world.parameters().answers_get_lost = true;
    world.act().await;
    world.parameters().answers_get_lost = false;
    assert!(world.fleet().terminated.is_empty(), "it may run a job soon");
    assert!(world.parameters().written.is_empty(), "nobody reads it now");
    let runner = world.state().await.runners.remove(0);
    assert_eq!(runner.phase, RunnerPhase::Booting);
    assert!(!runner.lacks_configuration());
    let asked = world.github().asked;
    for _ in 0..3 {
        world.pass(400);
        world.act().await;
    }
    // Another was launched for the job once this one is overdue; nobody asks for this one any more.
    assert_eq!(world.github().asked, asked + 1);
    assert!(world.fleet().terminated.is_empty());
}

/// A runner of whose configuration nobody knows, since its act died.
async fn left_unconfirmed(world: &World) -> Runner {
    world.queue(1).await;
    world.act().await;
    let runner = world.state().await.runners.remove(0);
    let unconfirmed = Runner {
        configured: false,
        ..runner
    };
    world.ledger.put_runner(&unconfirmed).await.unwrap();
    unconfirmed
}

#[tokio::test]
async fn what_is_left_of_a_cancelled_job_is_taken_away_from_github_and_ec2() {
    let world = World::new();
    let runner = left_unconfirmed(&world).await;
    assert_eq!(world.github().registered.len(), 1);
    world.complete(1).await;
    world.act().await;
    assert!(world.github().registered.is_empty());
    assert!(world.fleet().terminated.contains(&runner.instance));
}

#[tokio::test]
async fn what_is_left_of_a_cancelled_job_and_connected_is_kept() {
    let world = World::new();
    let runner = left_unconfirmed(&world).await;
    {
        let mut github = world.github();
        let one: &mut RegisteredRunner = &mut github.registered[0];
        one.online = true;
    }
    world.complete(1).await;
    world.act().await;
    assert_eq!(world.github().registered.len(), 1);
    assert!(world.fleet().terminated.is_empty());
    let known = world
        .ledger
        .runner(&runner.instance)
        .await
        .unwrap()
        .unwrap();
    assert!(!known.lacks_configuration());
}

#[tokio::test]
async fn the_instances_that_ec2_gave_do_not_wait_for_those_that_it_did_not() {
    let world = World::with(|operation| {
        operation.spot_fallback = SPOT_FALLBACK.map(str::to_owned).to_vec();
    });
    for n in 1..=3 {
        world.queue(n).await;
    }
    {
        let mut fleet = world.fleet();
        fleet.lacks = Some((Capacity::Spot, "InsufficientInstanceCapacity"));
        fleet.has = 2;
        fleet.waits_for = 2;
    }
    world.act().await;
    let fleet = world.fleet();
    assert_eq!(fleet.asked, [(Capacity::Spot, 3), (Capacity::OnDemand, 1)]);
    assert_eq!(fleet.configured_before, [0, 2]);
}

#[tokio::test]
async fn the_record_of_a_launch_that_was_taken_up_later_is_in_its_jobs_stories() {
    let world = World::new();
    world.queue(1).await;
    world.fleet().answers_get_lost = true;
    world.act().await;
    // So that the job waits for the same reason then as before.
    world.fleet().down = true;
    world.pass(10);
    world.act().await;
    world.fleet().answers_get_lost = false;
    world.fleet().down = false;
    world.pass(50);
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 1);
    let taken_up = RecordName::new(world.now(), 0);
    let job = world.ledger.job(world.job_key(1)).await.unwrap().unwrap();
    assert!(job.story.records().contains(&taken_up), "{:?}", job.story);
}
