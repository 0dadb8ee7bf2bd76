//! From an instance to a runner: its registration, written where only it can read it.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use super::act::{Again, SOON};
use super::{CONFLICTS_BORNE, Control, ControlError};
use crate::boot::{InstanceConfiguration, Registration};
use crate::happening::Happening;
use crate::ids::InstanceId;
use crate::ports::{
    GitHubError, GitHubFault, LedgerError, RegistrationTarget, Removed, RunnerSpec,
};
use crate::runner::{Runner, RunnerNews, RunnerPhase};
use crate::time::Timestamp;

/// How many runners are registered at once: enough for the 180 a minute that GitHub allows an App
/// (JIT costs 5 of 900 points), and, where it sets no limit, for thousands; few enough for its limit of 100
/// requests at once.
pub(super) const REGISTERED_AT_ONCE: usize = 50;

/// What became of one runner.
enum Configured {
    /// It has what it needs.
    Done,
    /// It gets none, and its instance is terminated; its demand stays.
    GivenUp,
    /// It waits for its turn: GitHub wants to be left alone.
    Waits,
    /// Another actor has it.
    Overtaken,
}

/// What an instance that is given up has of its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    /// None was written.
    Nothing,
    /// It may have read one.
    Perhaps,
}

/// Why a runner is not registered.
enum Unregistered {
    /// GitHub wants to be left alone until then.
    Wait(Timestamp),
    /// Its instance is to be replaced, because of this.
    Replace(String),
    /// Another actor has it.
    Overtaken,
}

impl Unregistered {
    fn of(error: &GitHubError) -> Self {
        match error.fault {
            GitHubFault::Limited { until } => Self::Wait(until),
            _ => Self::Replace(error.to_string()),
        }
    }
}

impl Control {
    /// Registers runners and writes their configurations. An instance for which that fails is
    /// terminated, since it would wait for ever; its demand stays. Where GitHub wants to be left alone, the
    /// rest waits for its turn.
    pub(super) async fn configure(
        &self,
        target: &RegistrationTarget,
        runners: &[Runner],
    ) -> Result<Again, ControlError> {
        // Since when nobody asks GitHub any more, and until when; 0: it may be asked.
        let closed = AtomicU64::new(0);
        let mut begun = Vec::new();
        for runner in runners {
            begun.push(self.configure_one(target, runner, &closed).boxed());
        }
        let mut done = stream::iter(begun).buffer_unordered(REGISTERED_AT_ONCE);
        // All of them are seen through, whatever becomes of one: the others' instances are waiting.
        let mut again = Again::default();
        let mut failed = None;
        while let Some(configured) = done.next().await {
            match configured {
                Ok(Configured::Done | Configured::Overtaken) => {}
                Ok(Configured::GivenUp) => again.join(Again::after(SOON)),
                Ok(Configured::Waits) => {
                    let until = Timestamp(closed.load(Ordering::Relaxed));
                    again.join(Again::after(self.now().age(until)));
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(again),
        }
    }

    async fn configure_one(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        closed: &AtomicU64,
    ) -> Result<Configured, ControlError> {
        if closed.load(Ordering::Relaxed) > 0 {
            return Ok(Configured::Waits);
        }
        let configuration = match self.registration(target, runner).await? {
            Ok(configuration) => configuration,
            Err(Unregistered::Wait(until)) => {
                if closed.fetch_max(until.0, Ordering::Relaxed) == 0 {
                    self.leave_github_alone(until).await?;
                }
                return Ok(Configured::Waits);
            }
            Err(Unregistered::Overtaken) => return Ok(Configured::Overtaken),
            Err(Unregistered::Replace(problem)) => {
                // An act that died may have written one.
                self.unconfigured(target, runner, Has::Perhaps, problem)
                    .await?;
                return Ok(Configured::GivenUp);
            }
        };
        // Before the instance can read it, so that a runner that is still launching has never had one.
        let Some(marked) = self.mark_configured(runner).await? else {
            // Another actor has given it up meanwhile, or taken it over.
            return Ok(Configured::Overtaken);
        };
        let written = self
            .ports
            .configurations
            .put(&runner.instance, &configuration);
        match written.await {
            Ok(()) => {
                self.confirm_configured(marked).await?;
                self.report(&Happening::Configured {
                    instance: runner.instance.clone(),
                    runner: runner.name.clone(),
                });
                Ok(Configured::Done)
            }
            Err(error) => {
                // What is there may be another act's by now.
                if self.still_ours(runner).await?.is_none() {
                    return Ok(Configured::Overtaken);
                }
                // An act before this one may have written it.
                let has = if error.may_be_done || runner.attempt > 0 {
                    // What is there must not be read.
                    self.forget_configuration(&runner.instance).await;
                    Has::Perhaps
                } else {
                    Has::Nothing
                };
                self.unconfigured(target, runner, has, error.to_string())
                    .await?;
                Ok(Configured::GivenUp)
            }
        }
    }

    async fn unconfigured(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        has: Has,
        problem: String,
    ) -> Result<(), ControlError> {
        self.report(&Happening::ConfigurationFailed {
            instance: runner.instance.clone(),
            problem,
        });
        self.let_go(target, runner, has).await
    }

    /// Gives an instance up that can't be configured. One that may have been given a configuration all the
    /// same is terminated only if it can take no job any more.
    pub(super) async fn let_go(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        has: Has,
    ) -> Result<(), ControlError> {
        if self.still_ours(runner).await?.is_none() {
            return Ok(());
        }
        self.give_up(runner, &[RunnerPhase::Launching]).await?;
        let is_released = match (runner.mode.registers_by_token(), has) {
            // Also where the above was all: what may be registered for it is taken away. What can't be now,
            // GitHub sweeps within a day, since it never connects.
            (false, _) => self.is_released(target, runner).await?,
            (true, Has::Nothing) => true,
            // A registration token is good for an hour: who has read it can't be stopped.
            (true, Has::Perhaps) => {
                self.leave_alone(runner).await?;
                false
            }
        };
        if is_released {
            self.give_up(runner, &[RunnerPhase::Booting]).await?;
        }
        Ok(())
    }

    /// A runner that may have its configuration: no act looks after it any more. It is supply while it may
    /// boot, and what never registers is scaled down.
    async fn leave_alone(&self, runner: &Runner) -> Result<(), ControlError> {
        let ours = self.still_ours(runner).await?;
        let Some(known) = ours.filter(|known| known.phase == RunnerPhase::Booting) else {
            return Ok(());
        };
        self.forget_configuration(&runner.instance).await;
        self.confirm_configured(known).await
    }

    /// A runner as the ledger has it, if nobody else has taken it over, and nobody knows yet that it has its
    /// configuration.
    pub(super) async fn still_ours(&self, runner: &Runner) -> Result<Option<Runner>, ControlError> {
        let known = self.ports.ledger.runner(&runner.instance).await?;
        Ok(known.filter(|known| known.attempt == runner.attempt && known.lacks_configuration()))
    }

    /// Registers a runner with GitHub.
    async fn registration(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
    ) -> Result<Result<InstanceConfiguration, Unregistered>, ControlError> {
        let class = self.operation.classes.named(&runner.class);
        let Some(labels) = class.map(|class| class.labels.clone()) else {
            let problem = format!("class `{}` is configured no more", runner.class);
            return Ok(Err(Unregistered::Replace(problem)));
        };
        let spec = RunnerSpec {
            name: runner.name.clone(),
            labels: labels.clone(),
            runner_group: self.operation.runner_group.clone(),
            mode: runner.mode,
        };
        let registered = self.register(target, runner, &spec).await?;
        Ok(registered.map(|registration| InstanceConfiguration {
            name: runner.name.clone(),
            url: self.ports.github.page(&target.scope),
            labels,
            runner_group: self.operation.runner_group.clone(),
            ephemeral: runner.mode.serves_one_job(),
            registration,
        }))
    }

    /// A just-in-time configuration makes a runner at GitHub, so it can't simply be asked for again: where
    /// one of that name is there already, or may be, it is taken away first: unless it is connected, which
    /// says that an act that died had given the instance its configuration (see [`Self::free_name`]).
    async fn register(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        spec: &RunnerSpec,
    ) -> Result<Result<Registration, Unregistered>, ControlError> {
        let error = match self.ports.github.register(target, spec).await {
            Ok(registration) => return Ok(Ok(registration)),
            Err(error) => error,
        };
        let may_be_there = matches!(error.fault, GitHubFault::Conflict | GitHubFault::Unknown)
            && !spec.mode.registers_by_token();
        if !may_be_there {
            return Ok(Err(Unregistered::of(&error)));
        }
        if let Err(unregistered) = self.free_name(target, runner).await? {
            return Ok(Err(unregistered));
        }
        let registered = self.ports.github.register(target, spec).await;
        Ok(registered.map_err(|error| Unregistered::of(&error)))
    }

    /// Has nobody registered under a runner's name, or says why that can't be had: a runner that is
    /// connected, or that runs a job, is never taken away.
    async fn free_name(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
    ) -> Result<Result<(), Unregistered>, ControlError> {
        let found = match self.ports.github.runner(target, &runner.name).await {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(found)) => found,
            Err(error) => return Ok(Err(Unregistered::of(&error))),
        };
        let Some(known) = self.still_ours(runner).await? else {
            return Ok(Err(Unregistered::Overtaken));
        };
        if (found.online || found.busy) && known.phase == RunnerPhase::Booting {
            // The act that died had written its configuration.
            self.confirm_configured(known).await?;
            return Ok(Err(Unregistered::Overtaken));
        }
        if found.online || found.busy {
            return Ok(Err(Unregistered::Replace(format!(
                "a runner called {} is connected already, though its instance was given no configuration",
                runner.name
            ))));
        }
        let removed = self.ports.github.remove(target, found.id).await;
        Ok(match removed {
            Ok(Removed::Removed | Removed::Unknown) => Ok(()),
            Ok(Removed::Busy) => Err(Unregistered::Replace(format!(
                "a runner called {} has taken a job, though its instance was given no configuration",
                runner.name
            ))),
            Err(error) => Err(Unregistered::of(&error)),
        })
    }

    /// Whether a runner that may have been given its configuration can take no job any more: GitHub has
    /// removed it, or knows it no longer. One that is connected has its configuration, and nobody need look
    /// after it; one of which nothing can be learnt is left alone, and no job counts on it after its boot
    /// time.
    async fn is_released(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
    ) -> Result<bool, ControlError> {
        let removed = async {
            match self.ports.github.runner(target, &runner.name).await? {
                None => Ok(Some(Removed::Unknown)),
                Some(found) if found.online || found.busy => Ok(None),
                Some(found) => self.ports.github.remove(target, found.id).await.map(Some),
            }
        };
        let removed: Result<_, GitHubError> = removed.await;
        match removed {
            Ok(Some(Removed::Removed | Removed::Unknown)) => Ok(true),
            Ok(None | Some(Removed::Busy)) => {
                let known = self.ports.ledger.runner(&runner.instance).await?;
                if let Some(known) = known.filter(Runner::lacks_configuration) {
                    self.confirm_configured(known).await?;
                }
                Ok(false)
            }
            Err(error) => {
                self.report(&Happening::Trouble {
                    scope: Some(runner.scope),
                    problem: format!(
                        "{} may still register: {error}; it is left alone",
                        runner.name
                    ),
                });
                Ok(false)
            }
        }
    }

    /// Terminates an instance that can't serve, if its runner is in one of these phases and still this
    /// act's. First its runner is retiring, so that nobody can give it a configuration any more; it ends in
    /// the ledger only once EC2 has accepted that, and otherwise the next act tries again.
    pub(super) async fn give_up(
        &self,
        runner: &Runner,
        phases: &[RunnerPhase],
    ) -> Result<(), ControlError> {
        let mut borne = 0;
        loop {
            let ours = self.still_ours(runner).await?;
            let Some(known) = ours.filter(|known| phases.contains(&known.phase)) else {
                return Ok(());
            };
            match self
                .ports
                .ledger
                .put_runner(&known.retiring(self.now()))
                .await
            {
                Ok(()) => break,
                Err(LedgerError::Conflict(_)) if borne < CONFLICTS_BORNE => borne += 1,
                Err(error) => return Err(error.into()),
            }
        }
        self.terminate(runner).await?;
        Ok(())
    }

    /// Terminates the instance of a retiring runner. Whether EC2 accepted that.
    pub(super) async fn terminate(&self, runner: &Runner) -> Result<bool, ControlError> {
        let instance = std::slice::from_ref(&runner.instance);
        match self.ports.fleet.terminate(instance).await {
            Ok(()) => {
                self.fold_runner(&runner.instance, &RunnerNews::Gone)
                    .await?;
                Ok(true)
            }
            Err(error) => {
                self.report(&Happening::Trouble {
                    scope: Some(runner.scope),
                    problem: format!(
                        "{} can't serve and could not be terminated either: {error}; the next act tries again",
                        runner.instance
                    ),
                });
                Ok(false)
            }
        }
    }

    /// Deletes what an ended instance has not read. A leftover is worth nothing once its instance is
    /// gone, so a failure is told and not tried again.
    pub(super) async fn forget_configuration(&self, instance: &InstanceId) {
        if let Err(error) = self.ports.configurations.delete(instance).await {
            self.report(&Happening::Trouble {
                scope: None,
                problem: error.to_string(),
            });
        }
    }
}
