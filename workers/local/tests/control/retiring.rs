//! Runners that go, and those that stay.

use stoker_core::budget::Rates;
use stoker_core::guardrails::KeepRule;
use stoker_core::happening::Happening;
use stoker_core::ids::InstanceId;
use stoker_core::job::Standing;
use stoker_core::ports::{Ledger as _, RegisteredRunner};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_intake::{Action, JobEvent};

use crate::world::World;

/// A world with so many runners that wait for a job, and none that waits for them.
async fn idle(count: u64) -> World {
    idle_in(World::new(), count).await
}

async fn idle_in(world: World, count: u64) -> World {
    for n in 0..count {
        world.queue(n).await;
    }
    world.act().await;
    for n in 0..count {
        world.complete(n).await;
    }
    world.pass(120);
    world.act_when_due().await;
    world.runners_are(true, false);
    world.told();
    world
}

fn phases(runners: &[Runner]) -> Vec<&RunnerPhase> {
    runners.iter().map(|runner| &runner.phase).collect()
}

async fn runner(world: &World, instance: &InstanceId) -> Runner {
    world.ledger.runner(instance).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_runner_that_nobody_needs_is_removed_and_then_terminated_with_its_reason_on_record() {
    let world = idle(2).await;
    let came = world.scale_down().await;
    assert_eq!((came.retired, came.taken_away), (2, 0), "{came:?}");
    assert!(world.github().registered.is_empty());
    assert_eq!(world.fleet().terminated.len(), 2);
    assert!(world.state().await.runners.is_empty());
    assert!(world.parameters().written.is_empty());
    let told = world.told();
    let decided = told.iter().find_map(|one| match one {
        Happening::DecidedRetirement(decision) => Some(decision),
        _ => None,
    });
    let decided = decided.unwrap();
    assert_eq!(decided.retired[0].reason, "nobody needs it");
    assert_eq!(decided.retired[0].runners.len(), 2);
    let terminated = world.fleet().terminated.clone();
    for instance in terminated {
        let retirement = runner(&world, &instance).await.retirement.unwrap();
        assert_eq!(retirement.decision.as_ref(), Some(&decided.id));
    }
}

#[tokio::test]
async fn what_has_a_job_at_github_stays_though_no_webhook_has_told() {
    let world = idle(2).await;
    world.runners_are(true, true);
    let came = world.scale_down().await;
    assert_eq!(came.retired, 0);
    assert_eq!(world.github().removals, 0);
    let state = world.state().await;
    assert_eq!(phases(&state.runners), [&RunnerPhase::Occupied; 2]);
    // When it is over it is idle again, and goes.
    world.runners_are(true, false);
    assert_eq!(world.scale_down().await.retired, 2);
}

#[tokio::test]
async fn a_runner_that_takes_a_job_while_it_is_to_be_removed_stays() {
    let world = idle(1).await;
    world.github().gives_jobs_at_removal = true;
    let came = world.scale_down().await;
    assert_eq!(came.retired, 0);
    assert!(world.fleet().terminated.is_empty());
    let state = world.state().await;
    assert_eq!(phases(&state.runners), [&RunnerPhase::Occupied]);
    assert_eq!(state.runners[0].retirement, None);
    let told = world.told();
    let stays = |one: &&Happening| matches!(one, Happening::RunnerStays { .. });
    assert_eq!(told.iter().filter(stays).count(), 1);
    // Its webhook says which.
    world.queue(7).await;
    let event = JobEvent {
        action: Action::InProgress,
        runner_name: Some(state.runners[0].name.clone()),
        ..world.queued(7)
    };
    world.control.fold(&event).await.unwrap();
    let job = world.job_key(7);
    let state = world.state().await;
    assert_eq!(phases(&state.runners), [&RunnerPhase::Busy { job }]);
}

#[tokio::test]
async fn while_github_can_not_be_asked_every_runner_counts_as_busy() {
    let world = idle(3).await;
    world.github().lists_nothing = true;
    for _ in 0..3 {
        let came = world.scale_down().await;
        assert_eq!((came.retired, came.taken_away), (0, 0));
        world.pass(3_600);
    }
    assert!(world.fleet().terminated.is_empty());
    assert_eq!(world.github().removals, 0);
}

#[tokio::test]
async fn what_github_does_not_know_is_terminated_when_it_says_so_twice() {
    let world = idle(1).await;
    world.github().knows_no_removal = true;
    let came = world.scale_down().await;
    assert_eq!(came.retired, 0);
    assert!(world.fleet().terminated.is_empty());
    // It knows no such runner indeed.
    world.github().registered.clear();
    world.act_when_due().await;
    assert!(
        world.fleet().terminated.is_empty(),
        "it was asked a moment ago"
    );
    world.pass(30);
    world.act_when_due().await;
    assert_eq!(world.fleet().terminated.len(), 1);
    assert!(world.state().await.runners.is_empty());
}

#[tokio::test]
async fn whoever_dies_after_the_removal_leaves_an_instance_that_the_next_act_terminates() {
    let world = idle(1).await;
    world.fleet().refuses_to_terminate = true;
    world.scale_down().await;
    assert!(world.github().registered.is_empty());
    let state = world.state().await;
    assert_eq!(phases(&state.runners), [&RunnerPhase::Retiring]);
    world.fleet().refuses_to_terminate = false;
    for _ in 0..2 {
        world.pass(60);
        world.act_when_due().await;
    }
    assert_eq!(world.fleet().terminated.len(), 1);
    assert!(world.state().await.runners.is_empty());
}

#[tokio::test]
async fn an_instance_that_never_registers_goes_after_its_boot_time_when_it_was_seen_twice() {
    let world = idle(1).await;
    world.runners_are(false, false);
    world.pass(400);
    world.scale_down().await;
    world.pass(60);
    assert_eq!(world.scale_down().await.taken_away, 0, "it may still boot");
    world.pass(60);
    assert_eq!(world.scale_down().await.taken_away, 0, "it was seen once");
    world.pass(60);
    let came = world.scale_down().await;
    assert_eq!(came.taken_away, 1, "{came:?}");
    let terminated = world.fleet().terminated.clone();
    let instance = terminated.first().unwrap();
    let reason = runner(&world, instance).await.retirement.unwrap().reason;
    assert!(
        reason.contains("has not registered within 600 seconds"),
        "{reason}"
    );
    assert!(world.github().registered.is_empty());
}

#[tokio::test]
async fn a_runner_whose_instance_is_gone_ends_and_leaves_github_and_others_are_left_alone() {
    let world = idle(1).await;
    let foreign = RegisteredRunner {
        id: 99,
        name: "build-server".to_owned(),
        online: false,
        busy: false,
    };
    world.github().registered.push(foreign.clone());
    world.runners_are(false, false);
    // EC2's event is lost.
    for instances in world.fleet().launched.values_mut() {
        instances[0].gone = true;
    }
    assert_eq!(world.scale_down().await.taken_away, 0);
    for _ in 0..3 {
        world.pass(60);
        world.scale_down().await;
    }
    assert!(world.state().await.runners.is_empty());
    assert_eq!(world.github().registered, [foreign]);
}

#[tokio::test]
async fn a_scope_that_the_app_may_not_ask_about_any_more_is_closed_and_no_live_job_is_killed() {
    let world = idle(2).await;
    world.queue(7).await;
    world.github().closed = true;
    world.scale_down().await;
    let waits = world.ledger.job(world.job_key(7)).await.unwrap().unwrap();
    assert_eq!(waits.standing, Standing::Announced, "it was seen once");
    world.pass(60);
    world.scale_down().await;
    let waits = world.ledger.job(world.job_key(7)).await.unwrap().unwrap();
    assert_eq!(waits.standing, Standing::Denied);
    assert!(waits.last_deferral.unwrap().contains("not installed"));
    let told = world.told();
    let closed = |one: &&Happening| {
        matches!(
            one,
            Happening::ScopeClosed {
                runners: 2,
                jobs: 1,
                ..
            }
        )
    };
    assert_eq!(told.iter().filter(closed).count(), 1);
    assert!(world.fleet().terminated.is_empty());
    // No job takes longer.
    world.pass(5 * 24 * 3_600);
    world.scale_down().await;
    world.pass(60);
    world.scale_down().await;
    assert_eq!(world.fleet().terminated.len(), 2);
}

#[tokio::test]
async fn no_runner_goes_before_its_minimum_running_time() {
    let world = idle_in(
        World::with(|operation| operation.minimum_running_time = 300),
        1,
    )
    .await;
    assert_eq!(world.scale_down().await.retired, 0);
    let told = world.told();
    let kept = told.iter().find_map(|one| match one {
        Happening::DecidedRetirement(decision) => decision.kept.first(),
        _ => None,
    });
    assert_eq!(kept.unwrap().rule, KeepRule::TooYoung);
    world.pass(180);
    assert_eq!(world.scale_down().await.retired, 1);
}

#[tokio::test]
async fn a_job_that_counted_on_a_runner_that_goes_is_looked_at_at_once() {
    let world = idle(1).await;
    world.acts().asked.clear();
    world.scale_down().await;
    let asked = world.acts().asked.clone();
    assert!(
        asked.iter().any(|request| request.scope == world.scope()),
        "{asked:?}"
    );
}

#[tokio::test]
async fn registrations_go_before_removals() {
    let rates = Rates {
        // Points are not what lacks.
        points_a_minute: Some(600),
        registrations_an_hour: Some(9),
    };
    let world = World::with(|operation| operation.rates = rates);
    let world = idle_in(world, 3).await;
    // More wait than can be registered.
    for n in 10..20 {
        world.queue(n).await;
    }
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 9, "six of ten");
    // None of the idle ones counts for more than a job each, and one is not needed.
    world.complete(10).await;
    for n in 11..20 {
        world.complete(n).await;
    }
    let came = world.scale_down().await;
    assert_eq!(came.retired, 0, "{came:?}");
    assert_eq!(world.github().removals, 0);
    world.pass(61);
    assert_eq!(world.scale_down().await.retired, 3);
}

#[tokio::test]
async fn jobs_that_wait_for_something_else_than_registrations_hold_up_no_removals() {
    let rates = Rates {
        points_a_minute: Some(600),
        registrations_an_hour: Some(12),
    };
    let world = World::with(|operation| {
        operation.rates = rates;
        operation.scope_maximum = 3;
    });
    let world = idle_in(world, 2).await;
    // Far more wait in another scope than it may have runners, and than there are registrations for.
    for n in 100..140 {
        world.queue_in(2, n).await;
    }
    world.act_in(2).await;
    assert_eq!(world.state_in(2).await.runners.len(), 3);
    world.runners_are(true, false);
    let came = world.scale_down().await;
    assert_eq!(came.retired, 2, "{came:?}");
}

#[tokio::test]
async fn what_never_registered_is_counted_once_and_told() {
    let world = idle(2).await;
    world.runners_are(false, false);
    world.pass(600);
    world.scale_down().await;
    world.pass(60);
    world.told();
    let came = world.scale_down().await;
    assert_eq!((came.retired, came.taken_away), (0, 2), "{came:?}");
    let told = world.told();
    let taken = |one: &&Happening| matches!(one, Happening::TakenAway { .. });
    assert_eq!(told.iter().filter(taken).count(), 2);
}

#[tokio::test]
async fn an_instance_that_does_not_end_itself_is_ended_but_not_while_github_says_that_it_has_a_job()
{
    let world = idle(1).await;
    let runner = world.state().await.runners.remove(0);
    let gone = stoker_core::runner::RunnerNews::Gone;
    world
        .control
        .fold_runner(&runner.instance, &gone)
        .await
        .unwrap();
    world.pass(301);
    // Its list misses it; asked for it by name, it says that it has a job.
    world.runners_are(true, true);
    world.github().hides_from_lists = true;
    for _ in 0..3 {
        world.scale_down().await;
        world.pass(60);
    }
    assert!(world.fleet().terminated.is_empty());
    world.runners_are(true, false);
    world.scale_down().await;
    assert_eq!(world.fleet().terminated.len(), 1);
    assert!(world.github().registered.is_empty());
}
