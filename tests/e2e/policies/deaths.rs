//! Admission is killed at each of its effects, before and after it was served, and started again.

use std::time::Duration;

use serde_json::{Value, json};

use super::{active, decided};
use crate::parts::runtime_api::Invoked;
use crate::parts::stack::{Stack, digest, test_policy};

/// More effects than one publication has: the component, its code, settings, two archived documents, the
/// signature, the pointer, verdicts.
const MOST_EFFECTS: usize = 20;

/// For what does not come to hang no test for ever.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn whenever_admission_is_killed_the_next_one_finishes_what_it_began() {
    let stack = Stack::start("ephemeral").await;
    let policies = ["launches-one", "launches-nothing", "notes-settings"];
    let mut killed = 0;
    let mut generation = active(&stack).await["generation"].as_u64().unwrap();
    for effect in 0..MOST_EFFECTS {
        let mut hit = false;
        for served in [false, true] {
            let policy = test_policy(policies[killed % policies.len()]);
            stack
                .aws
                .put("policies/orgs/octocoders/policy.wasm", policy.clone())
                .await;
            stack.effects.lose_an_effect(effect, served);
            let event = json!({ "task": "sweep" });
            let run = stack.admission.invoke(&event);
            tokio::pin!(run);
            let lost = tokio::time::timeout(SOON, stack.effects.lost());
            let outcome = tokio::select! {
                outcome = &mut run => outcome,
                lost = lost => {
                    assert!(lost.is_ok(), "{:#?}", stack.admission.log());
                    stack.admission.replace();
                    run.await
                }
            };
            if stack.effects.mend() {
                // It had no such effect any more.
                assert!(matches!(outcome, Invoked::Answered(_)), "{outcome:?}");
                continue;
            }
            hit = true;
            killed += 1;
            let report = stack.admission.asked(&event).await;
            let verdict = &report["verdicts"]["orgs/octocoders"];
            assert_eq!(verdict["outcome"], "active", "effect {effect}: {report}");
            let now = active(&stack).await;
            assert!(now["generation"].as_u64().unwrap() > generation);
            generation = now["generation"].as_u64().unwrap();
            let own = &now["body"]["folders"]["orgs/octocoders"]["own"];
            assert_eq!(own["policy"]["digest"], digest(&policy).as_str());
            let written = stack.aws.object("verdicts/orgs/octocoders.json").await;
            let written: Value = serde_json::from_slice(&written.unwrap()).unwrap();
            assert_eq!(written["outcome"], "active");
            assert_eq!(written["files"], verdict["files"]);
        }
        if !hit {
            break;
        }
    }
    assert!(killed >= 10, "it was killed {killed} times");
    // Those that were not killed have published too.
    generation = active(&stack).await["generation"].as_u64().unwrap();
    // Every publication but for the last is kept, and so is the last.
    let kept = stack.aws.keys("generations/").await;
    assert!(
        kept.contains(&format!("generations/{generation:014}.json")),
        "{kept:?}"
    );
    let decided = decided(&stack, 8_300).await;
    assert_eq!(decided["fallback"], Value::Null);
    assert_eq!(decided["by"]["generation"], generation);
}
