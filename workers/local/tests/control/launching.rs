//! What EC2 does not have, what GitHub does not let register, and what all scopes share.

use stoker_core::budget::Rates;
use stoker_core::class::Capacity;
use stoker_core::control::Acted;
use stoker_core::limits::{BOOT_TIME, SPOT_FALLBACK};
use stoker_core::ports::{GitHubFault, Ledger as _, RegisteredRunner};
use stoker_core::runner::RunnerPhase;
use stoker_core::time::Timestamp;

use crate::world::World;

fn falling_back() -> World {
    World::with(|operation| {
        operation.spot_fallback = SPOT_FALLBACK.map(str::to_owned).to_vec();
    })
}

async fn five_jobs_where_three_register_a_minute() -> World {
    let world = World::with(|operation| {
        operation.rates = Rates {
            points_a_minute: Some(15),
            registrations_an_hour: None,
        };
    });
    for n in 1..=5 {
        world.queue(n).await;
    }
    world
}

#[tokio::test]
async fn where_there_is_no_spot_capacity_on_demand_instances_follow_at_once() {
    let world = falling_back();
    world.queue(1).await;
    world.queue(2).await;
    world.fleet().lacks = Some((Capacity::Spot, "InsufficientInstanceCapacity"));
    world.act().await;
    let asked = world.fleet().asked.clone();
    assert_eq!(asked, [(Capacity::Spot, 2), (Capacity::OnDemand, 2)]);
    let state = world.state().await;
    assert_eq!(state.runners.len(), 2);
    assert!(
        state
            .runners
            .iter()
            .all(|r| r.capacity == Capacity::OnDemand)
    );
    assert!(state.intents.is_empty());
}

#[tokio::test]
async fn another_reason_than_the_operator_s_is_no_reason_to_pay_more() {
    let world = falling_back();
    world.queue(1).await;
    world.fleet().lacks = Some((Capacity::Spot, "InvalidSubnetID.NotFound"));
    world.act().await;
    assert_eq!(world.fleet().asked, [(Capacity::Spot, 1)]);
    assert!(world.state().await.runners.is_empty());
}

#[tokio::test]
async fn what_ec2_did_not_have_is_asked_for_again_after_a_pause_that_grows() {
    let world = World::with(|operation| operation.guards.spot_failures = None);
    world.queue(1).await;
    world.fleet().lacks = Some((Capacity::Spot, "InsufficientInstanceCapacity"));
    let mut asked_at = Vec::new();
    for second in 0..300 {
        let before = world.fleet().asked.len();
        world.act().await;
        if world.fleet().asked.len() > before {
            asked_at.push(second);
        }
        world.pass(1);
    }
    assert_eq!(asked_at, [0, 15, 45, 105, 225]);
    // The tick finds the scope when the pause is over.
    let due = world
        .ledger
        .due(Timestamp(u64::MAX / 4), 100)
        .await
        .unwrap();
    assert!(!due.is_empty());
    // Why it waits is written down with the job.
    let job = world.ledger.job(world.job_key(1)).await.unwrap().unwrap();
    let reason = job.last_deferral.unwrap();
    assert!(reason.contains("EC2 had no capacity"), "{reason}");
    world.fleet().lacks = None;
    world.pass(300);
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 1);
}

#[tokio::test]
async fn spot_that_failed_again_and_again_is_not_tried_for_a_while() {
    let world = World::new();
    world.queue(1).await;
    world.fleet().lacks = Some((Capacity::Spot, "InsufficientInstanceCapacity"));
    for _ in 0..3 {
        world.act().await;
        world.pass(61);
    }
    assert_eq!(world.fleet().asked, [(Capacity::Spot, 1); 3]);
    // The third pause lasts a minute, and begins anew here.
    world.act().await;
    world.pass(1);
    world.act().await;
    assert_eq!(world.fleet().asked.last(), Some(&(Capacity::OnDemand, 1)));
    assert_eq!(world.state().await.runners.len(), 1);
}

#[tokio::test]
async fn spot_that_fails_again_and_again_is_not_tried_for_a_while_though_there_is_a_fallback() {
    let world = falling_back();
    world.fleet().lacks = Some((Capacity::Spot, "InsufficientInstanceCapacity"));
    for n in 1..=4 {
        world.queue(n).await;
        world.act().await;
        world.pass(31);
    }
    let spot = |asked: &&(Capacity, u32)| asked.0 == Capacity::Spot;
    let fleet = world.fleet();
    assert_eq!(
        fleet.asked.iter().filter(spot).count(),
        3,
        "{:?}",
        fleet.asked
    );
    assert_eq!(fleet.launched.values().flatten().count(), 4);
}

#[tokio::test]
async fn no_more_is_launched_than_can_be_registered_and_the_rest_when_it_can() {
    let world = five_jobs_where_three_register_a_minute().await;
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 3);
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 3);
    let job = world.ledger.job(world.job_key(5)).await.unwrap().unwrap();
    let reason = job.last_deferral.unwrap();
    assert!(
        reason.contains("GitHub lets no more runners register"),
        "{reason}"
    );
    let due = world
        .ledger
        .due(Timestamp(world.now().0 + 60), 9)
        .await
        .unwrap();
    assert!(!due.is_empty(), "the tick finds it");
    world.pass(60);
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 5);
}

#[tokio::test]
async fn while_nothing_can_register_what_comes_asks_for_no_decision_and_all_is_decided_when_it_can()
{
    let world = five_jobs_where_three_register_a_minute().await;
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 3);
    let decided = world.generations_seen().len();
    world.queue(6).await;
    for _ in 0..5 {
        assert_eq!(world.act().await, Acted::Done);
    }
    assert_eq!(world.generations_seen().len(), decided);
    // A launch before a minute is over: it takes some seconds.
    let (_, seconds) = world.acts().reminders[0].clone();
    assert_eq!(seconds, 57);
    world.pass(u64::from(seconds));
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 6);
}

#[tokio::test]
async fn when_github_wants_to_be_left_alone_instances_wait_for_their_turn() {
    let world = World::with(|operation| operation.rates = Rates::default());
    let until = Timestamp(world.now().0 + 40);
    let limited = (GitHubFault::Limited { until }, false);
    world.github().faults.push_back(limited);
    world.queue(1).await;
    // Its turn in the queue is over: it holds up nothing, and the act that is due then is asked for.
    assert_eq!(world.act().await, Acted::Done);
    assert!(world.fleet().terminated.is_empty());
    let (reminder, seconds) = world.acts().reminders[0].clone();
    assert_eq!((reminder.scope, seconds), (world.scope(), 40));
    // Nobody else asks meanwhile, and nothing is launched that would have to wait.
    world.queue(2).await;
    world.act().await;
    assert_eq!(world.github().asked, 1);
    assert_eq!(world.fleet().asked.len(), 1);
    world.pass(40);
    world.act().await;
    let state = world.state().await;
    assert_eq!(state.runners.len(), 2);
    assert!(
        state
            .runners
            .iter()
            .all(|r| r.phase == RunnerPhase::Booting)
    );
    assert!(world.fleet().terminated.is_empty());
}

#[tokio::test]
async fn an_instance_that_github_has_no_turn_for_in_time_is_let_go() {
    let world = World::with(|operation| operation.rates = Rates::default());
    let until = Timestamp(world.now().0 + 3_600);
    let limited = (GitHubFault::Limited { until }, false);
    world.github().faults.push_back(limited);
    world.queue(1).await;
    world.act().await;
    // Whoever looks at it next says when it is too old.
    world.pass(60);
    world.act_when_due().await;
    let (_, seconds) = world.acts().reminders.last().unwrap().clone();
    assert_eq!(seconds, BOOT_TIME / 2 + 1 - 60);
    world.pass(u64::from(seconds));
    world.act_when_due().await;
    assert_eq!(world.fleet().terminated.len(), 1);
    assert!(world.state().await.runners.is_empty());
}

#[tokio::test]
async fn what_github_refuses_to_register_is_not_launched_again_and_again() {
    let world = World::new();
    let refuse = |times: usize| {
        let mut github = world.github();
        github.faults.clear();
        let refused = (GitHubFault::Refused, false);
        github.faults.extend(std::iter::repeat_n(refused, times));
    };
    refuse(99);
    for n in 1..=4 {
        world.queue(n).await;
    }
    let launched = || world.fleet().launched.values().map(Vec::len).sum::<usize>();
    world.act().await;
    assert_eq!(launched(), 4);
    assert_eq!(world.fleet().terminated.len(), 4);
    // Nobody is launched for a while, and each job knows why.
    for _ in 0..2 {
        world.pass(10);
        world.act().await;
    }
    assert_eq!(launched(), 4);
    let job = world.ledger.job(world.job_key(1)).await.unwrap().unwrap();
    let reason = job.last_deferral.unwrap();
    assert!(
        reason.contains("the last runner of its class could not be registered"),
        "{reason}"
    );
    assert!(reason.contains("a fault"), "GitHub's own words: {reason}");
    // One shows whether it is mended, and the pause grows.
    for (pause, all) in [(10, 5), (30, 5), (30, 6), (60, 6), (60, 7)] {
        world.pass(pause);
        world.act().await;
        assert_eq!(launched(), all, "after {pause}");
    }
    // It is: the rest follows at once.
    refuse(0);
    world.pass(300);
    world.act().await;
    assert_eq!(launched(), 8);
    world.pass(10);
    world.act().await;
    assert_eq!(launched(), 11);
    let state = world.state().await;
    assert_eq!(state.runners.len(), 4);
    assert!(
        state
            .runners
            .iter()
            .all(|r| r.phase == RunnerPhase::Booting)
    );
}

#[tokio::test]
async fn while_github_is_down_instances_are_not_launched_again_and_again_either() {
    let world = World::new();
    let lost = (GitHubFault::Unknown, false);
    world.github().faults.extend([lost; 20]);
    for n in 1..=3 {
        world.queue(n).await;
    }
    world.act().await;
    assert_eq!(world.fleet().terminated.len(), 3);
    world.pass(10);
    world.act().await;
    assert_eq!(world.fleet().launched.len(), 1);
    // One answer that was lost among others that were not, or one token that could not be had, stops nobody.
    let world = World::new();
    let unavailable = (GitHubFault::Unavailable, false);
    world.github().faults.extend([lost, unavailable]);
    for n in 1..=3 {
        world.queue(n).await;
    }
    world.act().await;
    assert_eq!(world.fleet().terminated.len(), 1);
    world.pass(10);
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 3);
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_made_again_after_the_first_is_taken_away() {
    let world = World::new();
    world
        .github()
        .faults
        .push_back((GitHubFault::Unknown, true));
    world.queue(1).await;
    assert_eq!(world.act().await, Acted::Done);
    assert_eq!(world.github().registered.len(), 1);
    assert_eq!(world.github().asked, 2);
    assert_eq!(world.state().await.runners[0].phase, RunnerPhase::Booting);
    assert!(world.fleet().terminated.is_empty());
}

#[tokio::test]
async fn a_runner_of_that_name_that_is_connected_is_left_alone_and_the_instance_replaced() {
    let world = World::new();
    world.queue(1).await;
    world.fleet().answers_get_lost = true;
    world.act().await;
    // Whose name it is to be is known before it is registered.
    let instance = world.fleet().launched.values().next().unwrap()[0]
        .id
        .clone();
    let name = format!("stoker-test-{instance}");
    world.github().registered.push(RegisteredRunner {
        id: 77,
        name: name.clone(),
        online: true,
        busy: true,
    });
    world.fleet().answers_get_lost = false;
    world.act().await;
    assert!(world.fleet().terminated.contains(&instance));
    assert!(world.github().registered.iter().any(|one| one.name == name));
}

#[tokio::test]
async fn an_instance_whose_act_died_is_registered_by_the_next_one() {
    let world = World::new();
    world.queue(1).await;
    world.fleet().answers_get_lost = true;
    world.act().await;
    world.fleet().answers_get_lost = false;
    world.pass(60);
    world.act().await;
    let state = world.state().await;
    assert_eq!(state.runners.len(), 1);
    assert_eq!(state.runners[0].phase, RunnerPhase::Booting);
    assert_eq!(world.fleet().launched.len(), 1);
    assert!(world.fleet().terminated.is_empty());
}

#[tokio::test]
async fn all_scopes_together_keep_the_deployment_s_maximum() {
    let world = World::with(|operation| operation.deployment_maximum = Some(3));
    for n in 1..=2 {
        world.queue(n).await;
    }
    for n in 11..=12 {
        world.queue_in(2, n).await;
    }
    world.act().await;
    world.act_in(2).await;
    assert_eq!(world.state().await.runners.len(), 2);
    assert_eq!(world.state_in(2).await.runners.len(), 1);
    let job = world.ledger.job(world.job_key(11)).await.unwrap().unwrap();
    let reason = job.last_deferral.unwrap();
    assert!(reason.contains("the deployment's maximum"), "{reason}");
    // What one scope gives back is another's.
    for runner in world.state().await.runners {
        let gone = world.control.fold_instance(
            &runner.instance,
            &stoker_core::runner::RunnerNews::Gone,
            "e",
        );
        assert!(gone.await.unwrap());
    }
    world.complete(1).await;
    world.complete(2).await;
    world.act().await;
    world.act_in(2).await;
    assert_eq!(world.state_in(2).await.runners.len(), 2);
}

#[tokio::test]
async fn what_is_due_is_asked_for_once_and_no_more() {
    let world = World::new();
    world.control.act_later(world.scope(), 30).await.unwrap();
    world.control.act_later(world.scope(), 31).await.unwrap();
    world.acts().asked.clear();
    world.control.tick().await.unwrap();
    assert!(world.acts().asked.is_empty());
    world.pass(31);
    world.acts().down = true;
    assert!(world.control.tick().await.is_err());
    world.acts().down = false;
    assert_eq!(world.control.tick().await.unwrap().due, 1);
    assert_eq!(world.control.tick().await.unwrap().due, 0);
    assert_eq!(world.acts().asked.len(), 1);
}

#[tokio::test]
async fn an_interrupted_instance_is_no_supply_and_its_scope_is_acted_on() {
    let world = World::new();
    world.queue(1).await;
    world.act().await;
    let runner = world.state().await.runners.remove(0);
    world.acts().asked.clear();
    let news = stoker_core::runner::RunnerNews::Interrupted;
    for _ in 0..2 {
        let ours = world.control.fold_instance(&runner.instance, &news, "e-1");
        assert!(ours.await.unwrap());
    }
    assert!(world.state().await.runners.is_empty());
    let asked = world.acts().asked.clone();
    assert_eq!(asked.len(), 2, "asked again: the first may be lost");
    assert_eq!(asked[0], asked[1]);
    let other = "i-0123".parse().unwrap();
    assert!(
        !world
            .control
            .fold_instance(&other, &news, "e-2")
            .await
            .unwrap()
    );
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 1, "its job gets another");
}
