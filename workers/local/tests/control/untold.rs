//! What nobody told is found: webhooks that failed, jobs whose webhook was never sent, instances that went without
//! a word, and jobs of which nothing was heard for long.

use stoker_core::budget::Rates;
use stoker_core::happening::Happening;
use stoker_core::job::JobPhase;
use stoker_core::ports::{Delivery, InstalledAccount, JobLookup, Ledger as _};
use stoker_core::runner::RunnerPhase;
use stoker_core::time::Timestamp;

use crate::world::World;

fn delivery(world: &World, id: u64, action: &str, status: u16) -> Delivery {
    Delivery {
        id,
        guid: format!("guid-{id}").parse().unwrap(),
        at: Timestamp(world.now().0 - 1_000 + id),
        redelivery: false,
        status,
        event: "workflow_job".to_owned(),
        action: Some(action.to_owned()),
    }
}

#[tokio::test]
async fn webhooks_that_failed_are_asked_for_once_work_first_and_none_while_the_newest_fails() {
    let world = World::new();
    let failing = [
        delivery(&world, 5, "queued", 502),
        delivery(&world, 4, "completed", 502),
        delivery(&world, 3, "queued", 0),
        delivery(&world, 2, "completed", 202),
        delivery(&world, 1, "queued", 401),
    ];
    world.github().deliveries = failing.to_vec();
    world.control.tick().await.unwrap();
    world.pass(60);
    world.control.tick().await.unwrap();
    // The webhook is down: one shows whether it still is.
    assert_eq!(world.github().delivered_again, [1]);
    // It is up again.
    let newest = delivery(&world, 6, "queued", 202);
    world.github().deliveries.insert(0, newest);
    for _ in 0..3 {
        world.pass(60);
        world.control.tick().await.unwrap();
    }
    assert_eq!(world.github().delivered_again, [1, 1, 3, 5, 4]);
    let told = world.told();
    let redelivered = |one: &&Happening| matches!(one, Happening::Redelivered { webhooks: 4, .. });
    assert_eq!(told.iter().filter(redelivered).count(), 1);
}

#[tokio::test]
async fn a_job_whose_webhook_was_never_sent_is_found_and_gets_a_runner() {
    let world = World::new();
    world.github().accounts = vec![InstalledAccount {
        login: "Acme".to_owned(),
        installation: 1.into(),
    }];
    world.github().active = vec!["shop-1".to_owned()];
    world.github().live.events = vec![world.queued(1)];
    let ticked = world.control.tick().await.unwrap();
    assert_eq!(ticked.found, 1);
    let asked = world.acts().asked.clone();
    assert!(
        asked.iter().any(|request| request.scope == world.scope()),
        "{asked:?}"
    );
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 1);
    // It is no news the next time, and repositories are asked every five minutes.
    let listed = world.github().listed;
    for _ in 0..6 {
        world.pass(60);
        assert_eq!(world.control.tick().await.unwrap().found, 0);
    }
    assert!((1..=2).contains(&(world.github().listed - listed)));
}

#[tokio::test]
async fn what_polling_could_not_find_out_is_told_once_a_tick() {
    let world = World::new();
    world.github().accounts = vec![InstalledAccount {
        login: "Acme".to_owned(),
        installation: 1.into(),
    }];
    world.github().active = vec!["shop-1".to_owned(), "shop-2".to_owned()];
    world.github().live.problems = vec!["the runs of it are not known: 403".to_owned()];
    world.told();
    world.control.tick().await.unwrap();
    let told = world.told();
    let troubles = told.iter().filter_map(|one| match one {
        Happening::Trouble { problem, .. } => Some(problem),
        _ => None,
    });
    let troubles: Vec<&String> = troubles.collect();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert!(
        troubles[0].contains("403") && troubles[0].contains("2 problems"),
        "{troubles:?}"
    );
}

#[tokio::test]
async fn an_instance_that_went_without_a_word_is_missed_and_its_job_gets_another() {
    let world = World::new();
    world.queue(1).await;
    world.act().await;
    world.control.tick().await.unwrap();
    for instances in world.fleet().launched.values_mut() {
        instances[0].gone = true;
    }
    world.pass(60);
    assert_eq!(
        world.control.tick().await.unwrap().gone,
        0,
        "it was missed once"
    );
    world.pass(60);
    assert_eq!(world.control.tick().await.unwrap().gone, 1);
    assert!(world.state().await.runners.is_empty());
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 1);
}

#[tokio::test]
async fn a_job_of_which_nothing_was_heard_for_long_is_asked_about() {
    let world = World::new();
    world.queue(1).await;
    world.act().await;
    let runner = world.state().await.runners.remove(0);
    world.github().says = Some(JobLookup::NotQueued {
        status: "in_progress".to_owned(),
        runner_name: Some(runner.name.clone()),
    });
    world.pass(599);
    world.act_when_due().await;
    let job = world.ledger.job(world.job_key(1)).await.unwrap().unwrap();
    assert_eq!(job.phase, JobPhase::Queued);
    world.pass(1);
    world.act_when_due().await;
    let job = world.ledger.job(world.job_key(1)).await.unwrap().unwrap();
    assert_eq!(job.phase, JobPhase::InProgress);
    let job = world.job_key(1);
    let runner = world
        .ledger
        .runner(&runner.instance)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(runner.phase, RunnerPhase::Busy { job });
    // Its end did not come either.
    world.github().says = Some(JobLookup::NotQueued {
        status: "completed".to_owned(),
        runner_name: Some(runner.name.clone()),
    });
    world.pass(3_600);
    world.act_when_due().await;
    let runner = world
        .ledger
        .runner(&runner.instance)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(runner.phase, RunnerPhase::Ended);
    assert!(world.state().await.jobs.is_empty());
}

#[tokio::test]
async fn in_a_burst_jobs_that_wait_for_their_turn_are_not_asked_about() {
    let rates = Rates {
        points_a_minute: Some(600),
        registrations_an_hour: Some(2),
    };
    let world = World::with(|operation| operation.rates = rates);
    for n in 0..9 {
        world.queue(n).await;
    }
    world.act().await;
    for _ in 0..12 {
        world.pass(60);
        world.act_when_due().await;
    }
    assert_eq!(world.state().await.runners.len(), 2);
    assert_eq!(world.github().looked_up, 0);
}

#[tokio::test]
async fn a_job_about_which_github_gives_no_answer_does_not_keep_its_scope_busy_and_ends_at_last() {
    let world = World::new();
    world.queue(1).await;
    world.act().await;
    world.github().lists_nothing = true;
    world.pass(600);
    world.act_when_due().await;
    let asked = world.github().looked_up;
    assert_eq!(asked, 1);
    for _ in 0..5 {
        world.pass(60);
        world.act_when_due().await;
    }
    assert_eq!(
        world.github().looked_up,
        asked,
        "it has its turn in ten minutes"
    );
    world.pass(24 * 3_600);
    world.act_when_due().await;
    assert!(world.state().await.jobs.is_empty());
}
