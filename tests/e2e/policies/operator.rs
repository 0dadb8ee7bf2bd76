//! The operator's commands against AWS: the real `stoker`, the real Lambda.

use std::process::{Command, Output};

use serde_json::Value;

use super::active;
use crate::parts::aws::BUCKET;
use crate::parts::built;
use crate::parts::stack::{Stack, digest, shipped_policy};

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
