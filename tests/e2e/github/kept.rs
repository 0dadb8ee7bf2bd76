//! What the adapter keeps of what GitHub gave: registration tokens, and the numbers of runner groups.

use std::sync::atomic::Ordering;

use secrecy::ExposeSecret as _;
use stoker_core::boot::Registration;
use stoker_core::limits::RunnerMode;
use stoker_core::ports::GitHub as _;
use stoker_tests::github::Call;

use super::bench::{Bench, organization, repository, runner};

fn token(registration: &Registration) -> String {
    match registration {
        Registration::Persistent(token) => token.expose_secret().to_owned(),
        Registration::Ephemeral(_) => panic!("no token was asked for"),
    }
}

#[tokio::test]
async fn one_registration_token_serves_a_scope_until_a_runner_could_not_boot_before_its_end() {
    let bench = Bench::new().await;
    let spec = runner("stoker-t-i-1", RunnerMode::EphemeralByToken);
    let target = organization(true);
    let all = (0..20).map(|_| bench.app.register(&target, &spec));
    let given = futures::future::join_all(all).await;
    let first = token(given[0].as_ref().unwrap());
    assert!(
        given
            .iter()
            .all(|one| token(one.as_ref().unwrap()) == first)
    );
    assert_eq!(bench.calls(Call::RegistrationToken), 1);
    // Another scope's is another.
    let other = bench.app.register(&repository(), &spec).await.unwrap();
    assert_ne!(token(&other), first);
    // It is good for an hour; the last twenty minutes are for booting.
    bench.clock.0.store(39 * 60, Ordering::SeqCst);
    let later = bench.app.register(&target, &spec).await.unwrap();
    assert_eq!(token(&later), first);
    bench.clock.0.store(41 * 60, Ordering::SeqCst);
    let later = bench.app.register(&target, &spec).await.unwrap();
    assert_ne!(token(&later), first);
}

#[tokio::test]
async fn a_runner_group_is_looked_up_once_and_again_when_it_was_made_anew() {
    let bench = Bench::new().await;
    let state = bench.github.state();
    for number in 10..130 {
        state.group("acme", number, &format!("other-{number}"));
    }
    state.group("acme", 200, "Release");
    let spec = |name: &str| {
        let mut spec = runner(name, RunnerMode::Ephemeral);
        spec.runner_group = Some("release".to_owned());
        spec
    };
    let target = organization(true);
    for name in ["stoker-t-i-1", "stoker-t-i-2"] {
        bench.app.register(&target, &spec(name)).await.unwrap();
    }
    assert_eq!(
        bench.calls(Call::RunnerGroups),
        2,
        "it is on the second page"
    );
    assert!(state.runners().iter().all(|runner| runner.group == 200));
    state.remove_group(200);
    let third = spec("stoker-t-i-3");
    bench.app.register(&target, &third).await.unwrap_err();
    let told = bench.app.register(&target, &third).await.unwrap_err();
    let told = told.to_string();
    assert!(told.contains("no runner group called `release`"), "{told}");
    state.group("acme", 201, "release");
    bench.app.register(&target, &third).await.unwrap();
    assert_eq!(state.runners()[2].group, 201);
}
