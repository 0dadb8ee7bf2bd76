//! Publishing: what is good decides next, what is bad is refused with its reason and changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::{active, decided};
use crate::parts::built;
use crate::parts::payload::another_workflow_job;
use crate::parts::stack::{Stack, digest, shipped_policy, test_policy};

#[test]
fn the_deciding_program_contains_no_compiler_and_admission_does() {
    let contains = |program: &str| {
        let bytes = std::fs::read(built(&format!("lambdas/{program}"))).unwrap();
        let name = b"cranelift_codegen";
        bytes.windows(name.len()).any(|part| part == name)
    };
    assert!(contains("policy-admission"), "this is how it is recognised");
    assert!(!contains("scale-up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_published_while_webhooks_stream_in_and_the_next_decisions_are_its() {
    let stack = Stack::start("ephemeral").await;
    let policy = test_policy("launches-nothing");
    let stream = async {
        for job in 7_000..7_030 {
            let delivery = format!("guid-{job}");
            stack.queue(&delivery, &another_workflow_job(job)).await;
            stack.pump().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stack.settle().await;
    };
    let publish = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        stack.publish("default", policy.clone()).await
    };
    let ((), report) = tokio::join!(stream, publish);
    assert_eq!(report["published"], true, "{report}");

    let decisions = stack.lambda.happened("decided");
    let by: Vec<&Value> = decisions.iter().map(|decided| &decided["by"]).collect();
    assert!(
        decisions.iter().all(|d| d["fallback"] == Value::Null),
        "{decisions:#?}"
    );
    let first_by_it = by
        .iter()
        .position(|by| by["digest"] == digest(&policy).as_str())
        .unwrap_or_else(|| panic!("none is by the new policy: {by:#?}"));
    assert!(first_by_it > 0, "{by:#?}");
    for (place, by) in by.iter().enumerate() {
        let expected = if place < first_by_it {
            shipped_policy()
        } else {
            policy.clone()
        };
        assert_eq!(by["digest"], digest(&expected).as_str(), "{place}");
    }
    assert_eq!(by[first_by_it]["generation"], report["generation"]);
    // The first one's was a lower one.
    assert!(by[0]["generation"].as_u64() < report["generation"].as_u64());
    // S3 said who it was.
    let own = &active(&stack).await["body"]["folders"]["default"]["own"];
    assert_eq!(own["policy"]["by"], "AWS:AIDAEXAMPLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bad_is_refused_with_its_reason_and_changes_nothing() {
    let stack = Stack::start("ephemeral").await;
    let before = active(&stack).await;
    for (file, body, cause, told) in [
        (
            "policy.wasm",
            test_policy("opens-sockets"),
            "called-a-stub",
            "no network",
        ),
        (
            "policy.wasm",
            test_policy("eats-memory"),
            "out-of-memory",
            "bytes of memory",
        ),
        (
            "policy.wasm",
            b"not wasm at all".to_vec(),
            "not-a-component",
            "stoker policy build",
        ),
        (
            "settings.json",
            b"{nonsense".to_vec(),
            "settings",
            "not JSON",
        ),
        (
            "settings.json",
            br#"{"scale-up":{"max_runner":3}}"#.to_vec(),
            "settings-refused",
            "max_runner",
        ),
    ] {
        // The other half is as it was: each is refused for itself.
        stack
            .aws
            .put("policies/default/policy.wasm", shipped_policy())
            .await;
        stack.aws.delete("policies/default/settings.json").await;
        stack.admission.asked(&json!({ "task": "sweep" })).await;
        let stood = active(&stack).await["body"]["folders"]["default"]["scope"].clone();

        let report = stack.upload("default", file, body).await;
        let verdict = &report["verdicts"]["default"];
        assert_eq!(verdict["outcome"], "refused", "{file}: {report}");
        assert_eq!(verdict["problems"][0]["cause"], cause, "{verdict}");
        let message = verdict["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
        assert_eq!(
            active(&stack).await["body"]["folders"]["default"]["scope"],
            stood
        );
        // Whoever has nothing but `aws s3 cp` finds the same.
        let written = stack.aws.object("verdicts/default.json").await.unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["problems"], verdict["problems"]);
    }
    assert_eq!(
        active(&stack).await["body"]["folders"]["default"]["scope"],
        before["body"]["folders"]["default"]["scope"]
    );
    let decided = decided(&stack, 7_100).await;
    assert_eq!(decided["by"]["digest"], digest(&shipped_policy()).as_str());
    assert_eq!(decided["fallback"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_s_policy_goes_before_the_default_until_it_is_deleted() {
    let stack = Stack::start("ephemeral").await;
    let policy = test_policy("launches-nothing");
    let report = stack.publish("orgs/octocoders", policy.clone()).await;
    assert_eq!(report["verdicts"]["orgs/octocoders"]["outcome"], "active");
    let first = decided(&stack, 7_200).await;
    assert_eq!(first["by"]["digest"], digest(&policy).as_str());
    assert_eq!(first["by"]["level"], "organization");

    stack
        .aws
        .delete("policies/orgs/octocoders/policy.wasm")
        .await;
    let swept = stack
        .admission
        .asked(&json!({ "source": "aws.events" }))
        .await;
    assert_eq!(swept["verdicts"]["orgs/octocoders"]["outcome"], "withdrawn");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let then = decided(&stack, 7_201).await;
    assert_eq!(then["by"]["level"], "default");
    assert_eq!(then["fallback"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_glass_to_break_needs_no_policy_no_key_and_no_bucket_that_answers() {
    let stack = Stack::start("ephemeral").await;
    stack
        .publish("default", test_policy("launches-nothing"))
        .await;
    stack.lambda.set("POLICY_MODE", "built-in");
    stack.lambda.set("POLICY_PUBLIC_KEYS", "");
    stack
        .lambda
        .set("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    stack.lambda.replace();
    let decided = decided(&stack, 7_300).await;
    assert_eq!(decided["by"]["level"], "built-in");
    assert_eq!(decided["fallback"], Value::Null);
    assert_eq!(stack.aws.running().await.len(), 1);
}
