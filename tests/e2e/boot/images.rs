//! The images that there are: what is missing is installed by the right means, and nothing else.

use serde_json::Value;
use stoker_core::boot::Registration;

use super::account::{Account, RELEASE, lay_out};
use super::machine::Machine;

async fn configure(account: &Account, machine: &Machine<'_>) {
    let registration = Registration::Ephemeral("not base64!".to_owned().into());
    account.configure(&machine.instance, registration).await;
}

/// The package manager's installations.
fn installations(machine: &Machine<'_>) -> Vec<String> {
    let managers = ["yum ", "dnf ", "apt-get "];
    let is_one = |call: &String| {
        managers.iter().any(|manager| call.starts_with(manager)) && call.contains(" install ")
    };
    machine.calls().into_iter().filter(is_one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_system_s_package_manager_installs_what_is_missing() {
    let account = Account::with_distribution().await;
    for (id, version, manager, agent) in [
        ("amzn", "2", "yum ", true),
        ("amzn", "2023", "dnf ", true),
        // Its agent comes from AWS, not from a package source.
        ("ubuntu", "24.04", "apt-get ", false),
    ] {
        let mut machine = Machine::launch(&account, None).await;
        machine.set_system(id, version);
        machine.set("STOKER_LOGS", if agent { "true" } else { "false" });
        machine.hide("jq");
        machine.hide("libicu");
        configure(&account, &machine).await;
        assert!(machine.boot().await, "{}", machine.log());
        assert!(machine.started("run").is_some(), "{}", machine.log());

        let installations = installations(&machine);
        // The mirror was busy at first.
        assert_eq!(installations.len(), 2, "{installations:?}");
        for call in &installations {
            assert!(call.starts_with(manager) && call.contains(" jq"), "{call}");
            assert_eq!(call.contains("amazon-cloudwatch-agent"), agent, "{call}");
            assert_eq!(call.contains("libicu"), id == "amzn", "{call}");
        }
        // Ubuntu's name of the library is known to the runner's own script.
        let by_runner = machine.path("records/dependencies").exists();
        assert_eq!(by_runner, id == "ubuntu");
        assert!(!machine.called("useradd"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_go_to_a_stream_for_each_file() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    machine.set("STOKER_LOGS", "true");
    configure(&account, &machine).await;
    assert!(machine.boot().await, "{}", machine.log());

    let text = std::fs::read_to_string(machine.path("records/agent.json"))
        .unwrap_or_else(|_| panic!("{}", machine.log()));
    let agent: Value = serde_json::from_str(&text).unwrap();
    let files = agent["logs"]["logs_collected"]["files"]["collect_list"]
        .as_array()
        .unwrap();
    let streams: Vec<(&str, &str)> = files
        .iter()
        .map(|file| {
            assert_eq!(file["log_group_name"], "/stoker/e2e/runner");
            let stream = file["log_stream_name"].as_str().unwrap();
            let (instance, name) = stream.split_once('/').unwrap();
            assert_eq!(instance, machine.instance);
            let path = file["file_path"].as_str().unwrap();
            (name, path.rsplit_once('/').unwrap().1)
        })
        .collect();
    let expected = [
        ("user-data", "user-data.log"),
        ("runner", "runner.log"),
        ("diagnostics", "Runner_*.log"),
        ("diagnostics", "Worker_*.log"),
    ];
    assert_eq!(streams, expected);
    for name in ["user-data.log", "runner.log"] {
        assert!(machine.path("var/log/stoker").join(name).exists(), "{name}");
    }
    assert!(
        machine
            .path("opt/actions-runner/_diag/Runner_run.log")
            .exists()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_has_everything_installs_and_downloads_nothing() {
    let account = Account::with_distribution().await;
    let machine = Machine::launch(&account, None).await;
    let baked = machine.path("opt/actions-runner");
    lay_out(&baked);
    std::fs::write(baked.join(".stoker-version"), format!("{RELEASE}\n")).unwrap();
    configure(&account, &machine).await;
    assert!(machine.boot().await, "{}", machine.log());
    assert!(machine.started("run").is_some(), "{}", machine.log());
    assert_eq!(installations(&machine), Vec::<String>::new());
    assert!(!machine.called("aws s3 cp") && !machine.called("tar"));

    // An older one is replaced by what is offered.
    let machine = Machine::launch(&account, None).await;
    let baked = machine.path("opt/actions-runner");
    lay_out(&baked);
    std::fs::write(baked.join(".stoker-version"), "2.300.0\n").unwrap();
    configure(&account, &machine).await;
    assert!(machine.boot().await, "{}", machine.log());
    assert!(machine.called("aws s3 cp"));
    let version = std::fs::read_to_string(baked.join(".stoker-version")).unwrap();
    assert_eq!(version.trim(), RELEASE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_s_own_runner_is_used_where_s3_offers_none() {
    let account = Account::empty().await;
    let machine = Machine::launch(&account, None).await;
    let baked = machine.path("opt/actions-runner");
    lay_out(&baked);
    std::fs::write(baked.join(".stoker-version"), "2.300.0\n").unwrap();
    configure(&account, &machine).await;
    assert!(machine.boot().await, "{}", machine.log());
    assert!(machine.started("run").is_some(), "{}", machine.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_not_there_is_made() {
    let account = Account::with_distribution().await;
    let mut machine = Machine::launch(&account, None).await;
    machine.set("STOKER_RUN_AS", "new-user");
    configure(&account, &machine).await;
    assert!(machine.boot().await, "{}", machine.log());
    assert!(machine.called("useradd --create-home --shell /bin/bash new-user"));
    let run = machine.started("run").unwrap();
    assert_eq!(run.environment["USER"], "new-user");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_system_is_refused() {
    let account = Account::empty().await;
    let machine = Machine::launch(&account, None).await;
    machine.set_system("alpine", "3.22");
    assert!(!machine.boot().await);
    let ends = machine.last_words();
    assert!(
        ends.contains("alpine-3.22") && ends.contains("Amazon Linux 2023"),
        "{ends}"
    );
    assert_eq!(account.state(&machine.instance).await, "terminated");
}
