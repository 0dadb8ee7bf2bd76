//! From an instance to a runner: its registration, written where only it can read it.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, FutureExt as _, ready};
use futures::stream::{self, StreamExt as _};

use super::act::{Again, SOON};
use super::registering::{Asking, Unregistered};
use super::{CONFLICTS_BORNE, Control, ControlError};
use crate::boot::InstanceConfiguration;
use crate::budget::{POINTS_A_WRITE, Reserved};
use crate::happening::Happening;
use crate::ids::{ClassName, InstanceId};
use crate::ports::{GitHubError, LedgerError, RegistrationTarget, Removed};
use crate::runner::{Runner, RunnerNews, RunnerPhase};

/// How many runners are registered at once: enough for the 180 a minute that GitHub allows an App
/// (JIT costs 5 of 900 points), and, where it sets no limit, for thousands; few enough for its limit of 100
/// requests at once. How many configurations are written at once is their store's to say.
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

/// What came of configuring runners.
#[derive(Debug)]
pub(super) struct Configuring {
    /// When the rest is to be tried again.
    pub(super) done: Result<Again, ControlError>,
    /// By class, that GitHub registers its runners (none), or why it does not.
    pub(super) registered: BTreeMap<ClassName, Option<String>>,
}

impl Control {
    /// Registers runners, as many as were reserved, and writes their configurations. An instance for which that
    /// fails is terminated, since it would wait for ever; its demand stays. Where GitHub wants to be left
    /// alone, the rest waits for its turn, and its scope is looked at again then.
    ///
    /// Registering does not wait for writing: SSM takes less a second than GitHub, and what GitHub allows anew in
    /// a minute counts from when it was asked last.
    pub(super) async fn configure(
        &self,
        target: &RegistrationTarget,
        runners: &[Runner],
        reserved: Reserved,
    ) -> Configuring {
        let Some(first) = runners.first() else {
            self.give_back(reserved).await;
            return Configuring {
                done: Ok(Again::default()),
                registered: BTreeMap::new(),
            };
        };
        self.ports.timer.wait_until(reserved.from).await;
        let asking = Asking::for_so_many(runners.len());
        let mut begun = Vec::new();
        for runner in runners {
            begun.push(self.begin(target, runner, &asking, reserved).boxed());
        }
        let mut configured = stream::iter(begun)
            .buffer_unordered(REGISTERED_AT_ONCE)
            // What is registered never holds up who is still to be.
            .buffer_unordered(runners.len());
        // All of them are seen through, whatever becomes of one: the others' instances are waiting.
        let mut done = Ok(Again::default());
        while let Some(one) = configured.next().await {
            match (one, &mut done) {
                (Ok(Configured::GivenUp), Ok(again)) => again.join(Again::after(SOON)),
                (Ok(_), _) => {}
                (Err(error), _) => done = Err(error),
            }
        }
        drop(configured);
        if let Some(until) = asking.closed() {
            let noted = self.look_again(first.scope, until).await;
            done = done.and_then(|again| noted.map(|()| again));
        }
        Configuring {
            done,
            registered: asking.said(),
        }
    }

    /// Registers a runner. What is left to do for it then.
    async fn begin<'a>(
        &'a self,
        target: &'a RegistrationTarget,
        runner: &'a Runner,
        asking: &Asking,
        reserved: Reserved,
    ) -> BoxFuture<'a, Result<Configured, ControlError>> {
        let registered = self.register_one(target, runner, asking).await;
        if asking.is_last() {
            self.settle_registrations(reserved, asking.asked()).await;
        }
        match registered {
            Ok(Ok(configuration)) => self.write_one(target, runner, configuration).boxed(),
            Ok(Err(configured)) => ready(Ok(configured)).boxed(),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    async fn register_one(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        asking: &Asking,
    ) -> Result<Result<InstanceConfiguration, Configured>, ControlError> {
        if asking.closed().is_some() {
            return Ok(Err(Configured::Waits));
        }
        let registered = match asking.refused(&runner.class) {
            // The others of its class met the same a moment ago.
            Some(problem) => Err(Unregistered::Replace(problem)),
            None => self.registration(target, runner, asking).await?,
        };
        match registered {
            Ok(configuration) => Ok(Ok(configuration)),
            Err(Unregistered::Wait(until)) => {
                if asking.close(until) {
                    self.leave_github_alone(until).await?;
                }
                Ok(Err(Configured::Waits))
            }
            Err(Unregistered::Overtaken) => Ok(Err(Configured::Overtaken)),
            Err(Unregistered::Replace(problem) | Unregistered::Refused(problem)) => {
                // An act that died may have written one.
                self.unconfigured(target, runner, Has::Perhaps, problem)
                    .await?;
                Ok(Err(Configured::GivenUp))
            }
        }
    }

    async fn write_one(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        configuration: InstanceConfiguration,
    ) -> Result<Configured, ControlError> {
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
                Some(found) => {
                    let removed = self.ports.github.remove(target, found.id).await;
                    self.note_spent(POINTS_A_WRITE).await;
                    removed.map(Some)
                }
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
                .put_runner(&known.given_up(self.now()))
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
        self.forget_configurations(std::slice::from_ref(instance))
            .await;
    }

    /// The same of many.
    pub(super) async fn forget_configurations(&self, instances: &[InstanceId]) {
        if let Err(error) = self.ports.configurations.delete_all(instances).await {
            self.report(&Happening::Trouble {
                scope: None,
                problem: error.to_string(),
            });
        }
    }
}
