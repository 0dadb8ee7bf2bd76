//! What all acts of a deployment share: how much of GitHub's patience is left, and how many runners there
//! are in all.
//!
//! Both are one small item each in the ledger, read, changed and written back on condition that nobody
//! did so meanwhile. What is reserved and then not used is lost for a minute, or until its scope is acted
//! on again: an act that dies leaves nobody short for longer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ScopeKey, ScopeVersion};
use crate::time::Timestamp;

/// What one just-in-time configuration, or any other write, costs of [`Rates::points_a_minute`]; reads cost
/// 1. Source: GitHub's "Rate limits for the REST API", secondary limits.
pub const POINTS_A_WRITE: u32 = 5;

/// How often GitHub may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Points a minute; GitHub allows 900 ("Rate limits for the REST API"). None: no limit.
    pub points_a_minute: Option<u32>,
    /// Registrations an hour. None: no limit.
    pub registrations_an_hour: Option<u32>,
}

impl Rates {
    /// No limit.
    pub const UNLIMITED: Self = Self {
        points_a_minute: None,
        registrations_an_hour: None,
    };
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            // A part is left to lookups and removals, which nobody reserves.
            points_a_minute: Some(870),
            registrations_an_hour: Some(10_000),
        }
    }
}

/// How much was spent within a stretch of time that moves along.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Window {
    /// When, rounded down to the grain, and how much; in this order.
    spent: Vec<(Timestamp, u32)>,
}

impl Window {
    fn left(&self, limit: u32, length: u64, now: Timestamp) -> u32 {
        let spent = self.spent.iter().filter(|(at, _)| at.0 + length > now.0);
        let spent = spent.fold(0_u32, |sum, (_, spent)| sum.saturating_add(*spent));
        limit.saturating_sub(spent)
    }

    fn spend(&mut self, count: u32, grain: u64, length: u64, now: Timestamp) {
        self.spent.retain(|(at, _)| at.0 + length > now.0);
        let at = Timestamp(now.0 / grain * grain);
        match self.spent.last_mut() {
            // Of two clocks one is behind: what is spent counts from the later time.
            Some((last, spent)) if *last >= at => *spent = spent.saturating_add(count),
            _ if count > 0 => self.spent.push((at, count)),
            _ => {}
        }
    }

    /// Seconds until some of it is free again.
    fn frees(&self, length: u64, now: Timestamp) -> u32 {
        let first = self.spent.iter().map(|(at, _)| at.0 + length);
        let first = first.filter(|free| *free > now.0).min();
        first.map_or(0, |free| u32::try_from(free - now.0).unwrap_or(u32::MAX))
    }
}

/// Seconds.
const MINUTE: u64 = 60;
/// Seconds.
const HOUR: u64 = 3_600;

/// What GitHub was asked for lately by all acts of the deployment, and whether it wants to be left alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    points: Window,
    registrations: Window,
    /// GitHub said that it wants no registration before that.
    closed_until: Timestamp,
}

impl Budget {
    /// How many registrations can be made now.
    pub fn registrations_left(&self, rates: &Rates, now: Timestamp) -> u32 {
        if self.closed_until > now {
            return 0;
        }
        let by_points = rates.points_a_minute.map_or(u32::MAX, |limit| {
            self.points.left(limit, MINUTE, now) / POINTS_A_WRITE
        });
        let by_hour = rates
            .registrations_an_hour
            .map_or(u32::MAX, |limit| self.registrations.left(limit, HOUR, now));
        by_points.min(by_hour)
    }

    /// In how many seconds there is more; 0: nothing is spent.
    pub fn frees(&self, rates: &Rates, now: Timestamp) -> u32 {
        let closed = u32::try_from(self.closed_until.0.saturating_sub(now.0)).unwrap_or(u32::MAX);
        let hour_is_over = rates
            .registrations_an_hour
            .is_some_and(|limit| self.registrations.left(limit, HOUR, now) == 0);
        let window = if hour_is_over {
            self.registrations.frees(HOUR, now)
        } else {
            self.points.frees(MINUTE, now)
        };
        closed.max(window)
    }

    /// Reserves as many registrations as there are left, at most so many. How many it is.
    pub fn reserve(&mut self, wanted: u32, rates: &Rates, now: Timestamp) -> u32 {
        let granted = wanted.min(self.registrations_left(rates, now));
        if rates.points_a_minute.is_some() {
            self.points
                .spend(granted.saturating_mul(POINTS_A_WRITE), 1, MINUTE, now);
        }
        if rates.registrations_an_hour.is_some() {
            self.registrations.spend(granted, MINUTE, HOUR, now);
        }
        granted
    }

    /// GitHub wants no registration before that.
    pub fn close(&mut self, until: Timestamp) {
        self.closed_until = self.closed_until.max(until);
    }
}

/// How long a reservation of room holds that no decision has made use of, in seconds: a Lambda lives no
/// longer.
const RESERVED_FOR: u64 = 900;

/// What a scope has of the deployment's runners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Share {
    /// The version of the scope that this is of.
    version: ScopeVersion,
    /// Its runners, launches without an outcome included.
    there: u32,
    /// What the next decision may add: of several at once only one is saved.
    reserved: u32,
    /// Until when that is kept.
    until: Timestamp,
}

impl Share {
    fn count(&self, now: Timestamp) -> u32 {
        let reserved = if self.until > now { self.reserved } else { 0 };
        self.there.saturating_add(reserved)
    }
}

/// How many runners each scope has, as of its last act.
///
/// Two acts on one scope may run at once, and one of them may have read what is long past. So each entry is
/// of a version of its scope: what is of an earlier one changes nothing, and at one version there are never
/// more runners than were read, since what is launched raises it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Census {
    scopes: BTreeMap<ScopeKey, Share>,
}

impl Census {
    /// Notes that a scope had `there` runners when it had that version.
    pub fn note(&mut self, scope: ScopeKey, version: ScopeVersion, there: u32, now: Timestamp) {
        let known = self.scopes.get(&scope).copied().unwrap_or_default();
        if known.version > version {
            return;
        }
        let share = if known.version == version {
            Share { there, ..known }
        } else {
            Share {
                version,
                there,
                ..Share::default()
            }
        };
        if share.count(now) == 0 {
            self.scopes.remove(&scope);
        } else {
            self.scopes.insert(scope, share);
        }
    }

    /// Notes how many runners a scope has of which nothing is noted, as somebody else than an act has seen.
    pub fn note_found(&mut self, scope: ScopeKey, there: u32) {
        self.scopes.entry(scope).or_insert(Share {
            there,
            ..Share::default()
        });
    }

    /// How many more a scope that has `there` may get, of at most `maximum` in all scopes together.
    pub fn left(&self, scope: ScopeKey, there: u32, maximum: u32, now: Timestamp) -> u32 {
        let others = self.scopes.iter().filter(|(other, _)| **other != scope);
        let others = others.fold(0_u32, |sum, (_, share)| {
            sum.saturating_add(share.count(now))
        });
        maximum.saturating_sub(others.saturating_add(there))
    }

    /// Reserves room for as many more of at most `wanted` as there is. How many it is.
    pub fn reserve(
        &mut self,
        scope: ScopeKey,
        version: ScopeVersion,
        there: u32,
        wanted: u32,
        maximum: u32,
        now: Timestamp,
    ) -> u32 {
        self.note(scope, version, there, now);
        let granted = wanted.min(self.left(scope, there, maximum, now));
        let share = self.scopes.entry(scope).or_insert(Share {
            version,
            there,
            ..Share::default()
        });
        if share.version != version {
            // It was decided meanwhile: this decision will not be saved.
            return 0;
        }
        if granted > 0 {
            let before = if share.until > now { share.reserved } else { 0 };
            share.reserved = before.max(granted);
            share.until = Timestamp(now.0 + RESERVED_FOR);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATES: Rates = Rates {
        points_a_minute: Some(870),
        registrations_an_hour: Some(10_000),
    };

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_800_000_000 + seconds)
    }

    #[test]
    fn a_minute_has_so_many_registrations_and_the_next_has_as_many_again() {
        let mut budget = Budget::default();
        assert_eq!(budget.reserve(1_000, &RATES, at(0)), 174);
        assert_eq!(budget.reserve(1, &RATES, at(59)), 0);
        assert_eq!(budget.frees(&RATES, at(20)), 40);
        assert_eq!(budget.reserve(1_000, &RATES, at(60)), 174);
    }

    #[test]
    fn github_s_word_closes_it_and_is_never_shortened() {
        let mut budget = Budget::default();
        budget.close(at(30));
        budget.close(at(10));
        assert_eq!(budget.registrations_left(&RATES, at(29)), 0);
        assert_eq!(budget.frees(&RATES, at(10)), 20);
        assert_eq!(budget.registrations_left(&RATES, at(30)), 174);
    }

    #[test]
    fn an_hour_has_an_end_too() {
        let rates = Rates {
            registrations_an_hour: Some(200),
            ..RATES
        };
        let mut budget = Budget::default();
        assert_eq!(budget.reserve(174, &rates, at(0)), 174);
        assert_eq!(budget.reserve(174, &rates, at(60)), 26);
        assert_eq!(budget.reserve(1, &rates, at(120)), 0);
        assert!(budget.frees(&rates, at(120)) > 3_000);
        assert_eq!(budget.reserve(174, &rates, at(3_660)), 174);
    }

    #[test]
    fn a_scope_gets_what_the_others_leave() {
        let (one, other) = ("org-1".parse().unwrap(), "org-2".parse().unwrap());
        let (first, second) = (ScopeVersion(1), ScopeVersion(2));
        let mut census = Census::default();
        assert_eq!(census.reserve(one, first, 3, 4, 10, at(0)), 4);
        assert_eq!(census.left(other, 1, 10, at(1)), 2);
        // Another act on the same scope has no room beside it, nor does it take any away.
        assert_eq!(census.reserve(one, first, 3, 2, 10, at(1)), 2);
        assert_eq!(census.left(other, 1, 10, at(1)), 2);
        // What was launched is there, and what is of before it says nothing.
        census.note(one, second, 7, at(2));
        census.note(one, first, 0, at(3));
        assert_eq!(census.reserve(one, first, 0, 5, 10, at(3)), 0);
        assert_eq!(census.left(other, 1, 10, at(3)), 2);
        census.note(one, second, 0, at(4));
        assert_eq!(census.left(other, 1, 10, at(4)), 9);
    }

    #[test]
    fn what_an_act_that_died_had_reserved_is_free_again_when_no_lambda_lives_so_long() {
        let (one, other) = ("org-1".parse().unwrap(), "org-2".parse().unwrap());
        let mut census = Census::default();
        census.reserve(one, ScopeVersion(1), 0, 10, 10, at(0));
        assert_eq!(census.left(other, 0, 10, at(899)), 0);
        assert_eq!(census.left(other, 0, 10, at(900)), 10);
    }

    proptest! {
        #[test]
        fn no_minute_and_no_hour_ever_has_more(asks in prop::collection::vec((0_u64..40, 0_u32..300), 1..200)) {
            let mut budget = Budget::default();
            let mut now = 0;
            let mut granted = Vec::new();
            for (later, wanted) in asks {
                now += later;
                granted.push((now, budget.reserve(wanted, &RATES, at(now))));
            }
            for (start, _) in &granted {
                let within = |length: u64| granted.iter()
                    .filter(|(at, _)| (*start..start + length).contains(at))
                    .map(|(_, count)| count).sum::<u32>();
                prop_assert!(within(MINUTE) * POINTS_A_WRITE <= 870);
                // An hour's grain is a minute, so what is counted may be forgotten a minute early.
                prop_assert!(within(HOUR - MINUTE) <= 10_000);
            }
        }
    }
}
