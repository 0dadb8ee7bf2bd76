//! A table that was lost: nothing is launched twice, whoever comes first.

use std::process::{Command, Output};

use serde_json::{Value, json};
use stoker_tests::github::Repository;

use crate::parts::built;
use crate::parts::payload::another_workflow_job;
use crate::parts::stack::Stack;

const LABELS: [&str; 1] = ["ubuntu-latest"];

/// GitHub lists the payload's repository.
fn listed(stack: &Stack, payload: &Value) -> String {
    let repository = &payload["repository"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (owner, name) = (&repository["owner"], text(&repository["name"]));
    stack.github.state().repository(Repository {
        id: repository["id"].as_u64().unwrap(),
        owner: text(&owner["login"]),
        owner_id: owner["id"].as_u64().unwrap(),
        name: name.clone(),
        public: true,
        archived: false,
        pushed_at: "2026-01-01T00:00:00Z".to_owned(),
    });
    format!("{}/{name}", text(&owner["login"]))
}

/// Runs `stoker ledger rebuild`.
async fn rebuild(stack: &Stack) -> Output {
    let lambda = stack.lambda.api().invoke_api().await;
    let mut command = Command::new(built("stoker"));
    command
        .env_clear()
        .args(["ledger", "rebuild", "--function", "scale-up", "--json"])
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL_LAMBDA", lambda);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_table_is_rebuilt_and_no_job_gets_a_second_runner() {
    let stack = Stack::start("ephemeral").await;
    // GitHub's own example has another check run than it has a job; the stand-in's have one id.
    let waiting = another_workflow_job(8_001);
    let repository = listed(&stack, &waiting);
    stack.queue("guid-1", &waiting).await;
    stack.queue("guid-2", &another_workflow_job(8_002)).await;
    stack.settle().await;
    let running = stack.aws.running().await;
    assert_eq!(running.len(), 2, "{:#?}", stack.lambda.log());
    assert_eq!(running[0].tags["stoker:scope-name"], "octocoders");
    // One of them has job 8002.
    let busy = format!("stoker-e2e-{}", running[1].id);
    let state = stack.github.state();
    state.connect(&busy, true);
    state.taken(&repository, 8_002, &LABELS, &busy);

    by_an_operator(&stack).await;
    by_the_first_act(&stack).await;
    by_the_tick(&stack).await;
}

/// Some time after the last launch.
async fn lost(stack: &Stack) {
    stack.wire.sees_again();
    stack.aws.lose_the_ledger().await;
}

async fn by_an_operator(stack: &Stack) {
    lost(stack).await;
    let output = rebuild(stack).await;
    assert!(output.status.success(), "{output:?}");
    let came: Value = serde_json::from_slice(&output.stdout).unwrap();
    let scope = came["scopes"].as_object().unwrap().values().next().unwrap();
    assert_eq!(scope["name"], "octocoders", "{came}");
    let (runners, jobs) = (&scope["runners"], &scope["jobs"]);
    assert_eq!((runners, jobs), (&json!(2), &json!(2)), "{came}");
    assert_eq!(stack.lambda.counted("RunnersRebuilt"), 2);
    // GitHub redelivers what it had told already.
    stack.queue("guid-1", &another_workflow_job(8_001)).await;
    stack.settle().await;
    let decided = stack.lambda.happened("decided");
    assert_eq!(stack.aws.instances().await.len(), 2, "{decided:#?}");
    // And a new job gets one of its own: the one that there is for the first counts for it alone.
    stack.queue("guid-3", &another_workflow_job(8_003)).await;
    stack.settle().await;
    assert_eq!(stack.aws.instances().await.len(), 3);
}

async fn by_the_first_act(stack: &Stack) {
    lost(stack).await;
    stack.queue("guid-1", &another_workflow_job(8_001)).await;
    stack.settle().await;
    assert_eq!(
        stack.aws.instances().await.len(),
        3,
        "{:#?}",
        stack.lambda.log()
    );
    assert_eq!(stack.lambda.counted("RunnersRebuilt"), 5);
}

async fn by_the_tick(stack: &Stack) {
    lost(stack).await;
    for _ in 0..2 {
        stack.lambda.asked(&json!({ "task": "tick" })).await;
        stack.settle().await;
    }
    assert_eq!(stack.lambda.counted("RunnersRebuilt"), 8);
    assert_eq!(stack.aws.instances().await.len(), 3);
}
