//! What goes wrong on the way, and that nothing is lost by it or launched twice.

use std::time::{Duration, Instant};

use stoker_tests::github::{Call, Fault};

use crate::parts::lambda::start_in_vain;
use crate::parts::payload::{another_workflow_job, workflow_job};
use crate::parts::stack::Stack;

/// For what does not come to hang no test for ever.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn no_failure_on_the_way_loses_a_job_or_launches_twice() {
    let stack = Stack::start("ephemeral").await;
    a_broken_message_is_put_aside_with_its_reason(&stack).await;
    an_instance_that_can_not_be_registered_is_replaced(&stack).await;
    a_launch_whose_answer_was_lost_with_the_process_is_found_again(&stack).await;
    an_instance_whose_registration_died_with_the_process_is_registered_by_the_next(&stack).await;
}

async fn a_broken_message_is_put_aside_with_its_reason(stack: &Stack) {
    for broken in ["no JSON", "{}", r#"{"kind":"job-event","version":1}"#] {
        stack.aws.intake.send(broken).await;
    }
    stack.queue("guid-1", &workflow_job()).await;
    stack.settle().await;
    assert_eq!(stack.lambda.happened("message-put-aside").len(), 3);
    assert_eq!(stack.lambda.counted("MessagesPutAside"), 3);
    let mut aside = stack.aws.dead_letters.reasons().await;
    aside.sort_by_key(|(body, _)| body.len());
    let bodies: Vec<&str> = aside.iter().map(|(body, _)| body.as_str()).collect();
    assert_eq!(
        bodies,
        ["{}", "no JSON", r#"{"kind":"job-event","version":1}"#]
    );
    assert!(aside[0].1.contains("does not say its `kind`"), "{aside:?}");
    assert_eq!(stack.aws.running().await.len(), 1);
}

async fn an_instance_that_can_not_be_registered_is_replaced(stack: &Stack) {
    let refusal = || Fault::refuse(422, "Invalid request: no such runner group");
    stack.github.state().fail_next(Call::JitConfig, refusal());
    stack.queue("guid-2", &another_workflow_job(6_002)).await;
    // Folded, then acted on: the registration fails, and the request stays in its queue.
    let [_, acts] = stack.pump().await;
    assert_eq!((acts.received, acts.failed), (1, 1));
    let failed = stack.lambda.happened("configuration-failed");
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["problem"].as_str().unwrap().contains("422"));
    assert_eq!(state_of(stack, &failed[0]["instance"]).await, "terminated");
    // The job is still demand, and what GitHub said is its reason. Nothing is launched for it that would be
    // refused at once; then it is tried again, without a tick.
    stack.settle().await;
    assert_eq!(stack.aws.running().await.len(), 1);
    let told = format!("{:?}", stack.lambda.happened("decided"));
    assert!(
        told.contains("registration-refused") && told.contains("422"),
        "{told}"
    );
    let begun = Instant::now();
    while stack.aws.running().await.len() < 2 {
        assert!(begun.elapsed() < SOON, "it was not tried again");
        tokio::time::sleep(Duration::from_secs(1)).await;
        stack.settle().await;
    }
}

async fn a_launch_whose_answer_was_lost_with_the_process_is_found_again(stack: &Stack) {
    let before = stack.aws.instances().await.len();
    stack.wire.lose_the_next_launch();
    stack.queue("guid-3", &another_workflow_job(6_003)).await;
    stack.aws.intake.pump(&stack.lambda).await;
    killed_during_an_act(stack, stack.wire.lost()).await;
    assert_eq!(stack.aws.instances().await.len(), before + 1);

    stack.settle().await;
    // The instance is the one whose launch nobody heard of.
    assert_eq!(stack.aws.instances().await.len(), before + 1);
    assert_eq!(stack.aws.running().await.len(), 3);
}

async fn an_instance_whose_registration_died_with_the_process_is_registered_by_the_next(
    stack: &Stack,
) {
    let asked = stack.github.state().calls(Call::JitConfig);
    stack
        .github
        .state()
        .fail_next(Call::JitConfig, Fault::Stall);
    stack.queue("guid-4", &another_workflow_job(6_004)).await;
    stack.aws.intake.pump(&stack.lambda).await;
    let asked_again = stack.github.state().called(Call::JitConfig, asked + 1);
    killed_during_an_act(stack, asked_again).await;

    stack.settle().await;
    assert_eq!(stack.aws.running().await.len(), 4);
    let registered = stack.github.state().runners();
    for instance in stack.aws.running().await {
        let name = format!("stoker-e2e-{}", instance.id);
        assert!(registered.iter().any(|runner| runner.name == name));
        assert!(stack.aws.configuration(&instance.id).await.is_some());
    }
}

/// Hands the Lambda a request to act, and kills it at that moment.
async fn killed_during_an_act(stack: &Stack, moment: impl Future<Output = ()>) {
    let process = stack.lambda.process_id();
    let killed = async {
        let reached = tokio::time::timeout(SOON, moment).await;
        assert!(reached.is_ok(), "{:#?}", stack.lambda.log());
        stack.lambda.replace();
    };
    let (batch, ()) = tokio::join!(stack.aws.acts.pump(&stack.lambda), killed);
    assert_eq!(batch.failed, batch.received);
    assert_ne!(stack.lambda.process_id(), process);
}

async fn state_of(stack: &Stack, instance: &serde_json::Value) -> String {
    let all = stack.aws.instances().await;
    let found = all.iter().find(|one| *instance == one.id.as_str());
    found.unwrap().state.clone()
}

#[tokio::test]
async fn settings_that_are_missing_are_listed_all_at_once() {
    let said = start_in_vain(vec![("RUNNER_MODE", "sometimes".to_owned())]).await;
    let all = said.join("\n");
    for name in [
        "DEPLOYMENT",
        "RUNNER_MODE",
        "RUNNER_CLASSES",
        "MAX_RUNNERS",
        "LEDGER_TABLE",
        "INTAKE_QUEUE_URL",
        "ACT_QUEUE_URL",
        "DEAD_LETTER_QUEUE_URL",
        "JOURNAL_BUCKET",
        "POLICIES_BUCKET",
        "GITHUB_APP_ID_PARAMETER",
        "GITHUB_APP_PRIVATE_KEY_PARAMETER",
    ] {
        assert!(all.contains(name), "{name} is not in {all}");
    }
}
