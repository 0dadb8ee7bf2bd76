//! One round of load → decide → save intents → act → save outcomes: its beginning, and what an act that
//! died left behind. What follows a decision is in `launching`.

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, StreamExt as _};
use stoker_intake::InstallationId;

use super::book::Learnt;
use super::check::next_check;
use super::configure::{Has, REGISTERED_AT_ONCE};
use super::{CONFLICTS_BORNE, Control, ControlError};
use crate::happening::Happening;
use crate::ids::ScopeKey;
use crate::intent::{Intent, Launched, Refusal};
use crate::job::Job;
use crate::ports::{FleetError, LedgerError, RegistrationTarget, ScopeState};
use crate::runner::{Runner, RunnerPhase};
use crate::situation::{ScopeName, Trigger, UNSETTLED_IS_SUPPLY_FOR};
use crate::time::Timestamp;

/// What an act came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// All that was decided is done.
    Done,
    /// Something could not be done now (EC2, GitHub or SSM did not answer or had nothing to give): the
    /// request is to be made again after so many seconds.
    TryAgain {
        /// Seconds, at least 1.
        after: u32,
    },
}

/// When what could not be done is to be tried again; none: all is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Again(Option<u32>);

impl Again {
    /// In so many seconds.
    pub(super) fn after(seconds: u32) -> Self {
        Self(Some(seconds.max(1)))
    }

    /// The sooner of both.
    pub(super) fn join(&mut self, other: Self) {
        self.0 = match (self.0, other.0) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// In how many seconds; none: all is done.
    pub(super) fn seconds(self) -> Option<u32> {
        self.0
    }

    fn acted(self) -> Acted {
        self.0
            .map_or(Acted::Done, |after| Acted::TryAgain { after })
    }
}

/// In how many seconds what failed without a word about it is tried again.
pub(super) const SOON: u32 = 10;

/// The longest pause between two attempts at a launch without an outcome, in seconds.
const LONGEST: u32 = 60;

impl Control {
    /// Acts on a scope. Whoever calls sees to it that only one act runs on a scope at a time; if two do
    /// all the same, the ledger lets one of them decide.
    ///
    /// # Errors
    /// If the ledger did not answer: the request is to be delivered again.
    pub async fn act(&self, scope: ScopeKey, trigger: Trigger) -> Result<Acted, ControlError> {
        if matches!(trigger, Trigger::Jobs | Trigger::Fleet) && self.only_waits(scope).await? {
            return Ok(Acted::Done);
        }
        let mut again = Again::default();
        let state = self.ports.ledger.scope(scope).await?;
        let Some(mut state) = self.before_its_first_decision(scope, state).await? else {
            return Ok(Again::after(SOON).acted());
        };
        if was_left_behind(&state, self.now()) {
            again.join(self.recover(scope, state).await?);
            state = self.ports.ledger.scope(scope).await?;
        }
        for _ in 0..=CONFLICTS_BORNE {
            let Some(name) = scope_name(scope, &state) else {
                // What it gave back is another scope's.
                self.note_there(scope, &state).await?;
                self.book(scope, &state, &Learnt::default()).await;
                return Ok(again.acted());
            };
            let verified = self.verify(&name, &state).await?;
            if verified.unanswered {
                again.join(Again::after(SOON));
            }
            if verified.changed {
                state = self.ports.ledger.scope(scope).await?;
            }
            if let Some(launched) = self
                .decide_and_launch(scope, &name, &state, trigger)
                .await?
            {
                again.join(launched);
                // After the launches, which go before.
                if self.check_overdue(&name, &state).await? {
                    again.join(Again::after(1));
                }
                if let Some(at) = next_check(&state, self.now()) {
                    self.look_again(scope, at).await?;
                }
                return Ok(again.acted());
            }
            // Another actor decided between our reading and our writing: nothing was done.
            state = self.ports.ledger.scope(scope).await?;
        }
        Err(LedgerError::Conflict(format!("scope {scope}")).into())
    }

    /// Takes up what an act that died left behind: launches without an outcome, and instances without
    /// a configuration.
    async fn recover(&self, scope: ScopeKey, state: ScopeState) -> Result<Again, ControlError> {
        let mut again = Again::default();
        for intent in &state.intents {
            match self.take_up(intent).await {
                Ok(launched) => {
                    self.settle(intent, launched).await?;
                    self.note_launch(intent).await;
                }
                Err(error) => {
                    self.report(&Happening::LaunchUnsettled {
                        intent: intent.id.clone(),
                        decision: intent.decision.clone(),
                        scope,
                        problem: error.to_string(),
                    });
                    let age = intent.decided_at.age(self.now());
                    again.join(Again::after((age / 2).clamp(SOON / 2, LONGEST)));
                }
            }
        }
        let state = if state.intents.is_empty() {
            state
        } else {
            self.ports.ledger.scope(scope).await?
        };
        let now = self.now();
        let left = state.runners.iter();
        let left = left.filter(|runner| runner.is_left_retiring(now));
        let (serving, useless): (Vec<&Runner>, Vec<&Runner>) =
            left.partition(|runner| runner.retirement.is_some());
        let mut ending = Vec::new();
        for runner in useless {
            ending.push(self.terminate(runner).boxed());
        }
        again.join(all_done(ending).await?);
        if !serving.is_empty() {
            let serving = serving.into_iter().cloned().collect();
            let target = target_of(scope, &state);
            again.join(self.take_up_retirements(target.as_ref(), serving).await?);
        }
        let lacking = |runner: &&Runner| runner.lacks_configuration();
        let launching: Vec<Runner> = state.runners.iter().filter(lacking).cloned().collect();
        if !launching.is_empty() {
            again.join(self.take_over(scope, &state, launching).await?);
        }
        Ok(again)
    }

    /// Runners whose instances have no configuration, or may have none, left by an act that died: they get
    /// one while they are young enough to wait for it, and while any job of the scope is left.
    async fn take_over(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
        launching: Vec<Runner>,
    ) -> Result<Again, ControlError> {
        let now = self.now();
        let target = target_of(scope, state);
        let target = target.as_ref();
        let waits =
            |runner: &Runner| target.is_some() && runner.launched_at.age(now) <= self.waits_for();
        let (young, old): (Vec<Runner>, Vec<Runner>) = launching.into_iter().partition(waits);
        let mut again = self.let_all_go(target, &old).await?;
        let Some(target) = target else {
            return Ok(again);
        };
        if young.is_empty() {
            return Ok(again);
        }
        let wanted = u32::try_from(young.len()).unwrap_or(u32::MAX);
        let reserved = self.reserve_registrations(wanted).await?;
        if reserved.count < wanted {
            // Those that grow too old before are let go then.
            let oldest = young.iter().map(|runner| runner.launched_at).min();
            let too_old = Timestamp(oldest.unwrap_or(now).0 + u64::from(self.waits_for()) + 1);
            let registers = self.registers_from().await?.min(too_old);
            let soon = Timestamp(now.0 + 1);
            self.look_again(scope, registers.max(soon)).await?;
        }
        let granted = usize::try_from(reserved.count).unwrap_or(usize::MAX);
        let mut claiming = Vec::new();
        for runner in young.into_iter().take(granted) {
            claiming.push(self.claim(runner).boxed());
        }
        let mut claims = stream::iter(claiming).buffer_unordered(REGISTERED_AT_ONCE);
        let mut claimed = Vec::new();
        while let Some(claim) = claims.next().await {
            claimed.extend(claim?);
        }
        let configuring = self.configure(target, &claimed, reserved).await;
        let learnt = Learnt {
            registered: configuring.registered,
            ..Learnt::default()
        };
        self.book(scope, state, &learnt).await;
        again.join(configuring.done?);
        Ok(again)
    }

    /// How long after its launch an instance waits for its configuration, in seconds.
    fn waits_for(&self) -> u32 {
        self.operation.boot_time / 2
    }

    /// Takes a runner over from an act that died. None: somebody else does, or it is gone.
    async fn claim(&self, runner: Runner) -> Result<Option<Runner>, ControlError> {
        let mine = Runner {
            attempt: runner.attempt + 1,
            ..runner
        };
        match self.ports.ledger.put_runner(&mine).await {
            Ok(()) => Ok(Some(mine)),
            Err(LedgerError::Conflict(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Runners that get no configuration any more: those that can take no job are terminated, the others are
    /// left to boot.
    async fn let_all_go(
        &self,
        target: Option<&RegistrationTarget>,
        old: &[Runner],
    ) -> Result<Again, ControlError> {
        let mut going = Vec::new();
        for runner in old {
            going.push(self.let_one_go(target, runner).boxed());
        }
        all_done(going).await
    }

    /// Whether nobody need look after it any more.
    async fn let_one_go(
        &self,
        target: Option<&RegistrationTarget>,
        runner: &Runner,
    ) -> Result<bool, ControlError> {
        // Where no job is left that would say, it is with the runner.
        let its_own = runner.scope_name.clone().map(|scope| RegistrationTarget {
            scope,
            installation: None,
        });
        match target.or(its_own.as_ref()) {
            Some(target) => self.let_go(target, runner, Has::Perhaps).await?,
            None => self.give_up(runner, &[RunnerPhase::Launching]).await?,
        }
        Ok(self.still_ours(runner).await?.is_none())
    }

    /// What a launch without an outcome has come to. Its instances are looked for by their tag; unless
    /// all of them are there (EC2 shows new ones late), the very same request is repeated, to which EC2
    /// answers with the same fleet, or launches it now. Not after ten minutes: the jobs that it was for
    /// have got another since, or are gone.
    async fn take_up(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let mut found = self.ports.fleet.find(intent).await?;
        let wanted = usize::try_from(intent.request.count).unwrap_or(usize::MAX);
        if found.instances.len() >= wanted {
            return Ok(found);
        }
        if intent.decided_at.age(self.now()) > UNSETTLED_IS_SUPPLY_FOR {
            found.refusals.push(Refusal {
                code: "Expired".to_owned(),
                message: format!(
                    "EC2 gave no outcome within {UNSETTLED_IS_SUPPLY_FOR} seconds; the launch is given up"
                ),
            });
            return Ok(found);
        }
        let mut repeated = self.ports.fleet.launch(intent).await?;
        for instance in found.instances {
            match repeated.instances.iter_mut().find(|i| i.id == instance.id) {
                Some(known) => known.gone |= instance.gone,
                None => repeated.instances.push(instance),
            }
        }
        Ok(repeated)
    }
}

/// Does all of it, several at once. What is not done (false) is to be tried again soon.
async fn all_done(
    work: Vec<BoxFuture<'_, Result<bool, ControlError>>>,
) -> Result<Again, ControlError> {
    let mut done = stream::iter(work).buffer_unordered(REGISTERED_AT_ONCE);
    let mut again = Again::default();
    let mut failed = None;
    while let Some(one) = done.next().await {
        match one {
            Ok(true) => {}
            Ok(false) => again.join(Again::after(SOON)),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(again), Err)
}

/// Whether an act that died left something to take up.
fn was_left_behind(state: &ScopeState, now: Timestamp) -> bool {
    !state.intents.is_empty()
        || state
            .runners
            .iter()
            .any(|runner| runner.is_left_retiring(now) || runner.lacks_configuration())
}

/// The job that was heard of last knows best what things are called and which installation serves.
fn newest(state: &ScopeState) -> Option<&Job> {
    state.jobs.iter().max_by_key(|job| (job.queued_at, job.key))
}

pub(super) fn scope_name(scope: ScopeKey, state: &ScopeState) -> Option<ScopeName> {
    let job = newest(state)?;
    Some(ScopeName {
        owner: job.owner.clone(),
        repository: match scope {
            ScopeKey::Organization(_) => None,
            ScopeKey::Repository(_) => Some(job.repository.clone()),
        },
    })
}

pub(super) fn target_of(scope: ScopeKey, state: &ScopeState) -> Option<RegistrationTarget> {
    Some(RegistrationTarget {
        scope: scope_name(scope, state)?,
        installation: installation(state),
    })
}

/// The App's installation that the scope's newest job names.
pub(super) fn installation(state: &ScopeState) -> Option<InstallationId> {
    newest(state)?.installation
}
