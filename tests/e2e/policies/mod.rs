//! From an upload to the decision by it, over the real Lambdas.

mod deaths;
mod operator;
mod publishing;
mod trust;

use serde_json::Value;

use crate::parts::payload::another_workflow_job;
use crate::parts::stack::Stack;

/// What is active now, as it was signed.
async fn active(stack: &Stack) -> Value {
    let bytes = stack.aws.object("active.json").await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Has one more job decided about, and gives the decision.
async fn decided(stack: &Stack, job: u64) -> Value {
    let delivery = format!("guid-{job}");
    stack.queue(&delivery, &another_workflow_job(job)).await;
    stack.settle().await;
    let decisions = stack.lambda.happened("decided");
    decisions
        .last()
        .unwrap_or_else(|| panic!("nothing was decided; the log: {:#?}", stack.lambda.log()))
        .clone()
}
