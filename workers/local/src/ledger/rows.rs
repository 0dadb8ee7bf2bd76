//! The statements. Each function runs inside a transaction that its caller opened.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::de::DeserializeOwned;
use stoker_core::account::Account;
use stoker_core::ids::{InstanceId, JobKey, PolicyGeneration, ScopeKey, ScopeVersion};
use stoker_core::job::{Job, JobPhase};
use stoker_core::ports::{DecidedScope, Due, LedgerError, ScopeSeen, ScopeState, Settlement};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_core::time::Timestamp;

/// Why a transaction is rolled back.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Ledger(LedgerError),
}

impl Fault {
    /// As the port's error, for what was asked.
    pub(super) fn told(self, what: &str) -> LedgerError {
        match self {
            Self::Sqlite(error) => super::unavailable(what, error.to_string()),
            Self::Ledger(error) => error,
        }
    }

    pub(super) fn conflict(item: impl Into<String>) -> Self {
        Self::Ledger(LedgerError::Conflict(item.into()))
    }

    pub(super) fn unreadable(item: String, problem: &impl ToString) -> Self {
        Self::Ledger(LedgerError::Unreadable {
            item,
            problem: problem.to_string(),
        })
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

pub(super) type Done<T> = Result<T, Fault>;

fn parse<T: DeserializeOwned>(item: impl FnOnce() -> String, json: &str) -> Done<T> {
    serde_json::from_str(json).map_err(|error| Fault::unreadable(item(), &error))
}

fn json<T: serde::Serialize>(item: impl FnOnce() -> String, value: &T) -> Done<String> {
    serde_json::to_string(value).map_err(|error| Fault::unreadable(item(), &error))
}

/// SQLite's integers are signed; the bits are the same.
pub(super) fn signed(id: u64) -> i64 {
    id.cast_signed()
}

pub(super) fn seconds(time: Timestamp) -> i64 {
    signed(time.0)
}

fn job_name(key: JobKey) -> impl Fn() -> String {
    move || format!("job {key}")
}

pub(super) fn job(connection: &Connection, key: JobKey) -> Done<Option<Job>> {
    connection
        .prepare_cached("SELECT item FROM jobs WHERE repository = ? AND check_run = ?")?
        .query_row(
            params![signed(key.repository.get()), signed(key.check_run.get())],
            |row| row.get::<_, String>(0),
        )
        .optional()?
        .map(|item| parse(job_name(key), &item))
        .transpose()
}

pub(super) fn put_job(connection: &Connection, job: &Job) -> Done<()> {
    let stored = Job {
        revision: job.revision + 1,
        ..job.clone()
    };
    let item = json(job_name(job.key), &stored)?;
    // An ended job without a time would stay for ever.
    let ended_at =
        (job.phase == JobPhase::Ended).then(|| seconds(job.ended_at.unwrap_or(job.queued_at)));
    let written = connection
        .prepare_cached(
            "INSERT INTO jobs (repository, check_run, scope, ended_at, revision, item)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6
             WHERE ?7 = 0 OR EXISTS (SELECT 1 FROM jobs WHERE repository = ?1 AND check_run = ?2)
             ON CONFLICT (repository, check_run) DO UPDATE
             SET scope = ?3, ended_at = ?4, revision = ?5, item = ?6
             WHERE revision = ?7",
        )?
        .execute(params![
            signed(job.key.repository.get()),
            signed(job.key.check_run.get()),
            job.scope.to_string(),
            ended_at,
            signed(stored.revision),
            item,
            signed(job.revision),
        ])?;
    if written == 1 {
        Ok(())
    } else {
        Err(Fault::conflict(format!("job {}", job.key)))
    }
}

fn runner_name(scope: ScopeKey, instance: &InstanceId) -> String {
    format!("runner {instance} of {scope}")
}

pub(super) fn runner(connection: &Connection, instance: &InstanceId) -> Done<Option<Runner>> {
    connection
        .prepare_cached("SELECT item FROM runners WHERE instance = ?")?
        .query_row([instance.as_str()], |row| row.get::<_, String>(0))
        .optional()?
        .map(|item| parse(|| format!("runner {instance}"), &item))
        .transpose()
}

pub(super) fn put_runner(connection: &Connection, runner: &Runner) -> Done<()> {
    let stored = Runner {
        revision: runner.revision + 1,
        ..runner.clone()
    };
    let name = || runner_name(runner.scope, &runner.instance);
    let item = json(name, &stored)?;
    let ended_at = (runner.phase == RunnerPhase::Ended).then(|| seconds(runner.phase_since));
    let written = connection
        .prepare_cached(
            "INSERT INTO runners (scope, instance, ended_at, revision, item)
             SELECT ?1, ?2, ?3, ?4, ?5
             WHERE ?6 = 0 OR EXISTS (SELECT 1 FROM runners WHERE scope = ?1 AND instance = ?2)
             ON CONFLICT (scope, instance) DO UPDATE
             SET ended_at = ?3, revision = ?4, item = ?5
             WHERE revision = ?6",
        )?
        .execute(params![
            runner.scope.to_string(),
            runner.instance.as_str(),
            ended_at,
            signed(stored.revision),
            item,
            signed(runner.revision),
        ])?;
    if written == 0 {
        return Err(Fault::conflict(name()));
    }
    if ended_at.is_some() {
        connection
            .prepare_cached("INSERT OR IGNORE INTO unbooked (scope, instance) VALUES (?, ?)")?
            .execute(params![runner.scope.to_string(), runner.instance.as_str()])?;
    }
    Ok(())
}

fn account(connection: &Connection, scope: ScopeKey) -> Done<Account> {
    let item = connection
        .prepare_cached("SELECT item FROM accounts WHERE scope = ?")?
        .query_row([scope.to_string()], |row| row.get::<_, String>(0))
        .optional()?;
    item.map_or_else(
        || Ok(Account::default()),
        |item| parse(|| format!("the account of {scope}"), &item),
    )
}

pub(super) fn book(
    connection: &Connection,
    scope: ScopeKey,
    account: &Account,
    booked: &[InstanceId],
) -> Done<()> {
    let name = || format!("the account of {scope}");
    let stored = account.at_revision(account.revision + 1);
    let written = connection
        .prepare_cached(
            "INSERT INTO accounts (scope, revision, item)
             SELECT ?1, ?2, ?3
             WHERE ?4 = 0 OR EXISTS (SELECT 1 FROM accounts WHERE scope = ?1)
             ON CONFLICT (scope) DO UPDATE SET revision = ?2, item = ?3 WHERE revision = ?4",
        )?
        .execute(params![
            scope.to_string(),
            signed(stored.revision),
            json(name, &stored)?,
            signed(account.revision),
        ])?;
    if written == 0 {
        return Err(Fault::conflict(name()));
    }
    let mut delete =
        connection.prepare_cached("DELETE FROM unbooked WHERE scope = ? AND instance = ?")?;
    for instance in booked {
        if delete.execute(params![scope.to_string(), instance.as_str()])? == 0 {
            // Who booked it before has taken it away.
            return Err(Fault::conflict(name()));
        }
    }
    Ok(())
}

/// All items that a statement with the scope as its parameter finds.
fn items<T: DeserializeOwned>(
    connection: &Connection,
    statement: &str,
    scope: ScopeKey,
    kind: &str,
) -> Done<Vec<T>> {
    connection
        .prepare_cached(statement)?
        .query_and_then([scope.to_string()], |row: &Row<'_>| {
            let item: String = row.get(0)?;
            parse(|| format!("{kind} of {scope}"), &item)
        })?
        .collect()
}

/// What a scope's next decision is conditional on, and its last decision.
fn last(connection: &Connection, scope: ScopeKey) -> Done<(ScopeSeen, Option<String>)> {
    let row = connection
        .prepare_cached("SELECT version, generation, decision FROM scopes WHERE scope = ?")?
        .query_row([scope.to_string()], |row| {
            let stored = ScopeSeen {
                version: ScopeVersion(row.get::<_, i64>(0)?.cast_unsigned()),
                generation: PolicyGeneration(row.get::<_, i64>(1)?.cast_unsigned()),
            };
            Ok((stored, Some(row.get(2)?)))
        })
        .optional()?;
    Ok(row.unwrap_or_default())
}

pub(super) fn scope(connection: &Connection, scope: ScopeKey) -> Done<ScopeState> {
    let (
        ScopeSeen {
            version,
            generation,
        },
        _,
    ) = last(connection, scope)?;
    Ok(ScopeState {
        version,
        generation,
        jobs: items(
            connection,
            "SELECT item FROM jobs WHERE scope = ? AND ended_at IS NULL ORDER BY repository, check_run",
            scope,
            "a job",
        )?,
        runners: items(
            connection,
            "SELECT item FROM runners WHERE scope = ? AND ended_at IS NULL ORDER BY instance",
            scope,
            "a runner",
        )?,
        intents: items(
            connection,
            "SELECT item FROM intents WHERE scope = ? ORDER BY id",
            scope,
            "an intent",
        )?,
        account: account(connection, scope)?,
        ended: items(
            connection,
            "SELECT item FROM runners JOIN unbooked USING (scope, instance)
             WHERE scope = ? ORDER BY instance",
            scope,
            "a runner",
        )?,
    })
}

pub(super) fn save_decision(
    connection: &Connection,
    decided: &DecidedScope<'_>,
) -> Done<ScopeVersion> {
    let scope = decided.scope;
    let (stored, by) = last(connection, scope)?;
    let next = ScopeVersion(decided.state.version.0 + 1);
    if stored.version == next && by.as_ref() == Some(&decided.decision.0) {
        return Ok(next);
    }
    let generation = decided.generation.max(decided.state.generation);
    // A generation above both is one that was not read: whoever saves that way would lower it.
    if stored.version != decided.state.version || stored.generation > generation {
        return Err(Fault::conflict(scope.to_string()));
    }
    connection
        .prepare_cached(
            "INSERT INTO scopes (scope, version, generation, decision) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (scope) DO UPDATE SET version = ?2, generation = ?3, decision = ?4",
        )?
        .execute(params![
            scope.to_string(),
            signed(next.0),
            signed(generation.0),
            decided.decision.0
        ])?;
    if let Some(at) = decided.due {
        super::shared::put_due(connection, &Due { at, scope })?;
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO intents (id, scope, item) VALUES (?, ?, ?)")?;
    for intent in decided.intents {
        let item = json(|| format!("intent {}", intent.id), intent)?;
        insert.execute(params![intent.id.0, scope.to_string(), item])?;
    }
    Ok(next)
}

pub(super) fn settle(connection: &Connection, settlement: &Settlement) -> Done<()> {
    for runner in &settlement.runners {
        let new = Runner {
            revision: 0,
            ..runner.clone()
        };
        match put_runner(connection, &new) {
            // It is known already, and what is known is newer.
            Ok(()) | Err(Fault::Ledger(LedgerError::Conflict(_))) => {}
            Err(fault) => return Err(fault),
        }
    }
    connection
        .prepare_cached("DELETE FROM intents WHERE id = ?")?
        .execute([&settlement.intent.0])?;
    Ok(())
}

pub(super) fn live_scopes(connection: &Connection) -> Done<Vec<ScopeKey>> {
    connection
        .prepare(
            "SELECT scope FROM jobs WHERE ended_at IS NULL
             UNION SELECT scope FROM runners WHERE ended_at IS NULL
             UNION SELECT scope FROM intents",
        )?
        .query_and_then([], |row| {
            let scope: String = row.get(0)?;
            scope
                .parse()
                .map_err(|error| Fault::unreadable(format!("scope `{scope}`"), &error))
        })?
        .collect()
}

pub(super) fn forget_ended_before(connection: &Connection, time: Timestamp) -> Done<()> {
    // What is not booked is still to be read.
    connection.execute(
        "DELETE FROM runners WHERE ended_at < ?
         AND NOT EXISTS (SELECT 1 FROM unbooked
            WHERE unbooked.scope = runners.scope AND unbooked.instance = runners.instance)",
        [seconds(time)],
    )?;
    connection.execute("DELETE FROM jobs WHERE ended_at < ?", [seconds(time)])?;
    Ok(())
}
