//! The ledger, as a process of a history has it.

use async_trait::async_trait;
use stoker_core::account::Account;
use stoker_core::ids::{InstanceId, JobKey, ScopeKey, ScopeVersion};
use stoker_core::job::Job;
use stoker_core::ports::{
    DecidedScope, Due, Ledger, LedgerError, ScopeState, Settlement, Shared, SharedItem,
};
use stoker_core::runner::Runner;
use stoker_core::time::Timestamp;
use stoker_intake::RepositoryId;

use crate::ports::Ports;

#[async_trait]
impl Ledger for Ports {
    async fn job(&self, key: JobKey) -> Result<Option<Job>, LedgerError> {
        self.books("read a job", |world| {
            Ok(world.books.jobs.get(&key).cloned())
        })
        .await
    }

    async fn put_job(&self, job: &Job) -> Result<(), LedgerError> {
        self.books("write a job", |world| world.books.put_job(job))
            .await
    }

    async fn scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError> {
        self.books("read a scope", |world| Ok(world.books.scope(scope)))
            .await
    }

    async fn save_decision(&self, decided: &DecidedScope<'_>) -> Result<ScopeVersion, LedgerError> {
        self.books("save a decision", |world| {
            world.books.save_decision(decided)
        })
        .await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), LedgerError> {
        self.books("settle", |world| {
            world.books.settle(settlement);
            Ok(())
        })
        .await
    }

    async fn book(
        &self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Result<(), LedgerError> {
        self.books("book", |world| world.books.book(scope, account, booked))
            .await
    }

    async fn runner(&self, instance: &InstanceId) -> Result<Option<Runner>, LedgerError> {
        self.books("read a runner", |world| {
            Ok(world.books.runners.get(instance).cloned())
        })
        .await
    }

    async fn put_runner(&self, runner: &Runner) -> Result<(), LedgerError> {
        self.books("write a runner", |world| world.books.put_runner(runner))
            .await
    }

    async fn shared(&self, item: SharedItem) -> Result<Shared, LedgerError> {
        self.books("read what is shared", |world| Ok(world.books.shared(item)))
            .await
    }

    async fn put_shared(&self, item: SharedItem, seen: u64, body: &str) -> Result<(), LedgerError> {
        self.books("write what is shared", |world| {
            world.books.put_shared(item, seen, body)
        })
        .await
    }

    async fn put_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.books("note what is due", |world| {
            world.books.due.insert(due.clone());
            Ok(())
        })
        .await
    }

    async fn due(&self, until: Timestamp, most: usize) -> Result<Vec<Due>, LedgerError> {
        self.books("list what is due", |world| Ok(world.books.due(until, most)))
            .await
    }

    async fn drop_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.books("drop what was due", |world| {
            world.books.due.remove(due);
            Ok(())
        })
        .await
    }

    async fn name_repository(&self, name: &str, id: RepositoryId) -> Result<(), LedgerError> {
        self.books("name a repository", |world| {
            world.books.name_repository(name, id);
            Ok(())
        })
        .await
    }

    async fn repository(&self, name: &str) -> Result<Option<RepositoryId>, LedgerError> {
        self.books("look up a repository", |world| {
            Ok(world.books.repository(name))
        })
        .await
    }
}
