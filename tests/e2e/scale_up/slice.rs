//! The vertical slice in one run: real webhooks become runners, and a policy decided it.

use serde_json::Value;

use crate::parts::aws::unpacked;
use crate::parts::payload::{another_workflow_job, check_run, workflow_job};
use crate::parts::stack::{Stack, digest, shipped_policy, test_policy};

#[tokio::test(flavor = "multi_thread")]
async fn a_real_webhook_becomes_a_runner_and_a_policy_decided_it() {
    let stack = Stack::start("ephemeral").await;
    let process = stack.lambda.process_id();

    a_forged_webhook_leaves_the_queue_empty(&stack).await;
    a_workflow_job_becomes_a_runner(&stack).await;
    a_redelivery_launches_nothing_more(&stack).await;
    a_check_run_becomes_a_runner_too(&stack).await;
    another_policy_changes_the_next_decision(&stack).await;
    a_policy_that_traps_is_refused_and_changes_nothing(&stack).await;
    a_good_policy_serves_whoever_was_left_waiting(&stack).await;

    assert_eq!(stack.lambda.process_id(), process);
    assert!(stack.lambda.is_running());
    nothing_secret_is_in_the_log(&stack);
}

async fn a_forged_webhook_leaves_the_queue_empty(stack: &Stack) {
    let status = stack
        .worker
        .deliver_forged("workflow_job", &workflow_job())
        .await;
    assert_eq!(status, 401);
    assert!(stack.aws.intake.is_empty().await);
}

async fn a_workflow_job_becomes_a_runner(stack: &Stack) {
    stack.queue("guid-1", &workflow_job()).await;
    assert!(!stack.aws.intake.is_empty().await);
    stack.settle().await;

    let instances = stack.aws.running().await;
    let [instance] = instances.as_slice() else {
        panic!("{instances:?}; {:#?}", stack.lambda.log());
    };
    // GitHub's example is years old: who has waited that long gets what is not taken back.
    assert!(!instance.spot);
    assert_eq!(instance.tags["stoker:deployment"], "e2e");
    assert_eq!(instance.tags["stoker:class"], "ubuntu");
    assert_eq!(instance.tags["stoker:scope"], scope(&workflow_job(), "org"));

    let configuration = stack.aws.configuration(&instance.id).await.unwrap();
    let name = format!("stoker-e2e-{}", instance.id);
    assert_eq!(configuration["mode"], "ephemeral");
    assert_eq!(configuration["name"], name.as_str());
    let registered = stack.github.state().runners();
    assert_eq!(registered.len(), 1);
    assert_eq!(registered[0].name, name);
    assert_eq!(registered[0].labels, ["self-hosted", "ubuntu-latest"]);
    assert_eq!(unpacked(&configuration), registered[0].encoded_jit_config);

    let decided = last_decision(stack);
    assert_eq!(decided["by"]["level"], "default");
    assert_eq!(decided["by"]["digest"], digest(&shipped_policy()).as_str());
    assert_eq!(decided["fallback"], Value::Null);
    assert_eq!(
        decided["launches"][0]["intent"],
        instance.tags["stoker:intent"].as_str()
    );
}

async fn a_redelivery_launches_nothing_more(stack: &Stack) {
    stack.queue("guid-1", &workflow_job()).await;
    stack.settle().await;
    assert_eq!(stack.lambda.happened("nothing-new").len(), 1);
    assert_eq!(stack.aws.instances().await.len(), 1);
}

async fn a_check_run_becomes_a_runner_too(stack: &Stack) {
    let payload = check_run();
    stack.waits(&payload, &payload["check_run"]);
    let status = stack.worker.deliver("check_run", "guid-2", &payload).await;
    assert_eq!(status, 202);
    stack.settle().await;

    let of_the_repository = scope(&payload, "repo");
    let instances = stack.aws.running().await;
    let found = instances
        .iter()
        .find(|instance| instance.tags["stoker:scope"] == of_the_repository)
        .unwrap_or_else(|| panic!("{instances:?}; {:#?}", stack.lambda.log()));
    assert_eq!(instances.len(), 2);
    assert!(stack.aws.configuration(&found.id).await.is_some());
}

async fn another_policy_changes_the_next_decision(stack: &Stack) {
    let policy = test_policy("launches-nothing");
    stack.publish("default", policy.clone()).await;
    stack.queue("guid-3", &another_workflow_job(5_003)).await;
    stack.settle().await;

    let decided = last_decision(stack);
    assert_eq!(decided["by"]["digest"], digest(&policy).as_str());
    assert_eq!(decided["launches"].as_array().unwrap().len(), 0);
    assert_eq!(
        decided["deferrals"][0]["reason"],
        "this policy launches nothing"
    );
    assert_eq!(stack.aws.instances().await.len(), 2);
}

async fn a_policy_that_traps_is_refused_and_changes_nothing(stack: &Stack) {
    for (delivery, job, policy, cause) in [
        ("guid-4", 5_004, "traps", "trapped"),
        ("guid-5", 5_005, "spins", "out-of-fuel"),
    ] {
        let report = stack.publish("default", test_policy(policy)).await;
        assert_eq!(report["published"], false);
        let verdict = &report["verdicts"]["default"];
        assert_eq!(verdict["outcome"], "refused");
        assert_eq!(verdict["problems"][0]["cause"], cause);
        stack.queue(delivery, &another_workflow_job(job)).await;
        stack.settle().await;

        let decided = last_decision(stack);
        assert_eq!(decided["fallback"], Value::Null);
        let before = digest(&test_policy("launches-nothing"));
        assert_eq!(decided["by"]["digest"], before.as_str());
        assert_eq!(stack.aws.instances().await.len(), 2);
    }
    assert_eq!(stack.lambda.counted("PolicyFallbacks"), 0);
    assert_eq!(stack.admission.counted("PoliciesRefused"), 2);
}

async fn a_good_policy_serves_whoever_was_left_waiting(stack: &Stack) {
    stack.publish("default", shipped_policy()).await;
    stack.queue("guid-6", &another_workflow_job(5_006)).await;
    stack.settle().await;

    let decided = last_decision(stack);
    assert_eq!(decided["fallback"], Value::Null);
    assert_eq!(decided["by"]["digest"], digest(&shipped_policy()).as_str());
    assert_eq!(stack.aws.running().await.len(), 6);
}

fn nothing_secret_is_in_the_log(stack: &Stack) {
    let log = Value::from(stack.lambda.log()).to_string();
    assert!(!log.contains("PRIVATE KEY") && !log.contains("ghs_"));
    for runner in stack.github.state().runners() {
        assert!(!log.contains(&runner.encoded_jit_config));
    }
}

fn last_decision(stack: &Stack) -> Value {
    let decisions = stack.lambda.happened("decided");
    decisions
        .last()
        .unwrap_or_else(|| panic!("nothing was decided; the log: {:#?}", stack.lambda.log()))
        .clone()
}

/// The scope of a payload's job.
fn scope(payload: &Value, kind: &str) -> String {
    let repository = &payload["repository"];
    let id = match kind {
        "org" => &repository["owner"]["id"],
        _ => &repository["id"],
    };
    format!("{kind}-{id}")
}
