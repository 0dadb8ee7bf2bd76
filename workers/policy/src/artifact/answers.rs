//! What a policy said of settings. It is a pure function of its bytes, the settings and the limits, so
//! it is asked once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stoker_core::ids::ArtifactDigest;

use crate::contract::{Decision, Needs};
use crate::failure::Failure;
use crate::limits::Limits;

/// How many answers are remembered: two decisions for a thousand repositories that have settings of
/// their own. Beyond it the memory starts anew, which costs asking again.
const REMEMBERED: usize = 2_000;

/// Which settings, of which decision. They are merged and may have 64 KB and more, so they are known by
/// their digest.
pub(super) type Key = (Decision, ArtifactDigest);

/// The key of settings.
pub(super) fn key(decision: Decision, settings: &str) -> Key {
    (decision, ArtifactDigest::of(settings.as_bytes()))
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It would be said again, a refusal as well.
    Lasting(Result<Needs, Failure>),
    /// It failed, and need not fail the next time.
    Passing,
}

/// What a policy said, by what it was asked and within which limits.
#[derive(Default)]
pub(super) struct Answers(Mutex<HashMap<Key, (Limits, Said)>>);

impl Answers {
    /// What it said of those settings.
    pub(super) fn known(&self, key: &Key, limits: &Limits) -> Option<Said> {
        let answers = self.answers();
        let (within, said) = answers.get(key)?;
        (within == limits).then(|| said.clone())
    }

    /// Remembers what it said.
    pub(super) fn remember(&self, key: Key, limits: &Limits, said: Said) {
        let mut answers = self.answers();
        if answers.len() >= REMEMBERED && !answers.contains_key(&key) {
            answers.clear();
        }
        answers.insert(key, (*limits, said));
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Key, (Limits, Said)>> {
        // A panic elsewhere leaves the map whole: every change of it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SizeClass;

    #[test]
    fn an_answer_is_of_one_decision_one_text_and_the_limits() {
        let (small, large) = (SizeClass::Small.limits(), SizeClass::Large.limits());
        let answers = Answers::default();
        let refused = Said::Lasting(Err(Failure::SettingsRefused("no".to_owned())));
        for _ in 0..2 {
            answers.remember(key(Decision::ScaleUp, "{}"), &small, refused.clone());
        }
        assert_eq!(answers.answers().len(), 1);
        let known = |decision, text, limits| answers.known(&key(decision, text), limits);
        assert_eq!(known(Decision::ScaleUp, "{}", &small), Some(refused));
        assert_eq!(known(Decision::ScaleUp, "{ }", &small), None);
        assert_eq!(known(Decision::ScaleDown, "{}", &small), None);
        assert_eq!(known(Decision::ScaleUp, "{}", &large), None);
    }

    #[test]
    fn the_memory_starts_anew_when_it_is_full() {
        let limits = SizeClass::Small.limits();
        let answers = Answers::default();
        for number in 0..=REMEMBERED {
            let key = key(Decision::ScaleUp, &number.to_string());
            answers.remember(key, &limits, Said::Passing);
        }
        assert_eq!(answers.answers().len(), 1);
    }
}
