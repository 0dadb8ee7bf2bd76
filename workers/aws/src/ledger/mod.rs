//! The ledger in DynamoDB: one table, keys `pk` and `sk` (both strings), TTL attribute `expires_at`.
//!
//! | pk | sk | what |
//! |---|---|---|
//! | `job#<repository>#<check run>` | `job` | a job; `expires_at` once it has ended: the tombstone |
//! | `runner#<instance>` | `runner` | a runner; `expires_at` once it has ended. Also: which scope an instance belongs to |
//! | `scope#<scope>` | `scope` | `version`, the last `decision`, and `generation`: the highest publication of policies that it was decided by |
//! | `scope#<scope>` | `intent#<intent>` | a launch without an outcome |
//! | `scope#<scope>` | `job#…`, `runner#…` | a copy of each that has not ended |
//! | `scope#<scope>` | `runner-ended#<instance>` | a copy of a runner that has ended, until it is on the account |
//! | `scope#<scope>` | `spent` | the account: what the scope has spent, and how its classes fared |
//! | `due` | `<seconds since 1970>#<scope>` | that a scope is to be acted on then |
//! | `shared` | `budget`, `census` | what all scopes share: GitHub's patience, and how many runners there are |
//! | `repository#<owner>/<name>` | `repository` | which repository is called so |
//!
//! A job or runner is written together with its copy in one transaction, and the copy goes when it
//! ends: so a scope is one query on one partition, however much has ended in it, and an ended one is
//! still found by its key. Every item but the scope's carries its content as JSON in `body`, the
//! `revision` that writers compare, and `schema`, which an older Stoker refuses when it is newer. What is
//! written over a revision has in `write` the id of its last write, by which a writer whose answer was lost
//! knows that it had succeeded.
//!
//! Transactions do not isolate queries that run beside them, so reading a scope has an order: its
//! version first, then intents, jobs, runners, ended runners, the account (as their keys sort). Whoever misses the intents of a
//! decision made meanwhile holds the version before it and can't save; whoever misses an intent that
//! was settled meanwhile sees its runners; one that ends meanwhile is seen as ended. Whoever sees an ended
//! runner that is booked meanwhile may count it twice for once, and can't book it again: what is booked
//! must still be on the list.

mod item;
mod keys;
mod random;
mod read;
mod shared;
mod table;
mod transaction;
mod write;

use std::fmt::Debug;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use stoker_core::account::Account;
use stoker_core::ids::{InstanceId, JobKey, ScopeKey, ScopeVersion};
use stoker_core::job::Job;
use stoker_core::ports::{
    DecidedScope, Due, Ledger, LedgerError, ScopeState, Settlement, Shared, SharedItem,
};
use stoker_core::runner::Runner;
use stoker_core::time::Timestamp;
use stoker_intake::RepositoryId;

use crate::problem;
pub use item::EXPIRES_AT;
#[cfg(feature = "operator")]
pub(crate) use table::KEYS;
pub use table::create_table;

/// The ledger of one deployment, in one table.
#[derive(Debug, Clone)]
pub struct DynamoLedger {
    client: Client,
    table: String,
    page_size: Option<i32>,
}

impl DynamoLedger {
    /// The ledger in that table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
            page_size: None,
        }
    }

    /// Reads a scope in pages of at most that many items. Without it, a page is what DynamoDB makes it:
    /// a megabyte.
    #[must_use]
    pub fn page_size(mut self, items: i32) -> Self {
        self.page_size = Some(items);
        self
    }
}

#[async_trait]
impl Ledger for DynamoLedger {
    async fn job(&self, key: JobKey) -> Result<Option<Job>, LedgerError> {
        self.read_job(key).await
    }

    async fn put_job(&self, job: &Job) -> Result<(), LedgerError> {
        self.write_job(job).await
    }

    async fn scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError> {
        self.read_scope(scope).await
    }

    async fn save_decision(&self, decided: &DecidedScope<'_>) -> Result<ScopeVersion, LedgerError> {
        self.write_decision(decided).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), LedgerError> {
        self.write_settlement(settlement).await
    }

    async fn book(
        &self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Result<(), LedgerError> {
        self.write_account(scope, account, booked).await
    }

    async fn runner(&self, instance: &InstanceId) -> Result<Option<Runner>, LedgerError> {
        self.read_runner(instance).await
    }

    async fn put_runner(&self, runner: &Runner) -> Result<(), LedgerError> {
        self.write_runner(runner).await
    }

    async fn shared(&self, item: SharedItem) -> Result<Shared, LedgerError> {
        self.read_shared(item).await
    }

    async fn put_shared(&self, item: SharedItem, seen: u64, body: &str) -> Result<(), LedgerError> {
        self.write_shared(item, seen, body).await
    }

    async fn put_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.write_due(due).await
    }

    async fn due(&self, until: Timestamp, most: usize) -> Result<Vec<Due>, LedgerError> {
        self.read_due(until, most).await
    }

    async fn drop_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.delete_due(due).await
    }

    async fn name_repository(&self, name: &str, id: RepositoryId) -> Result<(), LedgerError> {
        self.write_repository(name, id).await
    }

    async fn repository(&self, name: &str) -> Result<Option<RepositoryId>, LedgerError> {
        self.read_repository(name).await
    }
}

/// DynamoDB did not do it.
fn unavailable<E, R>(what: impl Into<String>, error: &SdkError<E, R>) -> LedgerError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: Debug,
{
    LedgerError::Unavailable {
        what: what.into(),
        problem: problem::words(error),
    }
}
