//! The outside, as traits. Each has at least two adapters (AWS or GitHub, and embedded).
//!
//! All of them may fail, and none of them may remember a failure: the next call tries afresh.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stoker_intake::{InstallationId, JobId, RepositoryId};
use thiserror::Error;

use crate::account::Account;
use crate::boot::{InstanceConfiguration, Registration};
use crate::distribution::{Distribution, SyncPlan};
use crate::happening::{Decision, Happening};
use crate::ids::{
    DecisionId, InstanceId, IntentId, JobKey, PolicyGeneration, ScopeKey, ScopeVersion,
};
use crate::intent::{Intent, Launched};
use crate::job::Job;
use crate::journal::{Considered, RecordName};
use crate::limits::RunnerMode;
use crate::plan::{Proposal, ScaleDownPlan};
use crate::runner::Runner;
use crate::situation::{ScopeName, Situation, Trigger};
use crate::time::Timestamp;

mod policies;

pub use policies::{
    AdmissionStore, Fetched, PolicySigner, PolicyStore, PolicyStoreError, PolicyUploads, Replaced,
    SignerError, Upload, UploadBytes,
};

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
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

/// What the ledger holds of a scope that is still of interest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScopeState {
    /// How often it was decided; 0: never.
    pub version: ScopeVersion,
    /// The highest publication of the active policies that a decision of it was taken by.
    pub generation: PolicyGeneration,
    /// Its jobs that have not ended.
    pub jobs: Vec<Job>,
    /// Its runners that have not ended.
    pub runners: Vec<Runner>,
    /// Its launches that have no outcome yet.
    pub intents: Vec<Intent>,
    /// What it has spent, and how its classes fared.
    pub account: Account,
    /// Runners that have ended and are not on the account yet.
    pub ended: Vec<Runner>,
}

/// What becomes of a launch in the ledger: the intent is open no more, its runners are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The launch.
    pub intent: IntentId,
    /// For whom.
    pub scope: ScopeKey,
    /// The runners that there are now (may be none).
    pub runners: Vec<Runner>,
}

/// A decision that is to be saved.
#[derive(Debug, Clone, Copy)]
pub struct DecidedScope<'a> {
    /// About whom.
    pub scope: ScopeKey,
    /// What was read before it: the fence.
    pub state: ScopeSeen,
    /// Which decision.
    pub decision: &'a DecisionId,
    /// By which publication of the active policies; 0: by none.
    pub generation: PolicyGeneration,
    /// What is to be launched.
    pub intents: &'a [Intent],
    /// When the scope is to be acted on again, should whoever decides die of it; none: it needs no look.
    pub due: Option<Timestamp>,
}

/// A small item that all scopes of a deployment share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SharedItem {
    /// A [`crate::budget::Budget`].
    Budget,
    /// A [`crate::budget::Census`].
    Census,
}

impl SharedItem {
    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Census => "census",
        }
    }
}

/// What is stored of a [`SharedItem`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared {
    /// How often it was written; 0: never.
    pub revision: u64,
    /// JSON; empty: it was never written.
    pub body: String,
}

/// That a scope is to be acted on, whatever happens until then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// Which scope.
    pub scope: ScopeKey,
}

/// What of a scope was read before it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSeen {
    /// How often it had been decided.
    pub version: ScopeVersion,
    /// The highest generation of policies that it had seen.
    pub generation: PolicyGeneration,
}

impl ScopeState {
    /// What a decision about it is conditional on.
    pub fn seen(&self) -> ScopeSeen {
        ScopeSeen {
            version: self.version,
            generation: self.generation,
        }
    }
}

/// How many runners are booked at once: a DynamoDB transaction takes 100 items.
pub const BOOKED_AT_ONCE: usize = 90;

/// Why the ledger did not do it.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Somebody else wrote first: read again and decide again.
    #[error("the ledger's {0} was changed by another writer meanwhile")]
    Conflict(String),
    /// An item that this version of Stoker can't read.
    #[error(
        "the ledger's {item} can't be read: {problem}; it may have been written by a newer Stoker: finish the upgrade"
    )]
    Unreadable {
        /// Which item.
        item: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It can't be reached or refuses.
    #[error("the ledger could not {what}: {problem}")]
    Unavailable {
        /// What was asked of it.
        what: String,
        /// What it answered.
        problem: String,
    },
}

/// The state. Writes are conditional: an item's `revision` is what was read (0: it did not exist), and
/// the writer stores it one higher.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// A job, ended ones included for four days.
    async fn job(&self, key: JobKey) -> Result<Option<Job>, LedgerError>;

    /// Writes a job over the revision that it carries.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if that is not the stored one.
    async fn put_job(&self, job: &Job) -> Result<(), LedgerError>;

    /// Everything of a scope that has not ended, read consistently. Unknown scopes are empty.
    async fn scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError>;

    /// Saves a decision's intents and the generation of policies that it was taken by, and raises the
    /// scope's version, in one transaction that is conditional on the version that was read. A
    /// repetition of the same decision succeeds. The scope's generation never goes down.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if the scope was decided meanwhile.
    async fn save_decision(&self, decided: &DecidedScope<'_>) -> Result<ScopeVersion, LedgerError>;

    /// Saves an outcome: a fact, so whatever the scope's version. Runners that are known already stay
    /// as they are; a repetition succeeds.
    async fn settle(&self, settlement: &Settlement) -> Result<(), LedgerError>;

    /// Writes a scope's account over the revision that it carries, and takes runners off the list of
    /// those that are not on it, in one transaction. At most [`BOOKED_AT_ONCE`].
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if one of the runners is not on that list, or the account was written
    /// meanwhile, perhaps by this very call, whose
    /// answer was lost: reading the scope again tells what is left to book.
    async fn book(
        &self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Result<(), LedgerError>;

    /// The runner on an instance, with the scope that it belongs to; ended ones included for four days.
    async fn runner(&self, instance: &InstanceId) -> Result<Option<Runner>, LedgerError>;

    /// Writes a runner over the revision that it carries.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if that is not the stored one.
    async fn put_runner(&self, runner: &Runner) -> Result<(), LedgerError>;

    /// An item that all scopes share.
    async fn shared(&self, item: SharedItem) -> Result<Shared, LedgerError>;

    /// Writes it over the revision that was read.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if that is not the stored one.
    async fn put_shared(&self, item: SharedItem, seen: u64, body: &str) -> Result<(), LedgerError>;

    /// Notes that a scope is to be acted on. Other times that were noted for it stay.
    async fn put_due(&self, due: &Due) -> Result<(), LedgerError>;

    /// What is due until then, earliest first, at most so many.
    async fn due(&self, until: Timestamp, most: usize) -> Result<Vec<Due>, LedgerError>;

    /// Takes it off the list; it is no error if it is not on it.
    async fn drop_due(&self, due: &Due) -> Result<(), LedgerError>;

    /// Notes which repository is called `owner/name` (lower case); the last one that was noted counts.
    async fn name_repository(&self, name: &str, id: RepositoryId) -> Result<(), LedgerError>;

    /// Which repository is called `owner/name` (lower case), as far as that was ever noted.
    async fn repository(&self, name: &str) -> Result<Option<RepositoryId>, LedgerError>;
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

    /// Terminates instances; those that are gone already are no error.
    async fn terminate(&self, instances: &[InstanceId]) -> Result<(), FleetError>;
}

/// Where a runner registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationTarget {
    /// Whose runner it is to be.
    pub scope: ScopeName,
    /// The App's installation, where an event named it; it is looked up otherwise.
    pub installation: Option<InstallationId>,
}

/// The runner that is to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerSpec {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its group; repository runners have none.
    pub runner_group: u64,
    /// How long it serves.
    pub mode: RunnerMode,
}

/// What GitHub says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobLookup {
    /// It waits, with these labels.
    Queued {
        /// What it asks of a runner.
        labels: Vec<String>,
    },
    /// It waits no more, or not yet: GitHub's own word for it.
    NotQueued {
        /// Such as `completed` or `waiting`.
        status: String,
    },
    /// GitHub does not know it.
    Unknown,
}

/// Why GitHub did not do it.
#[derive(Debug, Error)]
#[error("GitHub could not {what}: {problem}")]
pub struct GitHubError {
    /// What was asked.
    pub what: String,
    /// What it answered, and what to do.
    pub problem: String,
    /// What may follow from it.
    pub fault: GitHubFault,
}

/// What a failed request to GitHub came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitHubFault {
    /// It was not done.
    Refused,
    /// It was not done, and nothing is to be asked before that.
    Limited {
        /// When GitHub may be asked again.
        until: Timestamp,
    },
    /// There is one of that name already.
    Conflict,
    /// The answer was lost, or was that something broke: it may have been done.
    Unknown,
}

/// A runner as GitHub knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredRunner {
    /// GitHub's id of it.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whether it is connected.
    pub online: bool,
    /// Whether it runs a job.
    pub busy: bool,
}

/// What came of the removal of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone now.
    Removed,
    /// GitHub knows no such runner.
    Unknown,
    /// It runs a job, and stays.
    Busy,
}

/// GitHub, as far as scaling up needs it.
#[async_trait]
pub trait GitHub: Send + Sync {
    /// What there is to say of a job of `owner/repository`.
    async fn job(
        &self,
        target: &RegistrationTarget,
        owner: &str,
        repository: &str,
        job: JobId,
    ) -> Result<JobLookup, GitHubError>;

    /// What a new runner needs to register.
    async fn register(
        &self,
        target: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError>;

    /// The runner of that name, if there is one.
    async fn runner(
        &self,
        target: &RegistrationTarget,
        name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError>;

    /// Removes a runner, unless it runs a job.
    async fn remove(&self, target: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError>;

    /// The page of the organisation or repository, where its runners register
    /// (`https://github.com/acme`).
    fn page(&self, scope: &ScopeName) -> String;
}

/// Why an instance's configuration could not be written or deleted.
#[derive(Debug, Error)]
#[error("the configuration of {instance} could not be {what}: {problem}")]
pub struct ConfigurationError {
    /// Of which instance.
    pub instance: InstanceId,
    /// `written` or `deleted`.
    pub what: &'static str,
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
}

/// A request to act on a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "act", rename_all = "kebab-case")]
pub struct ActRequest {
    /// On which.
    pub scope: ScopeKey,
    /// What was folded, so that a request made during an act is not taken for the one before: it
    /// becomes part of the deduplication id.
    pub folded: String,
    /// Why.
    #[serde(default)]
    pub trigger: Trigger,
}

/// The queue of [`ActRequest`]s did not take one.
#[derive(Debug, Error)]
#[error("the act queue did not take a request for {scope}: {problem}")]
pub struct ActQueueError {
    /// For which scope.
    pub scope: ScopeKey,
    /// The answer.
    pub problem: String,
}

/// Serial for one scope, parallel across scopes.
#[async_trait]
pub trait ActQueue: Send + Sync {
    /// Asks for an act.
    async fn ask(&self, request: &ActRequest) -> Result<(), ActQueueError>;
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
