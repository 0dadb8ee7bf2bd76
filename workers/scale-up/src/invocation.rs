//! One invocation.

use std::time::SystemTime;

use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use stoker_batch::{Handler, Invocation, Task};
use stoker_core::control::Control;
use stoker_deciders::record::Records;

/// The Lambda's function.
pub(crate) struct Function {
    pub(crate) handler: Handler<Control>,
    pub(crate) records: Records,
}

impl Function {
    /// Does what it was invoked for, and writes down what happened.
    pub(crate) async fn invoked(
        &self,
        event: LambdaEvent<Invocation>,
    ) -> Result<Value, lambda_runtime::Error> {
        let request = event.context.request_id.clone();
        self.records.during(request, self.answer(event)).await
    }

    async fn answer(&self, event: LambdaEvent<Invocation>) -> Result<Value, lambda_runtime::Error> {
        match event.payload {
            Invocation::Batch(batch) => {
                let left = event.context.deadline().duration_since(SystemTime::now());
                let response = self.handler.invoked(batch, left.unwrap_or_default()).await;
                Ok(serde_json::to_value(response)?)
            }
            Invocation::Task { task: Task::Tick } => {
                self.handler.tick().await?;
                Ok(json!({}))
            }
            Invocation::Task {
                task: Task::Rebuild,
            } => {
                let rebuilt = self.handler.rebuild().await?;
                Ok(serde_json::to_value(rebuilt)?)
            }
        }
    }
}
