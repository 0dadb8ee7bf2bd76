//! A ledger that was lost, and what is outside.

use std::collections::BTreeMap;

use stoker_core::class::Capacity;
use stoker_core::control::{Acted, Rebuilt};
use stoker_core::ids::{ClassName, InstanceId, IntentId, ScopeVersion};
use stoker_core::job::{JobPhase, Standing};
use stoker_core::limits::PublicRepositories;
use stoker_core::ports::{
    InstalledAccount, Ledger as _, LiveJobs, OwnInstance, RegisteredRunner, UnreadableInstance,
};
use stoker_core::runner::{Runner, RunnerNews, RunnerPhase};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::{Action, InstallationId, JobEvent, Visibility};

use crate::world::World;

/// Jobs 1 and 2 got a runner each, 1's has taken it, 2's waits for one; both are registered and online.
async fn busy_and_idle() -> World {
    let world = World::new();
    world.queue(1).await;
    world.queue(2).await;
    world.act().await;
    let runners = world.state().await.runners;
    for runner in &runners {
        let online = world
            .control
            .fold_runner(&runner.instance, &RunnerNews::Online);
        online.await.unwrap();
    }
    let took = taken(&world, 1, &runners[0]);
    world.control.fold(&took).await.unwrap();
    for registered in &mut world.github().registered {
        registered.online = true;
        registered.busy = registered.name == runners[0].name;
    }
    // Job 2 was cancelled, so its runner has none.
    world.complete(2).await;
    world.github().live = LiveJobs {
        events: vec![took],
        repositories: 1,
        ..LiveJobs::default()
    };
    world
}

fn taken(world: &World, n: u64, runner: &Runner) -> JobEvent {
    JobEvent {
        action: Action::InProgress,
        runner_name: Some(runner.name.clone()),
        ..world.queued(n)
    }
}

/// What a runner is, as far as it can be known again.
fn known(runners: &[Runner]) -> BTreeMap<InstanceId, Runner> {
    let same = |runner: &Runner| Runner {
        phase_since: Timestamp(0),
        launched_for: None,
        booted_at: None,
        revision: 0,
        ..runner.clone()
    };
    runners
        .iter()
        .map(|runner| (runner.instance.clone(), same(runner)))
        .collect()
}

#[tokio::test]
async fn a_lost_ledger_has_the_same_runners_and_jobs_again() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.acts().asked.clear();
    let rebuilt = after.control.rebuild().await.unwrap();
    let came = &rebuilt.scopes[&after.scope()];
    assert_eq!((came.runners, came.known, came.jobs), (2, 0, 1));
    assert_eq!(came.name, "acme");
    assert!(!rebuilt.has_gaps(), "{rebuilt:?}");

    let (was, is) = (before.state().await, after.state().await);
    assert_eq!(known(&is.runners), known(&was.runners));
    assert_eq!(is.jobs.len(), 1);
    assert_eq!(is.jobs[0].key, was.jobs[0].key);
    assert_eq!(is.jobs[0].phase, JobPhase::InProgress);
    assert_eq!(is.jobs[0].runner_name, was.jobs[0].runner_name);
    assert!(
        after
            .acts()
            .asked
            .iter()
            .any(|one| one.scope == after.scope())
    );
    let due = after.ledger.due(after.now(), 10).await.unwrap();
    assert_eq!(due[0].scope, after.scope());
}

#[tokio::test]
async fn a_second_rebuild_changes_nothing() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.control.rebuild().await.unwrap();
    let first = after.state().await;
    let rebuilt = after.control.rebuild().await.unwrap();
    let came = &rebuilt.scopes[&after.scope()];
    assert_eq!((came.runners, came.known, came.jobs), (0, 2, 0));
    let second = after.state().await;
    assert_eq!((second.runners, second.jobs), (first.runners, first.jobs));
    // And none beside a ledger that was never lost.
    let was = before.state().await;
    before.control.rebuild().await.unwrap();
    assert_eq!(before.state().await.runners, was.runners);
}

#[tokio::test]
async fn an_idle_runner_is_supply_again_and_a_busy_one_is_not() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.control.rebuild().await.unwrap();
    after.queue(4).await;
    assert_eq!(after.act().await, Acted::Done);
    assert_eq!(after.fleet().launched.len(), 1, "the idle one serves it");
    after.queue(5).await;
    after.act().await;
    assert_eq!(after.fleet().launched.len(), 2);
    assert!(after.fleet().terminated.is_empty());
}

#[tokio::test]
async fn a_webhook_that_comes_to_an_empty_ledger_finds_the_runners_first() {
    let before = World::new();
    before.queue(1).await;
    before.act().await;
    let after = before.without_ledger(|_| {});
    after.github().live.events = vec![after.queued(1)];
    // Its redelivery, before anybody has looked around.
    after.queue(1).await;
    assert_eq!(after.act().await, Acted::Done);
    assert_eq!(after.fleet().launched.len(), 1);
    let state = after.state().await;
    assert_eq!(state.runners.len(), 1);
    assert_eq!(state.runners[0].phase, RunnerPhase::Booting);
    // Nobody takes it for one without a configuration.
    assert!(!state.runners[0].lacks_configuration());
    assert_eq!(after.github().registered.len(), 1);
}

#[tokio::test]
async fn nothing_is_decided_while_it_is_not_known_what_there_is() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.queue(4).await;
    after.queue(5).await;
    after.fleet().hides = true;
    assert!(matches!(after.act().await, Acted::TryAgain { .. }));
    after.fleet().hides = false;
    after.github().lists_nothing = true;
    assert!(matches!(after.act().await, Acted::TryAgain { .. }));
    assert!(after.state().await.runners.is_empty());
    assert_eq!(after.state().await.version, ScopeVersion(0));
    assert_eq!(after.fleet().launched.len(), 1);
    after.github().lists_nothing = false;
    assert_eq!(after.act().await, Acted::Done);
    assert_eq!(after.state().await.runners.len(), 3, "one more was wanted");
    assert_eq!(after.fleet().launched.len(), 2);
}

#[tokio::test]
async fn the_tick_rebuilds_at_first_and_then_leaves_ec2_alone() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.github().lists_nothing = true;
    after.control.tick().await.unwrap();
    assert!(after.state().await.runners.is_empty());
    after.github().lists_nothing = false;
    after.control.tick().await.unwrap();
    assert_eq!(after.state().await.runners.len(), 2);
    let listed = after.github().listed;
    after.pass(60);
    after.control.tick().await.unwrap();
    after.fleet().hides = true;
    after.control.tick().await.unwrap();
    assert_eq!(after.github().listed, listed);
    // A scope that is new is decided without asking EC2 then.
    after.queue_in(2, 14).await;
    assert_eq!(after.act_in(2).await, Acted::Done);
    assert_eq!(after.state_in(2).await.runners.len(), 1);
}

#[tokio::test]
async fn an_instance_that_ec2_showed_late_is_found_by_the_next_tick() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.control.tick().await.unwrap();
    after.fleet().others.instances = vec![foreign(&after, "i-1", Some("acme"))];
    after.control.tick().await.unwrap();
    assert_eq!(after.state().await.runners.len(), 3);
    after.pass(60);
    after.control.tick().await.unwrap();
    // From then on there is somebody else for it: who compares what there is all the time.
    after.fleet().others.instances = vec![foreign(&after, "i-2", Some("acme"))];
    after.control.tick().await.unwrap();
    assert_eq!(after.state().await.runners.len(), 3);
}

#[tokio::test]
async fn a_tick_that_finds_no_ledger_lost_asks_github_nothing() {
    let world = World::new();
    world.queue(1).await;
    world.act().await;
    world.control.tick().await.unwrap();
    assert_eq!(world.github().listed, 0);
    assert_eq!(world.state().await.runners.len(), 1);
}

#[tokio::test]
async fn a_rebuild_that_died_halfway_is_taken_up_by_the_next_act() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    // It came as far as one runner.
    let one = before.state().await.runners[0].clone();
    let half = Runner {
        phase: RunnerPhase::Booting,
        revision: 0,
        ..one
    };
    after.ledger.put_runner(&half).await.unwrap();
    after.queue(4).await;
    after.act().await;
    let state = after.state().await;
    assert_eq!(state.runners.len(), 2);
    let of_the_job = state.jobs.iter().find(|job| job.runner_name.is_some());
    assert_eq!(of_the_job.unwrap().key, after.job_key(1));
    assert!(
        state
            .runners
            .iter()
            .any(|runner| runner.instance == half.instance
                && runner.phase
                    == RunnerPhase::Busy {
                        job: after.job_key(1)
                    })
    );
    assert_eq!(after.fleet().launched.len(), 1);
}

#[tokio::test]
async fn a_busy_runner_whose_job_nobody_knows_is_no_supply_and_stays() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.github().live.events.clear();
    for runner in &mut after.github().registered {
        runner.busy = true;
    }
    after.control.rebuild().await.unwrap();
    after.queue(4).await;
    after.act().await;
    // The instances are a minute old and might be booting, if GitHub did not say that they are not.
    assert_eq!(after.fleet().launched.len(), 2);
    assert!(after.fleet().terminated.is_empty());
    assert_eq!(after.state().await.runners.len(), 3);
}

fn foreign(world: &World, id: &str, name: Option<&str>) -> OwnInstance {
    OwnInstance {
        id: id.parse().unwrap(),
        instance_type: "c7i.large".to_owned(),
        capacity: Capacity::OnDemand,
        launched_at: world.now(),
        scope: world.scope(),
        scope_name: name.map(|owner| ScopeName {
            owner: owner.to_owned(),
            repository: None,
        }),
        class: ClassName("any".to_owned()),
        intent: IntentId("0123".to_owned()),
    }
}

#[tokio::test]
async fn only_what_is_ours_is_written_down() {
    let world = World::new();
    world.fleet().others.instances = vec![foreign(&world, "i-1", Some("acme"))];
    world.fleet().others.unreadable = vec![UnreadableInstance {
        id: "i-2".to_owned(),
        problem: "has no tag stoker:scope".to_owned(),
    }];
    world.github().registered = ["stoker-other-i-1", "laptop", "stoker-test-i-9"]
        .into_iter()
        .zip(1..)
        .map(|(name, id)| RegisteredRunner {
            id,
            name: name.to_owned(),
            online: true,
            busy: false,
        })
        .collect();
    let rebuilt = world.control.rebuild().await.unwrap();
    let runners = world.state().await.runners;
    assert_eq!(runners.len(), 1);
    // Another deployment's runner on an instance of the same id says nothing of ours.
    assert_eq!(runners[0].phase, RunnerPhase::Booting);
    assert_eq!(runners[0].name, "stoker-test-i-1");
    assert!((runners[0].price - 0.1).abs() < 1e-9);
    assert!(rebuilt.problems[0].contains("i-2"), "{rebuilt:?}");
    assert!(rebuilt.is_complete());
}

#[tokio::test]
async fn instances_without_a_scope_s_name_wait_for_a_job_that_tells_it() {
    let world = World::new();
    world.fleet().others.instances = vec![foreign(&world, "i-1", None)];
    let rebuilt = world.control.rebuild().await.unwrap();
    assert!(rebuilt.left.contains(&world.scope()));
    assert!(world.state().await.runners.is_empty());
    world.queue(1).await;
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 1);
    assert!(world.fleet().launched.is_empty());
}

#[tokio::test]
async fn a_class_that_is_configured_no_more_has_runners_all_the_same() {
    let world = World::new();
    let old = OwnInstance {
        class: ClassName("retired".to_owned()),
        ..foreign(&world, "i-1", Some("acme"))
    };
    world.fleet().others.instances = vec![old];
    let rebuilt = world.control.rebuild().await.unwrap();
    assert!(rebuilt.problems[0].contains("retired"), "{rebuilt:?}");
    assert_eq!(world.state().await.runners.len(), 1);
}

#[tokio::test]
async fn jobs_of_those_who_have_no_runner_are_found_where_the_app_is_installed() {
    let world = World::new();
    world.github().accounts = vec![InstalledAccount {
        login: "Acme".to_owned(),
        installation: InstallationId::new(7),
    }];
    let hours_ago = JobEvent {
        created_at: Some(std::time::UNIX_EPOCH.into()),
        ..world.queued(1)
    };
    world.github().live.events = vec![hours_ago];
    let rebuilt = world.control.rebuild().await.unwrap();
    assert_eq!(rebuilt.jobs(), 1);
    let job = world.ledger.job(world.job_key(1)).await.unwrap().unwrap();
    // GitHub has just said so: it is not asked again.
    assert_eq!(job.standing, Standing::Verified);
    assert_eq!(world.acts().asked.len(), 1);
    world.act().await;
    assert_eq!(world.state().await.runners.len(), 1);
}

#[tokio::test]
async fn a_job_that_the_edge_would_not_pass_on_is_not_taken_up() {
    async fn rebuilt(world: &World) -> Rebuilt {
        let public = |mut event: JobEvent| {
            event.repository.visibility = Visibility::Public;
            event
        };
        let events = vec![world.queued(1), public(world.queued(2))];
        world.github().live.events = events;
        world.github().accounts = vec![InstalledAccount {
            login: "acme".to_owned(),
            installation: InstallationId::new(7),
        }];
        world.control.rebuild().await.unwrap()
    }
    let strict = World::new();
    let came = rebuilt(&strict).await;
    assert_eq!((came.jobs(), came.not_admitted), (1, 1));
    assert!(
        strict
            .ledger
            .job(strict.job_key(2))
            .await
            .unwrap()
            .is_none()
    );

    let open = World::with(|operation| {
        operation.guards.public_repositories = PublicRepositories::Admitted;
    });
    let came = rebuilt(&open).await;
    assert_eq!((came.jobs(), came.not_admitted), (2, 0));

    let mut listed = World::new();
    let list = "acme/shop-2".parse().unwrap();
    listed.control = listed.control.clone().admitting(list);
    let came = rebuilt(&listed).await;
    assert_eq!((came.jobs(), came.not_admitted), (0, 2));
}

#[tokio::test]
async fn what_github_did_not_tell_of_one_repository_is_told_and_stops_nothing() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.github().live.problems = vec!["acme/huge: 502".to_owned()];
    after.github().live.not_asked = 3;
    let rebuilt = after.control.rebuild().await.unwrap();
    assert!(rebuilt.is_complete() && rebuilt.has_gaps());
    assert_eq!(rebuilt.not_asked, 3);
    assert!(rebuilt.problems[0].contains("acme/huge"), "{rebuilt:?}");
    assert_eq!(after.state().await.runners.len(), 2);
}

#[tokio::test]
async fn the_runners_of_all_scopes_count_before_the_first_decision() {
    let maximum = 3;
    let before = World::with(|operation| operation.deployment_maximum = Some(maximum));
    before.queue(1).await;
    before.queue(2).await;
    before.act().await;
    let after = before.without_ledger(|operation| operation.deployment_maximum = Some(maximum));
    for n in 11..=13 {
        after.queue_in(2, n).await;
    }
    after.act_in(2).await;
    assert_eq!(
        after.state_in(2).await.runners.len(),
        1,
        "of three, two are there"
    );
}

#[tokio::test]
async fn what_an_act_has_just_launched_is_left_to_it() {
    let world = World::new();
    world.queue(1).await;
    // EC2 has launched, and the act does not know yet.
    world.fleet().answers_get_lost = true;
    world.act().await;
    world.fleet().answers_get_lost = false;
    assert_eq!(world.state().await.intents.len(), 1);
    world.control.rebuild().await.unwrap();
    assert!(world.state().await.runners.is_empty());
    world.act().await;
    let runners = world.state().await.runners;
    assert_eq!(runners.len(), 1);
    assert_eq!(world.parameters().written.len(), 1, "it is configured");
    assert_eq!(world.fleet().launched.len(), 1);
}

#[tokio::test]
async fn the_tick_asks_for_all_jobs_though_an_act_has_rebuilt_its_scope_before() {
    let before = busy_and_idle().await;
    let after = before.without_ledger(|_| {});
    after.queue(1).await;
    after.act().await;
    // A job of an account that has no runner, whose webhook went into the lost ledger.
    after.github().accounts = vec![InstalledAccount {
        login: "other".to_owned(),
        installation: InstallationId::new(9),
    }];
    after.github().live.events = vec![after.queued(7)];
    assert!(after.ledger.job(after.job_key(7)).await.unwrap().is_none());
    after.control.tick().await.unwrap();
    assert!(after.ledger.job(after.job_key(7)).await.unwrap().is_some());
    let asked = after.github().listed;
    after.pass(60);
    after.control.tick().await.unwrap();
    after.pass(60);
    after.control.tick().await.unwrap();
    assert_eq!(after.github().listed, asked, "once is enough");
}
