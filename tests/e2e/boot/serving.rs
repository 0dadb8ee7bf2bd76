//! What goes as it should.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use stoker_core::boot::Registration;

use super::account::Account;
use super::machine::{Machine, Started, script, user};
use super::web::Refusal;

/// A piece that is in GitHub's configuration, in the clear.
const INSIDE: &str = "a-private-key-that-nobody-may-see";
const TOKEN: &str = "AABBCC-a-registration-token";

/// A just-in-time configuration as GitHub sends it: base64 over JSON, of some kilobytes.
fn jit() -> String {
    let keys = format!("{INSIDE} and more ").repeat(100);
    STANDARD.encode(format!(
        r#"{{".runner":"e30=",".credentials_rsaparams":"{keys}"}}"#
    ))
}

fn packed(text: &str) -> String {
    use std::io::Write as _;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(text.as_bytes()).unwrap();
    STANDARD.encode(gzip.finish().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_runner_gets_github_s_string_to_the_letter_and_its_instance_ends_itself() {
    let account = Account::with_distribution().await;
    let start_runner = script("start-runner.sh");
    // Whichever is the instance's sh, and both forms in which Terraform may hand the script on.
    for (shell, start_runner) in [
        (&["dash"][..], STANDARD.encode(&start_runner)),
        (&["bash", "--posix"][..], packed(&start_runner)),
    ] {
        let machine = Machine::launch(&account, None).await;
        let registration = Registration::Ephemeral(jit().into());
        account.configure(&machine.instance, registration).await;
        let written = account.configuration(&machine.instance).await.unwrap();
        assert_eq!(written["encoding"], "gzip+base64");
        assert!(machine.boot_with(shell, &start_runner).await);

        let log = machine.log();
        let run = machine.started("run").unwrap_or_else(|| panic!("{log}"));
        assert_eq!(run.environment["ACTIONS_RUNNER_INPUT_JITCONFIG"], jit());
        assert_eq!((run.user, run.arguments), (user(), String::new()));
        assert!(machine.started("config").is_none(), "{log}");
        assert!(!account.is_configured(&machine.instance).await, "{log}");
        assert_eq!(account.state(&machine.instance).await, "terminated");
        let ends = machine.last_words();
        assert!(
            ends.contains(&machine.instance) && ends.contains("after its job"),
            "{log}"
        );
        // Neither in a file (logs and command lines among them), nor in what the shell prints.
        let travelled = written["jit_config"].as_str().unwrap();
        let secrets = [&jit()[..80], INSIDE, travelled];
        assert_eq!(
            machine.files_with(&secrets),
            Vec::<std::path::PathBuf>::new()
        );
        let said = std::fs::read_to_string(machine.path("var/log/stoker/runner.log")).unwrap();
        assert!(said.contains("run says hello"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_runner_registers_by_its_environment_and_stays() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    machine.set("STOKER_DISABLE_UPDATE", "true");
    let registration = Registration::Persistent(TOKEN.to_owned().into());
    account
        .configure_with(
            &machine.instance,
            registration,
            false,
            Some("ours and theirs"),
        )
        .await;
    assert!(machine.boot().await);

    let log = machine.log();
    let config = machine.started("config").unwrap_or_else(|| panic!("{log}"));
    assert_eq!((config.user, config.arguments), (user(), String::new()));
    let name = format!("stoker-e2e-{}", machine.instance);
    for (input, value) in [
        ("TOKEN", TOKEN),
        ("URL", "https://github.com/acme"),
        ("NAME", &name),
        ("LABELS", "self-hosted,small box"),
        ("RUNNERGROUP", "ours and theirs"),
        ("UNATTENDED", "true"),
        ("REPLACE", "true"),
        ("DISABLEUPDATE", "true"),
    ] {
        let input = format!("ACTIONS_RUNNER_INPUT_{input}");
        assert_eq!(config.environment[&input], value, "{input}");
    }
    assert!(
        !config
            .environment
            .contains_key("ACTIONS_RUNNER_INPUT_EPHEMERAL")
    );

    // What runs jobs knows nothing of the token, which is good for an hour.
    let service = serving(&machine).await;
    assert_eq!(service.user, user());
    let inherits = |name: &&String| name.starts_with("ACTIONS_RUNNER_INPUT");
    assert_eq!(service.environment.keys().find(inherits), None);
    assert!(
        machine.called("systemctl enable stoker-runner.service"),
        "{log}"
    );
    assert!(!account.is_configured(&machine.instance).await, "{log}");
    assert_eq!(account.state(&machine.instance).await, "running");
    assert!(machine.last_words().contains("serves jobs"), "{log}");
    assert_eq!(
        machine.files_with(&[TOKEN]),
        Vec::<std::path::PathBuf>::new()
    );
}

/// How the service was started, which happens beside the scripts.
async fn serving(machine: &Machine<'_>) -> Started {
    for _ in 0..500 {
        let started = machine.started("run");
        if let Some(started) = started.filter(|started| !started.environment.is_empty()) {
            return started;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not start: {}", machine.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_runner_may_register_by_token() {
    let account = Account::with_distribution().await;
    let machine = Machine::launch(&account, None).await;
    let registration = Registration::Persistent(TOKEN.to_owned().into());
    account
        .configure_with(&machine.instance, registration, true, None)
        .await;
    assert!(machine.boot().await);

    let log = machine.log();
    let config = machine.started("config").unwrap_or_else(|| panic!("{log}"));
    assert_eq!(config.environment["ACTIONS_RUNNER_INPUT_EPHEMERAL"], "true");
    for absent in ["RUNNERGROUP", "DISABLEUPDATE"] {
        let input = format!("ACTIONS_RUNNER_INPUT_{absent}");
        assert!(!config.environment.contains_key(&input), "{input}");
    }
    let run = machine.started("run").unwrap();
    let inherits = |name: &&String| name.starts_with("ACTIONS_RUNNER_INPUT");
    assert_eq!(run.environment.keys().find(inherits), None);
    assert_eq!(account.state(&machine.instance).await, "terminated");
    assert_eq!(
        machine.files_with(&[TOKEN]),
        Vec::<std::path::PathBuf>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_comes_late_is_waited_for() {
    let account = Account::with_distribution().await;
    let machine = Machine::launch(&account, None).await;
    let write = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let registration = Registration::Ephemeral("not base64!".to_owned().into());
        account.configure(&machine.instance, registration).await;
    };
    let (content, ()) = tokio::join!(machine.boot(), write);
    assert!(content, "{}", machine.log());
    let run = machine.started("run").unwrap();
    assert_eq!(
        run.environment["ACTIONS_RUNNER_INPUT_JITCONFIG"],
        "not base64!"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ssm_answers_is_waited_out() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    let operation = "GetParameter";
    // What is not there yet has no tag that IAM could compare.
    machine.refuse(&[
        Refusal {
            operation,
            status: 400,
            code: "AccessDeniedException",
        },
        Refusal {
            operation,
            status: 400,
            code: "ThrottlingException",
        },
        Refusal {
            operation,
            status: 400,
            code: "ParameterNotFound",
        },
        Refusal {
            operation,
            status: 500,
            code: "InternalServerError",
        },
    ]);
    let registration = Registration::Ephemeral(jit().into());
    account.configure(&machine.instance, registration).await;
    assert!(machine.boot().await, "{}", machine.log());
    assert!(machine.started("run").is_some(), "{}", machine.log());
    // Only what is odd is told.
    let log = machine.log();
    assert!(
        log.contains("SSM: InternalServerError") && !log.contains("Denied"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_can_t_be_deleted_is_left_to_scale_down() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    let (operation, status, code) = ("DeleteParameter", 400, "AccessDeniedException");
    machine.refuse(
        &[Refusal {
            operation,
            status,
            code,
        }; 3],
    );
    let registration = Registration::Ephemeral(jit().into());
    account.configure(&machine.instance, registration).await;
    assert!(machine.boot().await, "{}", machine.log());
    assert!(machine.started("run").is_some(), "{}", machine.log());
    assert!(
        machine.log().contains("could not be deleted"),
        "{}",
        machine.log()
    );
    assert!(account.is_configured(&machine.instance).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_s_hooks_run_where_they_belong() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    machine.hide("jq");
    machine.set_script(
        "STOKER_PRE_INSTALL",
        "#!/bin/sh\ncommand -v jq && exit 1\necho 'it''s early' >\"$RECORDS/pre\"\n",
    );
    machine.set_script(
        "STOKER_POST_INSTALL",
        "#!/bin/bash\n[[ -x $STOKER_ROOT/opt/actions-runner/run.sh ]] && echo 'late' >\"$RECORDS/post\"\n",
    );
    machine.set_script("STOKER_HOOK_JOB_STARTED", "echo started\n");
    machine.set_script("STOKER_HOOK_JOB_COMPLETED", "echo completed\n");
    let registration = Registration::Ephemeral(jit().into());
    account.configure(&machine.instance, registration).await;
    assert!(machine.boot().await, "{}", machine.log());

    assert!(machine.path("records/pre").exists() && machine.path("records/post").exists());
    let run = machine.started("run").unwrap();
    for (event, text) in [
        ("STARTED", "echo started\n"),
        ("COMPLETED", "echo completed\n"),
    ] {
        let file = Path::new(&run.environment[&format!("ACTIONS_RUNNER_HOOK_JOB_{event}")]);
        // GitHub wants an absolute path that ends so.
        assert!(
            file.is_absolute() && file.extension().unwrap() == "sh",
            "{file:?}"
        );
        assert_eq!(std::fs::read_to_string(file).unwrap(), text);
    }
}
