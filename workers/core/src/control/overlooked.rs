//! What nobody told: webhooks that failed are asked for again, jobs whose webhook was never sent are found by
//! asking for them, and instances that EC2 shows no more have gone.

use std::collections::{BTreeMap, VecDeque};

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};
use stoker_intake::InstallationId;

use super::Rebuilt;
use super::{Control, ControlError};
use crate::budget::Budget;
use crate::happening::Happening;
use crate::hook::Hook;
use crate::ids::InstanceId;
use crate::ports::{ActRequest, GitHubError, GitHubFault, Ours, RegistrationTarget, SharedItem};
use crate::runner::RunnerNews;
use crate::situation::{ScopeName, Trigger};
use crate::time::Timestamp;

/// How many pages of deliveries a tick reads: a hundred deliveries each, of a minute mostly one.
const PAGES: usize = 10;

/// How many redeliveries are asked for at once.
const ASKED_AT_ONCE: usize = 5;

/// How often the repositories that were active lately are asked for their jobs, in seconds.
const POLLED_EVERY: u32 = 300;

/// Which repositories are: those that were pushed to within so many seconds.
const ACTIVE_WITHIN: u64 = 24 * 3_600;

/// The most repositories that are asked in their turn: the item of the ledger stays small.
const POLLED_AT_MOST: usize = 1_000;

/// What asking for the jobs of a repository costs of GitHub's points, where it has none.
const POINTS_A_REPOSITORY: u32 = 4;

/// When a scope whose jobs were known already is looked at again, in seconds.
const LOOKED_AT_AGAIN: u64 = 60;

/// The most repositories that one tick asks.
const POLLED_IN_A_TICK: u32 = 25;

/// The repositories that are still to be asked for their jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Polling {
    /// When they were listed.
    listed_at: Timestamp,
    left: VecDeque<Polled>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Polled {
    name: ScopeName,
    installation: InstallationId,
}

/// How often an instance was missed, of those that EC2 has shown to this process.
pub(super) type Shown = BTreeMap<InstanceId, u32>;

impl Control {
    /// Asks for the redelivery of webhooks that failed. How many.
    pub(super) async fn ask_for_deliveries(&self) -> Result<usize, ControlError> {
        let (hook, _revision): (Hook, u64) = self.read_shared(SharedItem::Hook).await?;
        let mut pages = 0;
        let mut looks = vec![(hook.look(), None)];
        looks.extend(hook.look_back().map(|(look, cursor)| (look, Some(cursor))));
        for (mut look, mut cursor) in looks {
            let is_back = cursor.is_some();
            let before = pages;
            let mut is_refused = false;
            while pages < PAGES {
                pages += 1;
                match self.ports.github.deliveries(cursor.as_deref()).await {
                    Ok(page) => cursor = look.page(page, &hook, self.now()),
                    Err(error) => {
                        self.not_told("webhooks that failed", &error).await?;
                        is_refused = error.fault == GitHubFault::Refused;
                        pages = PAGES;
                    }
                }
                if cursor.is_none() {
                    break;
                }
            }
            // Where nothing was read, a gap stays, unless GitHub does not know its beginning any more.
            if look.has_read() || (is_back && is_refused && pages > before) {
                let now = self.now();
                self.change_shared(SharedItem::Hook, |hook: &mut Hook| hook.note(&look, now))
                    .await?;
            }
        }
        self.note_reads(pages).await;
        self.redeliver().await
    }

    async fn redeliver(&self) -> Result<usize, ControlError> {
        let (hook, _revision): (Hook, u64) = self.read_shared(SharedItem::Hook).await?;
        let now = self.now();
        let wanted = hook.wanted(now);
        if wanted == 0 {
            return Ok(0);
        }
        let granted = self
            .change_shared(SharedItem::Budget, |budget: &mut Budget| {
                budget.reserve_redeliveries(wanted, &self.operation.rates, now)
            })
            .await?;
        // Taken off the list first, so that no other tick asks for them too.
        let taken = self
            .change_shared(SharedItem::Hook, |hook: &mut Hook| hook.take(granted, now))
            .await?;
        let mut asking = Vec::new();
        for one in taken {
            let ask = async move {
                let asked = self.ports.github.deliver_again(one.id).await;
                (one, asked)
            };
            asking.push(ask.boxed());
        }
        let mut asked = stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        let mut count = 0;
        while let Some((one, came)) = asked.next().await {
            let Err(error) = came else {
                count += 1;
                continue;
            };
            self.not_told("a webhook that failed", &error).await?;
            // GitHub has forgotten it, or will not.
            if error.fault != GitHubFault::Refused {
                self.change_shared(SharedItem::Hook, |hook: &mut Hook| hook.put_back(&one))
                    .await?;
            }
        }
        if count > 0 {
            let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
            self.report(&Happening::Redelivered {
                webhooks: count,
                left: wanted.saturating_sub(count),
            });
        }
        Ok(count)
    }

    /// Asks repositories that were active lately for the jobs that wait or run, within what is left of GitHub's
    /// patience. How many jobs nobody had told of.
    pub(super) async fn poll(&self) -> Result<usize, ControlError> {
        let (polling, _revision): (Polling, u64) = self.read_shared(SharedItem::Polling).await?;
        let now = self.now();
        let half = self.operation.rates.points_a_minute.unwrap_or(u32::MAX) / 2;
        let spare = self.points_left().await?.saturating_sub(half);
        let count = (spare / POINTS_A_REPOSITORY).min(POLLED_IN_A_TICK);
        if count == 0 {
            return Ok(0);
        }
        if polling.left.is_empty() {
            if polling.listed_at.age(now) < POLLED_EVERY {
                return Ok(0);
            }
            self.list_active().await?;
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let taken = self
            .change_shared(SharedItem::Polling, |polling: &mut Polling| {
                let count = count.min(polling.left.len());
                polling.left.drain(..count).collect::<Vec<_>>()
            })
            .await?;
        let mut asking = Vec::new();
        for one in taken {
            asking.push(self.poll_one(one).boxed());
        }
        let mut asked = stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        let mut found = 0;
        let mut problems = Vec::new();
        let mut failed = None;
        while let Some(one) = asked.next().await {
            match one {
                Ok(one) => {
                    found += one.jobs();
                    problems.extend(one.problems);
                }
                // What keeps one repository holds up no other.
                Err(error) => failed = Some(error),
            }
        }
        // Mostly one thing is wrong with all of them, such as a permission that is missing.
        if let Some(first) = problems.first() {
            self.report(&Happening::Trouble {
                scope: None,
                problem: format!(
                    "jobs without a webhook may be missed: {first} ({} problems in all)",
                    problems.len()
                ),
            });
        }
        failed.map_or(Ok(found), Err)
    }

    async fn list_active(&self) -> Result<(), ControlError> {
        let now = self.now();
        let since = Timestamp(now.0.saturating_sub(ACTIVE_WITHIN));
        let accounts = match self.ports.github.accounts().await {
            Ok(accounts) => accounts,
            Err(error) => {
                self.not_told("accounts with jobs", &error).await?;
                return Ok(());
            }
        };
        // First, so that a tick that ends before the list does begins the next one in its turn.
        self.change_shared(SharedItem::Polling, |polling: &mut Polling| {
            polling.listed_at = now;
        })
        .await?;
        let mut asking = Vec::new();
        for account in accounts {
            let ask = async move {
                let active = self.ports.github.active_repositories(&account, since).await;
                (account.installation, active)
            };
            asking.push(ask.boxed());
        }
        let requests = 1 + 2 * asking.len();
        let mut asked = stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        // Of each account in turn: none has all the places.
        let mut by_account: Vec<VecDeque<Polled>> = Vec::new();
        while let Some((installation, active)) = asked.next().await {
            match active {
                Ok(active) => {
                    let polled = active.into_iter().map(|name| Polled { name, installation });
                    by_account.push(polled.collect());
                }
                Err(error) => {
                    self.not_told("repositories with jobs", &error).await?;
                }
            }
        }
        drop(asked);
        let mut left = VecDeque::new();
        while left.len() < POLLED_AT_MOST && by_account.iter().any(|of_one| !of_one.is_empty()) {
            left.extend(by_account.iter_mut().filter_map(VecDeque::pop_front));
        }
        self.note_reads(requests + left.len() / 100).await;
        self.change_shared(SharedItem::Polling, |polling: &mut Polling| {
            polling.left.clone_from(&left);
        })
        .await
    }

    /// The jobs that nobody had told of, and what could not be found out.
    async fn poll_one(&self, polled: Polled) -> Result<Rebuilt, ControlError> {
        let target = RegistrationTarget {
            scope: polled.name,
            installation: Some(polled.installation),
        };
        let live = match self.ports.github.live_jobs(&target).await {
            Ok(live) => live,
            Err(error) => {
                self.not_told("jobs without a webhook", &error).await?;
                return Ok(Rebuilt::default());
            }
        };
        self.note_reads(3 + live.events.len()).await;
        let mut found = Rebuilt::default();
        let scopes = self.fold_live(live, "", &mut found).await?;
        let jobs = found.jobs();
        if jobs > 0 {
            self.report(&Happening::FoundJobs {
                repository: target.scope.to_string(),
                jobs,
            });
        }
        for scope in scopes {
            let now = self.now();
            let request = ActRequest {
                scope,
                folded: format!("found-{}", now.0),
                trigger: Trigger::Jobs,
            };
            // Whoever found them before may have died before it asked.
            self.look_again(scope, Timestamp(now.0 + LOOKED_AT_AGAIN))
                .await?;
            if jobs > 0
                && let Err(error) = self.ports.acts.ask(&request).await
            {
                self.report(&Happening::Trouble {
                    scope: Some(scope),
                    problem: format!("{error}; it is due in {LOOKED_AT_AGAIN} s"),
                });
            }
        }
        Ok(found)
    }

    /// Instances that EC2 has shown to this process and has not shown twice since are gone: its own word of it was
    /// lost. How many.
    pub(super) async fn miss_instances(&self, ours: &Ours) -> Result<usize, ControlError> {
        let gone = {
            let mut shown = self.shown();
            for missed in shown.values_mut() {
                *missed += 1;
            }
            for instance in &ours.instances {
                shown.insert(instance.id.clone(), 0);
            }
            // Of those whose tags can't be read it is known that they are there.
            for unreadable in &ours.unreadable {
                let id = unreadable.id.parse().ok();
                if let Some(missed) = id.and_then(|id: InstanceId| shown.get_mut(&id)) {
                    *missed = 0;
                }
            }
            let gone = shown.iter().filter(|(_, missed)| **missed >= 2);
            let gone: Vec<InstanceId> = gone.map(|(id, _)| id.clone()).collect();
            shown.retain(|_, missed| *missed < 2);
            gone
        };
        let event = format!("missed-{}", self.now().0);
        let event = event.as_str();
        let mut folding = Vec::new();
        for instance in &gone {
            let fold = async move {
                let folded = self.fold_instance(instance, &RunnerNews::Gone, event);
                (instance, folded.await)
            };
            folding.push(fold.boxed());
        }
        let mut folding = stream::iter(folding).buffer_unordered(ASKED_AT_ONCE);
        let mut failed = None;
        while let Some((instance, folded)) = folding.next().await {
            if let Err(error) = folded {
                // The next tick misses it again.
                self.shown().insert(instance.clone(), 1);
                failed = Some(error);
            }
        }
        failed.map_or(Ok(gone.len()), Err)
    }

    /// GitHub did not say. It is told, and asked again by a later tick.
    async fn not_told(&self, what: &str, error: &GitHubError) -> Result<(), ControlError> {
        if let GitHubFault::Limited { until } = error.fault {
            self.leave_github_alone(until).await?;
        }
        self.report(&Happening::Trouble {
            scope: None,
            problem: format!("{error}; {what}: a later tick looks again"),
        });
        Ok(())
    }
}
