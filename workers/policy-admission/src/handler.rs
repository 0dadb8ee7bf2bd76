//! One invocation: what is wanted is done, and what became of it is said, in the answer and in the log.

use serde_json::{Value, json};
use stoker_admission::{Admission, Report};
use stoker_core::ids::Deployment;
use stoker_core::ports::Clock as _;
use stoker_lambda::{SystemClock, metric};

use crate::event;

/// How many verdicts an answer has at most. Lambda answers with 6 MB at most ([quotas]), and a refusal with
/// a few problems has one or two kilobytes.
///
/// [quotas]: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const VERDICTS_TOLD: usize = 2_000;

/// Handles invocations.
pub(crate) struct Handler {
    admission: Admission,
    deployment: String,
    prefix: String,
}

impl Handler {
    pub(crate) fn new(admission: Admission, deployment: &Deployment, prefix: &str) -> Self {
        let bare = prefix.trim_matches('/');
        Self {
            admission,
            deployment: deployment.to_string(),
            prefix: if bare.is_empty() {
                String::new()
            } else {
                format!("{bare}/")
            },
        }
    }

    /// Does what an event wants.
    ///
    /// # Errors
    /// If it could not be done: the service invokes again what nobody waits for.
    pub(crate) async fn invoked(&self, event: Value) -> Result<Value, lambda_runtime::Error> {
        let wanted = event::wanted(event, &self.prefix)?;
        match self.admission.run(&wanted.task, &wanted.hints).await {
            Ok(report) => {
                self.tell(&report);
                Ok(serde_json::to_value(report.shortened(VERDICTS_TOLD))?)
            }
            Err(error) => {
                tracing::error!(problem = %error, "nothing was judged");
                self.count("AdmissionsFailed", 1);
                Err(error.into())
            }
        }
    }

    fn tell(&self, report: &Report) {
        for alarm in &report.alarms {
            tracing::error!(problem = %alarm, "what is active is not what was published");
        }
        let mut refused = 0;
        for folder in &report.news {
            let Some(verdict) = report.verdicts.get(folder) else {
                continue;
            };
            let outcome = verdict.outcome.words();
            let problems = json!(verdict.problems).to_string();
            if verdict.outcome.is_refusal() {
                refused += 1;
                tracing::warn!(%folder, outcome, problems, "verdict");
            } else {
                tracing::info!(%folder, outcome, "verdict");
            }
        }
        if report.published {
            tracing::info!(generation = report.generation.0, "published");
            self.count("PoliciesPublished", 1);
        }
        self.count("PoliciesRefused", refused);
        self.count("PolicyAlarms", report.alarms.len());
    }

    fn count(&self, name: &'static str, count: usize) {
        use std::io::Write as _;
        if count > 0 {
            let line = metric::line(name, &self.deployment, SystemClock.now(), count);
            // Without standard output there is nobody left to tell.
            let _told = writeln!(std::io::stdout(), "{line}");
        }
    }
}
