//! Which policies are left alone for a while, because they failed for a scope again and again; and what
//! decided well before, to fall back to.

use std::collections::HashMap;

use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::PolicyLevel;
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

/// What decided well, and may do so again: a policy with its settings. The policy itself is kept where
/// all that are ready are, or ten thousand scopes would each hold on to two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Good {
    pub(crate) digest: ArtifactDigest,
    pub(crate) level: PolicyLevel,
    /// Merged, as they were then.
    pub(crate) settings: String,
}

impl Good {
    /// Whether this is that policy with those settings; what could not be read is nobody's.
    fn is(&self, digest: Option<&ArtifactDigest>, settings: Option<&str>) -> bool {
        Some(&self.digest) == digest && Some(self.settings.as_str()) == settings
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
    pub(crate) fn decided(&mut self, whose: &Whose, good: Good) {
        self.failing.remove(&(whose.clone(), good.digest.clone()));
        if self.good.len() >= MOST_KEPT && !self.good.contains_key(whose) {
            self.good.clear();
        }
        let [last, before] = self.good.entry(whose.clone()).or_default();
        let is_last = last
            .as_ref()
            .is_some_and(|last| last.is(Some(&good.digest), Some(&good.settings)));
        if !is_last {
            *before = last.replace(good);
        }
    }

    /// Forgets what decided well where no policy is meant to decide any more: what was withdrawn does
    /// not come back.
    pub(crate) fn withdrawn(&mut self, whose: &Whose, meant: impl Fn(PolicyLevel) -> bool) {
        let Some(pairs) = self.good.get_mut(whose) else {
            return;
        };
        for pair in pairs.iter_mut() {
            pair.take_if(|good| !meant(good.level));
        }
        if pairs.iter().all(Option::is_none) {
            self.good.remove(whose);
        }
    }

    /// What decided well before, other than the pair that failed now; the latest first.
    pub(crate) fn previous(
        &self,
        whose: &Whose,
        digest: Option<&ArtifactDigest>,
        settings: Option<&str>,
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn acme() -> Whose {
        (Decision::ScaleUp, "acme".to_owned())
    }

    fn digest(of: &str) -> ArtifactDigest {
        ArtifactDigest::of(of.as_bytes())
    }

    fn good(policy: &str, level: PolicyLevel, settings: &str) -> Good {
        Good {
            digest: digest(policy),
            level,
            settings: settings.to_owned(),
        }
    }

    #[test]
    fn the_pair_that_failed_is_not_tried_again_and_settings_that_can_t_be_read_are_no_pair() {
        let mut health = Health::default();
        let [old, new] = ["old", "new"].map(|name| good(name, PolicyLevel::Default, "{}"));
        health.decided(&acme(), old.clone());
        health.decided(&acme(), new.clone());
        let previous = |settings| health.previous(&acme(), Some(&new.digest), settings);
        let both = [new.clone(), old];
        assert_eq!(previous(Some("{}")), both[1..]);
        assert_eq!(previous(Some("{\"a\":1}")), both);
        assert_eq!(previous(None), both);
    }

    #[test]
    fn what_was_withdrawn_does_not_come_back() {
        let mut health = Health::default();
        let default = good("default", PolicyLevel::Default, "{}");
        let own = good("own", PolicyLevel::Organization, "{}");
        health.decided(&acme(), default.clone());
        health.decided(&acme(), own);
        health.withdrawn(&acme(), |level| level == PolicyLevel::Default);
        assert_eq!(health.previous(&acme(), None, None), [default]);
        health.withdrawn(&acme(), |_| false);
        assert!(health.good.is_empty());
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
