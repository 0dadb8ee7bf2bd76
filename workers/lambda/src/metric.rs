//! Counters, as lines of CloudWatch's embedded metric format: CloudWatch reads them out of the log, and
//! nobody waits for it.

use serde_json::{Value, json};
use stoker_core::time::Timestamp;

/// The line that raises the counter `name` of a deployment by `count`.
pub fn line(name: &str, deployment: &str, at: Timestamp, count: usize) -> Value {
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
