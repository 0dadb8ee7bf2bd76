//! Requests to act.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::ids::ScopeKey;
use crate::situation::Trigger;

/// A request to act on a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "act", rename_all = "kebab-case")]
pub struct ActRequest {
    /// On which.
    pub scope: ScopeKey,
    /// What was folded, so that a request made during an act is not taken for the one before: it
    /// becomes part of the deduplication id.
    pub folded: String,
    /// Why.
    #[serde(default)]
    pub trigger: Trigger,
}

impl ActRequest {
    /// One request for each scope, that stands for all of them: it is told from another of the same scope if
    /// that stands for anything else.
    pub fn merged(requests: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut by_scope: BTreeMap<ScopeKey, Vec<Self>> = BTreeMap::new();
        for request in requests {
            by_scope.entry(request.scope).or_default().push(request);
        }
        by_scope.into_values().filter_map(Self::merge).collect()
    }

    fn merge(mut all: Vec<Self>) -> Option<Self> {
        all.sort_by(|one, other| one.folded.cmp(&other.folded));
        all.dedup_by(|one, other| one.folded == other.folded);
        let first = all.first()?.clone();
        if all.len() == 1 {
            return Some(first);
        }
        let mut folded = Sha256::new();
        for request in &all {
            folded.update(request.folded.as_bytes());
            // No part of any of them.
            folded.update([0]);
        }
        let triggers = all.iter().map(|request| request.trigger);
        Some(Self {
            folded: hex::encode(folded.finalize()),
            trigger: triggers.fold(first.trigger, Trigger::joined),
            scope: first.scope,
        })
    }
}

/// The queue of [`ActRequest`]s did not take one.
#[derive(Debug, Error)]
#[error("the act queue did not take a request for {scope}: {problem}")]
pub struct ActQueueError {
    /// For which scope.
    pub scope: ScopeKey,
    /// The answer.
    pub problem: String,
}

/// How long before its time an act can be asked for, in seconds: SQS delays a message no longer
/// ("Amazon SQS message timers", `DelaySeconds`).
pub const LONGEST_REMINDER: u32 = 900;

/// Serial for one scope, parallel across scopes.
#[async_trait]
pub trait ActQueue: Send + Sync {
    /// Asks for an act.
    async fn ask(&self, request: &ActRequest) -> Result<(), ActQueueError>;

    /// Asks for an act in so many seconds, at most [`LONGEST_REMINDER`], on a scope of which the ledger knows
    /// that it is due then: what comes of this only comes sooner than by the tick.
    async fn ask_in(&self, request: &ActRequest, seconds: u32) -> Result<(), ActQueueError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(scope: &str, folded: &str, trigger: Trigger) -> ActRequest {
        ActRequest {
            scope: scope.parse().unwrap(),
            folded: folded.to_owned(),
            trigger,
        }
    }

    #[test]
    fn one_request_stands_for_all_of_a_scope_and_is_told_from_any_other() {
        let of = |folded: &[&str]| {
            let requests = folded
                .iter()
                .map(|one| request("org-1", one, Trigger::Jobs));
            let merged = ActRequest::merged(requests);
            assert_eq!(merged.len(), 1);
            merged[0].folded.clone()
        };
        assert_eq!(of(&["a"]), "a");
        assert_eq!(of(&["a", "a"]), "a", "delivered twice");
        assert_eq!(of(&["b", "a"]), of(&["a", "b"]), "in whatever order");
        let all = [
            of(&["a", "b"]),
            of(&["a", "c"]),
            of(&["a", "b", "c"]),
            of(&["ab", "c"]),
        ];
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|folded| folded.len() == 64));
    }

    #[test]
    fn each_scope_has_its_own_with_the_reason_that_asks_for_most() {
        let merged = ActRequest::merged([
            request("org-2", "x", Trigger::Fleet),
            request("org-1", "a", Trigger::Fleet),
            request("org-1", "b", Trigger::Jobs),
            request("org-3", "c", Trigger::Tick),
            request("org-3", "b", Trigger::Jobs),
        ]);
        let told: Vec<(String, Trigger)> = merged
            .iter()
            .map(|request| (request.scope.to_string(), request.trigger))
            .collect();
        let wanted = [
            ("org-1".to_owned(), Trigger::Jobs),
            ("org-2".to_owned(), Trigger::Fleet),
            ("org-3".to_owned(), Trigger::Tick),
        ];
        assert_eq!(told, wanted);
    }
}
