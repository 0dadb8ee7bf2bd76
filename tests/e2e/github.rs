//! The GitHub adapter against the stand-in: what it asks, what it remembers, and what it says when it
//! is refused.

mod bench;
mod described;
mod kept;
mod lists;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use stoker_core::boot::Registration;
use stoker_core::limits::RunnerMode;
use stoker_core::ports::{GitHub as _, JobLookup};
use stoker_tests::github::{AppKey, Call, Fault, Level};

use bench::{Bench, INSTALLATION, organization, repository, runner};

#[tokio::test]
async fn an_ephemeral_runner_gets_what_github_configured_for_it() {
    let bench = Bench::new().await;
    let spec = runner("stoker-t-i-1", RunnerMode::Ephemeral);
    let given = bench
        .app
        .register(&organization(true), &spec)
        .await
        .unwrap();
    let runners = bench.github.state().runners();
    let [registered] = runners.as_slice() else {
        panic!("{runners:?}");
    };
    assert_eq!(registered.level, Level::organization("acme"));
    assert_eq!(registered.name, spec.name);
    assert_eq!(registered.labels, spec.labels);
    assert_eq!(registered.group, 3);
    let Registration::Ephemeral(config) = &given else {
        panic!("{given:?}");
    };
    assert_eq!(config.expose_secret(), registered.encoded_jit_config);
    assert!(!format!("{given:?}").contains(&registered.encoded_jit_config[..20]));
}

#[tokio::test]
async fn a_repository_has_runners_of_its_own_in_the_only_group_that_it_has() {
    let bench = Bench::new().await;
    let spec = runner("stoker-t-i-1", RunnerMode::Ephemeral);
    bench.app.register(&repository(), &spec).await.unwrap();
    let runners = bench.github.state().runners();
    assert_eq!(runners[0].level, Level::repository("acme", "site"));
    assert_eq!(runners[0].group, 1);
}

#[tokio::test]
async fn a_persistent_runner_gets_a_registration_token() {
    let bench = Bench::new().await;
    let given = bench.persistent().await.unwrap();
    let tokens = bench.github.state().registration_tokens();
    assert_eq!(tokens[0].0, Level::organization("acme"));
    assert!(
        matches!(&given, Registration::Persistent(token) if *token.expose_secret() == tokens[0].1)
    );
}

#[tokio::test]
async fn many_callers_at_once_share_one_installation_token() {
    let bench = Bench::new().await;
    let delay = Fault::Delay(Duration::from_millis(100));
    bench.github.state().fail_next(Call::AccessToken, delay);
    let asked = futures::future::join_all((0..20).map(|_| bench.persistent())).await;
    assert!(asked.iter().all(Result::is_ok));
    assert_eq!(bench.calls(Call::AccessToken), 1);
    assert_eq!(bench.kept.reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_token_that_could_not_be_had_is_asked_for_again_the_next_time() {
    let bench = Bench::new().await;
    let refusal = Fault::refuse(404, "Not Found");
    bench
        .github
        .state()
        .fail_next(Call::AccessToken, refusal.clone());
    bench
        .github
        .state()
        .fail_next(Call::Installation, refusal.clone());
    bench.github.state().fail_next(Call::Installation, refusal);
    let told = bench.persistent().await.unwrap_err().to_string();
    assert!(told.contains("install the GitHub App there"), "{told}");
    bench.persistent().await.unwrap();
}

#[tokio::test]
async fn a_token_is_replaced_five_minutes_before_it_ends() {
    let bench = Bench::new().await;
    bench.persistent().await.unwrap();
    bench.clock.0.store(3_200, Ordering::SeqCst);
    bench.persistent().await.unwrap();
    assert_eq!(bench.calls(Call::AccessToken), 1);
    // The stand-in, whose clock is right, would refuse a JWT of the future.
    bench.github.state().token_life(7_200);
    bench.clock.0.store(3_400, Ordering::SeqCst);
    let told = bench.persistent().await.unwrap_err().to_string();
    assert!(
        told.contains("'iat'") && told.contains("the clock"),
        "{told}"
    );
    assert!(bench.calls(Call::AccessToken) > 1);
}

#[tokio::test]
async fn a_revoked_token_is_replaced_within_the_same_call() {
    let bench = Bench::new().await;
    bench.persistent().await.unwrap();
    bench.github.state().revoke_tokens();
    let spec = runner("stoker-t-i-2", RunnerMode::Ephemeral);
    bench
        .app
        .register(&organization(true), &spec)
        .await
        .unwrap();
    assert_eq!(bench.calls(Call::AccessToken), 2);
}

#[tokio::test]
async fn a_rotated_key_takes_effect_without_a_restart() {
    let bench = Bench::new().await;
    bench.persistent().await.unwrap();
    let next = AppKey::generate().unwrap();
    bench.github.state().rotate_key(&next);
    bench.github.state().revoke_tokens();
    // GitHub knows the new key already, the parameter does not.
    let told = bench.job(1).await.unwrap_err().to_string();
    assert!(told.contains("check the App's id"), "{told}");
    // Some tools write a PEM's line breaks as two characters, and some another envelope.
    bench.store(Ok(next.pkcs8_pem().replace('\n', "\\n")));
    bench.job(1).await.unwrap();
}

#[tokio::test]
async fn a_key_is_read_again_every_quarter_of_an_hour_and_kept_when_it_can_not_be_read() {
    let bench = Bench::new().await;
    bench.persistent().await.unwrap();
    bench.store(Err("the store is away"));
    bench.github.state().revoke_tokens();
    bench.clock.0.store(0, Ordering::SeqCst);
    bench.persistent().await.unwrap();
    assert_eq!(bench.kept.reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_wrong_with_the_credentials_is_said_and_not_kept() {
    let bench = Bench::new().await;
    bench.store(Err("SSM has no parameter `/stoker/key`"));
    let told = bench.persistent().await.unwrap_err().to_string();
    assert!(
        told.contains("SSM has no parameter `/stoker/key`"),
        "{told}"
    );
    bench.store(Ok("hunter2".to_owned()));
    let told = bench.persistent().await.unwrap_err().to_string();
    assert!(told.contains("PEM") && !told.contains("hunter2"), "{told}");
    bench.store(Ok(bench.key.pem().unwrap()));
    bench.persistent().await.unwrap();
}

#[tokio::test]
async fn an_installation_that_no_event_named_is_looked_up_once() {
    let bench = Bench::new().await;
    let spec = runner("stoker-t-i-1", RunnerMode::Persistent);
    for _ in 0..2 {
        bench
            .app
            .register(&organization(false), &spec)
            .await
            .unwrap();
        bench.app.register(&repository(), &spec).await.unwrap();
    }
    assert_eq!(bench.calls(Call::Installation), 2);
    assert_eq!(bench.calls(Call::AccessToken), 1);
}

#[tokio::test]
async fn an_app_that_was_installed_anew_is_found_again() {
    let bench = Bench::new().await;
    bench.github.state().uninstall(INSTALLATION);
    bench.github.state().install(INSTALLATION + 1, "acme", true);
    bench.persistent().await.unwrap();
}

#[tokio::test]
async fn a_users_installation_is_found_too() {
    let bench = Bench::new().await;
    bench.github.state().uninstall(INSTALLATION);
    bench.github.state().install(78, "acme", false);
    bench.persistent().await.unwrap();
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let bench = Bench::new().await;
    bench
        .github
        .state()
        .deny("organization_self_hosted_runners");
    bench.github.state().deny("actions");
    let told = bench.persistent().await.unwrap_err().to_string();
    assert!(
        told.contains("`organization_self_hosted_runners=write`"),
        "{told}"
    );
    let told = bench.job(5).await.unwrap_err().to_string();
    assert!(
        told.contains("look up job 5 of acme/site") && told.contains("actions"),
        "{told}"
    );
}

#[tokio::test]
async fn only_a_queued_job_waits() {
    let bench = Bench::new().await;
    let labels = ["self-hosted", "gpu"];
    bench.github.state().job("acme/site", 1, "queued", &labels);
    bench.github.state().job("acme/site", 2, "waiting", &labels);
    let queued = JobLookup::Queued {
        labels: labels.map(str::to_owned).to_vec(),
    };
    assert_eq!(bench.job(1).await.unwrap(), queued);
    assert_eq!(
        bench.job(2).await.unwrap(),
        JobLookup::NotQueued {
            status: "waiting".to_owned(),
            runner_name: None,
        }
    );
    assert_eq!(bench.job(3).await.unwrap(), JobLookup::Unknown);
}

#[tokio::test]
async fn a_missing_installation_is_not_taken_for_a_missing_job() {
    let bench = Bench::new().await;
    bench
        .github
        .state()
        .job("acme/site", 1, "queued", &["linux"]);
    bench.github.state().uninstall(INSTALLATION);
    let told = bench.job(1).await.unwrap_err().to_string();
    assert!(told.contains("no installation token for acme"), "{told}");
}

#[tokio::test]
async fn a_jit_request_is_never_repeated_blindly() {
    let bench = Bench::new().await;
    let spec = runner("stoker-t-i-1", RunnerMode::Ephemeral);
    for fault in [Fault::refuse(502, "Server Error"), Fault::LoseAnswer] {
        let before = bench.calls(Call::JitConfig);
        bench.github.state().fail_next(Call::JitConfig, fault);
        bench
            .app
            .register(&organization(true), &spec)
            .await
            .unwrap_err();
        assert_eq!(bench.calls(Call::JitConfig), before + 1);
    }
    // The lost answer was about a runner that exists now.
    let told = bench.app.register(&organization(true), &spec).await;
    let told = told.unwrap_err().to_string();
    assert!(told.contains("409") && told.contains("replaced"), "{told}");
}

#[tokio::test]
async fn what_does_no_harm_is_asked_for_a_second_time() {
    let bench = Bench::new().await;
    bench
        .github
        .state()
        .job("acme/site", 1, "queued", &["linux"]);
    for fault in [Fault::refuse(502, "Server Error"), Fault::LoseAnswer] {
        bench.github.state().fail_next(Call::Job, fault.clone());
        bench.job(1).await.unwrap();
        bench
            .github
            .state()
            .fail_next(Call::RegistrationToken, fault);
        bench.persistent().await.unwrap();
    }
}

#[tokio::test]
async fn github_is_left_alone_for_as_long_as_it_says() {
    let bench = Bench::new().await;
    let limit = Fault::Refuse {
        status: 403,
        message: "You have exceeded a secondary rate limit".to_owned(),
        headers: vec![("retry-after", "40".to_owned())],
    };
    bench
        .github
        .state()
        .fail_next(Call::RegistrationToken, limit);
    let started = Instant::now();
    let told = bench.persistent().await.unwrap_err().to_string();
    assert!(
        told.contains("secondary rate limit") && told.contains("for 40 s"),
        "{told}"
    );
    // Not even asked meanwhile.
    let told = bench.persistent().await.unwrap_err().to_string();
    assert!(told.contains("it is asked again after that"), "{told}");
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(bench.calls(Call::RegistrationToken), 1);
    bench.clock.0.store(41, Ordering::SeqCst);
    bench.persistent().await.unwrap();
}

#[tokio::test]
async fn a_second_of_patience_is_borne() {
    let bench = Bench::new().await;
    let limit = Fault::Refuse {
        status: 429,
        message: "Too many requests".to_owned(),
        headers: vec![("retry-after", "1".to_owned())],
    };
    bench.github.state().fail_next(Call::JitConfig, limit);
    let spec = runner("stoker-t-i-1", RunnerMode::Ephemeral);
    bench
        .app
        .register(&organization(true), &spec)
        .await
        .unwrap();
}

#[tokio::test]
async fn no_secret_is_in_what_is_said_of_a_failure() {
    let bench = Bench::new().await;
    bench.job(1).await.unwrap();
    for fault in [
        Fault::refuse(500, "x"),
        Fault::refuse(404, "x"),
        Fault::LoseAnswer,
    ] {
        bench
            .github
            .state()
            .fail_next(Call::RegistrationToken, fault.clone());
        bench
            .github
            .state()
            .fail_next(Call::RegistrationToken, fault);
        let error = bench.persistent().await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(
            !told.contains("ghs_") && !told.contains("eyJ") && !told.contains("AREG"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_page_is_where_runners_register() {
    let bench = Bench::new().await;
    assert_eq!(
        bench.app.page(&organization(true).scope),
        "https://github.example/acme"
    );
    assert_eq!(
        bench.app.page(&repository().scope),
        "https://github.example/acme/site"
    );
}
