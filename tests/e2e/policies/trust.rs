//! What is active is what admission signed, or it is not used, and somebody is told.

use std::time::Duration;

use serde_json::{Value, json};

use super::{active, decided};
use crate::parts::stack::{Stack, digest, shipped_policy, test_policy};

#[tokio::test(flavor = "multi_thread")]
async fn an_old_pointer_that_is_put_back_is_refused_and_alarmed_and_admission_mends_it() {
    let stack = Stack::start("ephemeral").await;
    let old = stack.aws.object("active.json").await.unwrap();
    let policy = test_policy("launches-nothing");
    stack.publish("default", policy.clone()).await;
    let by = decided(&stack, 8_000).await["by"].clone();
    assert_eq!(by["digest"], digest(&policy).as_str());

    stack.aws.put("active.json", old).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let warm = decided(&stack, 8_001).await;
    for what in ["digest", "generation"] {
        assert_eq!(
            warm["by"][what], by[what],
            "the process has seen a newer one"
        );
    }
    assert_eq!(warm["fallback"]["cause"], "old-generation");
    assert_eq!(warm["level"], "ERROR");

    // A process that has seen nothing is told by the ledger what its scope has seen.
    stack.lambda.replace();
    let cold = decided(&stack, 8_002).await;
    assert_eq!(cold["fallback"]["cause"], "old-generation");
    assert_eq!(cold["fallback"]["instead"], "built-in");
    assert!(stack.lambda.counted("PolicyAlarms") >= 2);

    let mended = stack.admission.asked(&json!({ "task": "sweep" })).await;
    assert_eq!(mended["published"], true);
    let alarm = mended["alarms"][0].as_str().unwrap();
    assert!(alarm.contains("older one back"), "{alarm}");
    assert_eq!(stack.admission.counted("PolicyAlarms"), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let then = decided(&stack, 8_003).await;
    assert_eq!(then["by"]["digest"], digest(&policy).as_str());
    assert_eq!(then["fallback"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_machine_code_is_not_run() {
    let stack = Stack::start("ephemeral").await;
    let policy = test_policy("launches-nothing");
    stack.publish("default", policy).await;
    let native = &active(&stack).await["body"]["policies"]
        [digest(&test_policy("launches-nothing"))]["natives"][0]
        .clone();
    let key = format!(
        "admitted/native/{}/{}.cwasm",
        native["engine"].as_str().unwrap(),
        native["digest"].as_str().unwrap()
    );
    let mut code = stack.aws.object(&key).await.unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    stack.aws.put(&key, code).await;

    stack.lambda.replace();
    let decided = decided(&stack, 8_100).await;
    assert_eq!(decided["fallback"]["cause"], "tampered");
    // What was good before decides, whose code is as it was.
    assert_eq!(decided["fallback"]["instead"], "previous");
    assert_eq!(decided["by"]["digest"], digest(&shipped_policy()).as_str());
    assert_eq!(decided["level"], "ERROR");
    assert!(stack.lambda.counted("PolicyAlarms") >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signing_key_is_rotated_without_a_decision_that_falls_back() {
    let stack = Stack::start("ephemeral").await;
    let new = stack.aws.signing_key().await;
    let both = format!("{},{}", stack.key.public, new.public);
    // First everybody trusts both keys.
    stack.lambda.set("POLICY_PUBLIC_KEYS", &both);
    stack.lambda.replace();
    assert_eq!(decided(&stack, 8_200).await["fallback"], Value::Null);
    // Then admission signs with the new one: what is active is signed again at the next sweep.
    let signed_by_the_old = stack.aws.object("active.json").await.unwrap();
    stack.admission.set("POLICY_PUBLIC_KEYS", &both);
    stack.admission.set("POLICY_SIGNING_KEY_ID", &new.id);
    stack.admission.replace();
    let swept = stack.admission.asked(&json!({ "task": "sweep" })).await;
    assert_eq!(swept["published"], true);
    assert_eq!(active(&stack).await["body"]["why"], "signed again");
    let again = stack.admission.asked(&json!({ "task": "sweep" })).await;
    assert_eq!(again["published"], false);
    // Then the old one is trusted no more.
    stack.lambda.set("POLICY_PUBLIC_KEYS", &new.public);
    stack.lambda.replace();
    let then = decided(&stack, 8_201).await;
    assert_eq!(then["fallback"], Value::Null);
    assert_eq!(then["by"]["level"], "default");
    // What it signed is worth nothing now.
    stack.aws.put("active.json", signed_by_the_old).await;
    stack.lambda.replace();
    let forged = decided(&stack, 8_202).await;
    assert_eq!(forged["fallback"]["cause"], "unsigned");
    assert_eq!(forged["by"]["level"], "built-in");
}
