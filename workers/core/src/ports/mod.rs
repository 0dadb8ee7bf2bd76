//! The outside, as traits. Each has at least two adapters (AWS or GitHub, and embedded).
//!
//! All of them may fail, and none of them may remember a failure: the next call tries afresh.

use async_trait::async_trait;
use thiserror::Error;

use crate::boot::InstanceConfiguration;
use crate::distribution::{Distribution, SyncPlan};
use crate::happening::{Decision, Happening, RetirementDecision, SyncDecision};
use crate::ids::{InstanceId, PolicyGeneration};
use crate::intent::{Intent, Launched};
use crate::journal::{Considered, RecordName};
use crate::plan::{Proposal, ScaleDownPlan};
use crate::situation::Situation;
use crate::time::Timestamp;

mod acts;
mod distribution;
mod fleet;
mod github;
mod ledger;
mod policies;

pub use acts::{ActQueue, ActQueueError, ActRequest, LONGEST_REMINDER};
pub use distribution::{
    ArchiveUpload, DistributionError, DistributionStore, Download, Newest, Releases, ReleasesError,
    Stored,
};
pub use fleet::{Ours, OwnInstance, UnreadableInstance};
pub use github::{
    Deliveries, Delivery, GitHub, GitHubError, GitHubFault, InstalledAccount, JobLookup, LiveJobs,
    RegisteredRunner, RegistrationTarget, Removed, RunnerSpec,
};
pub use ledger::{
    BOOKED_AT_ONCE, DecidedScope, Due, Ledger, LedgerError, ScopeSeen, ScopeState, Settlement,
    Shared, SharedItem,
};
pub use policies::{
    AdmissionStore, Fetched, PolicySigner, PolicyStore, PolicyStoreError, PolicyUploads, Replaced,
    SignerError, Upload, UploadBytes,
};

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Who waits.
#[async_trait]
pub trait Timer: Send + Sync {
    /// Answers when it is that time by the [`Clock`], or later: seconds from now at the most.
    async fn wait_until(&self, then: Timestamp);
}

/// Who is told what happened: log lines, the terminal, the journal, tests. It must not fail and must not
/// wait.
pub trait Reporter: Send + Sync {
    /// Tells.
    fn report(&self, at: Timestamp, happening: &Happening);

    /// Tells of a decision, with all that it was taken from.
    fn decided(&self, at: Timestamp, decision: &Decision, considered: &Considered<'_>) {
        let _ = considered;
        self.report(at, &Happening::Decided(Box::new(decision.clone())));
    }

    /// Tells of a decision which runners go, with all that it was taken from.
    fn decided_retirement(
        &self,
        at: Timestamp,
        decision: &RetirementDecision,
        considered: &Considered<'_, ScaleDownPlan>,
    ) {
        let _ = considered;
        let decided = Happening::DecidedRetirement(Box::new(decision.clone()));
        self.report(at, &decided);
    }

    /// Tells of a decision which version of the runner instances get, with all that it was taken from.
    fn decided_sync(
        &self,
        at: Timestamp,
        decision: &SyncDecision,
        considered: &Considered<'_, SyncPlan, Distribution>,
    ) {
        let _ = considered;
        let decided = Happening::DecidedSync(Box::new(decision.clone()));
        self.report(at, &decided);
    }

    /// Where in the journal stands what is told now; none: it is not kept.
    fn record(&self) -> Option<RecordName> {
        None
    }
}

/// A journal: records that are written once and never changed.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Writes a record. Again under the same name: the same, or one that has more.
    async fn write(&self, name: &RecordName, bytes: Vec<u8>) -> Result<(), JournalError>;

    /// Reads one; none: it was never written, or is no more.
    async fn read(&self, name: &RecordName) -> Result<Option<Vec<u8>>, JournalError>;
}

/// The journal did not do it.
#[derive(Debug, Error)]
#[error("the journal's record {name} could not be {what}: {problem}")]
pub struct JournalError {
    /// Which record.
    pub name: RecordName,
    /// `written` or `read`.
    pub what: &'static str,
    /// The answer.
    pub problem: String,
}

/// Why the fleet did not do it. Nothing is known of what it did: the intent stays open.
#[derive(Debug, Error)]
#[error("EC2 could not {what}: {problem}")]
pub struct FleetError {
    /// What was asked.
    pub what: String,
    /// What it answered.
    pub problem: String,
}

/// Where instances come from.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Launches what an intent asks for, or gives the same answer again if it was asked before. That
    /// EC2 gives fewer, or none, is an answer and not an error.
    async fn launch(&self, intent: &Intent) -> Result<Launched, FleetError>;

    /// The instances that carry an intent's tag, in every state.
    async fn find(&self, intent: &Intent) -> Result<Launched, FleetError>;

    /// All instances of the deployment that are there or on their way, by their tags: what a lost ledger is
    /// rebuilt from. EC2 shows new ones late.
    async fn ours(&self) -> Result<Ours, FleetError>;

    /// Terminates instances; those that are gone already are no error.
    async fn terminate(&self, instances: &[InstanceId]) -> Result<(), FleetError>;
}

/// Why an instance's configuration could not be written or deleted.
#[derive(Debug, Error)]
#[error("the configuration of {instance} could not be {what}: {problem}")]
pub struct ConfigurationError {
    /// Of which instance.
    pub instance: InstanceId,
    /// `written` or `deleted`.
    pub what: &'static str,
    /// The answer was lost, or did not say: it may have been done all the same.
    pub may_be_done: bool,
    /// The answer.
    pub problem: String,
}

/// Where instances read their configuration.
#[async_trait]
pub trait Configurations: Send + Sync {
    /// Writes what an instance is to read.
    async fn put(
        &self,
        instance: &InstanceId,
        configuration: &InstanceConfiguration,
    ) -> Result<(), ConfigurationError>;

    /// Deletes what an instance has not read; it is no error if there is nothing.
    async fn delete(&self, instance: &InstanceId) -> Result<(), ConfigurationError>;

    /// The same of many. All are tried, whatever becomes of one.
    async fn delete_all(&self, instances: &[InstanceId]) -> Result<(), ConfigurationError> {
        let mut done = Ok(());
        for instance in instances {
            done = done.and(self.delete(instance).await);
        }
        done
    }
}

/// Who decides. Always answers: where the policy that should decide fails, it falls back and says so.
#[async_trait]
pub trait ScaleUpDecider: Send + Sync {
    /// Asks the policy of that scope. Every position in the plan exists in the situation. No policy of a
    /// generation below `seen`, the highest that the scope has seen, is asked.
    async fn decide(&self, situation: &Situation, seen: PolicyGeneration) -> Proposal;
}

/// Who decides which runners to retire; see [`ScaleUpDecider`].
#[async_trait]
pub trait ScaleDownDecider: Send + Sync {
    /// Asks the policy of that scope.
    async fn decide(
        &self,
        situation: &Situation,
        seen: PolicyGeneration,
    ) -> Proposal<ScaleDownPlan>;
}

/// Who decides both what is launched and which runners go.
pub trait Decider: ScaleUpDecider + ScaleDownDecider {}

impl<D: ScaleUpDecider + ScaleDownDecider> Decider for D {}

/// Who decides which versions of the runner to mirror and to offer; see [`ScaleUpDecider`].
#[async_trait]
pub trait SyncDecider: Send + Sync {
    /// Asks the deployment's policy. Every version in the plan is one of the releases.
    async fn decide(
        &self,
        distribution: &Distribution,
        seen: PolicyGeneration,
    ) -> Proposal<SyncPlan>;
}
