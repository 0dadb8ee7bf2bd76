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
            while pages < PAGES {
                let page = match self.ports.github.deliveries(cursor.as_deref()).await {
                    Ok(page) => page,
                    // What was read before stays read.
                    Err(error) => return self.not_told("webhooks that failed", &error).await,
                };
                pages += 1;
                cursor = look.page(page, &hook, self.now());
                if cursor.is_none() {
                    break;
                }
            }
            let now = self.now();
            self.change_shared(SharedItem::Hook, |hook: &mut Hook| hook.note(&look, now))
                .await?;
        }
        self.note_reads(pages).await;
        self.redeliver().await
    }

    async fn redeliver(&self) -> Result<usize, ControlError> {
        let (hook, _revision): (Hook, u64) = self.read_shared(SharedItem::Hook).await?;
        let wanted = hook.wanted();
        if wanted == 0 {
            return Ok(0);
        }
        let now = self.now();
        let granted = self
            .change_shared(SharedItem::Budget, |budget: &mut Budget| {
                budget.reserve_redeliveries(wanted, &self.operation.rates, now)
            })
            .await?;
        // Taken off the list first: each webhook is asked for once.
        let taken = self
            .change_shared(SharedItem::Hook, |hook: &mut Hook| hook.take(granted))
            .await?;
        let count = taken.len();
        let mut asking = Vec::new();
        for one in taken {
            asking.push(async move { self.ports.github.deliver_again(one.id).await }.boxed());
        }
        let mut asked = stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        while let Some(one) = asked.next().await {
            if let Err(error) = one {
                self.not_told("a webhook that failed", &error).await?;
            }
        }
        if count > 0 {
            self.report(&Happening::Redelivered {
                webhooks: count,
                left: usize::try_from(wanted)
                    .unwrap_or(usize::MAX)
                    .saturating_sub(count),
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
        let mut found = Rebuilt::default();
        for one in taken {
            self.poll_one(one, &mut found).await?;
        }
        Ok(found.jobs())
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
        let mut left = VecDeque::new();
        for account in accounts {
            match self.ports.github.active_repositories(&account, since).await {
                Ok(active) => left.extend(active.into_iter().map(|name| Polled {
                    name,
                    installation: account.installation,
                })),
                Err(error) => {
                    self.not_told("repositories with jobs", &error).await?;
                }
            }
        }
        left.truncate(POLLED_AT_MOST);
        self.note_reads(1 + left.len() / 100).await;
        self.change_shared(SharedItem::Polling, |polling: &mut Polling| {
            polling.listed_at = now;
            polling.left.clone_from(&left);
        })
        .await
    }

    async fn poll_one(&self, polled: Polled, found: &mut Rebuilt) -> Result<(), ControlError> {
        let target = RegistrationTarget {
            scope: polled.name,
            installation: Some(polled.installation),
        };
        let live = match self.ports.github.live_jobs(&target).await {
            Ok(live) => live,
            Err(error) => {
                self.not_told("jobs without a webhook", &error).await?;
                return Ok(());
            }
        };
        self.note_reads(3 + live.events.len()).await;
        let before = found.jobs();
        let scopes = self.fold_live(live, "", found).await?;
        if found.jobs() == before {
            return Ok(());
        }
        self.report(&Happening::FoundJobs {
            repository: target.scope.to_string(),
            jobs: found.jobs() - before,
        });
        for scope in scopes {
            let request = ActRequest {
                scope,
                folded: format!("found-{}", self.now().0),
                trigger: Trigger::Jobs,
            };
            self.ports.acts.ask(&request).await?;
        }
        Ok(())
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
            let gone = shown.iter().filter(|(_, missed)| **missed >= 2);
            let gone: Vec<InstanceId> = gone.map(|(id, _)| id.clone()).collect();
            shown.retain(|_, missed| *missed < 2);
            gone
        };
        for instance in &gone {
            let event = format!("missed-{}", self.now().0);
            self.fold_instance(instance, &RunnerNews::Gone, &event)
                .await?;
        }
        Ok(gone.len())
    }

    /// GitHub did not say. It is told, and asked again by a later tick.
    async fn not_told(&self, what: &str, error: &GitHubError) -> Result<usize, ControlError> {
        if let GitHubFault::Limited { until } = error.fault {
            self.leave_github_alone(until).await?;
        }
        self.report(&Happening::Trouble {
            scope: None,
            problem: format!("{error}; {what} are looked for again by a later tick"),
        });
        Ok(0)
    }
}
