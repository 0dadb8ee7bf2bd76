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

impl Rates {
    /// How many writes there may be in a minute.
    pub fn writes_a_minute(&self) -> u32 {
        self.points_a_minute
            .map_or(u32::MAX, |points| points / POINTS_A_WRITE)
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            // A part is left to lookups, which nobody reserves.
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

/// Redeliveries take one part in so many of the points.
const REDELIVERIES_SHARE: u32 = 10;

/// In how many parts removals take a minute's points.
const SLICES: u32 = 6;

/// How long such a part is, in seconds.
const SLICE: u64 = MINUTE / SLICES as u64;

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
    /// Of the points, what removals took lately.
    removals: Window,
    /// Of the points, what redeliveries took lately.
    redeliveries: Window,
    /// Registrations got less than they wanted: until then nobody else takes any.
    short_until: Timestamp,
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
        if count < wanted {
            self.note_short(now);
        }
        reserved
    }

    /// Jobs wait for registrations that there are none of: nobody else takes any points for a minute.
    pub fn note_short(&mut self, now: Timestamp) {
        // Not with each act of a burst.
        if self.short_until.0 < now.0 + MINUTE / 2 {
            self.short_until = Timestamp(now.0 + MINUTE);
        }
    }

    /// Reserves as many removals as registrations leave, at most so many. They take a share of a minute's
    /// points at a time, so that registrations that come meanwhile find what is left of them.
    pub fn reserve_removals(&mut self, wanted: u32, rates: &Rates, now: Timestamp) -> u32 {
        let Some(limit) = rates.points_a_minute else {
            return if self.closed_until > now { 0 } else { wanted };
        };
        self.points.roll(MINUTE, now);
        self.removals.roll(SLICE, now);
        let count = wanted.min(self.removals_left(limit, now));
        let points = count.saturating_mul(POINTS_A_WRITE);
        self.points.spend(points, 1, made_by(now));
        self.removals.spend(points, 1, now);
        count
    }

    /// Reserves as many redeliveries of webhooks as registrations and removals leave, at most so many, and at
    /// most a tenth of what there is.
    pub fn reserve_redeliveries(&mut self, wanted: u32, rates: &Rates, now: Timestamp) -> u32 {
        let Some(limit) = rates.points_a_minute else {
            return if self.closed_until > now { 0 } else { wanted };
        };
        self.points.roll(MINUTE, now);
        self.redeliveries.roll(MINUTE, now);
        if self.closed_until > now || self.is_short(now) {
            return 0;
        }
        let share = (limit / REDELIVERIES_SHARE).max(POINTS_A_WRITE);
        let left = self.redeliveries.left(share, MINUTE, now);
        let left = left.min(self.points.left(limit, MINUTE, now));
        let count = wanted.min(left / POINTS_A_WRITE);
        let points = count.saturating_mul(POINTS_A_WRITE);
        self.points.spend(points, 1, made_by(now));
        self.redeliveries.spend(points, 1, now);
        count
    }

    fn removals_left(&self, limit: u32, now: Timestamp) -> u32 {
        if self.closed_until > now || self.is_short(now) {
            return 0;
        }
        let slice = limit.div_ceil(SLICES).max(POINTS_A_WRITE);
        let in_slice = self.removals.left(slice, SLICE, now);
        in_slice.min(self.points.left(limit, MINUTE, now)) / POINTS_A_WRITE
    }

    /// In how many seconds more removals can be reserved; 0: now.
    pub fn removals_free(&self, rates: &Rates, now: Timestamp) -> u32 {
        let closed = self.closed_until.0.saturating_sub(now.0);
        let Some(limit) = rates.points_a_minute else {
            return u32::try_from(closed).unwrap_or(u32::MAX);
        };
        let frees = |then: &u64| self.removals_left(limit, Timestamp(*then)) > 0;
        let waits = closed.max(self.short_until.0.saturating_sub(now.0));
        let from = now.0 + waits;
        let then = (from..=from + MINUTE).find(frees).unwrap_or(from + MINUTE);
        u32::try_from(then - now.0).unwrap_or(u32::MAX)
    }

    /// Notes that so much was asked for that costs one point each, without anybody's leave: it is little.
    pub fn note_reads(&mut self, count: u32, rates: &Rates, now: Timestamp) {
        if rates.points_a_minute.is_some() {
            self.points.roll(MINUTE, now);
            self.points.spend(count, 1, now);
        }
    }

    /// Whether jobs wait for registrations: what can wait, waits.
    pub fn is_short(&self, now: Timestamp) -> bool {
        self.short_until > now
    }

    /// Points of the minute that nobody has spent; none: there is no limit.
    pub fn points_left(&self, rates: &Rates, now: Timestamp) -> Option<u32> {
        let limit = rates.points_a_minute?;
        Some(if self.closed_until > now {
            0
        } else {
            self.points.left(limit, MINUTE, now)
        })
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

/// When what is asked for at once has been asked for: it may be late in that second, or early in the next.
fn made_by(now: Timestamp) -> Timestamp {
    Timestamp(now.0 + 1)
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
    /// The scopes that have runners, as of their last act.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeKey> {
        self.scopes.keys().copied()
    }

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
mod tests;
