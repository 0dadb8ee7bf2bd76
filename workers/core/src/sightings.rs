//! What looks wrong is acted on only when it is seen a second time: lists lag behind and shift while they are
//! read.
//!
//! One small item of the ledger holds what was seen once. Each look at a scope names all that looks wrong in it;
//! what it does not name was not so, and begins anew the next time.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, ScopeKey};
use crate::situation::ScopeName;
use crate::time::Timestamp;

/// How long after the first look the second one has to be, in seconds: what EC2 and GitHub show is behind by
/// less.
pub const APART: u32 = 60;

/// How long a sighting is good, in seconds, where nobody looks again.
const GOOD_FOR: u32 = 3_600;

/// How many are kept: the item stays far below the 400 KB that DynamoDB takes. What does not fit waits for its
/// turn.
const MOST: usize = 2_000;

/// What looks wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sighting {
    /// EC2 shows no instance of a runner of ours.
    Gone(InstanceId),
    /// An instance whose runner is not connected, or not known to GitHub, long after its boot.
    Lost(InstanceId),
    /// An instance whose runner has ended.
    Lingers(InstanceId),
    /// A runner of ours at GitHub that has no instance; its name.
    Left(String),
    /// GitHub does not let the App at the scope any more: it was uninstalled, or the repository is gone.
    Closed,
}

/// What was seen once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sightings {
    scopes: BTreeMap<ScopeKey, Seen>,
}

/// What was seen once in a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// What the scope is called: its last runner may be gone, and with it who would tell.
    name: ScopeName,
    /// When each was first seen; in the order of what is written.
    first: Vec<(Sighting, Timestamp)>,
}

impl Sightings {
    /// Notes all that looks wrong in a scope now. What of it was seen long enough ago, too.
    pub fn look(
        &mut self,
        scope: ScopeKey,
        name: &ScopeName,
        seen: &BTreeSet<Sighting>,
        now: Timestamp,
    ) -> BTreeSet<Sighting> {
        self.forget(now);
        let known = self.scopes.remove(&scope);
        let mut known = known.map(|known| known.first).unwrap_or_default();
        known.retain(|(sighting, _)| seen.contains(sighting));
        let again = known
            .iter()
            .filter(|(_, first)| first.age(now) >= APART)
            .map(|(sighting, _)| sighting.clone())
            .collect();
        let room = MOST.saturating_sub(self.len() + known.len());
        let new: Vec<_> = seen
            .iter()
            .filter(|sighting| known.iter().all(|(one, _)| one != *sighting))
            .take(room)
            .map(|sighting| (sighting.clone(), now))
            .collect();
        known.extend(new);
        known.sort();
        if !known.is_empty() {
            let name = name.clone();
            self.scopes.insert(scope, Seen { name, first: known });
        }
        again
    }

    /// Notes one thing that looks wrong, without a look at all of the scope: so that there is one.
    pub fn note(&mut self, scope: ScopeKey, name: &ScopeName, sighting: Sighting, now: Timestamp) {
        self.forget(now);
        if self.len() >= MOST {
            return;
        }
        let seen = self.scopes.entry(scope).or_insert_with(|| Seen {
            name: name.clone(),
            first: Vec::new(),
        });
        if seen.first.iter().all(|(one, _)| *one != sighting) {
            seen.first.push((sighting, now));
            seen.first.sort();
        }
    }

    /// What a scope is called in which something was seen.
    pub fn name(&self, scope: ScopeKey) -> Option<&ScopeName> {
        self.scopes.get(&scope).map(|seen| &seen.name)
    }

    fn forget(&mut self, now: Timestamp) {
        self.scopes.retain(|_, seen| {
            seen.first.retain(|(_, first)| first.age(now) <= GOOD_FOR);
            !seen.first.is_empty()
        });
    }

    fn len(&self) -> usize {
        self.scopes.values().map(|seen| seen.first.len()).sum()
    }

    /// The scopes in which something was seen.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeKey> {
        self.scopes.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_800_000_000 + seconds)
    }

    fn acme() -> ScopeName {
        ScopeName {
            owner: "acme".to_owned(),
            repository: None,
        }
    }

    fn left(names: &[&str]) -> BTreeSet<Sighting> {
        let names = names.iter();
        names
            .map(|name| Sighting::Left((*name).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_seen_twice_in_a_row_is_believed() {
        let scope = "org-1".parse().unwrap();
        let mut sightings = Sightings::default();
        assert!(
            sightings
                .look(scope, &acme(), &left(&["a", "b"]), at(0))
                .is_empty()
        );
        // Too soon: lists may be as far behind as before.
        assert!(
            sightings
                .look(scope, &acme(), &left(&["a", "b"]), at(59))
                .is_empty()
        );
        assert_eq!(
            sightings.look(scope, &acme(), &left(&["a", "c"]), at(60)),
            left(&["a"])
        );
        // It was not there once in between.
        assert!(
            sightings
                .look(scope, &acme(), &left(&["b"]), at(120))
                .is_empty()
        );
        assert!(
            sightings
                .look(scope, &acme(), &left(&[]), at(180))
                .is_empty()
        );
        assert_eq!(sightings, Sightings::default());
    }

    #[test]
    fn a_scope_that_nobody_looks_at_is_forgotten_and_others_are_left_alone() {
        let (one, other) = ("org-1".parse().unwrap(), "org-2".parse().unwrap());
        let mut sightings = Sightings::default();
        sightings.look(one, &acme(), &left(&["a"]), at(0));
        sightings.look(other, &acme(), &left(&["a"]), at(1_000));
        assert_eq!(
            sightings.look(one, &acme(), &left(&["a"]), at(3_000)),
            left(&["a"])
        );
        assert!(
            sightings
                .look(one, &acme(), &left(&["a"]), at(7_000))
                .is_empty()
        );
        assert_eq!(sightings.scopes().collect::<Vec<_>>(), [one]);
    }

    #[test]
    fn what_was_noted_by_itself_is_believed_when_it_is_seen() {
        let scope = "org-1".parse().unwrap();
        let mut sightings = Sightings::default();
        let left_a = Sighting::Left("a".to_owned());
        for second in 0..3 {
            sightings.note(scope, &acme(), left_a.clone(), at(second));
        }
        assert_eq!(sightings.name(scope), Some(&acme()));
        assert_eq!(
            sightings.look(scope, &acme(), &left(&["a"]), at(60)),
            left(&["a"])
        );
    }

    #[test]
    fn the_item_stays_small_and_what_does_not_fit_has_its_turn_later() {
        let scope = "org-1".parse().unwrap();
        let names: Vec<String> = (0..5_000)
            .map(|n| format!("stoker-ci-i-{n:017x}"))
            .collect();
        let all: BTreeSet<Sighting> = names.into_iter().map(Sighting::Left).collect();
        let mut sightings = Sightings::default();
        assert!(sightings.look(scope, &acme(), &all, at(0)).is_empty());
        let written = serde_json::to_string(&sightings).unwrap();
        assert!(written.len() < 300_000, "{}", written.len());
        assert_eq!(
            serde_json::from_str::<Sightings>(&written).unwrap(),
            sightings
        );
        let believed = sightings.look(scope, &acme(), &all, at(60));
        assert_eq!(believed.len(), MOST);
        let rest: BTreeSet<Sighting> = all.difference(&believed).cloned().collect();
        sightings.look(scope, &acme(), &rest, at(120));
        assert_eq!(sightings.look(scope, &acme(), &rest, at(180)).len(), 2_000);
    }
}
