//! `stoker doctor` against a whole deployment: sound, and then with one thing broken after the other.

use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use stoker_tests::github::{AppKey, Setup};

use crate::parts::aws::{APP_ID, APP_KEY, TEMPLATE};
use crate::parts::built;
use crate::parts::stack::Stack;

/// A deployment, and the way to its Lambdas' service.
struct Examined {
    stack: Stack,
    lambda: String,
}

impl Examined {
    /// One that takes private repositories alone, and to which GitHub has just delivered something.
    async fn start() -> Self {
        let stack = Stack::start("ephemeral").await;
        stack.lambda.set("ALLOW_PUBLIC_REPOSITORIES", "false");
        stack
            .github
            .state()
            .deliver("guid-1", "workflow_job", "queued", 202, now());
        let lambda = stack.lambda.api().invoke_api().await;
        Self { stack, lambda }
    }

    async fn stoker(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(built("stoker"));
        command
            .env_clear()
            .args(["doctor", "--function", "scale-up"])
            .args(arguments)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_ENDPOINT_URL", &self.stack.effects.url)
            .env("AWS_ENDPOINT_URL_LAMBDA", &self.lambda);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// What is found, for machines.
    async fn found(&self, arguments: &[&str]) -> Found {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.stoker(&arguments).await;
        let value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        Found {
            value,
            status: output.status.code(),
        }
    }
}

#[derive(Debug)]
struct Found {
    value: Value,
    status: Option<i32>,
}

impl Found {
    /// The findings with that verdict, each as `check: subject: problem`.
    fn all(&self, verdict: &str) -> Vec<String> {
        let findings = self.value["findings"].as_array().unwrap();
        let some = findings.iter().filter(|one| one["verdict"] == verdict);
        some.map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
            format!(
                "{}: {}: {}",
                text("check"),
                text("subject"),
                text("problem")
            )
        })
        .collect()
    }

    /// One thing failed, and its finding has all of these words.
    fn failed(&self, words: &[&str]) {
        let failures = self.all("failure");
        assert_eq!(failures.len(), 1, "{failures:#?}");
        for word in words {
            assert!(failures[0].contains(word), "{word}: {failures:#?}");
        }
        assert_eq!(self.value["failures"], 1);
        assert_eq!(self.status, Some(1));
    }

    /// Nothing failed, and a warning has all of these words.
    fn warned(&self, words: &[&str]) {
        self.sound();
        let warnings = self.all("warning");
        let has_all = |text: &String| words.iter().all(|word| text.contains(word));
        assert!(warnings.iter().any(has_all), "{words:?}: {warnings:#?}");
    }

    fn sound(&self) {
        assert_eq!(self.all("failure"), Vec::<String>::new());
        assert_eq!(self.status, Some(0));
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_deployment_is_found_sound() {
    let examined = Examined::start().await;
    let found = examined.found(&[]).await;
    found.sound();
    assert_eq!(found.value["deployment"], "e2e");
    // The stand-in for AWS neither encrypts queues nor keeps backups.
    for warning in found.all("warning") {
        let is_expected = warning.contains("not encrypted") || warning.contains("point-in-time");
        assert!(is_expected, "{warning}");
    }
    let ok = found.all("ok").join("\n");
    for part in [
        "settings: ",
        "secrets: the App's private key",
        "clock: ",
        "app: the permission `organization_self_hosted_runners: write`",
        "webhook: the App's webhook at https://hooks.example/webhook",
        "webhook: the deliveries of the App's webhook: 1 in the last hour, all accepted",
        "installations: the installation on octocoders",
        "runner-groups: the runner group `Default` of octocoders: private repositories only",
        "limits: ",
        "ledger: the table stoker-ledger: ACTIVE",
        "policies: active.json in the bucket stoker-policies: signed",
        "classes: the launch template stoker-runner of the class ubuntu",
    ] {
        assert!(ok.contains(part), "{part}: {ok}");
    }

    let output = examined.stoker(&[]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output);
    assert!(told.starts_with("settings\n  ok "), "{told}");
    assert!(
        told.lines().last().unwrap().starts_with("deployment e2e "),
        "{told}"
    );
    assert!(
        !told.contains('\x1b'),
        "no colours where nobody looks: {told}"
    );

    // The key has some thirty lines; the App's id is five digits that may be part of anything.
    let key = examined.stack.aws.parameter(APP_KEY).await;
    let json = found.value.to_string();
    let is_secret = |line: &&str| !line.starts_with("-----");
    for line in key.lines().filter(is_secret) {
        assert!(
            !told.contains(line) && !json.contains(line),
            "a line of the key is shown"
        );
    }

    let output = examined
        .stoker(&["--webhook-url", "http://hooks.example"])
        .await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_github_is_said_with_its_remedy() {
    let examined = Examined::start().await;
    let state = examined.stack.github.state();

    state.set_up(|setup| {
        setup.public_groups.insert(1);
    });
    let found = examined.found(&[]).await;
    found.failed(&[
        "runner-groups",
        "`Default` of octocoders",
        "public repositories",
    ]);
    let output = examined.stoker(&[]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output);
    for part in [
        "runner groups\n  failure  the runner group `Default` of octocoders: it admits public repositories",
        "→ untick \"Allow public repositories\"",
        "deployment e2e needs mending: 1 failure, ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Who wants it is only reminded.
    examined
        .stack
        .lambda
        .set("ALLOW_PUBLIC_REPOSITORIES", "true");
    examined
        .found(&[])
        .await
        .warned(&["runner-groups", "stranger's code"]);
    examined
        .stack
        .lambda
        .set("ALLOW_PUBLIC_REPOSITORIES", "false");
    state.set_up(|setup| setup.public_groups.clear());

    examined.stack.lambda.set("RUNNER_GROUP", "ci");
    examined
        .found(&[])
        .await
        .failed(&["the runner group `ci` of octocoders", "there is none"]);
    examined.stack.lambda.set("RUNNER_GROUP", "");

    state.set_up(|setup| {
        setup.permissions.remove("actions");
        setup.accepted.remove("actions");
    });
    examined
        .found(&[])
        .await
        .failed(&["app: ", "`actions: read`", "no access"]);
    state.set_up(|setup| *setup = Setup::default());

    state.set_up(|setup| setup.hook_has_secret = false);
    examined
        .found(&[])
        .await
        .failed(&["webhook: ", "no secret"]);
    state.set_up(|setup| *setup = Setup::default());
    let other = ["--webhook-url", "https://other.example/webhook"];
    examined
        .found(&other)
        .await
        .failed(&["webhook: ", "its URL is not https://other.example"]);

    state.set_up(|setup| {
        setup.remaining = 10;
        setup.suspended.insert(3_456_997);
    });
    let found = examined.found(&[]).await;
    found.warned(&["limits: ", "10 of 15000 requests are left"]);
    found.warned(&["installations: ", "codertocat", "suspended"]);
    state.set_up(|setup| *setup = Setup::default());

    state.deliver("guid-2", "workflow_job", "queued", 401, now());
    let found = examined.found(&[]).await;
    found.failed(&[
        "webhook: ",
        "1 of 2 deliveries in the last hour failed",
        "401",
    ]);
    state.deliver("guid-3", "workflow_job", "queued", 202, now());
    examined
        .found(&[])
        .await
        .warned(&["webhook: ", "Later ones were accepted"]);

    // The App was given another key, and the old one revoked.
    state.rotate_key(&AppKey::generate().unwrap());
    let found = examined.found(&[]).await;
    found.failed(&["app: the GitHub App", "it answered 401"]);
    let unseen = found.all("warning").join("\n");
    assert!(unseen.contains("GitHub answers only who has"), "{unseen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_aws_is_said_with_its_remedy() {
    const SECRET: &str = "hunter2-is-no-key";
    let examined = Examined::start().await;
    let aws = &examined.stack.aws;
    let lambda = &examined.stack.lambda;

    aws.dead_letters.send("what could not be handled").await;
    examined
        .found(&[])
        .await
        .warned(&["queues: ", "dead-letter", "1 message waits"]);

    let key = aws.parameter(APP_KEY).await;
    aws.write_parameter(APP_KEY, SECRET).await;
    for arguments in [&[][..], &["--json"]] {
        let output = examined.stoker(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = text(&output);
        assert!(told.contains("not an RSA key in PEM form"), "{told}");
        let shown = format!("{told}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!shown.contains(SECRET), "the secret is shown");
    }
    aws.delete_parameter(APP_KEY).await;
    let found = examined.found(&[]).await;
    found.failed(&["secrets: ", APP_KEY, "no such parameter"]);
    let unseen = found.all("warning").join("\n");
    assert!(unseen.contains("GitHub answers only who has"), "{unseen}");
    aws.write_parameter(APP_KEY, &key).await;
    aws.write_parameter(APP_ID, SECRET).await;
    let found = examined.found(&[]).await;
    found.failed(&["secrets: ", APP_ID, "neither a number nor a client id"]);
    assert!(
        !found.value.to_string().contains(SECRET),
        "the id may be a key put into the wrong place"
    );
    aws.write_parameter(APP_ID, "12345").await;

    let by = ["--webhook-function", "webhook"];
    let found = examined.found(&by).await;
    found.failed(&["secrets: the webhook Lambda webhook", "is not set"]);
    lambda.set("GITHUB_WEBHOOK_SECRET_PARAMETER", "/stoker/webhook");
    aws.write_parameter("/stoker/webhook", "change-me").await;
    examined
        .found(&by)
        .await
        .failed(&["/stoker/webhook", "placeholder"]);
    aws.write_parameter("/stoker/webhook", "It's a Secret to Everybody")
        .await;
    examined.found(&by).await.sound();

    let active = aws.object("active.json").await.unwrap();
    let mut altered = active.clone();
    altered.extend_from_slice(b"x");
    aws.put("active.json", altered).await;
    examined
        .found(&[])
        .await
        .failed(&["policies: ", "active.json"]);
    aws.put("active.json", active).await;
    lambda.set("POLICY_MODE", "built-in");
    examined
        .found(&[])
        .await
        .warned(&["policies: ", "the glass was broken"]);
    lambda.set("POLICY_MODE", "policies");

    aws.delete_template().await;
    examined
        .found(&[])
        .await
        .failed(&["classes: ", TEMPLATE, "class ubuntu", "not there"]);

    lambda.set("MAX_RUNNERS", "many");
    lambda.set("LEDGER_TABLE", "");
    let found = examined.found(&[]).await;
    let failures = found.all("failure");
    assert_eq!(failures.len(), 2, "{failures:#?}");
    assert!(
        failures
            .iter()
            .any(|one| one.contains("MAX_RUNNERS") && one.contains("`many`"))
    );
    assert_eq!(found.value["deployment"], "e2e");
    assert_eq!(found.status, Some(1));
}
