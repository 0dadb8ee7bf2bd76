//! From an instance to a runner: its registration, written where only it can read it.

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use super::{Control, ControlError};
use crate::boot::InstanceConfiguration;
use crate::happening::Happening;
use crate::ids::InstanceId;
use crate::ports::{RegistrationTarget, RunnerSpec};
use crate::runner::{Runner, RunnerNews};

/// How many runners are registered at once: enough for the 180 a minute that GitHub allows an App
/// (JIT costs 5 of 900 points), few enough for its limit of 100 requests at once.
const REGISTERED_AT_ONCE: usize = 20;

impl Control {
    /// Registers runners and writes their configurations. An instance for which that fails is
    /// terminated, since it would wait for ever; its demand stays.
    ///
    /// Whether all of them have what they need.
    pub(super) async fn configure(
        &self,
        target: &RegistrationTarget,
        runners: &[Runner],
    ) -> Result<bool, ControlError> {
        let mut begun = Vec::new();
        for runner in runners {
            begun.push(self.configure_one(target, runner).boxed());
        }
        let mut done = stream::iter(begun).buffer_unordered(REGISTERED_AT_ONCE);
        // All of them are seen through, whatever becomes of one: the others' instances are waiting.
        let mut all = Ok(true);
        while let Some(configured) = done.next().await {
            all = match (all, configured) {
                (Ok(all), Ok(configured)) => Ok(all && configured),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
        }
        all
    }

    async fn configure_one(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
    ) -> Result<bool, ControlError> {
        let configuration = match self.registration(target, runner).await {
            Ok(configuration) => configuration,
            Err(problem) => return self.unconfigured(runner, problem).await,
        };
        // Before the instance can read it, so that a runner that is still launching has never had one.
        let marked = self
            .fold_runner(runner.scope, &runner.instance, &RunnerNews::Configured)
            .await?;
        if marked.is_none() {
            // Another actor has given it up meanwhile.
            return Ok(false);
        }
        match self
            .ports
            .configurations
            .put(&runner.instance, &configuration)
            .await
        {
            Ok(()) => {
                self.report(&Happening::Configured {
                    instance: runner.instance.clone(),
                    runner: runner.name.clone(),
                });
                Ok(true)
            }
            Err(error) => self.unconfigured(runner, error.to_string()).await,
        }
    }

    async fn unconfigured(&self, runner: &Runner, problem: String) -> Result<bool, ControlError> {
        self.report(&Happening::ConfigurationFailed {
            instance: runner.instance.clone(),
            problem,
        });
        // The answer to a write that landed may have been lost: what is there must not be read.
        self.forget_configuration(&runner.instance).await;
        self.give_up(runner).await?;
        Ok(false)
    }

    /// Registers a runner with GitHub.
    async fn registration(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
    ) -> Result<InstanceConfiguration, String> {
        let labels = self
            .operation
            .classes
            .named(&runner.class)
            .map(|class| class.labels.clone())
            .ok_or_else(|| format!("class `{}` is configured no more", runner.class))?;
        let spec = RunnerSpec {
            name: runner.name.clone(),
            labels: labels.clone(),
            runner_group: self.operation.runner_group,
            mode: runner.mode,
        };
        let registration = self
            .ports
            .github
            .register(target, &spec)
            .await
            .map_err(|error| error.to_string())?;
        Ok(InstanceConfiguration {
            name: runner.name.clone(),
            url: self.ports.github.page(&target.scope),
            labels,
            runner_group: self.operation.runner_group,
            registration,
        })
    }

    /// Terminates an instance that can't serve. Its runner ends in the ledger only once EC2 has
    /// accepted that; otherwise the next act finds it and tries again.
    pub(super) async fn give_up(&self, runner: &Runner) -> Result<(), ControlError> {
        match self
            .ports
            .fleet
            .terminate(std::slice::from_ref(&runner.instance))
            .await
        {
            Ok(()) => {
                self.fold_runner(runner.scope, &runner.instance, &RunnerNews::Gone)
                    .await?;
                Ok(())
            }
            Err(error) => {
                self.report(&Happening::Trouble {
                    scope: Some(runner.scope),
                    problem: format!(
                        "{} can't serve and could not be terminated either: {error}; no job counts on it after its boot time",
                        runner.instance
                    ),
                });
                Ok(())
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
