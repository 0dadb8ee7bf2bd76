//! The lists that a lost ledger is rebuilt from.

use std::collections::BTreeMap;

use stoker_core::limits::RunnerMode;
use stoker_core::ports::{GitHub as _, GitHubFault, RegistrationTarget};
use stoker_core::situation::ScopeName;
use stoker_intake::{Action, JobEvent, OwnerKind, Visibility};
use stoker_tests::github::{Call, Fault, Repository};

use super::bench::{Bench, INSTALLATION, organization, preset, repository, runner};

fn by_job(events: Vec<JobEvent>) -> BTreeMap<u64, JobEvent> {
    events
        .into_iter()
        .map(|event| (event.job_id.unwrap().get(), event))
        .collect()
}

#[tokio::test]
async fn all_runners_are_listed_however_many_pages_they_fill() {
    let bench = Bench::new().await;
    for target in [organization(true), repository()] {
        for n in 0..101 {
            let spec = runner(&format!("r-{n}"), RunnerMode::Ephemeral);
            let spec = stoker_core::ports::RunnerSpec {
                runner_group: None,
                ..spec
            };
            bench.app.register(&target, &spec).await.unwrap();
        }
        bench.github.state().connect("r-7", true);
        let before = bench.calls(Call::Runners);
        let listed = bench.app.runners(&target).await.unwrap();
        assert_eq!(listed.len(), 101);
        assert_eq!(bench.calls(Call::Runners), before + 2);
        let busy: Vec<&str> = listed
            .iter()
            .filter(|runner| runner.busy && runner.online)
            .map(|runner| runner.name.as_str())
            .collect();
        assert_eq!(busy, ["r-7"]);
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_told_again_and_what_has_is() {
    let bench = Bench::new().await;
    let state = bench.github.state();
    preset(state, 5, "site");
    let first = bench.app.live_jobs(&organization(true)).await.unwrap();
    assert_eq!(state.unchanged(), 0);
    let second = bench.app.live_jobs(&organization(true)).await.unwrap();
    assert_eq!(first, second);
    // The repositories, and the runs of either state.
    let unchanged = state.unchanged();
    assert!(unchanged >= 3, "{unchanged}");
    state.job("acme/site", 9, "queued", &["linux"]);
    let third = bench.app.live_jobs(&organization(true)).await.unwrap();
    assert_eq!(third.events.len(), first.events.len() + 1);
}

#[tokio::test]
async fn the_jobs_of_an_organisation_that_wait_or_run_are_what_their_webhooks_told() {
    let bench = Bench::new().await;
    let state = bench.github.state();
    preset(state, 5, "site");
    let public = Repository {
        public: true,
        ..preset(state, 6, "open")
    };
    state.repository(public);
    let archived = Repository {
        archived: true,
        ..preset(state, 7, "old")
    };
    state.repository(archived);
    state.repository(Repository {
        owner: "elsewhere".to_owned(),
        ..preset(state, 8, "gone")
    });
    state.job("acme/site", 1, "queued", &["linux"]);
    state.taken("acme/site", 2, &["linux"], "stoker-t-i-1");
    for (id, status) in [(3, "waiting"), (4, "completed"), (5, "pending")] {
        state.job("acme/site", id, status, &["linux"]);
    }
    state.job("acme/open", 6, "queued", &["linux"]);
    state.job("acme/old", 7, "queued", &["linux"]);
    state.job("elsewhere/gone", 8, "queued", &["linux"]);

    let live = bench.app.live_jobs(&organization(false)).await.unwrap();
    assert!(live.problems.is_empty(), "{live:?}");
    assert_eq!((live.repositories, live.not_asked), (3, 0));
    let jobs = by_job(live.events);
    assert_eq!(jobs.keys().collect::<Vec<_>>(), [&1, &2, &6]);
    assert_eq!(jobs[&1].action, Action::Queued);
    assert_eq!(jobs[&1].labels.as_deref(), Some(&["linux".to_owned()][..]));
    assert_eq!(jobs[&1].repository.id.get(), 5);
    assert_eq!(jobs[&1].repository.visibility, Visibility::Private);
    assert_eq!(
        (jobs[&1].owner.id.get(), jobs[&1].owner.kind),
        (9, OwnerKind::Organization)
    );
    assert_eq!(jobs[&1].installation_id.unwrap().get(), INSTALLATION);
    assert_eq!(jobs[&2].action, Action::InProgress);
    assert_eq!(jobs[&2].runner_name.as_deref(), Some("stoker-t-i-1"));
    assert_eq!(jobs[&6].repository.visibility, Visibility::Public);
}

#[tokio::test]
async fn a_repository_is_asked_about_alone() {
    let bench = Bench::new().await;
    let state = bench.github.state();
    preset(state, 5, "site");
    preset(state, 6, "other");
    for id in 1..=101 {
        state.job("acme/site", id, "queued", &["linux"]);
    }
    state.job("acme/other", 200, "queued", &["linux"]);
    let live = bench.app.live_jobs(&repository()).await.unwrap();
    assert_eq!(live.repositories, 1);
    assert_eq!(live.events.len(), 101);
    assert!(
        live.events
            .iter()
            .all(|event| event.repository.id.get() == 5)
    );
}

#[tokio::test]
async fn what_goes_wrong_with_one_repository_is_told_and_spares_the_rest() {
    let bench = Bench::new().await;
    let state = bench.github.state();
    for (id, name) in [(5, "site"), (6, "other"), (7, "third")] {
        preset(state, id, name);
        state.job(&format!("acme/{name}"), id, "queued", &["linux"]);
    }
    let refusal = || Fault::refuse(403, "Resource not accessible by integration");
    state.fail_next(Call::Runs, refusal());
    state.fail_next(Call::RunJobs, refusal());
    let live = bench.app.live_jobs(&organization(true)).await.unwrap();
    assert_eq!(live.problems.len(), 2, "{live:?}");
    assert_eq!(live.events.len(), 1);
    assert!(
        live.problems
            .iter()
            .all(|told| told.contains("acme/") && told.contains("403"))
    );
}

#[tokio::test]
async fn a_permission_that_is_missing_hides_jobs_and_a_github_that_fails_tells_nothing() {
    let bench = Bench::new().await;
    let state = bench.github.state();
    preset(state, 5, "site");
    for _ in 0..2 {
        state.fail_next(Call::Runs, Fault::refuse(502, "Server Error"));
    }
    let told = bench.app.live_jobs(&organization(true)).await.unwrap_err();
    assert_eq!(told.fault, GitHubFault::Unknown);
    assert!(told.to_string().contains("list the jobs of acme"), "{told}");
    state.deny("actions");
    let live = bench.app.live_jobs(&organization(true)).await.unwrap();
    assert!(live.problems[0].contains("`actions=write`"), "{live:?}");
}

#[tokio::test]
async fn of_very_many_repositories_those_that_rested_longest_are_not_asked_about() {
    let bench = Bench::new().await;
    let state = bench.github.state();
    for id in 1..=203 {
        preset(state, id, &format!("r-{id}"));
    }
    state.job("acme/r-3", 3, "queued", &["linux"]);
    state.job("acme/r-4", 4, "queued", &["linux"]);
    let live = bench.app.live_jobs(&organization(true)).await.unwrap();
    assert_eq!((live.repositories, live.not_asked), (200, 3));
    assert_eq!(by_job(live.events).keys().collect::<Vec<_>>(), [&4]);
}

#[tokio::test]
async fn the_accounts_are_those_where_the_app_is_installed() {
    let bench = Bench::new().await;
    for id in 1_000..1_100 {
        let login = format!("user-{id}");
        bench.github.state().install(id, &login, false);
    }
    let accounts = bench.app.accounts().await.unwrap();
    assert_eq!(accounts.len(), 101);
    assert_eq!(accounts[0].login, "acme");
    assert_eq!(accounts[0].installation.get(), INSTALLATION);
    assert_eq!(bench.calls(Call::Installations), 2);
    let users = RegistrationTarget {
        scope: ScopeName {
            owner: accounts[1].login.clone(),
            repository: None,
        },
        installation: Some(accounts[1].installation),
    };
    assert!(bench.app.live_jobs(&users).await.unwrap().events.is_empty());
}
