//! Where each item lies.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use stoker_core::ids::{InstanceId, IntentId, JobKey, ScopeKey};
use stoker_core::ports::{Due, SharedItem};

/// The partition key's attribute.
pub(super) const PK: &str = "pk";
/// The sort key's attribute.
pub(super) const SK: &str = "sk";

/// How the sort keys of a scope's items begin.
pub(super) const INTENT: &str = "intent#";
/// The sort key of a scope's account.
pub(super) const ACCOUNT: &str = "spent";
/// See [`INTENT`].
pub(super) const ENDED: &str = "runner-ended#";
/// See [`INTENT`].
pub(super) const JOB: &str = "job#";
/// See [`INTENT`].
pub(super) const RUNNER: &str = "runner#";

/// The partition of all that is due.
pub(super) const DUE: &str = "due";

/// The key of an item. Written out, it names the item in errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// A job.
    pub(super) fn job(key: JobKey) -> Self {
        Self::new(job(key), "job")
    }

    /// A job's copy, while it has not ended.
    pub(super) fn job_in_scope(scope: ScopeKey, key: JobKey) -> Self {
        Self::new(partition(scope), job(key))
    }

    /// A runner.
    pub(super) fn runner(instance: &InstanceId) -> Self {
        Self::new(format!("{RUNNER}{instance}"), "runner")
    }

    /// A runner's copy, while it has not ended.
    pub(super) fn runner_in_scope(scope: ScopeKey, instance: &InstanceId) -> Self {
        Self::new(partition(scope), format!("{RUNNER}{instance}"))
    }

    /// A runner's copy, from when it has ended until it is booked.
    pub(super) fn ended_in_scope(scope: ScopeKey, instance: &InstanceId) -> Self {
        Self::new(partition(scope), format!("{ENDED}{instance}"))
    }

    /// A scope's account.
    pub(super) fn account(scope: ScopeKey) -> Self {
        Self::new(partition(scope), ACCOUNT)
    }

    /// A launch without an outcome.
    pub(super) fn intent(scope: ScopeKey, intent: &IntentId) -> Self {
        Self::new(partition(scope), format!("{INTENT}{intent}"))
    }

    /// A scope's version.
    pub(super) fn scope(scope: ScopeKey) -> Self {
        Self::new(partition(scope), "scope")
    }

    /// Something that all scopes share.
    pub(super) fn shared(item: SharedItem) -> Self {
        Self::new("shared".to_owned(), item.as_str())
    }

    /// That a scope is due: the times sort as their digits do.
    pub(super) fn due(due: &Due) -> Self {
        Self::new(DUE.to_owned(), format!("{:010}#{}", due.at.0, due.scope))
    }

    /// A repository's name.
    pub(super) fn repository(name: &str) -> Self {
        Self::new(format!("repository#{name}"), "repository")
    }

    /// As DynamoDB takes it.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PK.to_owned(), AttributeValue::S(self.pk.clone())),
            (SK.to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.pk, self.sk)
    }
}

/// The partition of everything in a scope that has not ended.
pub(super) fn partition(scope: ScopeKey) -> String {
    format!("scope#{scope}")
}

fn job(key: JobKey) -> String {
    format!("{JOB}{}#{}", key.repository, key.check_run)
}
