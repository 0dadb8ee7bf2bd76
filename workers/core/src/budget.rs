//! What all acts of a deployment share: how much of GitHub's patience is left, and how many runners there
//! are in all.
//!
//! Both are one small item each in the ledger, read, changed and written back on condition that nobody
//! did so meanwhile. What an act that died had reserved is lost for a minute, or until its scope is acted
//! on again: it leaves nobody short for longer.

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

    /// Forgets what is over.
    fn roll(&mut self, length: u64, now: Timestamp) {
        self.spent.retain(|(at, _)| at.0 + length > now.0);
    }

    /// Spends so much at that time.
    fn spend(&mut self, count: u32, grain: u64, at: Timestamp) {
        if count == 0 {
            return;
        }
        let at = Timestamp(at.0 / grain * grain);
        match self.spent.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(place) => {
                let spent = &mut self.spent[place].1;
                *spent = spent.saturating_add(count);
            }
            Err(place) => self.spent.insert(place, (at, count)),
        }
    }

    /// Takes back what was spent at that time, as far as it is still remembered.
    fn take_back(&mut self, count: u32, grain: u64, at: Timestamp) {
        let at = Timestamp(at.0 / grain * grain);
        if let Ok(place) = self.spent.binary_search_by_key(&at, |(at, _)| *at) {
            let spent = &mut self.spent[place].1;
            *spent = spent.saturating_sub(count);
            if *spent == 0 {
                self.spent.remove(place);
            }
        }
    }

    /// Seconds until some of it is free again.
    fn frees(&self, length: u64, now: Timestamp) -> u32 {
        let first = self.spent.iter().map(|(at, _)| at.0 + length);
        let first = first.filter(|free| *free > now.0).min();
        first.map_or(0, |free| u32::try_from(free - now.0).unwrap_or(u32::MAX))
    }
}

/// How long before its time a registration may be reserved, in seconds: a launch takes a part of that until
/// there is anything to register, and for the rest it waits. So what GitHub allows anew each minute is used
/// in that very second.
pub const AHEAD: u64 = 4;

/// Seconds.
const MINUTE: u64 = 60;
/// Seconds.
const HOUR: u64 = 3_600;

/// Registrations that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reserved {
    /// How many.
    pub count: u32,
    /// Not before that.
    pub from: Timestamp,
}

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
    /// How many registrations can be reserved now.
    pub fn registrations_left(&self, rates: &Rates, now: Timestamp) -> u32 {
        self.left(rates, ahead(now))
    }

    /// How many registrations can be made then.
    fn left(&self, rates: &Rates, then: Timestamp) -> u32 {
        if self.closed_until > then {
            return 0;
        }
        let by_points = rates.points_a_minute.map_or(u32::MAX, |limit| {
            self.points.left(limit, MINUTE, then) / POINTS_A_WRITE
        });
        let by_hour = rates
            .registrations_an_hour
            .map_or(u32::MAX, |limit| self.registrations.left(limit, HOUR, then));
        by_points.min(by_hour)
    }

    /// In how many seconds more can be reserved; 0: nothing is spent.
    pub fn frees(&self, rates: &Rates, now: Timestamp) -> u32 {
        let then = ahead(now);
        let closed = u32::try_from(self.closed_until.0.saturating_sub(then.0)).unwrap_or(u32::MAX);
        let hour_is_over = rates
            .registrations_an_hour
            .is_some_and(|limit| self.registrations.left(limit, HOUR, then) == 0);
        let window = if hour_is_over {
            self.registrations.frees(HOUR, then)
        } else {
            self.points.frees(MINUTE, then)
        };
        closed.max(window)
    }

    /// Reserves as many registrations as there are left, at most so many.
    pub fn reserve(&mut self, wanted: u32, rates: &Rates, now: Timestamp) -> Reserved {
        self.points.roll(MINUTE, now);
        self.registrations.roll(HOUR, now);
        let count = wanted.min(self.registrations_left(rates, now));
        let allows = |then: &u64| self.left(rates, Timestamp(*then)) >= count;
        let from = (now.0..ahead(now).0).find(allows);
        let from = from.map_or_else(|| ahead(now), Timestamp);
        let reserved = Reserved { count, from };
        self.spend(count, rates, from);
        reserved
    }

    /// Takes back what was reserved and is not asked for.
    pub fn give_back(&mut self, reserved: Reserved) {
        let points = reserved.count.saturating_mul(POINTS_A_WRITE);
        self.points.take_back(points, 1, reserved.from);
        self.registrations
            .take_back(reserved.count, MINUTE, reserved.from);
    }

    /// Notes what came of a reservation: so many registrations were asked for, the last of them at that time.
    /// The others are free again.
    pub fn settle(&mut self, reserved: Reserved, asked: u32, rates: &Rates, last: Timestamp) {
        self.give_back(reserved);
        // It may have been late in that second.
        self.spend(asked, rates, Timestamp(last.0 + 1));
    }

    fn spend(&mut self, count: u32, rates: &Rates, at: Timestamp) {
        if rates.points_a_minute.is_some() {
            self.points
                .spend(count.saturating_mul(POINTS_A_WRITE), 1, at);
        }
        if rates.registrations_an_hour.is_some() {
            self.registrations.spend(count, MINUTE, at);
        }
    }

    /// GitHub wants no registration before that.
    pub fn close(&mut self, until: Timestamp) {
        self.closed_until = self.closed_until.max(until);
    }
}

/// When what is reserved now may be asked for at the latest.
fn ahead(now: Timestamp) -> Timestamp {
    Timestamp(now.0 + AHEAD)
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

    fn granted(budget: &mut Budget, wanted: u32, rates: &Rates, now: u64) -> (u32, u64) {
        let reserved = budget.reserve(wanted, rates, at(now));
        (reserved.count, reserved.from.0 - at(0).0)
    }

    #[test]
    fn a_minute_has_so_many_registrations_and_the_next_has_as_many_again() {
        let mut budget = Budget::default();
        assert_eq!(granted(&mut budget, 1_000, &RATES, 0), (174, 0));
        assert_eq!(granted(&mut budget, 1, &RATES, 55), (0, 55));
        assert_eq!(budget.frees(&RATES, at(20)), 36);
        // They are reserved shortly before they may be made.
        assert_eq!(granted(&mut budget, 1_000, &RATES, 57), (174, 60));
    }

    #[test]
    fn what_was_not_asked_for_is_free_again_and_what_was_counts_from_when_it_was() {
        let mut budget = Budget::default();
        let reserved = budget.reserve(1_000, &RATES, at(0));
        budget.settle(reserved, 100, &RATES, at(6));
        assert_eq!(granted(&mut budget, 1_000, &RATES, 7), (74, 7));
        // The hundred of until the end of second 6.
        assert_eq!(granted(&mut budget, 1_000, &RATES, 62), (0, 62));
        assert_eq!(granted(&mut budget, 1_000, &RATES, 63), (174, 67));
    }

    #[test]
    fn github_s_word_closes_it_and_is_never_shortened() {
        let mut budget = Budget::default();
        budget.close(at(30));
        budget.close(at(10));
        assert_eq!(budget.registrations_left(&RATES, at(25)), 0);
        assert_eq!(budget.frees(&RATES, at(10)), 16);
        assert_eq!(granted(&mut budget, 1_000, &RATES, 26), (174, 30));
    }

    #[test]
    fn an_hour_has_an_end_too() {
        let rates = Rates {
            registrations_an_hour: Some(200),
            ..RATES
        };
        let mut budget = Budget::default();
        assert_eq!(granted(&mut budget, 174, &rates, 0).0, 174);
        assert_eq!(granted(&mut budget, 174, &rates, 60).0, 26);
        assert_eq!(granted(&mut budget, 1, &rates, 120).0, 0);
        assert!(budget.frees(&rates, at(120)) > 3_000);
        assert_eq!(granted(&mut budget, 174, &rates, 3_660).0, 174);
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
        /// Each act asks for what it reserved some time later, and dies before that now and then.
        #[test]
        fn no_minute_and_no_hour_ever_has_more(
            asks in prop::collection::vec(
                (0_u64..40, 0_u32..300, 0_u64..3, prop::option::of(0_u32..300), any::<bool>()),
                1..200,
            ),
        ) {
            let mut budget = Budget::default();
            let mut now = 0;
            let mut made = Vec::new();
            for (later, wanted, takes, asked, at_once) in asks {
                now += later;
                let reserved = budget.reserve(wanted, &RATES, at(now));
                prop_assert!(reserved.from >= at(now) && reserved.from <= ahead(at(now)));
                let asked = asked.map_or(reserved.count, |asked| asked.min(reserved.count));
                let last = Timestamp(reserved.from.0 + takes);
                budget.settle(reserved, asked, &RATES, last);
                // As GitHub counts them: all at once, or late in the last second.
                made.push((if at_once { reserved.from.0 } else { last.0 + 1 }, asked));
                now = now.max(last.0 - at(0).0);
            }
            for (start, _) in &made {
                let within = |length: u64| made.iter()
                    .filter(|(at, _)| (*start..start + length).contains(at))
                    .map(|(_, count)| count).sum::<u32>();
                prop_assert!(within(MINUTE) * POINTS_A_WRITE <= 870);
                // An hour's grain is a minute, so what is counted may be forgotten a minute early.
                prop_assert!(within(HOUR - MINUTE) <= 10_000);
            }
        }
    }
}
