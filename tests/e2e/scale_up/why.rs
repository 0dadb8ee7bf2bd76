//! What is told of a job afterwards, by the real `stoker` from the real ledger and journal.

use std::process::Command;

use serde_json::Value;

use crate::parts::aws::{BUCKET, TABLE};
use crate::parts::built;
use crate::parts::payload::workflow_job;
use crate::parts::stack::Stack;

/// Runs `stoker why`.
async fn why(stack: &Stack, job: &str) -> (Option<i32>, Value) {
    let mut command = Command::new(built("stoker"));
    command
        .env_clear()
        .args(["why", job, "--table", TABLE, "--bucket", BUCKET, "--json"])
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL", &stack.effects.url);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let told = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_explained_from_its_webhook_to_its_runner_without_a_secret() {
    let stack = Stack::start("ephemeral").await;
    let payload = workflow_job();
    // GitHub's example is of before a job had its check run's id.
    let url = payload["workflow_job"]["check_run_url"].as_str().unwrap();
    let id = url.rsplit('/').next().unwrap();
    let page = format!("https://github.com/Octocoders/Hello-World/actions/runs/1/job/{id}");
    let (code, told) = why(&stack, &page).await;
    assert_eq!((code, &told["job"]), (Some(1), &Value::Null));

    stack.queue("guid-1", &payload).await;
    stack.settle().await;
    let (code, told) = why(&stack, &page).await;
    assert_eq!(code, Some(0), "{told:#}");
    let steps = told["steps"].as_array().unwrap();
    let what: Vec<&str> = steps
        .iter()
        .map(|step| step["what"].as_str().unwrap())
        .collect();
    for wanted in ["received", "decided", "EC2", "registered"] {
        assert!(what.contains(&wanted), "{wanted} is not in {told:#}");
    }
    let instance = stack.aws.running().await.remove(0).id;
    assert!(
        told["standing"].as_str().unwrap().contains(&instance),
        "{told:#}"
    );
    assert_eq!(told["missing"], serde_json::json!([]));
    // Neither what is told nor any record has what a runner registers with.
    let all = stack.aws.everything_below("journal/").await;
    assert!(!all.is_empty());
    for runner in stack.github.state().runners() {
        for text in all.iter().chain([&told.to_string()]) {
            assert!(!text.contains(&runner.encoded_jit_config));
        }
    }
}
