//! Scaling down: for each scope that has runners, what EC2 and GitHub show is held against the ledger, the policy
//! says which runners go, and those go that the guardrails let.
//!
//! A runner of which GitHub does not say that it waits is kept: where it can't be asked, all of a scope are. What
//! looks wrong (an instance that never registered, a runner without an instance) is taken away when it is
//! seen a second time; see [`crate::sightings`].

mod decide;
mod look;
mod odd;
mod remove;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use serde::Serialize;

use self::decide::LOOKED_AT_AGAIN;
use self::look::{Looked, Sight};
use self::remove::Going;
use super::act::{Again, SOON, scope_name};
use super::{CONFLICTS_BORNE, Control, ControlError, rebuild};
use crate::budget::Census;
use crate::happening::Happening;
use crate::ids::{DecisionId, InstanceId, ScopeKey};
use crate::ports::{
    ActRequest, GitHubFault, OwnInstance, RegisteredRunner, RegistrationTarget, ScopeState,
    SharedItem,
};
use crate::runner::{Retirement, Runner, RunnerPhase};
use crate::sightings::{Sighting, Sightings};
use crate::situation::{ScopeName, Trigger};
use crate::time::Timestamp;

/// How many scopes are looked at once: each lists its runners at GitHub, which bears a hundred requests.
const SCOPES_AT_ONCE: usize = 8;

/// How many items of the ledger are written at once.
const WRITTEN_AT_ONCE: usize = 20;

/// For how long a look at GitHub's list is good, in seconds: then it is asked anew which runners wait.
const LOOK_IS_GOOD_FOR: u64 = 60;

/// What scaling down came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ScaledDown {
    /// How many scopes were looked at.
    pub scopes: usize,
    /// How many runners are retired by a policy's decision.
    pub retired: usize,
    /// How many instances and runners were taken away that were of no use.
    pub taken_away: usize,
    /// Which scopes are to be looked at again before the schedule says so, and when.
    pub again: BTreeMap<ScopeKey, Timestamp>,
    /// What went wrong, each with its scope: it is tried again with the next look.
    pub problems: Vec<String>,
}

/// What EC2 shows of a scope.
struct Shown {
    instances: Vec<OwnInstance>,
    /// Instances of the deployment of which nobody can tell for whom they are: they are there.
    unreadable: Arc<BTreeSet<InstanceId>>,
    /// When it was asked.
    at: Timestamp,
    /// What the scope is called, where something looked wrong in it before.
    called: Option<ScopeName>,
}

/// The runners that the policy lets go.
#[derive(Default)]
struct Wanted {
    going: Vec<Going>,
    /// More would go if GitHub let more be removed within a minute.
    has_more: bool,
}

/// What came of one scope.
#[derive(Debug, Default)]
struct Came {
    retired: usize,
    taken_away: usize,
    again: Option<Timestamp>,
}

impl Control {
    /// Looks at all scopes that have runners, and retires runners; then again at those where GitHub's patience
    /// did not last for all, when it has come back. Nothing new is begun from `until` on: what is left then is
    /// in [`ScaledDown::again`].
    ///
    /// # Errors
    /// If EC2 or the ledger did not say which scopes there are.
    pub async fn scale_down(&self, until: Timestamp) -> Result<ScaledDown, ControlError> {
        let mut came = self.look_at_scopes(None, until).await?;
        while let Some(at) = came.again.values().min().copied().filter(|at| *at < until) {
            self.ports.timer.wait_until(at).await;
            let now = self.now();
            let due = came.again.iter().filter(|(_, at)| **at <= now);
            let due: BTreeSet<ScopeKey> = due.map(|(scope, _)| *scope).collect();
            came.again.retain(|scope, _| !due.contains(scope));
            let more = match self.look_at_scopes(Some(&due), until).await {
                Ok(more) => more,
                // What was done is done: the next schedule goes on.
                Err(error) => {
                    came.problems.push(error.to_string());
                    break;
                }
            };
            came.retired += more.retired;
            came.taken_away += more.taken_away;
            came.again.extend(more.again);
            came.problems.extend(more.problems);
        }
        Ok(came)
    }

    async fn look_at_scopes(
        &self,
        only: Option<&BTreeSet<ScopeKey>>,
        until: Timestamp,
    ) -> Result<ScaledDown, ControlError> {
        let shown_at = self.now();
        let ours = self.ports.fleet.ours().await?;
        let mut scopes: BTreeMap<ScopeKey, Vec<OwnInstance>> = BTreeMap::new();
        let unreadable = ours.unreadable.iter().filter_map(|one| one.id.parse().ok());
        let unreadable: Arc<BTreeSet<InstanceId>> = Arc::new(unreadable.collect());
        for instance in ours.instances {
            scopes.entry(instance.scope).or_default().push(instance);
        }
        // Those whose instances are all gone, and whose runners may not be.
        let census: Census = self.read_shared(SharedItem::Census).await?.0;
        let sightings: Sightings = self.read_shared(SharedItem::Sightings).await?.0;
        for scope in census.scopes().chain(sightings.scopes()) {
            scopes.entry(scope).or_default();
        }
        if let Some(only) = only {
            scopes.retain(|scope, _| only.contains(scope));
        }
        let mut came = ScaledDown {
            scopes: scopes.len(),
            ..ScaledDown::default()
        };
        let mut looking = Vec::new();
        for (scope, instances) in scopes {
            let shown = Shown {
                instances,
                unreadable: Arc::clone(&unreadable),
                at: shown_at,
                called: sightings.name(scope).cloned(),
            };
            let look = async move { (scope, self.scale_down_scope(scope, &shown, until).await) };
            looking.push(look.boxed());
        }
        let mut looking = stream::iter(looking).buffer_unordered(SCOPES_AT_ONCE);
        while let Some((scope, one)) = looking.next().await {
            match one {
                Ok(one) => {
                    came.retired += one.retired;
                    came.taken_away += one.taken_away;
                    came.again.extend(one.again.map(|at| (scope, at)));
                }
                // What keeps one scope holds up no other.
                Err(error) => {
                    let problem = format!("{error}; the next look at it goes on");
                    came.problems.push(format!("{scope}: {problem}"));
                    self.report(&Happening::Trouble {
                        scope: Some(scope),
                        problem,
                    });
                }
            }
        }
        Ok(came)
    }

    async fn scale_down_scope(
        &self,
        scope: ScopeKey,
        shown: &Shown,
        until: Timestamp,
    ) -> Result<Came, ControlError> {
        let instances = &shown.instances;
        if self.now() >= until {
            return Ok(Came {
                again: Some(self.now()),
                ..Came::default()
            });
        }
        let state = self.ports.ledger.scope(scope).await?;
        // Of a ledger that was lost nobody knows yet what it knew.
        let Some(mut state) = self.before_its_first_decision(scope, state).await? else {
            return Ok(Came::default());
        };
        self.note_there(scope, &state).await?;
        if state.runners.is_empty() && instances.is_empty() && shown.called.is_none() {
            return Ok(Came::default());
        }
        let Some(target) = target(scope, &state, shown) else {
            self.report(&Happening::Trouble {
                scope: Some(scope),
                problem: format!(
                    "what {scope} is called is not known, so GitHub can't be asked about its {} runners, and they \
                     stay: the next webhook of one of its jobs tells",
                    state.runners.len()
                ),
            });
            return Ok(Came::default());
        };
        let looked_at = self.now();
        let registered = match self.ports.github.runners(&target).await {
            Ok(registered) => registered,
            Err(error) if error.fault == GitHubFault::Closed => {
                return self.close(scope, &target, &state, &error.problem).await;
            }
            Err(error) => {
                if let GitHubFault::Limited { until } = error.fault {
                    self.leave_github_alone(until).await?;
                }
                self.report(&Happening::Trouble {
                    scope: Some(scope),
                    problem: format!(
                        "{error}; its {} runners count as busy until GitHub says what they do",
                        state.runners.len()
                    ),
                });
                return Ok(Came::default());
            }
        };
        self.note_reads(1 + registered.len() / 100).await;
        let (looked, believed) = self
            .look(scope, &target, &mut state, shown, &registered)
            .await?;
        let mut came = Came {
            taken_away: self
                .take_away(scope, &target, &state, &looked, &believed)
                .await?,
            ..Came::default()
        };
        let lost = lost(&state, &looked, &believed, self.operation.boot_time);
        let loses = !lost.is_empty();
        let wanted = self.wanted(scope, &state, &looked, &lost).await?;
        let wants = !wanted.going.is_empty();
        if loses {
            // Should this process die: a decision has seen to that.
            let now = self.now();
            self.look_again(scope, Timestamp(now.0 + LOOKED_AT_AGAIN))
                .await?;
        }
        let round = Timestamp(looked_at.0 + LOOK_IS_GOOD_FOR).min(until);
        let going = lost.into_iter().chain(wanted.going);
        let (gone, again) = self.retire_in_turn(&target, going.collect(), round).await?;
        let is_decided = |runner: &&Runner| {
            let retirement = runner.retirement.as_ref();
            retirement.is_some_and(|retirement| retirement.decision.is_some())
        };
        came.retired = gone.iter().filter(is_decided).count();
        came.taken_away += gone.len() - came.retired;
        came.again = again;
        if wanted.has_more {
            let soon = Timestamp(self.now().0 + 1).max(self.removes_from().await?);
            came.again = Some(came.again.map_or(soon, |again| again.min(soon)));
        }
        if wants || loses || came.taken_away > 0 {
            self.after_retiring(scope).await?;
        }
        Ok(came)
    }

    /// A runner has ended with its instance, and not with its job: it may be registered still.
    pub(super) async fn note_left(&self, runner: &Runner) -> Result<(), ControlError> {
        let Some(name) = &runner.scope_name else {
            return Ok(());
        };
        let now = self.now();
        self.change_shared(SharedItem::Sightings, |sightings: &mut Sightings| {
            let left = Sighting::Left(runner.name.clone());
            sightings.note(runner.scope, name, left, now);
        })
        .await
    }

    /// Holds GitHub's list against the ledger, which hears what is new. What looked wrong before, too.
    async fn look(
        &self,
        scope: ScopeKey,
        target: &RegistrationTarget,
        state: &mut ScopeState,
        shown: &Shown,
        registered: &[RegisteredRunner],
    ) -> Result<(Looked, BTreeSet<Sighting>), ControlError> {
        let instances = &shown.instances;
        let there = instances
            .iter()
            .map(|one| &one.id)
            .chain(&*shown.unreadable);
        let there: BTreeSet<InstanceId> = there.cloned().collect();
        let mut looked = Sight {
            runners: &state.runners,
            instances: &there,
            shown_at: shown.at,
            registered,
            names: &self.operation.names,
            boot_time: self.operation.boot_time,
            now: self.now(),
        }
        .looked();
        looked.odd.extend(self.lingering(state, instances).await?);
        let now = self.now();
        let believed = self
            .change_shared(SharedItem::Sightings, |sightings: &mut Sightings| {
                sightings.look(scope, &target.scope, &looked.odd, now)
            })
            .await?;
        let mut folding = Vec::new();
        for (instance, news) in &looked.news {
            folding.push(self.fold_runner(instance, news).boxed());
        }
        let mut folding = stream::iter(folding).buffer_unordered(WRITTEN_AT_ONCE);
        let mut changed = BTreeMap::new();
        while let Some(one) = folding.next().await {
            if let Some(runner) = one? {
                let revision = runner.revision + 1;
                changed.insert(runner.instance.clone(), Runner { revision, ..runner });
            }
        }
        drop(folding);
        for runner in &mut state.runners {
            if let Some(newer) = changed.remove(&runner.instance) {
                *runner = newer;
            }
        }
        self.check_some(&target.scope, &looked.unfinished).await?;
        Ok((looked, believed))
    }

    /// The runners that the policy lets go.
    async fn wanted(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
        looked: &Looked,
        lost: &[Going],
    ) -> Result<Wanted, ControlError> {
        let is_candidate = |runner: &&Runner| {
            runner.phase == RunnerPhase::Idle && !looked.unclear.contains(&runner.instance)
        };
        if !state.runners.iter().any(|runner| is_candidate(&runner)) {
            return Ok(Wanted::default());
        }
        let mut newer: Option<ScopeState> = None;
        for _ in 0..=CONFLICTS_BORNE {
            let state = newer.as_ref().unwrap_or(state);
            let Some(name) = its_name(scope, state) else {
                return Ok(Wanted::default());
            };
            if let Some(verdict) = self.verdict(scope, &name, state, &looked.unclear).await? {
                let is_lost = |runner: &Runner| {
                    lost.iter()
                        .any(|lost| lost.runner.instance == runner.instance)
                };
                let going = verdict.going.into_iter();
                let going = going.filter(|(runner, _)| !is_lost(runner));
                let going = going
                    .map(|(runner, reason)| by_decision(runner, reason, &verdict.decision, looked));
                return Ok(Wanted {
                    going: going.collect(),
                    has_more: verdict.has_more,
                });
            }
            // Whoever decided meanwhile may count on one of them. What has appeared since is not on the list
            // that GitHub gave.
            let mut fresh = self.ports.ledger.scope(scope).await?;
            fresh.runners.retain(|runner| {
                let known = state.runners.iter();
                known.clone().any(|one| one.instance == runner.instance)
                    || runner.phase != RunnerPhase::Idle
            });
            newer = Some(fresh);
        }
        // It is decided all the time: it has work, and the next look finds what it leaves.
        Ok(Wanted::default())
    }

    /// Retires runners as fast as GitHub's patience allows beside registrations, until then. Those that are gone,
    /// and when the rest has its turn.
    async fn retire_in_turn(
        &self,
        target: &RegistrationTarget,
        mut going: VecDeque<Going>,
        until: Timestamp,
    ) -> Result<(Vec<Runner>, Option<Timestamp>), ControlError> {
        let mut retired = Vec::new();
        let mut again = Again::default();
        while !going.is_empty() {
            let wanted = u32::try_from(going.len()).unwrap_or(u32::MAX);
            let granted = self.reserve_removals(wanted).await?;
            if granted == 0 {
                let from = self.removes_from().await?.max(Timestamp(self.now().0 + 1));
                if from >= until {
                    again.join(Again::after(self.now().age(from)));
                    break;
                }
                self.ports.timer.wait_until(from).await;
                continue;
            }
            let granted = usize::try_from(granted)
                .unwrap_or(usize::MAX)
                .min(going.len());
            let some: Vec<Going> = going.drain(..granted).collect();
            let gone = self.retire(target, some).await?;
            retired.extend(gone.runners);
            again.join(gone.again);
        }
        let now = self.now();
        Ok((
            retired,
            again
                .seconds()
                .map(|after| Timestamp(now.0 + u64::from(after))),
        ))
    }

    /// Jobs that counted on a runner that is gone get another, and what it cost is booked.
    async fn after_retiring(&self, scope: ScopeKey) -> Result<(), ControlError> {
        let request = ActRequest {
            scope,
            folded: format!("retired-{}", self.now().0),
            trigger: Trigger::Fleet,
        };
        if let Err(error) = self.ports.acts.ask(&request).await {
            self.report(&Happening::Trouble {
                scope: Some(scope),
                problem: format!("{error}; its tick asks"),
            });
            self.act_later(scope, SOON).await?;
        }
        Ok(())
    }
}

fn by_decision(runner: Runner, reason: String, decision: &DecisionId, looked: &Looked) -> Going {
    Going {
        id: looked.ids.get(&runner.instance).copied(),
        retirement: Retirement {
            decision: Some(decision.clone()),
            reason,
            absent: None,
        },
        runner,
    }
}

/// Runners that were not connected, or not known to GitHub, twice in a row, long after they were launched.
fn lost(
    state: &ScopeState,
    looked: &Looked,
    believed: &BTreeSet<Sighting>,
    boot_time: u32,
) -> Vec<Going> {
    let is_lost = |runner: &&Runner| {
        believed.contains(&Sighting::Lost(runner.instance.clone()))
            && !matches!(
                runner.phase,
                RunnerPhase::Busy { .. } | RunnerPhase::Retiring
            )
    };
    let runners = state.runners.iter().filter(is_lost);
    runners
        .map(|runner| Going {
            id: looked.ids.get(&runner.instance).copied(),
            retirement: Retirement {
                decision: None,
                reason: match runner.booted_at {
                    None => format!("it has not registered within {boot_time} seconds"),
                    Some(_) => "it is not connected to GitHub any more".to_owned(),
                },
                absent: None,
            },
            runner: runner.clone(),
        })
        .collect()
}

/// What a scope is called: as its newest job has it, else as its newest runner has.
fn its_name(scope: ScopeKey, state: &ScopeState) -> Option<ScopeName> {
    scope_name(scope, state).or_else(|| {
        let named = state.runners.iter().filter(|one| one.scope_name.is_some());
        named
            .max_by_key(|one| (one.launched_at, &one.instance))?
            .scope_name
            .clone()
    })
}

/// Where a scope's runners are registered.
fn target(scope: ScopeKey, state: &ScopeState, shown: &Shown) -> Option<RegistrationTarget> {
    rebuild::target(scope, state, &shown.instances).or_else(|| {
        let scope = its_name(scope, state).or_else(|| shown.called.clone())?;
        Some(RegistrationTarget {
            scope,
            installation: None,
        })
    })
}
