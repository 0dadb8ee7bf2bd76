//! What all acts of the deployment share: GitHub's patience, and the deployment's maximum of runners.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Control, ControlError};
use crate::budget::{Budget, Census, Reserved};
use crate::happening::Happening;
use crate::ids::ScopeKey;
use crate::ports::{LedgerError, ScopeState, SharedItem};
use crate::situation::{Room, there};
use crate::time::Timestamp;

/// How often a shared item is tried to be written that others write too. Each time somebody else got
/// through.
const CONFLICTS_BORNE: usize = 50;

impl Control {
    /// What the deployment has left for a scope that has so many runners; that it has so many is noted.
    pub(super) async fn room(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
    ) -> Result<Room, ControlError> {
        let now = self.now();
        let rates = &self.operation.rates;
        let budget: Budget = self.read_shared(SharedItem::Budget).await?.0;
        let runners = self.note_there(scope, state).await?;
        Ok(Room {
            runners,
            registrations: match budget.registrations_left(rates, now) {
                // One token serves any number of runners for an hour.
                1.. if self.operation.mode.registers_by_token() => u32::MAX,
                left => left,
            },
            registrations_reset: budget.frees(rates, now),
        })
    }

    /// Notes how many runners a scope has; how many more it may get by the deployment's maximum.
    pub(super) async fn note_there(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
    ) -> Result<u32, ControlError> {
        let maximum = self.operation.deployment_maximum.unwrap_or(u32::MAX);
        let (now, there) = (self.now(), there(state));
        self.change_shared(SharedItem::Census, |census: &mut Census| {
            census.note(scope, state.version, there, now);
            census.left(scope, there, maximum, now)
        })
        .await
    }

    /// Reserves removals of runners: as many as GitHub's patience has left, beside registrations.
    pub(super) async fn reserve_removals(&self, wanted: u32) -> Result<u32, ControlError> {
        let now = self.now();
        self.change_shared(SharedItem::Budget, |budget: &mut Budget| {
            budget.reserve_removals(wanted, &self.operation.rates, now)
        })
        .await
    }

    /// Points of this minute that nobody has spent.
    pub(super) async fn points_left(&self) -> Result<u32, ControlError> {
        let budget: Budget = self.read_shared(SharedItem::Budget).await?.0;
        let left = budget.points_left(&self.operation.rates, self.now());
        Ok(left.unwrap_or(u32::MAX))
    }

    /// Whether jobs wait for registrations.
    pub(super) async fn registrations_are_short(&self) -> Result<bool, ControlError> {
        let budget: Budget = self.read_shared(SharedItem::Budget).await?.0;
        Ok(budget.is_short(self.now()))
    }

    /// A fifth of a minute's points.
    pub(super) fn a_fifth(&self) -> u32 {
        self.operation.rates.points_a_minute.unwrap_or(u32::MAX) / 5
    }

    /// When more removals can be reserved.
    pub(super) async fn removes_from(&self) -> Result<Timestamp, ControlError> {
        let now = self.now();
        let budget: Budget = self.read_shared(SharedItem::Budget).await?.0;
        let seconds = budget.removals_free(&self.operation.rates, now);
        Ok(Timestamp(now.0 + u64::from(seconds)))
    }

    /// Notes that GitHub was asked so often for what costs little.
    pub(super) async fn note_reads(&self, count: usize) {
        self.note_spent(u32::try_from(count).unwrap_or(u32::MAX))
            .await;
    }

    /// Notes that GitHub was asked for what costs so many points and that nobody had reserved. Where that fails,
    /// others may meet its limit.
    pub(super) async fn note_spent(&self, count: u32) {
        let now = self.now();
        let noted = self.change_shared(SharedItem::Budget, |budget: &mut Budget| {
            budget.note_reads(count, &self.operation.rates, now);
        });
        if let Err(error) = noted.await {
            self.report(&Happening::Trouble {
                scope: None,
                problem: format!("{count} points spent at GitHub could not be noted: {error}"),
            });
        }
    }

    /// Notes how many runners scopes have of which no act has noted any, as EC2 shows them.
    pub(super) async fn note_found(
        &self,
        found: &BTreeMap<ScopeKey, u32>,
    ) -> Result<(), ControlError> {
        if found.is_empty() {
            return Ok(());
        }
        self.change_shared(SharedItem::Census, |census: &mut Census| {
            for (scope, there) in found {
                census.note_found(*scope, *there);
            }
        })
        .await
    }

    /// Reserves room for so many more runners of a scope: as many as there is room for.
    pub(super) async fn reserve(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
        wanted: u32,
    ) -> Result<Reserved, ControlError> {
        let reserved = self.reserve_registrations(wanted).await?;
        let Some(maximum) = self.operation.deployment_maximum else {
            return Ok(reserved);
        };
        if reserved.count == 0 {
            return Ok(reserved);
        }
        let (now, there) = (self.now(), there(state));
        let count = self
            .change_shared(SharedItem::Census, |census: &mut Census| {
                census.reserve(scope, state.version, there, reserved.count, maximum, now)
            })
            .await?;
        let surplus = Reserved {
            count: reserved.count - count,
            ..reserved
        };
        self.give_back(surplus).await;
        Ok(Reserved { count, ..reserved })
    }

    /// Reserves registrations with GitHub: as many as there are left.
    pub(super) async fn reserve_registrations(
        &self,
        wanted: u32,
    ) -> Result<Reserved, ControlError> {
        let now = self.now();
        if wanted == 0 {
            return Ok(Reserved::default());
        }
        let one_token = self.operation.mode.registers_by_token();
        let calls = if one_token { 1 } else { wanted };
        let reserved = self
            .change_shared(SharedItem::Budget, |budget: &mut Budget| {
                budget.reserve(calls, &self.operation.rates, now)
            })
            .await?;
        Ok(if one_token && reserved.count > 0 {
            Reserved {
                count: wanted,
                ..reserved
            }
        } else {
            reserved
        })
    }

    /// Gives back registrations that were reserved and are not asked for. Where that fails, they are lost for a
    /// minute.
    pub(super) async fn give_back(&self, reserved: Reserved) {
        self.correct(reserved, |budget| budget.give_back(reserved))
            .await;
    }

    /// Notes that of what was reserved so much was asked for until now, and no more will be. Where that fails,
    /// it counts as of when it was reserved for.
    pub(super) async fn settle_registrations(&self, reserved: Reserved, asked: u32) {
        let now = self.now();
        self.correct(reserved, |budget| {
            budget.settle(reserved, asked, &self.operation.rates, now);
        })
        .await;
    }

    /// Nobody waits for it, and nothing but a minute's speed hangs on it: so what goes wrong is told.
    async fn correct(&self, reserved: Reserved, change: impl Fn(&mut Budget)) {
        // The one call for a token is asked for in any case.
        if self.operation.mode.registers_by_token() || reserved.count == 0 {
            return;
        }
        if let Err(error) = self.change_shared(SharedItem::Budget, change).await {
            self.report(&Happening::Trouble {
                scope: None,
                problem: format!(
                    "what was made of {} registrations could not be noted: {error}; others may wait a minute for \
                     them",
                    reserved.count
                ),
            });
        }
    }

    /// Whether this process has looked at a scope that is due when registrations can be reserved again, and none
    /// can until then: whatever has come meanwhile, nothing can be launched for it, so reading all of the scope
    /// again, which a burst makes large, would be for nothing.
    pub(super) async fn only_waits(&self, scope: ScopeKey) -> Result<bool, ControlError> {
        let now = self.now();
        let Some(due) = self.noted_due(scope).filter(|due| *due > now) else {
            return Ok(false);
        };
        Ok(due <= self.registers_from().await?)
    }

    /// When registrations can be reserved; a time that is past: now.
    pub(super) async fn registers_from(&self) -> Result<Timestamp, ControlError> {
        let (now, rates) = (self.now(), &self.operation.rates);
        let budget: Budget = self.read_shared(SharedItem::Budget).await?.0;
        if budget.registrations_left(rates, now) > 0 {
            return Ok(now);
        }
        Ok(Timestamp(now.0 + u64::from(budget.frees(rates, now))))
    }

    /// GitHub wants to be left alone until then: every act of the deployment does so.
    pub(super) async fn leave_github_alone(&self, until: Timestamp) -> Result<(), ControlError> {
        self.change_shared(SharedItem::Budget, |budget: &mut Budget| {
            budget.close(until);
        })
        .await
    }

    pub(super) async fn read_shared<T: Default + DeserializeOwned>(
        &self,
        item: SharedItem,
    ) -> Result<(T, u64), ControlError> {
        let stored = self.ports.ledger.shared(item).await?;
        if stored.body.is_empty() {
            return Ok((T::default(), stored.revision));
        }
        let content =
            serde_json::from_str(&stored.body).map_err(|error| unreadable(item, &error))?;
        Ok((content, stored.revision))
    }

    /// Reads, changes, and writes what has changed; again if somebody else wrote meanwhile.
    pub(super) async fn change_shared<T, R>(
        &self,
        item: SharedItem,
        change: impl Fn(&mut T) -> R,
    ) -> Result<R, ControlError>
    where
        T: Default + Clone + PartialEq + Serialize + DeserializeOwned,
    {
        for _ in 0..CONFLICTS_BORNE {
            let (before, revision): (T, u64) = self.read_shared(item).await?;
            let mut after = before.clone();
            let answer = change(&mut after);
            if after == before {
                return Ok(answer);
            }
            let body = serde_json::to_string(&after).map_err(|error| unreadable(item, &error))?;
            match self.ports.ledger.put_shared(item, revision, &body).await {
                Ok(()) => return Ok(answer),
                Err(LedgerError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Conflict(format!("shared {}", item.as_str())).into())
    }
}

fn unreadable(item: SharedItem, error: &serde_json::Error) -> LedgerError {
    LedgerError::Unreadable {
        item: format!("shared {}", item.as_str()),
        problem: error.to_string(),
    }
}
