//! Items: how things are written into attributes, and read from them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stoker_core::job::{Job, JobPhase, TOMBSTONE_KEPT};
use stoker_core::ports::LedgerError;
use stoker_core::runner::Runner;

use super::keys::Key;

/// The content, as JSON.
pub(super) const BODY: &str = "body";
/// Which write the item is of: each has an id of its own, by which it knows itself again.
pub(super) const WRITE: &str = "write";
/// How often the item was written.
pub(super) const REVISION: &str = "revision";
/// When DynamoDB may forget the item, in seconds since 1970.
pub const EXPIRES_AT: &str = "expires_at";
/// The form of the item.
pub(super) const SCHEMA: &str = "schema";
/// How often a scope was decided.
pub(super) const VERSION: &str = "version";
/// The highest publication of the active policies that a scope was decided by.
pub(super) const GENERATION: &str = "generation";
/// The last decision of a scope.
pub(super) const DECISION: &str = "decision";

/// The form that this version of Stoker writes, and the newest that it reads.
pub(super) const OUR_SCHEMA: u64 = 1;

/// How long an ended runner is remembered, in seconds: as long as the jobs whose story it is part of, so
/// that no late event of its last job brings it back.
const RUNNER_KEPT: u64 = TOMBSTONE_KEPT;

/// What DynamoDB gives.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// A job or a runner, ready to be written: itself, and its copy in its scope.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where it lies.
    pub(super) key: Key,
    /// Where its copy lies while it has not ended.
    pub(super) copy: Key,
    /// Where its copy lies from when it has ended until it is booked; none: it is not booked.
    pub(super) ended_copy: Option<Key>,
    /// Its content, with the next revision.
    pub(super) body: String,
    /// The revision that it is to replace; 0: none.
    pub(super) seen: u64,
    /// Whether it has not ended.
    pub(super) live: bool,
    /// When it may be forgotten.
    pub(super) expires_at: Option<u64>,
}

impl Entry {
    pub(super) fn of_job(job: &Job) -> Result<Self, LedgerError> {
        let key = Key::job(job.key);
        let live = job.phase != JobPhase::Ended;
        Ok(Self {
            copy: Key::job_in_scope(job.scope, job.key),
            ended_copy: None,
            body: body(
                &key,
                &Job {
                    revision: job.revision + 1,
                    ..job.clone()
                },
            )?,
            key,
            seen: job.revision,
            live,
            expires_at: job
                .ended_at
                .filter(|_| !live)
                .map(|ended| ended.0 + TOMBSTONE_KEPT),
        })
    }

    pub(super) fn of_runner(runner: &Runner) -> Result<Self, LedgerError> {
        let key = Key::runner(&runner.instance);
        let live = runner.is_live();
        Ok(Self {
            copy: Key::runner_in_scope(runner.scope, &runner.instance),
            ended_copy: (!live).then(|| Key::ended_in_scope(runner.scope, &runner.instance)),
            body: body(
                &key,
                &Runner {
                    revision: runner.revision + 1,
                    ..runner.clone()
                },
            )?,
            key,
            seen: runner.revision,
            live,
            expires_at: (!live).then_some(runner.phase_since.0 + RUNNER_KEPT),
        })
    }
}

/// The item of something that has a content.
pub(super) fn attributes(key: &Key, body: &str) -> Attributes {
    let mut item = key.attributes();
    item.insert(BODY.to_owned(), AttributeValue::S(body.to_owned()));
    item.insert(SCHEMA.to_owned(), number(OUR_SCHEMA));
    item
}

/// Something as JSON.
pub(super) fn body<T: Serialize>(key: &Key, content: &T) -> Result<String, LedgerError> {
    serde_json::to_string(content).map_err(|error| LedgerError::Unavailable {
        what: format!("write {key}"),
        problem: format!("it has no JSON form: {error}"),
    })
}

/// The content of an item.
pub(super) fn content<T: DeserializeOwned>(item: &Attributes) -> Result<T, LedgerError> {
    readable(item)?;
    let body = text(item, BODY).ok_or_else(|| unreadable(item, &"it has no `body`"))?;
    serde_json::from_str(body).map_err(|error| unreadable(item, &error))
}

/// Refuses items of a form that is not known here.
pub(super) fn readable(item: &Attributes) -> Result<(), LedgerError> {
    match counter(item, SCHEMA)? {
        OUR_SCHEMA => Ok(()),
        schema => Err(unreadable(
            item,
            &format!("its `schema` is {schema}, and only {OUR_SCHEMA} is known here"),
        )),
    }
}

/// A whole number that an item must have.
pub(super) fn counter(item: &Attributes, name: &str) -> Result<u64, LedgerError> {
    item.get(name)
        .and_then(|value| value.as_n().ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| unreadable(item, &format!("it has no whole number `{name}`")))
}

/// A whole number that an item may have; 0 if it has none.
pub(super) fn counter_or_zero(item: &Attributes, name: &str) -> Result<u64, LedgerError> {
    if item.contains_key(name) {
        counter(item, name)
    } else {
        Ok(0)
    }
}

/// A text that an item may have.
pub(super) fn text<'a>(item: &'a Attributes, name: &str) -> Option<&'a str> {
    Some(item.get(name)?.as_s().ok()?.as_str())
}

/// A number as DynamoDB takes it.
pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn unreadable(item: &Attributes, problem: &dyn std::fmt::Display) -> LedgerError {
    let part = |name| text(item, name).unwrap_or("?");
    LedgerError::Unreadable {
        item: format!("{} / {}", part(super::keys::PK), part(super::keys::SK)),
        problem: problem.to_string(),
    }
}
