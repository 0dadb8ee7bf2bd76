//! Every kind of request, with every answer that the stand-in has for it. That each is as GitHub
//! describes it, the bench sees to; that none is left out, the list here.

use std::collections::BTreeSet;

use stoker_core::limits::RunnerMode;
use stoker_core::ports::{
    GitHub as _, GitHubError, JobLookup, RegistrationTarget, Removed, RunnerSpec,
};
use stoker_github::App;
use stoker_intake::{InstallationId, JobId};
use stoker_tests::github::{AppKey, Call, Fault, State};

use super::bench::{Bench, INSTALLATION, organization, preset, repository, runner};
use crate::openapi;

type Covered = BTreeSet<(String, u16)>;

/// The operations, and the statuses that the stand-in answers each with.
const ALL: [(&str, &[u16]); 22] = [
    ("apps/get-org-installation", &[200, 401, 404]),
    ("apps/get-user-installation", &[200, 404]),
    ("apps/get-repo-installation", &[200, 401, 404]),
    ("apps/create-installation-access-token", &[201, 401, 404]),
    (
        "actions/create-registration-token-for-org",
        &[201, 401, 403, 404],
    ),
    (
        "actions/create-registration-token-for-repo",
        &[201, 401, 403, 404],
    ),
    (
        "actions/generate-runner-jitconfig-for-org",
        &[201, 401, 403, 404, 409, 422],
    ),
    (
        "actions/generate-runner-jitconfig-for-repo",
        &[201, 401, 403, 404, 409, 422],
    ),
    (
        "actions/list-self-hosted-runner-groups-for-org",
        &[200, 401, 403, 404],
    ),
    (
        "actions/list-self-hosted-runners-for-org",
        &[200, 401, 403, 404],
    ),
    (
        "actions/list-self-hosted-runners-for-repo",
        &[200, 401, 403, 404],
    ),
    (
        "actions/delete-self-hosted-runner-from-org",
        &[204, 401, 403, 404, 422],
    ),
    (
        "actions/delete-self-hosted-runner-from-repo",
        &[204, 401, 403, 404, 422],
    ),
    ("actions/get-job-for-workflow-run", &[200, 401, 403, 404]),
    ("apps/get-authenticated", &[200, 401]),
    ("apps/get-webhook-config-for-app", &[200, 401]),
    ("rate-limit/get", &[200, 401]),
    ("apps/list-installations", &[200, 401]),
    ("apps/list-repos-accessible-to-installation", &[200, 401]),
    ("repos/get", &[200, 401, 403, 404]),
    ("actions/list-workflow-runs-for-repo", &[200, 401, 403]),
    ("actions/list-jobs-for-workflow-run", &[200, 401, 403]),
];

/// GitHub does what it is asked, or says why it can't.
async fn served(target: &RegistrationTarget, covered: &mut Covered) {
    let bench = Bench::new().await;
    let (app, state) = (&bench.app, bench.github.state());
    let spec = runner("stoker-t-i-1", RunnerMode::Ephemeral);
    app.register(target, &spec).await.unwrap();
    app.register(target, &spec).await.unwrap_err();
    let long = runner(&"x".repeat(65), RunnerMode::Ephemeral);
    app.register(target, &long).await.unwrap_err();
    let persistent = runner("stoker-t-i-2", RunnerMode::Persistent);
    app.register(target, &persistent).await.unwrap();

    let found = app.runner(target, &spec.name).await.unwrap().unwrap();
    assert_eq!(app.runner(target, "a&b=ü").await.unwrap(), None);
    state.connect(&spec.name, true);
    assert_eq!(app.remove(target, found.id).await.unwrap(), Removed::Busy);
    state.connect(&spec.name, false);
    for expected in [Removed::Removed, Removed::Unknown] {
        assert_eq!(app.remove(target, found.id).await.unwrap(), expected);
    }

    let statuses = [
        "queued",
        "in_progress",
        "completed",
        "waiting",
        "requested",
        "pending",
    ];
    for (id, status) in (1..).zip(statuses) {
        state.job("acme/site", id, status, &["linux"]);
        job(&bench, target, id).await.unwrap();
    }
    preset(state, 5, "site");
    let live = app.live_jobs(target).await.unwrap();
    assert_eq!(live.events.len(), 2);
    app.runners(target).await.unwrap();
    assert_eq!(app.accounts().await.unwrap().len(), 1);
    inspected(app, target).await;
    let unknown = job(&bench, target, 99).await.unwrap();
    assert_eq!(unknown, JobLookup::Unknown);
    covered.extend(openapi::covered(&bench.github));
}

/// What an operator's look at the deployment asks.
async fn inspected(app: &App, target: &RegistrationTarget) {
    assert!(app.time_at_github().await.unwrap().is_some());
    let facts = app.facts().await.unwrap();
    assert_eq!(facts.permissions["actions"], "read");
    let hook = app.hook_config().await.unwrap();
    assert!(hook.has_secret && hook.verifies_tls, "{hook:?}");
    let installations = app.all_installations().await.unwrap();
    let installed = InstallationId::new(INSTALLATION);
    assert_eq!(installations[0].id, installed);
    let owner = &target.scope.owner;
    let limit = app.rate_limit(owner, installed).await.unwrap();
    assert!(limit.remaining < limit.limit);
    let groups = app.runner_groups(owner, installed).await.unwrap();
    assert!(groups.iter().any(|group| group.is_default));
}

/// Asks for everything that an installation may ask for. Its token is revoked each time: so each request
/// is made twice, and the second time answered as the stand-in was set up to.
async fn everything(bench: &Bench, target: &RegistrationTarget) {
    let (app, state) = (&bench.app, bench.github.state());
    // So that there is a token to revoke.
    drop(app.runner(target, "stoker-t-i-1").await);
    let named = runner("stoker-t-i-1", RunnerMode::Ephemeral);
    let unnamed = RunnerSpec {
        // Its number is not asked for first.
        runner_group: None,
        ..runner("stoker-t-i-2", RunnerMode::Ephemeral)
    };
    let persistent = runner("stoker-t-i-3", RunnerMode::Persistent);
    for spec in [named, unnamed, persistent] {
        state.revoke_tokens();
        drop(app.register(target, &spec).await);
    }
    state.revoke_tokens();
    drop(app.runner(target, "stoker-t-i-1").await);
    state.revoke_tokens();
    drop(app.remove(target, 1).await);
    state.revoke_tokens();
    drop(job(bench, target, 1).await);
    state.revoke_tokens();
    drop(app.runners(target).await);
    drop(app.accounts().await);
    drop(app.facts().await);
    drop(app.hook_config().await);
    let installation = target
        .installation
        .unwrap_or(InstallationId::new(INSTALLATION));
    state.revoke_tokens();
    drop(app.rate_limit(&target.scope.owner, installation).await);
    state.revoke_tokens();
    drop(app.live_jobs(target).await);
}

/// Lists of which one after the other is refused: each is asked for only when the one before it is answered.
async fn lists_refused(covered: &mut Covered) {
    let bench = Bench::new().await;
    let state = bench.github.state();
    preset(state, 5, "site");
    state.job("acme/site", 1, "queued", &["linux"]);
    let refusals = [
        (401, "Bad credentials"),
        (403, "Resource not accessible by integration"),
    ];
    for call in [Call::Repositories, Call::Runs, Call::RunJobs] {
        for (status, words) in refusals {
            state.fail_next(call, Fault::refuse(status, words));
            drop(bench.app.live_jobs(&repository()).await);
        }
    }
    covered.extend(openapi::covered(&bench.github));
}

async fn job(
    bench: &Bench,
    target: &RegistrationTarget,
    id: u64,
) -> Result<JobLookup, GitHubError> {
    let job = JobId::new(id);
    bench.app.job(target, "acme", "site", job).await
}

/// Requests whose answers `set_up` decides.
async fn answered(
    targets: [RegistrationTarget; 2],
    set_up: impl FnOnce(&State),
    covered: &mut Covered,
) {
    let bench = Bench::new().await;
    set_up(bench.github.state());
    for target in &targets {
        everything(&bench, target).await;
    }
    covered.extend(openapi::covered(&bench.github));
}

fn known(target: RegistrationTarget, installation: u64) -> RegistrationTarget {
    RegistrationTarget {
        installation: Some(InstallationId::new(installation)),
        ..target
    }
}

#[tokio::test]
async fn every_kind_of_exchange_is_as_github_describes_it() {
    const ELSEWHERE: u64 = INSTALLATION + 1;
    let mut covered = Covered::new();
    let both = || [organization(false), repository()];
    for target in &both() {
        served(target, &mut covered).await;
    }
    lists_refused(&mut covered).await;
    let denied = |state: &State| {
        for permission in [
            "organization_self_hosted_runners",
            "administration",
            "actions",
        ] {
            state.deny(permission);
        }
    };
    answered(both(), denied, &mut covered).await;
    // An installation that is another account's sees nothing of this one.
    let foreign = both().map(|target| known(target, ELSEWHERE));
    let install = |state: &State| state.install(ELSEWHERE, "elsewhere", true);
    answered(foreign, install, &mut covered).await;

    let gone = both().map(|target| known(target, INSTALLATION));
    let uninstall = |state: &State| state.uninstall(INSTALLATION);
    answered(gone, uninstall, &mut covered).await;
    let user = |state: &State| state.install(INSTALLATION, "acme", false);
    answered(both(), user, &mut covered).await;
    let rotate = |state: &State| state.rotate_key(&AppKey::generate().unwrap());
    answered(both(), rotate, &mut covered).await;
    let signed = both().map(|target| known(target, INSTALLATION));
    answered(signed, rotate, &mut covered).await;

    let all: Covered = ALL
        .iter()
        .flat_map(|(name, statuses)| {
            statuses
                .iter()
                .map(move |status| ((*name).to_owned(), *status))
        })
        .collect();
    let missing: Vec<_> = all.difference(&covered).collect();
    // That what is known still holds is no answer that any operation describes.
    let described = covered.iter().filter(|(_, status)| *status != 304);
    let unlisted: Vec<_> = described.filter(|one| !all.contains(*one)).collect();
    assert!(
        missing.is_empty() && unlisted.is_empty(),
        "not asked for: {missing:?}; not in the list: {unlisted:?}"
    );
}
