//! One invocation: what it was asked is done, and what happened meanwhile is one record of the journal.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use stoker_batch::{Handler, Invocation, Task};
use stoker_core::control::Control;
use stoker_core::journal::{RecordName, Recorder};
use stoker_core::ports::{Clock as _, JournalStore};
use stoker_lambda::SystemClock;

use crate::metric::Metric;
use crate::report::{Lines, REQUEST};

/// The Lambda's function.
pub(crate) struct Function {
    pub(crate) handler: Handler<Control>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) journal: Arc<dyn JournalStore>,
    pub(crate) lines: Lines,
}

impl Function {
    /// Does what it was invoked for, and writes down what happened.
    pub(crate) async fn invoked(
        &self,
        event: LambdaEvent<Invocation>,
    ) -> Result<Value, lambda_runtime::Error> {
        let request = event.context.request_id.clone();
        // Told apart from all others of this second, of this process and others.
        let part = RandomState::new().hash_one(&request);
        let _nothing = self
            .recorder
            .next(|| RecordName::new(SystemClock.now(), part));
        let answer = REQUEST.scope(request, self.answer(event)).await;
        self.write_down().await;
        answer
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

    /// A journal that can't be written stops nothing: that is counted.
    async fn write_down(&self) {
        for writing in self.recorder.end() {
            if let Err(error) = writing.write_to(self.journal.as_ref()).await {
                tracing::error!(problem = %error, "what happened is not in the journal");
                self.lines
                    .count(SystemClock.now(), Metric::JournalFailures, 1);
            }
        }
    }
}
