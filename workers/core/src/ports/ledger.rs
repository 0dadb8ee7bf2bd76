//! The ledger: the state of all scopes.

use async_trait::async_trait;
use stoker_intake::RepositoryId;
use thiserror::Error;

use crate::account::Account;
use crate::ids::{
    DecisionId, InstanceId, IntentId, JobKey, PolicyGeneration, ScopeKey, ScopeVersion,
};
use crate::intent::Intent;
use crate::job::Job;
use crate::runner::Runner;
use crate::time::Timestamp;

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
    /// A [`crate::control::Origin`]: until it is confirmed nobody knows whether there are runners that an
    /// earlier ledger knew.
    Origin,
    /// The [`crate::sightings::Sightings`].
    Sightings,
    /// The [`crate::hook::Hook`].
    Hook,
    /// The [`crate::control::Polling`].
    Polling,
}

impl SharedItem {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Budget,
        Self::Census,
        Self::Origin,
        Self::Sightings,
        Self::Hook,
        Self::Polling,
    ];

    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Census => "census",
            Self::Origin => "origin",
            Self::Sightings => "sightings",
            Self::Hook => "hook",
            Self::Polling => "polling",
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
    /// meanwhile: reading the scope again tells what is left to book.
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
