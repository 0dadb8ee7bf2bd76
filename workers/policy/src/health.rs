//! Which policies are left alone for a while, because they failed for a scope again and again.

use std::collections::HashMap;

use stoker_core::ids::ArtifactDigest;
use stoker_core::time::Timestamp;

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
        // That it is left alone is no further failure; that the store is down or was tampered with is
        // none of its own, and an alarm is to go on until somebody has mended that.
        if matches!(failure, Failure::Quarantined { .. } | Failure::Store(_)) || failure.is_alarm()
        {
            return;
        }
        let which = (whose.clone(), digest.clone());
        if self.failing.len() >= MOST_KEPT && !self.failing.contains_key(&which) {
            self.failing.clear();
        }
        let record = self.failing.entry(which).or_insert(Record {
            failures: 0,
            until: now,
            last: String::new(),
        });
        record.failures = record.failures.saturating_add(1);
        record.until = Timestamp(now.0 + LEFT_ALONE);
        record.last = failure.to_string();
    }

    /// It decided.
    pub(crate) fn decided(&mut self, whose: &Whose, digest: &ArtifactDigest) {
        if !self.failing.is_empty() {
            self.failing.remove(&(whose.clone(), digest.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn digest(of: &str) -> ArtifactDigest {
        ArtifactDigest::of(of.as_bytes())
    }

    #[test]
    fn one_more_failure_of_one_that_is_known_forgets_no_other() {
        let mut health = Health::default();
        let failure = Failure::Refused("no".to_owned());
        let scope = |number: usize| (Decision::ScaleUp, number.to_string());
        for number in 0..MOST_KEPT {
            health.failed(&scope(number), &digest("a"), &failure, NOW);
        }
        for _ in 1..FAILURES_BORNE {
            health.failed(&scope(0), &digest("a"), &failure, NOW);
        }
        assert_eq!(health.failing.len(), MOST_KEPT);
        assert!(health.admit(&scope(0), &digest("a"), NOW).is_err());
        health.failed(&scope(MOST_KEPT), &digest("a"), &failure, NOW);
        assert_eq!(health.failing.len(), 1, "it starts anew");
    }
}
