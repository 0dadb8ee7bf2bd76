//! The ledger's stand-in: what the `DynamoDB` adapter (`workers/aws/src/ledger`) would read and write, kept
//! in memory, and counted as that adapter asks for it.
//!
//! - A read of one item is a `GetItem`, consistent: a read unit for each 4 KB. A scope is a `GetItem` and a
//!   `Query` of one partition, by pages of 1 MB, one after the other.
//! - A job or runner is written by one `TransactWriteItems` together with its copy in its scope's partition:
//!   two items, three where a runner ends. An item in a transaction costs two write units for each KB.
//! - A decision is one transaction: the scope, when it is due, its intents. An outcome is one for each 49
//!   runners, the last of which deletes the intent.
//! - A shared item, and what is due, is a single write: a write unit for each KB.
//! - A write whose condition does not hold costs as much, and the item is read once more.
//!
//! That a transaction meets another on the same item, which `DynamoDB` refuses and the adapter repeats, is
//! not simulated: one takes 5 ms here and the ledger's writers seldom write the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stoker_core::account::Account;
use stoker_core::ids::{DecisionId, InstanceId, IntentId, JobKey, ScopeKey, ScopeVersion};
use stoker_core::intent::Intent;
use stoker_core::job::{Job, JobPhase};
use stoker_core::ports::{
    DecidedScope, Due, LedgerError, ScopeSeen, ScopeState, Settlement, Shared, SharedItem,
};
use stoker_core::runner::Runner;
use stoker_core::time::Timestamp;
use stoker_intake::RepositoryId;

/// Names and values of an item's attributes beside its body: keys, schema, revision, write.
const ITSELF: usize = 120;
/// The same of a copy, which has no revision.
const COPY: usize = 80;
/// How many runners of an outcome one transaction writes.
const RUNNERS_AT_ONCE: usize = 49;

/// What a request cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Requests, one after the other.
    pub(crate) requests: u64,
    /// Items that were written.
    pub(crate) items: u64,
    /// Read or write units.
    pub(crate) units: u64,
}

impl Cost {
    pub(crate) fn read(bytes: usize) -> Self {
        Self {
            requests: 1,
            items: 0,
            units: bytes.div_ceil(4_096).max(1) as u64,
        }
    }

    pub(crate) fn write(bytes: usize) -> Self {
        Self {
            requests: 1,
            items: 1,
            units: bytes.div_ceil(1_024).max(1) as u64,
        }
    }

    fn transaction(items: impl IntoIterator<Item = usize>) -> Self {
        let mut cost = Self {
            requests: 1,
            ..Self::default()
        };
        for bytes in items {
            cost.items += 1;
            cost.units += 2 * bytes.div_ceil(1_024).max(1) as u64;
        }
        cost
    }
}

#[derive(Debug, Default)]
struct Partition {
    seen: ScopeSeen,
    by: Option<DecisionId>,
    jobs: BTreeSet<JobKey>,
    runners: BTreeSet<InstanceId>,
    ended: BTreeSet<InstanceId>,
    intents: BTreeMap<IntentId, (Intent, usize)>,
    account: Account,
    account_bytes: usize,
    /// Of all its items.
    bytes: usize,
}

/// What is in the table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    scopes: BTreeMap<ScopeKey, Partition>,
    jobs: BTreeMap<JobKey, (Job, usize)>,
    runners: BTreeMap<InstanceId, (Runner, usize)>,
    shared: BTreeMap<&'static str, Shared>,
    due: BTreeSet<Due>,
    repositories: BTreeMap<String, RepositoryId>,
}

type Done<T> = Result<T, LedgerError>;

fn conflict<T>(item: impl Into<String>) -> Done<T> {
    Err(LedgerError::Conflict(item.into()))
}

fn size<T: Serialize>(content: &T) -> usize {
    serde_json::to_vec(content).map_or(0, |body| body.len())
}

impl Table {
    pub(crate) fn job(&self, key: JobKey) -> (Option<Job>, Cost) {
        let known = self.jobs.get(&key);
        let bytes = known.map_or(0, |(_, bytes)| bytes + ITSELF);
        (known.map(|(job, _)| job.clone()), Cost::read(bytes))
    }

    pub(crate) fn put_job(&mut self, job: &Job) -> (Done<()>, Cost) {
        let job = Job {
            revision: job.revision + 1,
            ..job.clone()
        };
        let bytes = size(&job);
        let cost = Cost::transaction([bytes + ITSELF, bytes + COPY]);
        let before = self.jobs.get(&job.key);
        if before.map_or(0, |(known, _)| known.revision) + 1 != job.revision {
            return (conflict(format!("job {}", job.key)), cost);
        }
        let old = before.map_or(0, |(_, bytes)| bytes + COPY);
        let partition = self.scopes.entry(job.scope).or_default();
        if partition.jobs.remove(&job.key) {
            partition.bytes -= old;
        }
        if job.phase != JobPhase::Ended {
            partition.jobs.insert(job.key);
            partition.bytes += bytes + COPY;
        }
        self.jobs.insert(job.key, (job, bytes));
        (Ok(()), cost)
    }

    pub(crate) fn runner(&self, instance: &InstanceId) -> (Option<Runner>, Cost) {
        let known = self.runners.get(instance);
        let bytes = known.map_or(0, |(_, bytes)| bytes + ITSELF);
        (known.map(|(runner, _)| runner.clone()), Cost::read(bytes))
    }

    pub(crate) fn put_runner(&mut self, runner: &Runner) -> (Done<()>, Cost) {
        let runner = Runner {
            revision: runner.revision + 1,
            ..runner.clone()
        };
        let bytes = size(&runner);
        let copies = if runner.is_live() { 1 } else { 2 };
        let items = std::iter::repeat_n(bytes + COPY, copies).chain([bytes + ITSELF]);
        let cost = Cost::transaction(items);
        let instance = runner.instance.clone();
        let before = self.runners.get(&instance);
        if before.map_or(0, |(known, _)| known.revision) + 1 != runner.revision {
            return (conflict(format!("runner {instance}")), cost);
        }
        let old = before.map_or(0, |(_, bytes)| bytes + COPY);
        let partition = self.scopes.entry(runner.scope).or_default();
        if partition.runners.remove(&instance) || partition.ended.remove(&instance) {
            partition.bytes -= old;
        }
        if runner.is_live() {
            partition.runners.insert(instance.clone());
        } else {
            partition.ended.insert(instance.clone());
        }
        partition.bytes += bytes + COPY;
        self.runners.insert(instance, (runner, bytes));
        (Ok(()), cost)
    }

    /// The scope, and what reading it cost: its version, then page after page.
    pub(crate) fn scope(&self, scope: ScopeKey) -> (ScopeState, Cost) {
        const PAGE: usize = 1 << 20;
        let Some(partition) = self.scopes.get(&scope) else {
            let mut cost = Cost::read(0);
            cost.requests += 1;
            return (ScopeState::default(), cost);
        };
        let mut cost = Cost::read(0);
        cost.requests += partition.bytes.div_ceil(PAGE).max(1) as u64;
        cost.units += partition.bytes.div_ceil(4_096).max(1) as u64;
        let runners = |which: &BTreeSet<InstanceId>| {
            let known = which
                .iter()
                .filter_map(|instance| self.runners.get(instance));
            known.map(|(runner, _)| runner.clone()).collect()
        };
        let jobs = partition.jobs.iter().filter_map(|key| self.jobs.get(key));
        let state = ScopeState {
            version: partition.seen.version,
            generation: partition.seen.generation,
            jobs: jobs.map(|(job, _)| job.clone()).collect(),
            runners: runners(&partition.runners),
            intents: partition
                .intents
                .values()
                .map(|(one, _)| one.clone())
                .collect(),
            account: partition.account.clone(),
            ended: runners(&partition.ended),
        };
        (state, cost)
    }

    pub(crate) fn save_decision(
        &mut self,
        decided: &DecidedScope<'_>,
    ) -> (Done<ScopeVersion>, Cost) {
        let scope = decided.scope;
        let sizes: Vec<usize> = decided.intents.iter().map(|i| size(i) + COPY).collect();
        let others = 1 + usize::from(decided.due.is_some());
        let cost = Cost::transaction(std::iter::repeat_n(COPY, others).chain(sizes.clone()));
        let partition = self.scopes.entry(scope).or_default();
        let next = ScopeVersion(decided.state.version.0 + 1);
        if partition.seen.version == next && partition.by.as_ref() == Some(decided.decision) {
            return (Ok(next), cost);
        }
        let generation = decided.generation.max(decided.state.generation);
        if partition.seen.version != decided.state.version || partition.seen.generation > generation
        {
            return (conflict(format!("scope {scope}")), cost);
        }
        partition.seen = ScopeSeen {
            version: next,
            generation,
        };
        partition.by = Some(decided.decision.clone());
        for (intent, bytes) in decided.intents.iter().zip(sizes) {
            let before = partition
                .intents
                .insert(intent.id.clone(), (intent.clone(), bytes));
            partition.bytes += bytes;
            partition.bytes -= before.map_or(0, |(_, bytes)| bytes);
        }
        if let Some(at) = decided.due {
            self.due.insert(Due { at, scope });
        }
        (Ok(next), cost)
    }

    pub(crate) fn settle(&mut self, settlement: &Settlement) -> Cost {
        let mut all = Cost {
            requests: (settlement.runners.len().div_ceil(RUNNERS_AT_ONCE)).max(1) as u64,
            ..Cost::default()
        };
        for runner in &settlement.runners {
            let new = Runner {
                revision: 0,
                ..runner.clone()
            };
            // One that is known already stays as it is.
            let (_known, cost) = self.put_runner(&new);
            all.items += cost.items;
            all.units += cost.units;
        }
        let partition = self.scopes.entry(settlement.scope).or_default();
        if let Some((_, bytes)) = partition.intents.remove(&settlement.intent) {
            partition.bytes -= bytes;
            let deleted = Cost::transaction([bytes]);
            all.items += deleted.items;
            all.units += deleted.units;
        }
        all
    }

    pub(crate) fn book(
        &mut self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> (Done<()>, Cost) {
        let account = account.at_revision(account.revision + 1);
        let bytes = size(&account) + ITSELF;
        let of_runner = |instance| {
            self.runners
                .get(instance)
                .map_or(0, |(_, bytes)| bytes + COPY)
        };
        let gone: Vec<usize> = booked.iter().map(of_runner).collect();
        let cost = Cost::transaction(gone.iter().copied().chain([bytes]));
        let partition = self.scopes.entry(scope).or_default();
        let all_listed = booked.iter().all(|one| partition.ended.contains(one));
        if partition.account.revision + 1 != account.revision || !all_listed {
            return (conflict(format!("the account of {scope}")), cost);
        }
        for (instance, bytes) in booked.iter().zip(gone) {
            partition.ended.remove(instance);
            partition.bytes -= bytes;
        }
        partition.bytes += bytes;
        partition.bytes -= partition.account_bytes;
        partition.account_bytes = bytes;
        partition.account = account;
        (Ok(()), cost)
    }

    pub(crate) fn shared(&self, item: SharedItem) -> (Shared, Cost) {
        let stored = self.shared.get(item.as_str()).cloned().unwrap_or_default();
        let cost = Cost::read(stored.body.len() + ITSELF);
        (stored, cost)
    }

    pub(crate) fn put_shared(
        &mut self,
        item: SharedItem,
        seen: u64,
        body: &str,
    ) -> (Done<()>, Cost) {
        let cost = Cost::write(body.len() + ITSELF);
        if self.shared(item).0.revision != seen {
            return (conflict(item.as_str()), cost);
        }
        let stored = Shared {
            revision: seen + 1,
            body: body.to_owned(),
        };
        self.shared.insert(item.as_str(), stored);
        (Ok(()), cost)
    }

    pub(crate) fn put_due(&mut self, due: &Due) -> Cost {
        self.due.insert(due.clone());
        Cost::write(COPY)
    }

    pub(crate) fn due(&self, until: Timestamp, most: usize) -> (Vec<Due>, Cost) {
        let due = self.due.iter().filter(|due| due.at <= until);
        let due: Vec<Due> = due.take(most).cloned().collect();
        let cost = Cost::read(due.len() * COPY);
        (due, cost)
    }

    pub(crate) fn drop_due(&mut self, due: &Due) -> Cost {
        self.due.remove(due);
        Cost::write(COPY)
    }

    pub(crate) fn name_repository(&mut self, name: &str, id: RepositoryId) -> Cost {
        self.repositories.insert(name.to_owned(), id);
        Cost::write(COPY)
    }

    pub(crate) fn repository(&self, name: &str) -> (Option<RepositoryId>, Cost) {
        (self.repositories.get(name).copied(), Cost::read(COPY))
    }

    /// Jobs that wait, jobs that run, runners that have not ended, and the bytes of their partition.
    pub(crate) fn there(&self, scope: ScopeKey) -> (usize, usize, usize, usize) {
        let Some(partition) = self.scopes.get(&scope) else {
            return (0, 0, 0, 0);
        };
        let jobs = partition.jobs.iter().filter_map(|key| self.jobs.get(key));
        let waiting = jobs
            .filter(|(job, _)| job.phase == JobPhase::Queued)
            .count();
        let running = partition.jobs.len() - waiting;
        (waiting, running, partition.runners.len(), partition.bytes)
    }
}
