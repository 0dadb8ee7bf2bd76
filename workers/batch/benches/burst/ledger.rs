//! The ledger's port over its stand-in: each request takes its time, and is counted.

use std::sync::Arc;

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
use tokio::time::sleep;

use crate::dynamo::{Cost, Table};
use crate::world::{DYNAMODB, What, World, locked};

/// The ledger, as a process has it.
pub(crate) struct Far(pub(crate) Arc<World>);

impl Far {
    async fn took(&self, requests: u64) {
        let further = u32::try_from(requests.saturating_sub(1)).unwrap_or(u32::MAX);
        sleep(DYNAMODB * further).await;
    }

    async fn read<T>(&self, ask: impl FnOnce(&Table) -> (T, Cost)) -> T {
        sleep(DYNAMODB).await;
        let (answer, cost) = ask(&locked(&self.0.table));
        self.0.count(What::LedgerReads, cost.requests);
        self.0.count(What::ReadUnits, cost.units);
        self.took(cost.requests).await;
        answer
    }

    async fn write<T>(&self, what: &'static str, write: impl FnOnce(&mut Table) -> (T, Cost)) -> T {
        sleep(DYNAMODB).await;
        let (answer, cost) = write(&mut locked(&self.0.table));
        self.0.count(What::LedgerWrites, cost.requests);
        self.0.count(What::Wrote(what), cost.requests);
        self.0.count(What::ItemsWritten, cost.items);
        self.0.count(What::WriteUnits, cost.units);
        self.took(cost.requests).await;
        answer
    }

    /// A write on condition: where that does not hold, the adapter reads whether it was its own.
    async fn conditionally<T>(
        &self,
        what: &'static str,
        write: impl FnOnce(&mut Table) -> (Result<T, LedgerError>, Cost),
    ) -> Result<T, LedgerError> {
        let answer = self.write(what, write).await;
        if answer.is_err() {
            self.0.count(What::LedgerConflicts, 1);
            self.read(|_| ((), Cost::read(0))).await;
        }
        answer
    }
}

#[async_trait]
impl Ledger for Far {
    async fn job(&self, key: JobKey) -> Result<Option<Job>, LedgerError> {
        Ok(self.read(|table| table.job(key)).await)
    }

    async fn put_job(&self, job: &Job) -> Result<(), LedgerError> {
        self.conditionally("jobs", |table| table.put_job(job)).await
    }

    async fn scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError> {
        Ok(self.read(|table| table.scope(scope)).await)
    }

    async fn save_decision(&self, decided: &DecidedScope<'_>) -> Result<ScopeVersion, LedgerError> {
        self.conditionally("decisions", |table| table.save_decision(decided))
            .await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), LedgerError> {
        self.write("outcomes", |table| ((), table.settle(settlement)))
            .await;
        Ok(())
    }

    async fn book(
        &self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Result<(), LedgerError> {
        self.conditionally("accounts", |table| table.book(scope, account, booked))
            .await
    }

    async fn runner(&self, instance: &InstanceId) -> Result<Option<Runner>, LedgerError> {
        Ok(self.read(|table| table.runner(instance)).await)
    }

    async fn put_runner(&self, runner: &Runner) -> Result<(), LedgerError> {
        self.conditionally("runners", |table| table.put_runner(runner))
            .await
    }

    async fn shared(&self, item: SharedItem) -> Result<Shared, LedgerError> {
        Ok(self.read(|table| table.shared(item)).await)
    }

    async fn put_shared(&self, item: SharedItem, seen: u64, body: &str) -> Result<(), LedgerError> {
        self.conditionally("shared items", |table| table.put_shared(item, seen, body))
            .await
    }

    async fn put_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.write("what is due", |table| ((), table.put_due(due)))
            .await;
        Ok(())
    }

    async fn due(&self, until: Timestamp, most: usize) -> Result<Vec<Due>, LedgerError> {
        Ok(self.read(|table| table.due(until, most)).await)
    }

    async fn drop_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.write("what is due", |table| ((), table.drop_due(due)))
            .await;
        Ok(())
    }

    async fn name_repository(&self, name: &str, id: RepositoryId) -> Result<(), LedgerError> {
        self.write("repositories' names", |table| {
            ((), table.name_repository(name, id))
        })
        .await;
        Ok(())
    }

    async fn repository(&self, name: &str) -> Result<Option<RepositoryId>, LedgerError> {
        Ok(self.read(|table| table.repository(name)).await)
    }
}
