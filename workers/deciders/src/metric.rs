//! What is counted.

use serde_json::Value;
use stoker_core::time::Timestamp;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Messages that nobody will ever be able to read.
    MessagesPutAside,
    /// Decisions that another than the meant policy took.
    PolicyFallbacks,
    /// Decisions at which what is active was not what admission had signed, or not for this engine.
    PolicyAlarms,
    /// Instances that EC2 gave.
    RunnersLaunched,
    /// Launches whose answer was lost.
    LaunchesUnsettled,
    /// Instances that could not be given what they need to register.
    ConfigurationsFailed,
    /// Instances that went away under a job.
    RunnersLost,
    /// Runners that were there and not in the ledger: it was lost.
    RunnersRebuilt,
    /// Runners that a policy retires.
    RunnersRetired,
    /// Instances that never registered or were of no use, and runners at GitHub without an instance.
    RunnersTakenAway,
    /// Looks at scopes at which GitHub does not let the App any more.
    ScopesClosed,
    /// Records that could not be written to the journal.
    JournalFailures,
}

impl Metric {
    /// Its name in CloudWatch.
    const fn name(self) -> &'static str {
        match self {
            Self::MessagesPutAside => "MessagesPutAside",
            Self::PolicyFallbacks => "PolicyFallbacks",
            Self::PolicyAlarms => "PolicyAlarms",
            Self::RunnersLaunched => "RunnersLaunched",
            Self::LaunchesUnsettled => "LaunchesUnsettled",
            Self::ConfigurationsFailed => "ConfigurationsFailed",
            Self::RunnersLost => "RunnersLost",
            Self::RunnersRebuilt => "RunnersRebuilt",
            Self::RunnersRetired => "RunnersRetired",
            Self::RunnersTakenAway => "RunnersTakenAway",
            Self::ScopesClosed => "ScopesClosed",
            Self::JournalFailures => "JournalFailures",
        }
    }

    /// The line that raises it by `count`.
    pub fn line(self, deployment: &str, at: Timestamp, count: usize) -> Value {
        stoker_lambda::metric::line(self.name(), deployment, at, count)
    }
}
