//! What goes wrong: the instance ends itself and says why, or finds another way.

use stoker_core::boot::Registration;

use super::account::{Account, RELEASE, archive, sha256};
use super::machine::Machine;
use super::web::Release;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

fn registration() -> Registration {
    Registration::Ephemeral("not base64!".to_owned().into())
}

/// The release as GitHub has it, other than the one in S3 in nothing but the time of its packing.
fn release(digest: Option<&str>) -> Release {
    let archive = archive();
    let right = format!("sha256:{}", sha256(&archive));
    let digest = digest.map(|digest| digest.replace("right", &right));
    Release {
        version: RELEASE,
        archive,
        digest,
    }
}

/// A release whose digest is right.
fn good() -> Release {
    release(Some("right"))
}

/// Boots in vain: no runner was started, and the instance is gone.
async fn ends(account: &Account, machine: &Machine<'_>, why: &[&str]) {
    ends_after_all(account, machine, why).await;
    assert!(machine.started("run").is_none(), "{}", machine.log());
}

/// The instance is gone, and its last line says why.
async fn ends_after_all(account: &Account, machine: &Machine<'_>, why: &[&str]) {
    assert!(!machine.boot().await, "{}", machine.log());
    let (log, ends) = (machine.log(), machine.last_words());
    assert!(
        ends.contains(&format!("terminating {}", machine.instance)),
        "{log}"
    );
    for words in why {
        assert!(ends.contains(words), "not '{words}': {log}");
    }
    assert_eq!(account.state(&machine.instance).await, "terminated");
}

/// Boots, and serves a job with the runner of that version.
async fn serves(account: &Account, machine: &Machine<'_>, version: &str) {
    account.configure(&machine.instance, registration()).await;
    assert!(machine.boot().await, "{}", machine.log());
    assert!(machine.started("run").is_some(), "{}", machine.log());
    let file = machine.path("opt/actions-runner/.stoker-version");
    assert_eq!(std::fs::read_to_string(file).unwrap().trim(), version);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_nobody_configures_ends_itself_in_time() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    machine.set("STOKER_BOOT_TIME_SECONDS", "5");
    let parameter = format!("/stoker/e2e/runners/{}", machine.instance);
    let why = [
        "no configuration came",
        &parameter,
        "within 5 s",
        "ParameterNotFound",
    ];
    ends(&account, &machine, &why).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_of_a_later_stoker_is_refused() {
    let account = Account::with_distribution().await;
    let machine = Machine::launch(&account, None).await;
    let value = r#"{"version":2,"mode":"ephemeral","secret":"sesame"}"#;
    account.write(&machine.instance, value).await;
    ends(&account, &machine, &["version", "apply Terraform"]).await;
    assert!(machine.files_with(&["sesame"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_is_never_unpacked_and_github_s_is_taken() {
    let account = Account::empty().await;
    let archive = archive();
    account.offer(&archive, &sha256(b"something else")).await;
    let machine = Machine::launch(&account, Some(good())).await;
    serves(&account, &machine, RELEASE).await;
    let log = machine.log();
    // Once more, and then no more.
    let refused = format!("has the SHA-256 {} ", sha256(&archive));
    assert_eq!(log.matches(&refused).count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_vouches_for_is_not_run() {
    let account = Account::empty().await;
    account.offer(&archive(), &sha256(b"something else")).await;
    let wrong = format!("sha256:{}", sha256(b"yet another"));
    for (release, why) in [
        (release(None), "publishes no SHA-256"),
        (release(Some(&wrong)), "is not what GitHub says it is"),
        (release(Some("sha512:right")), "publishes no SHA-256"),
    ] {
        let machine = Machine::launch(&account, Some(release)).await;
        account.configure(&machine.instance, registration()).await;
        let why = [
            "there is no runner",
            "is not what offered.json says it is",
            why,
        ];
        ends(&account, &machine, &why).await;
        assert!(!machine.path("opt/actions-runner").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_s3_is_down_or_offers_nothing_the_runner_comes_from_github() {
    let account = Account::empty().await;
    let nothing = Machine::launch(&account, Some(good())).await;
    serves(&account, &nothing, RELEASE).await;
    assert!(
        nothing.log().contains("offers nothing"),
        "{}",
        nothing.log()
    );

    let mut no_bucket = Machine::launch(&account, Some(good())).await;
    no_bucket.set("STOKER_DISTRIBUTION_BUCKET", "");
    serves(&account, &no_bucket, RELEASE).await;
    assert!(!no_bucket.called("aws s3"));

    let mut down = Machine::launch(&account, Some(good())).await;
    down.set_environment("AWS_ENDPOINT_URL_S3", NOWHERE);
    serves(&account, &down, RELEASE).await;
    assert!(down.log().contains("S3 is given up"), "{}", down.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_ends_the_instance() {
    let account = Account::with_distribution().await;
    for (setting, name) in [
        ("STOKER_PRE_INSTALL", "pre-install"),
        ("STOKER_POST_INSTALL", "post-install"),
    ] {
        let mut machine = Machine::launch(&account, None).await;
        account.configure(&machine.instance, registration()).await;
        machine.set_script(setting, "#!/bin/sh\necho 'no such mirror'\nexit 7\n");
        ends(&account, &machine, &[name, "status 7"]).await;
        assert!(machine.log().contains("no such mirror"));
        // Nobody has read it: scale-down sweeps it.
        assert!(account.is_configured(&machine.instance).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_hangs_does_not_keep_the_instance() {
    let account = Account::empty().await;
    let mut machine = Machine::launch(&account, None).await;
    machine.set("STOKER_BOOT_TIME_SECONDS", "3");
    machine.set_script("STOKER_PRE_INSTALL", "#!/bin/sh\nsleep 1000\n");
    ends(&account, &machine, &["pre-install", "3 s after the boot"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_can_t_register_or_start_ends_its_instance() {
    let account = Account::with_distribution().await;
    let token = "AABBCC-a-registration-token";
    let mut unregistered = Machine::launch(&account, None).await;
    unregistered.set_environment("RUNNER_FAILS", "yes");
    let registration = Registration::Persistent(token.to_owned().into());
    account
        .configure(&unregistered.instance, registration.clone())
        .await;
    let why = ["could not register with https://github.com/acme"];
    ends(&account, &unregistered, &why).await;
    assert!(unregistered.files_with(&[token]).is_empty());

    let mut stopped = Machine::launch(&account, None).await;
    stopped.set_environment("SERVICE_FAILS", "yes");
    account.configure(&stopped.instance, registration).await;
    let why = ["stoker-runner.service has ended"];
    ends_after_all(&account, &stopped, &why).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_aws_does_not_terminate_shuts_itself_down() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    machine.set_environment("AWS_ENDPOINT_URL_EC2", NOWHERE);
    account.configure(&machine.instance, registration()).await;
    assert!(machine.boot().await, "{}", machine.log());
    assert!(machine.started("run").is_some());
    assert!(machine.called("shutdown -h now"), "{}", machine.log());
    assert!(machine.last_words().contains("ec2:TerminateInstances"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_scale_down_stops_meanwhile_ends_with_that_reason() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    // The parent of its parent is the shell of the boot.
    let hook = "#!/bin/sh\nkill -TERM \"$(cut -d ' ' -f 4 /proc/$PPID/stat)\"\n";
    machine.set_script("STOKER_POST_INSTALL", hook);
    ends(&account, &machine, &["by a signal"]).await;
}
