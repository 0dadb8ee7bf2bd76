//! Which policies are left alone for a while, because they failed for a scope again and again; and what
//! decided well before, to fall back to.

use std::collections::HashMap;
use std::sync::Arc;

use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::PolicyLevel;
use stoker_core::time::Timestamp;

use crate::artifact::Loaded;
use crate::contract::Decision;
use crate::failure::Failure;

/// How often in a row a policy may fail before it is left alone: once may be a situation like no
/// other, three times is a fault.
const FAILURES_BORNE: u32 = 3;

/// How long it is left alone, in seconds: few enough that a policy which only met a bad hour is back,
/// long enough that compiling and failing cost nothing to speak of.
const LEFT_ALONE: u64 = 300;

/// The most entries that are kept of each kind: scopes of one process. Beyond it the memory starts
/// anew, which costs a fallback at worst.
const MOST_KEPT: usize = 10_000;

/// Whose decision it is: the kind, and the scope's name.
pub(crate) type Whose = (Decision, String);

/// What decided well, and may do so again: a policy with its settings.
#[derive(Clone)]
pub(crate) struct Good {
    pub(crate) policy: Arc<Loaded>,
    pub(crate) level: PolicyLevel,
    /// Merged, as they were then.
    pub(crate) settings: String,
}

impl Good {
    /// Whether this is that policy with those settings.
    pub(crate) fn is(&self, digest: Option<&ArtifactDigest>, settings: &str) -> bool {
        Some(self.policy.digest()) == digest && self.settings == settings
    }
}

#[derive(Debug)]
struct Record {
    failures: u32,
    until: Timestamp,
    last: String,
}

/// What a process remembers of its policies.
#[derive(Default)]
pub(crate) struct Health {
    failing: HashMap<(Whose, ArtifactDigest), Record>,
    /// The pair that decided last, and the one before it.
    good: HashMap<Whose, [Option<Good>; 2]>,
}

impl Health {
    /// Whether a policy may be tried.
    ///
    /// # Errors
    /// [`Failure::Quarantined`] while it is left alone.
    pub(crate) fn admit(
        &self,
        whose: &Whose,
        digest: &ArtifactDigest,
        now: Timestamp,
    ) -> Result<(), Failure> {
        match self.failing.get(&(whose.clone(), digest.clone())) {
            Some(record) if record.failures >= FAILURES_BORNE && now < record.until => {
                Err(Failure::Quarantined {
                    failures: record.failures,
                    left: now.age(record.until),
                    last: record.last.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// It failed.
    pub(crate) fn failed(
        &mut self,
        whose: &Whose,
        digest: &ArtifactDigest,
        failure: &Failure,
        now: Timestamp,
    ) {
        // Settings are mended without the policy, which is to decide as soon as they are.
        if matches!(
            failure,
            Failure::Quarantined { .. }
                | Failure::Settings { .. }
                | Failure::SettingsRefused(_)
                | Failure::UnknownZone(_)
        ) {
            return;
        }
        if self.failing.len() >= MOST_KEPT {
            self.failing.clear();
        }
        let record = self
            .failing
            .entry((whose.clone(), digest.clone()))
            .or_insert(Record {
                failures: 0,
                until: now,
                last: String::new(),
            });
        record.failures = record.failures.saturating_add(1);
        record.until = Timestamp(now.0 + LEFT_ALONE);
        record.last = failure.to_string();
    }

    /// It decided.
    pub(crate) fn decided(&mut self, whose: &Whose, good: Good) {
        self.failing
            .remove(&(whose.clone(), good.policy.digest().clone()));
        if self.good.len() >= MOST_KEPT && !self.good.contains_key(whose) {
            self.good.clear();
        }
        let [last, before] = self.good.entry(whose.clone()).or_default();
        let is_last = last
            .as_ref()
            .is_some_and(|last| last.is(Some(good.policy.digest()), &good.settings));
        if !is_last {
            *before = last.replace(good);
        }
    }

    /// What decided well before, other than the pair that failed now; the latest first.
    pub(crate) fn previous(
        &self,
        whose: &Whose,
        digest: Option<&ArtifactDigest>,
        settings: &str,
    ) -> Vec<Good> {
        self.good
            .get(whose)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|good| !good.is(digest, settings))
            .cloned()
            .collect()
    }
}
