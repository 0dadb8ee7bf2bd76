//! Counters, as lines of CloudWatch's embedded metric format: CloudWatch reads them out of the log, and
//! nobody waits for it.

use serde_json::{Value, json};
use stoker_core::time::Timestamp;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Messages that nobody will ever be able to read.
    MessagesDropped,
    /// Decisions that another than the meant policy took.
    PolicyFallbacks,
    /// Instances that EC2 gave.
    RunnersLaunched,
    /// Launches whose answer was lost.
    LaunchesUnsettled,
    /// Instances that could not be given what they need to register.
    ConfigurationsFailed,
}

impl Metric {
    /// Its name in CloudWatch.
    const fn name(self) -> &'static str {
        match self {
            Self::MessagesDropped => "MessagesDropped",
            Self::PolicyFallbacks => "PolicyFallbacks",
            Self::RunnersLaunched => "RunnersLaunched",
            Self::LaunchesUnsettled => "LaunchesUnsettled",
            Self::ConfigurationsFailed => "ConfigurationsFailed",
        }
    }

    /// The line that raises it by `count`.
    pub(crate) fn line(self, deployment: &str, at: Timestamp, count: usize) -> Value {
        let name = self.name();
        json!({
            "_aws": {
                "Timestamp": at.0.saturating_mul(1_000),
                "CloudWatchMetrics": [{
                    "Namespace": "Stoker",
                    "Dimensions": [["Deployment"]],
                    "Metrics": [{"Name": name, "Unit": "Count"}],
                }],
            },
            "Deployment": deployment,
            name: count,
        })
    }
}
