//! GitHub registers a runner, or says why not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Control, ControlError};
use crate::boot::{InstanceConfiguration, Registration};
use crate::budget::POINTS_A_WRITE;
use crate::ids::ClassName;
use crate::ports::{GitHubError, GitHubFault, RegistrationTarget, Removed, RunnerSpec};
use crate::runner::{Runner, RunnerPhase};
use crate::time::Timestamp;

/// Why a runner is not registered.
pub(super) enum Unregistered {
    /// GitHub wants to be left alone until then.
    Wait(Timestamp),
    /// Its instance is to be replaced, because of this.
    Replace(String),
    /// The same, and another one of its class would not be registered either.
    Refused(String),
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

/// What GitHub said of runners of a class. In this order the later one counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    /// It failed to register one: another one may work.
    Failed(String),
    /// It registers none, and why.
    Refused(String),
    /// It registered one.
    Registered,
}

/// What GitHub said while runners were registered, for those that are still to be.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// For how many nobody has done so yet.
    left: AtomicUsize,
    /// How often it was asked.
    asked: AtomicU32,
    /// Until when it is to be left alone; 0: it may be asked.
    closed: AtomicU64,
    by_class: Mutex<BTreeMap<ClassName, Said>>,
}

impl Asking {
    pub(super) fn for_so_many(runners: usize) -> Self {
        Self {
            left: AtomicUsize::new(runners),
            ..Self::default()
        }
    }

    /// Whether it was asked, or is not to be, for all of them: to be called once for each.
    pub(super) fn is_last(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    pub(super) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Until when GitHub is to be left alone, if it is.
    pub(super) fn closed(&self) -> Option<Timestamp> {
        let until = self.closed.load(Ordering::Relaxed);
        (until > 0).then_some(Timestamp(until))
    }

    /// Whether nobody had said so before.
    pub(super) fn close(&self, until: Timestamp) -> bool {
        self.closed.fetch_max(until.0, Ordering::Relaxed) == 0
    }

    /// Why runners of that class are not registered, if that is known.
    pub(super) fn refused(&self, class: &ClassName) -> Option<String> {
        match self.by_class().get(class) {
            Some(Said::Refused(problem)) => Some(problem.clone()),
            _ => None,
        }
    }

    /// By class, that it registered one (none), or why not.
    pub(super) fn said(self) -> BTreeMap<ClassName, Option<String>> {
        let by_class = self.by_class.into_inner();
        let by_class = by_class.unwrap_or_else(PoisonError::into_inner);
        let problem = |said| match said {
            Said::Registered => None,
            Said::Refused(problem) | Said::Failed(problem) => Some(problem),
        };
        by_class
            .into_iter()
            .map(|(class, said)| (class, problem(said)))
            .collect()
    }

    fn note(&self, class: &ClassName, said: Said) {
        let mut by_class = self.by_class();
        if by_class.get(class).is_none_or(|known| *known < said) {
            by_class.insert(class.clone(), said);
        }
    }

    fn by_class(&self) -> MutexGuard<'_, BTreeMap<ClassName, Said>> {
        self.by_class.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// Registers a runner with GitHub.
    pub(super) async fn registration(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        asking: &Asking,
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
        let registered = self.register(target, runner, &spec, asking).await?;
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
        asking: &Asking,
    ) -> Result<Result<Registration, Unregistered>, ControlError> {
        let error = match self.ask_for_one(target, runner, spec, asking).await {
            Ok(registration) => return Ok(Ok(registration)),
            Err(error) => error,
        };
        let may_be_there = matches!(error.fault, GitHubFault::Conflict | GitHubFault::Unknown)
            && !spec.mode.registers_by_token();
        if !may_be_there {
            return Ok(Err(match error.fault {
                GitHubFault::Refused | GitHubFault::Closed => {
                    Unregistered::Refused(error.to_string())
                }
                _ => Unregistered::of(&error),
            }));
        }
        if let Err(unregistered) = self.free_name(target, runner).await? {
            return Ok(Err(unregistered));
        }
        let registered = self.ask_for_one(target, runner, spec, asking).await;
        Ok(registered.map_err(|error| Unregistered::of(&error)))
    }

    async fn ask_for_one(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        spec: &RunnerSpec,
        asking: &Asking,
    ) -> Result<Registration, GitHubError> {
        asking.asked.fetch_add(1, Ordering::Relaxed);
        let registered = self.ports.github.register(target, spec).await;
        let said = match &registered {
            Ok(_) => Said::Registered,
            Err(error) => match error.fault {
                GitHubFault::Refused | GitHubFault::Closed => Said::Refused(error.problem.clone()),
                GitHubFault::Unknown | GitHubFault::Unavailable => {
                    Said::Failed(error.problem.clone())
                }
                // Neither is about the class.
                GitHubFault::Limited { .. } | GitHubFault::Conflict => return registered,
            },
        };
        asking.note(&runner.class, said);
        registered
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
        self.note_spent(POINTS_A_WRITE).await;
        Ok(match removed {
            Ok(Removed::Removed | Removed::Unknown) => Ok(()),
            Ok(Removed::Busy) => Err(Unregistered::Replace(format!(
                "a runner called {} has taken a job, though its instance was given no configuration",
                runner.name
            ))),
            Err(error) => Err(Unregistered::of(&error)),
        })
    }
}
