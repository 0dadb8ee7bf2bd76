//! A ledger in memory: the contract of all ledgers, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use stoker_core::account::Account;
use stoker_core::ids::{DecisionId, InstanceId, JobKey, ScopeKey, ScopeVersion};
use stoker_core::intent::Intent;
use stoker_core::job::{Job, JobPhase};
use stoker_core::ports::{
    DecidedScope, Due, LedgerError, ScopeSeen, ScopeState, Settlement, Shared, SharedItem,
};
use stoker_core::runner::Runner;
use stoker_core::time::Timestamp;
use stoker_intake::RepositoryId;

/// What it holds.
#[derive(Debug, Default)]
pub(crate) struct Books {
    scopes: BTreeMap<ScopeKey, (ScopeSeen, Option<DecisionId>)>,
    pub(crate) jobs: BTreeMap<JobKey, Job>,
    pub(crate) runners: BTreeMap<InstanceId, Runner>,
    pub(crate) intents: BTreeMap<(ScopeKey, String), Intent>,
    accounts: BTreeMap<ScopeKey, Account>,
    unbooked: BTreeSet<(ScopeKey, InstanceId)>,
    shared: BTreeMap<&'static str, Shared>,
    pub(crate) due: BTreeSet<Due>,
    repositories: BTreeMap<String, RepositoryId>,
}

type Done<T> = Result<T, LedgerError>;

fn conflict<T>(item: impl Into<String>) -> Done<T> {
    Err(LedgerError::Conflict(item.into()))
}

impl Books {
    pub(crate) fn put_job(&mut self, job: &Job) -> Done<()> {
        let stored = self.jobs.get(&job.key).map_or(0, |known| known.revision);
        if stored != job.revision {
            return conflict(format!("job {}", job.key));
        }
        let revision = job.revision + 1;
        let job = Job {
            revision,
            ..job.clone()
        };
        self.jobs.insert(job.key, job);
        Ok(())
    }

    pub(crate) fn put_runner(&mut self, runner: &Runner) -> Done<()> {
        let known = self.runners.get(&runner.instance);
        if known.map_or(0, |known| known.revision) != runner.revision {
            return conflict(format!("runner {}", runner.instance));
        }
        let runner = Runner {
            revision: runner.revision + 1,
            ..runner.clone()
        };
        if !runner.is_live() {
            self.unbooked
                .insert((runner.scope, runner.instance.clone()));
        }
        self.runners.insert(runner.instance.clone(), runner);
        Ok(())
    }

    pub(crate) fn scope(&self, scope: ScopeKey) -> ScopeState {
        let (seen, _) = self.scopes.get(&scope).cloned().unwrap_or_default();
        let of_scope = |runner: &&Runner| runner.scope == scope;
        let runners = self.runners.values().filter(of_scope);
        let jobs = self.jobs.values().filter(|job| job.scope == scope);
        let intents = self
            .intents
            .iter()
            .filter(|((whose, _), _)| *whose == scope);
        let ended = self.unbooked.iter().filter(|(whose, _)| *whose == scope);
        ScopeState {
            version: seen.version,
            generation: seen.generation,
            jobs: jobs
                .filter(|job| job.phase != JobPhase::Ended)
                .cloned()
                .collect(),
            runners: runners.filter(|runner| runner.is_live()).cloned().collect(),
            intents: intents.map(|(_, intent)| intent.clone()).collect(),
            account: self.accounts.get(&scope).cloned().unwrap_or_default(),
            ended: ended
                .filter_map(|(_, instance)| self.runners.get(instance).cloned())
                .collect(),
        }
    }

    pub(crate) fn save_decision(&mut self, decided: &DecidedScope<'_>) -> Done<ScopeVersion> {
        let scope = decided.scope;
        let (stored, by) = self.scopes.get(&scope).cloned().unwrap_or_default();
        let next = ScopeVersion(decided.state.version.0 + 1);
        if stored.version == next && by.as_ref() == Some(decided.decision) {
            return Ok(next);
        }
        let generation = decided.generation.max(decided.state.generation);
        if stored.version != decided.state.version || stored.generation > generation {
            return conflict(format!("scope {scope}"));
        }
        let seen = ScopeSeen {
            version: next,
            generation,
        };
        let by = Some(decided.decision.clone());
        self.scopes.insert(scope, (seen, by));
        for intent in decided.intents {
            let key = (scope, intent.id.0.clone());
            self.intents.insert(key, intent.clone());
        }
        if let Some(at) = decided.due {
            self.due.insert(Due { at, scope });
        }
        Ok(next)
    }

    pub(crate) fn settle(&mut self, settlement: &Settlement) {
        for runner in &settlement.runners {
            let new = Runner {
                revision: 0,
                ..runner.clone()
            };
            // One that is known already stays as it is.
            let _known = self.put_runner(&new);
        }
        let key = (settlement.scope, settlement.intent.0.clone());
        self.intents.remove(&key);
    }

    pub(crate) fn book(
        &mut self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Done<()> {
        let stored = self.accounts.get(&scope).map_or(0, |known| known.revision);
        let all_listed = booked
            .iter()
            .all(|instance| self.unbooked.contains(&(scope, instance.clone())));
        if stored != account.revision || !all_listed {
            return conflict(format!("the account of {scope}"));
        }
        for instance in booked {
            self.unbooked.remove(&(scope, instance.clone()));
        }
        let account = account.at_revision(account.revision + 1);
        self.accounts.insert(scope, account);
        Ok(())
    }

    pub(crate) fn shared(&self, item: SharedItem) -> Shared {
        self.shared.get(item.as_str()).cloned().unwrap_or_default()
    }

    pub(crate) fn put_shared(&mut self, item: SharedItem, seen: u64, body: &str) -> Done<()> {
        if self.shared(item).revision != seen {
            return conflict(item.as_str());
        }
        let stored = Shared {
            revision: seen + 1,
            body: body.to_owned(),
        };
        self.shared.insert(item.as_str(), stored);
        Ok(())
    }

    pub(crate) fn due(&self, until: Timestamp, most: usize) -> Vec<Due> {
        let due = self.due.iter().filter(|due| due.at <= until);
        due.take(most).cloned().collect()
    }

    pub(crate) fn name_repository(&mut self, name: &str, id: RepositoryId) {
        self.repositories.insert(name.to_owned(), id);
    }

    pub(crate) fn repository(&self, name: &str) -> Option<RepositoryId> {
        self.repositories.get(name).copied()
    }
}
