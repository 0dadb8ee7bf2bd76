//! The ledger in SQLite: each write is one transaction, conditional on the revision or version read.

mod rows;
mod shared;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};
use stoker_core::account::Account;
use stoker_core::ids::{InstanceId, JobKey, ScopeKey, ScopeVersion};
use stoker_core::job::Job;
use stoker_core::ports::{
    DecidedScope, Due, Ledger, LedgerError, ScopeState, Settlement, Shared, SharedItem,
};
use stoker_core::runner::Runner;
use stoker_core::time::Timestamp;
use stoker_intake::RepositoryId;

use crate::database::Database;

/// A [`Ledger`] in an SQLite database.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    database: Database,
}

impl SqliteLedger {
    /// The ledger in that database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The scopes that have anything that has not ended: what a control plane that starts has to look
    /// after.
    pub async fn live_scopes(&self) -> Result<Vec<ScopeKey>, LedgerError> {
        self.read("list its scopes", |connection| {
            rows::live_scopes(connection)
        })
        .await
    }

    /// Forgets jobs and runners that ended before that time.
    pub async fn forget_ended_before(&self, time: Timestamp) -> Result<(), LedgerError> {
        self.write("forget what ended long ago", move |connection| {
            rows::forget_ended_before(connection, time)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, rows::Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.database
            .with(move |connection| {
                // A transaction, so that all of it is of one moment.
                let transaction = connection.transaction()?;
                work(&transaction)
            })
            .await
            .map_err(|problem| unavailable(what, problem))?
            .map_err(|fault| fault.told(what))
    }

    async fn write<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, rows::Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.database
            .with(move |connection| {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            })
            .await
            .map_err(|problem| unavailable(what, problem))?
            .map_err(|fault: rows::Fault| fault.told(what))
    }
}

fn unavailable(what: &str, problem: String) -> LedgerError {
    LedgerError::Unavailable {
        what: what.to_owned(),
        problem,
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn job(&self, key: JobKey) -> Result<Option<Job>, LedgerError> {
        self.read("read a job", move |connection| rows::job(connection, key))
            .await
    }

    async fn put_job(&self, job: &Job) -> Result<(), LedgerError> {
        let job = job.clone();
        self.write("write a job", move |connection| {
            rows::put_job(connection, &job)
        })
        .await
    }

    async fn scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError> {
        self.read("read a scope", move |connection| {
            rows::scope(connection, scope)
        })
        .await
    }

    async fn save_decision(&self, decided: &DecidedScope<'_>) -> Result<ScopeVersion, LedgerError> {
        let DecidedScope {
            scope,
            state,
            generation,
            due,
            ..
        } = *decided;
        let (decision, intents) = (decided.decision.clone(), decided.intents.to_vec());
        self.write("save a decision", move |connection| {
            let decided = DecidedScope {
                scope,
                state,
                decision: &decision,
                generation,
                intents: &intents,
                due,
            };
            rows::save_decision(connection, &decided)
        })
        .await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), LedgerError> {
        let settlement = settlement.clone();
        self.write("save what became of a launch", move |connection| {
            rows::settle(connection, &settlement)
        })
        .await
    }

    async fn book(
        &self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Result<(), LedgerError> {
        let (account, booked) = (account.clone(), booked.to_vec());
        self.write("write an account", move |connection| {
            rows::book(connection, scope, &account, &booked)
        })
        .await
    }

    async fn runner(&self, instance: &InstanceId) -> Result<Option<Runner>, LedgerError> {
        let instance = instance.clone();
        self.read("read a runner", move |connection| {
            rows::runner(connection, &instance)
        })
        .await
    }

    async fn put_runner(&self, runner: &Runner) -> Result<(), LedgerError> {
        let runner = runner.clone();
        self.write("write a runner", move |connection| {
            rows::put_runner(connection, &runner)
        })
        .await
    }

    async fn shared(&self, item: SharedItem) -> Result<Shared, LedgerError> {
        self.read("read what all scopes share", move |connection| {
            shared::shared(connection, item)
        })
        .await
    }

    async fn put_shared(&self, item: SharedItem, seen: u64, body: &str) -> Result<(), LedgerError> {
        let body = body.to_owned();
        self.write("write what all scopes share", move |connection| {
            shared::put_shared(connection, item, seen, &body)
        })
        .await
    }

    async fn put_due(&self, due: &Due) -> Result<(), LedgerError> {
        let due = due.clone();
        self.write("note when a scope is due", move |connection| {
            shared::put_due(connection, &due)
        })
        .await
    }

    async fn due(&self, until: Timestamp, most: usize) -> Result<Vec<Due>, LedgerError> {
        self.read("list what is due", move |connection| {
            shared::due(connection, until, most)
        })
        .await
    }

    async fn drop_due(&self, due: &Due) -> Result<(), LedgerError> {
        let due = due.clone();
        self.write("take off what was due", move |connection| {
            shared::drop_due(connection, &due)
        })
        .await
    }

    async fn name_repository(&self, name: &str, id: RepositoryId) -> Result<(), LedgerError> {
        let name = name.to_owned();
        self.write("note a repository's name", move |connection| {
            shared::name_repository(connection, &name, id)
        })
        .await
    }

    async fn repository(&self, name: &str) -> Result<Option<RepositoryId>, LedgerError> {
        let name = name.to_owned();
        self.read("look up a repository", move |connection| {
            shared::repository(connection, &name)
        })
        .await
    }
}
