//! One act after another over a real ledger, with a fleet, a GitHub and a parameter store that fail as
//! they are told.

// Everything here is a test, and a test that can't go on is to say where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod launching;
mod left;
mod rebuild;
mod retiring;
mod untold;
mod world;

use stoker_core::control::{Acted, Folded};
use stoker_core::ids::{PolicyGeneration, ScopeVersion};
use stoker_core::intent::Instance;
use stoker_core::job::JobPhase;
use stoker_core::ports::{Ledger as _, ScopeState};
use stoker_core::runner::{RunnerNews, RunnerPhase};
use stoker_core::situation::Trigger;
use stoker_intake::{Action, JobEvent, RunId};

use world::World;

#[tokio::test]
async fn a_waiting_job_gets_one_runner_however_often_its_scope_is_acted_on() {
    let world = World::new();
    world.queue(1).await;
    for _ in 0..3 {
        assert_eq!(world.act().await, Acted::Done);
    }
    assert_eq!(world.fleet().launched.len(), 1);
    let state = world.state().await;
    assert_eq!(state.runners[0].phase, RunnerPhase::Booting);
    assert!(state.intents.is_empty());
}

#[tokio::test]
async fn a_launch_whose_answer_was_lost_is_found_and_not_made_again() {
    let world = World::new();
    world.queue(1).await;
    world.fleet().answers_get_lost = true;
    assert!(matches!(world.act().await, Acted::TryAgain { .. }));
    assert_eq!(world.state().await.intents.len(), 1);
    world.fleet().answers_get_lost = false;
    assert_eq!(world.act().await, Acted::Done);
    assert_eq!(world.fleet().launched.len(), 1);
    assert_eq!(world.state().await.runners.len(), 1);
}

#[tokio::test]
async fn while_a_launch_is_unsettled_its_jobs_get_no_other() {
    let world = World::new();
    world.queue(1).await;
    world.fleet().down = true;
    for _ in 0..3 {
        assert!(matches!(world.act().await, Acted::TryAgain { .. }));
    }
    assert_eq!(world.state().await.intents.len(), 1);
    world.fleet().down = false;
    assert_eq!(world.act().await, Acted::Done);
    assert_eq!(world.fleet().launched.len(), 1);
}

#[tokio::test]
async fn a_launch_that_stayed_without_an_outcome_is_given_up_and_not_made_hours_later() {
    let world = World::new();
    world.queue(1).await;
    world.fleet().down = true;
    world.act().await;
    let old = world.state().await.intents[0].id.clone();
    world.complete(1).await;
    world.fleet().down = false;
    world.pass(5 * 3_600);
    world.queue(2).await;
    world.act().await;
    assert!(!world.fleet().launched.contains_key(&old));
    assert!(world.state().await.intents.is_empty());
    assert_eq!(world.state().await.runners.len(), 1, "the new job's");
}

#[tokio::test]
async fn an_instance_that_ended_before_it_was_booked_is_no_supply() {
    let world = World::new();
    world.queue(1).await;
    world.fleet().answers_get_lost = true;
    world.act().await;
    for instances in world.fleet().launched.values_mut() {
        for instance in instances {
            *instance = Instance {
                gone: true,
                ..instance.clone()
            };
        }
    }
    world.fleet().answers_get_lost = false;
    world.act().await;
    let runners = world.state().await.runners;
    assert_eq!(runners.len(), 1, "the one that replaces it");
    assert_eq!(world.fleet().launched.len(), 2);
}

#[tokio::test]
async fn an_instance_that_can_not_be_registered_is_terminated_and_its_job_served_later() {
    let world = World::new();
    world.queue(1).await;
    world.github().down = true;
    assert!(matches!(world.act().await, Acted::TryAgain { .. }));
    assert_eq!(world.fleet().terminated.len(), 1);
    assert!(world.state().await.runners.is_empty());
    world.github().down = false;
    world.pass(30);
    assert_eq!(world.act().await, Acted::Done);
    assert_eq!(world.state().await.runners.len(), 1);
    assert_eq!(world.fleet().terminated.len(), 1);
}

#[tokio::test]
async fn an_instance_whose_configuration_was_not_written_is_terminated_and_can_not_read_it() {
    let world = World::new();
    world.queue(1).await;
    world.parameters().answers_get_lost = true;
    assert!(matches!(world.act().await, Acted::TryAgain { .. }));
    assert_eq!(world.fleet().terminated.len(), 1);
    assert!(world.parameters().written.is_empty());
}

#[tokio::test]
async fn a_runner_that_may_have_its_configuration_is_never_taken_for_one_that_has_none() {
    let world = World::new();
    world.queue(1).await;
    world.act().await;
    let runner = world.state().await.runners.remove(0);
    // The act died right after it wrote the configuration; the instance is up and works.
    world.act().await;
    assert!(world.fleet().terminated.is_empty());
    let job = world.job_key(1);
    world
        .control
        .fold_runner(&runner.instance, &RunnerNews::Took(job))
        .await
        .unwrap();
    world.act().await;
    assert!(world.fleet().terminated.is_empty());
}

#[tokio::test]
async fn the_end_of_a_job_asks_for_an_act_again_when_the_first_request_was_lost() {
    let world = World::new();
    world.queue(1).await;
    world.acts().down = true;
    assert!(world.control.fold(&world.completed(1)).await.is_err());
    world.acts().down = false;
    world.acts().asked.clear();
    world.control.fold(&world.completed(1)).await.unwrap();
    assert_eq!(world.acts().asked.len(), 1);
}

#[tokio::test]
async fn news_of_a_job_that_nobody_waited_for_asks_for_nothing() {
    let world = World::new();
    world.control.fold(&world.completed(1)).await.unwrap();
    assert!(world.acts().asked.is_empty());
    let job = world.ledger.job(world.job_key(1)).await.unwrap().unwrap();
    assert_eq!(job.phase, JobPhase::Ended);
}

#[tokio::test]
async fn the_end_of_a_stored_job_is_heard_even_if_no_class_fits_it_any_more() {
    let world = World::new();
    world.queue(1).await;
    let ended = JobEvent {
        labels: Some(vec!["renamed".to_owned()]),
        ..world.completed(1)
    };
    assert!(matches!(
        world.control.fold(&ended).await.unwrap(),
        Folded::New(_)
    ));
    assert!(world.state().await.jobs.is_empty());
    let stranger = JobEvent {
        action: Action::Completed,
        ..JobEvent {
            labels: Some(vec!["renamed".to_owned()]),
            ..world.completed(2)
        }
    };
    assert_eq!(
        world.control.fold(&stranger).await.unwrap(),
        Folded::NotOurs
    );
}

#[tokio::test]
async fn a_reason_that_can_not_be_written_down_keeps_no_runner_from_being_launched() {
    let world = World::new();
    world.queue(1).await;
    world.act().await;
    world.queue(2).await;
    world.contend_jobs();
    let acted = world.control.act(world.scope(), Trigger::Jobs).await;
    assert_eq!(acted.unwrap(), Acted::Done, "a later decision writes it");
    assert_eq!(world.fleet().launched.len(), 2);
    assert_eq!(world.state().await.runners.len(), 2);
    assert!(world.state().await.intents.is_empty());
}

#[tokio::test]
async fn of_two_who_act_at_the_same_time_one_decides() {
    let world = World::new();
    world.queue(1).await;
    let (one, other) = tokio::join!(world.act(), world.act());
    assert!(one == Acted::Done || other == Acted::Done);
    world.act().await;
    let alive = world
        .state()
        .await
        .runners
        .iter()
        .filter(|runner| runner.is_live())
        .count();
    assert_eq!(alive, 1);
}

#[tokio::test]
async fn what_a_runner_cost_is_booked_once_and_decided_with() {
    let world = World::new();
    world.queue(1).await;
    world.act().await;
    let runner = world.state().await.runners.remove(0);
    world.pass(3_600);
    let end = RunnerNews::Gone;
    let gone = world.control.fold_runner(&runner.instance, &end);
    gone.await.unwrap();
    // Nobody has acted since: it is on the list, and costs all the same.
    let state = world.state().await;
    assert_eq!(state.ended.len(), 1);
    let spent = |state: &ScopeState| {
        let account = state.account.with_ended(&state.ended, world.now());
        account.spend(&[], world.now()).today
    };
    assert!((spent(&state) - 0.03).abs() < 1e-9, "an hour of 3 cents");
    world.complete(1).await;
    for _ in 0..2 {
        world.act().await;
        let state = world.state().await;
        assert!(state.ended.is_empty(), "it is booked");
        assert!((spent(&state) - 0.03).abs() < 1e-9, "and once");
    }
}

#[tokio::test]
async fn a_job_whose_runner_was_taken_back_is_known_when_it_is_run_again() {
    let world = World::new();
    let run = Some(RunId::new(77));
    let event = |n: u64, attempt: u32| JobEvent {
        run_id: run,
        run_attempt: Some(attempt),
        ..world.queued(n)
    };
    world.control.fold(&event(1, 1)).await.unwrap();
    world.act().await;
    let runner = world.state().await.runners.remove(0);
    for news in [RunnerNews::Took(world.job_key(1)), RunnerNews::Interrupted] {
        let heard = world.control.fold_runner(&runner.instance, &news);
        heard.await.unwrap();
    }
    world.complete(1).await;
    world.act().await;
    // A re-run has a check run of its own; its run and its name are the same.
    let account = world.state().await.account;
    let name = world.queued(1).name;
    assert!(account.was_interrupted(run, &name));
    assert!(!account.was_interrupted(run, "another"));
}

#[tokio::test]
async fn a_decision_by_newer_policies_is_saved_even_if_it_launches_nothing() {
    let world = World::new();
    world.queue(1).await;
    world.publish(7);
    world.act().await;
    assert_eq!(world.state().await.generation, PolicyGeneration(7));
    world.publish(8);
    world.act().await;
    let state = world.state().await;
    assert_eq!(
        world.fleet().launched.len(),
        1,
        "the second launched nothing"
    );
    assert_eq!(state.generation, PolicyGeneration(8));
    assert_eq!(state.version, ScopeVersion(2));
    world.act().await;
    let seen = [0, 7, 8].map(PolicyGeneration);
    assert_eq!(
        world.generations_seen(),
        seen,
        "each was told of those before"
    );
}

#[tokio::test]
async fn a_decision_by_the_same_policies_that_launches_nothing_writes_nothing() {
    let world = World::new();
    world.queue(1).await;
    world.publish(7);
    world.act().await;
    let before = world.state().await.seen();
    for generation in [7, 6, 0] {
        world.publish(generation);
        world.act().await;
        assert_eq!(world.state().await.seen(), before);
    }
}
