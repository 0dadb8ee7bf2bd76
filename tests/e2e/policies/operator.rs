//! The operator's commands against AWS: the real `stoker`, the real Lambda.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{active, decided};
use crate::parts::aws::BUCKET;
use crate::parts::built;
use crate::parts::stack::{CONFIRMED, Stack, digest, shipped_policy, test_policy};

/// Runs `stoker policy …`.
async fn stoker(stack: &Stack, lambda: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(built("stoker"));
    command
        .env_clear()
        .args(["policy"])
        .args(arguments)
        .args(["--bucket", BUCKET, "--json"])
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL", &stack.effects.url)
        .env("AWS_ENDPOINT_URL_LAMBDA", lambda);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn said(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_published_refused_listed_and_taken_back_from_a_terminal() {
    let stack = Stack::start("ephemeral").await;
    let lambda = stack.admission.api().invoke_api().await;
    let run = async |arguments: &[&str]| stoker(&stack, &lambda, arguments).await;
    let policy = built("test-policies/launches-nothing/policy.wasm");
    let policy = policy.to_str().unwrap();

    let published = run(&["publish", policy, "--scope", "default", "--by", "julia"]).await;
    assert!(published.status.success(), "{published:?}");
    let now = active(&stack).await;
    let own = &now["body"]["folders"]["default"]["own"]["policy"];
    let expected = digest(&std::fs::read(policy).unwrap());
    assert_eq!(own["digest"], expected.as_str());
    assert!(own["by"].as_str().unwrap().contains("julia"), "{own}");

    let bad = built("test-policies/traps/policy.wasm");
    let refused = run(&["publish", bad.to_str().unwrap(), "--scope", "default"]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(active(&stack).await, now, "nothing has changed");

    let listed = run(&["list"]).await;
    assert!(listed.status.success(), "{listed:?}");
    assert!(said(&listed).to_string().contains(&expected), "{listed:?}");

    let back = run(&["rollback", "--scope", "default", "--by", "julia"]).await;
    assert!(back.status.success(), "{back:?}");
    let own = &active(&stack).await["body"]["folders"]["default"]["own"]["policy"];
    assert_eq!(own["digest"], digest(&shipped_policy()).as_str());

    let history = run(&["history", "--scope", "default"]).await;
    assert!(history.status.success(), "{history:?}");
    let told = said(&history).to_string();
    assert!(told.contains("julia took default back"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_published_and_shown_with_where_each_is_from_and_a_policy_is_promoted_to_them()
{
    let stack = Stack::start("ephemeral").await;
    let lambda = stack.admission.api().invoke_api().await;
    let run = async |arguments: &[&str]| stoker(&stack, &lambda, arguments).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let publish = async |scope: &str, text: &str| {
        let file = file("settings.json", text);
        run(&[
            "settings", "publish", &file, "--scope", scope, "--by", "julia",
        ])
        .await
    };
    let key = file("key.txt", &stack.key.public);
    let show = async |scope: &str| {
        let shown = run(&["show", "--scope", scope, "--public-key", &key]).await;
        assert!(shown.status.success(), "{shown:?}");
        let shown = said(&shown);
        assert_eq!(shown["signature"], "verified", "{shown:#}");
        shown["decides"]["scale-up"].clone()
    };

    let published = publish(
        "default",
        r#"{"scale-up":{"max_runners":4,"capacity":"spot"}}"#,
    )
    .await;
    assert!(published.status.success(), "{published:?}");
    assert_eq!(said(&published)["outcome"], "active");
    let own = &active(&stack).await["body"]["folders"]["default"]["own"]["settings"];
    assert!(own["by"].as_str().unwrap().contains("julia"), "{own}");

    let before = active(&stack).await;
    let refused = publish("Octocoders", r#"{"scale-up":{"max_runner":2}}"#).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told = said(&refused);
    assert_eq!(told["outcome"], "refused", "{told:#}");
    let problem = told["problems"][0]["message"].as_str().unwrap();
    assert!(problem.contains("max_runner"), "{problem}");
    assert_eq!(active(&stack).await, before, "nothing has changed");

    let mended = publish("Octocoders", r#"{"scale-up":{"max_runners":2}}"#).await;
    assert!(mended.status.success(), "{mended:?}");
    let shown = show("Octocoders").await;
    assert_eq!(
        shown["settings"],
        json!({"max_runners": 2, "capacity": "spot"})
    );
    let origins = json!({"/max_runners": "orgs/octocoders", "/capacity": "default"});
    assert_eq!(shown["origins"], origins);
    assert_eq!(shown["policy"]["name"], "default");

    let policy = built("shipped/fair-share/policy.wasm");
    let promoted = digest(&std::fs::read(&policy).unwrap());
    let policy = policy.to_str().unwrap();
    let elsewhere = run(&["publish", policy, "--scope", "acme"]).await;
    assert!(elsewhere.status.success(), "{elsewhere:?}");
    let promote = [
        "promote", "--from", "acme", "--to", "default", "--by", "julia",
    ];
    let done = run(&promote).await;
    assert!(done.status.success(), "{done:?}");
    let shown = show("Octocoders/Hello-World").await;
    assert_eq!(shown["policy"]["sha256"], promoted.as_str(), "{shown:#}");
    assert_eq!(shown["folder"], "orgs/octocoders");
    assert_eq!(shown["origins"], origins, "the settings of where it went");
    let nothing = run(&["promote", "--from", "nobody", "--to", "default"]).await;
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    let told = String::from_utf8_lossy(&nothing.stderr);
    assert!(
        told.contains("no policy is active in orgs/nobody"),
        "{told}"
    );

    tokio::time::sleep(CONFIRMED).await;
    let decided = decided(&stack, 9_000).await;
    assert_eq!(decided["by"]["digest"], promoted.as_str());
    assert_eq!(decided["by"]["level"], "default");
    assert_eq!(decided["fallback"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_copied_by_hand_is_judged_at_once_by_who_does_not_want_to_wait() {
    const UPLOAD: &str = "policies/orgs/octocoders/policy.wasm";
    let stack = Stack::start("ephemeral").await;
    let lambda = stack.admission.api().invoke_api().await;
    let admit = async |scope: &str| {
        let admitted = stoker(&stack, &lambda, &["admit", "--scope", scope]).await;
        let told = said(&admitted);
        let mut verdicts = told["verdicts"].as_array().unwrap().iter();
        let verdict = verdicts.find(|verdict| verdict["folder"] == "orgs/octocoders");
        (admitted.status.code(), verdict.unwrap().clone())
    };
    let policy = test_policy("launches-nothing");
    stack.aws.put(UPLOAD, policy.clone()).await;
    let (code, verdict) = admit("Octocoders").await;
    assert_eq!(code, Some(0), "{verdict}");
    assert_eq!(verdict["outcome"], "active");
    assert_eq!(verdict["news"], true);

    stack.aws.put(UPLOAD, test_policy("traps")).await;
    let (code, verdict) = admit("Octocoders").await;
    assert_eq!(code, Some(1), "{verdict}");
    assert_eq!(verdict["outcome"], "refused");
    let problem = &verdict["problems"][0];
    assert_eq!(problem["cause"], "trapped", "{verdict}");
    let (code, _) = admit("default").await;
    assert_eq!(code, Some(0), "nothing is wrong there");

    tokio::time::sleep(CONFIRMED).await;
    let decided = decided(&stack, 9_100).await;
    assert_eq!(decided["by"]["digest"], digest(&policy).as_str());
    assert_eq!(decided["fallback"], Value::Null);
}
