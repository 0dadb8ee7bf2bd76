//! An event becomes part of the ledger, and its scope is asked to be acted on.

use stoker_intake::JobEvent;

use super::{CONFLICTS_BORNE, Control, ControlError};
use crate::happening::Happening;
use crate::ids::{InstanceId, JobKey, ScopeKey};
use crate::job::{self, Job, JobPhase};
use crate::ports::{ActRequest, LedgerError};
use crate::runner::{Runner, RunnerNews, RunnerPhase};
use crate::situation::Trigger;

/// What folding an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// It told something new, and the scope is to be acted on.
    New(ScopeKey),
    /// It told nothing new.
    Known(ScopeKey),
    /// No runner of ours could take the job.
    NotOurs,
}

impl Control {
    /// Folds an event, and asks for an act if anything may follow from it.
    ///
    /// # Errors
    /// If it may not have been written down: the message is to be delivered again.
    pub async fn fold(&self, event: &JobEvent) -> Result<Folded, ControlError> {
        let scope = job::scope_of(event, self.operation.level);
        let key = job::key_of(event);
        // The end of a job that is in the ledger is heard even if its class is configured no more.
        if let Some(reason) = self.not_ours(event)
            && self.ports.ledger.job(key).await?.is_none()
        {
            self.report(&Happening::NotOurs {
                delivery: event.delivery.clone(),
                job: key,
                reason,
            });
            return Ok(Folded::NotOurs);
        }
        let (job, new) = self.fold_job(event, scope).await?;
        if new {
            self.report(&Happening::Folded {
                delivery: event.delivery.clone(),
                event: event.event,
                action: event.action,
                scope: job.scope,
                job: key,
                repository: job.full_name(),
                name: job.name.clone(),
                phase: job.phase,
            });
        } else {
            self.report(&Happening::NothingNew {
                delivery: event.delivery.clone(),
                job: key,
            });
        }
        let instance = job
            .runner_name
            .as_deref()
            .and_then(|name| self.operation.names.instance(name));
        if let Some(instance) = &instance {
            let news = match job.phase {
                JobPhase::Ended => RunnerNews::Finished(key),
                _ => RunnerNews::Took(key),
            };
            self.fold_runner(job.scope, instance, &news).await?;
        }
        // Also when nothing was new: the request of the first time may have been lost, and an act that
        // finds nothing to do is cheap. Nothing follows from the end of a job that nobody waited for.
        let first_heard = new && job.revision == 0;
        if event.is_work() || instance.is_some() || !first_heard {
            self.ports
                .acts
                .ask(&ActRequest {
                    scope: job.scope,
                    folded: format!(
                        "{}-{}-{}",
                        event.delivery,
                        event.action.as_str(),
                        job.revision
                    ),
                    trigger: Trigger::Jobs,
                })
                .await?;
        }
        Ok(if new {
            Folded::New(job.scope)
        } else {
            Folded::Known(job.scope)
        })
    }

    /// Why no runner of ours could take the event's job; none: one could, or the event does not tell.
    fn not_ours(&self, event: &JobEvent) -> Option<String> {
        let labels = event.labels.as_deref()?;
        let ours = !self.operation.classes.fitting(labels).is_empty()
            || event
                .runner_name
                .as_deref()
                .is_some_and(|name| self.operation.names.instance(name).is_some());
        (!ours).then(|| {
            format!(
                "no runner class has all of its labels ({})",
                labels.join(", ")
            )
        })
    }

    async fn fold_job(
        &self,
        event: &JobEvent,
        scope: ScopeKey,
    ) -> Result<(Job, bool), ControlError> {
        let key = job::key_of(event);
        self.change_job(key, |known, now| job::fold(known, event, scope, now))
            .await?
            // Folding an unknown job always makes one.
            .ok_or_else(|| LedgerError::Conflict(format!("job {key}")).into())
    }

    /// Reads a job, changes it, and writes it if it changed (the second value says so); again if another
    /// writer came between. None: there is no such job and `change` made none.
    pub(super) async fn change_job(
        &self,
        key: JobKey,
        change: impl Fn(Option<&Job>, crate::time::Timestamp) -> Option<Job>,
    ) -> Result<Option<(Job, bool)>, ControlError> {
        let mut borne = 0;
        loop {
            let known = self.ports.ledger.job(key).await?;
            let Some(job) = change(known.as_ref(), self.now()) else {
                return Ok(known.map(|job| (job, false)));
            };
            match self.ports.ledger.put_job(&job).await {
                Ok(()) => return Ok(Some((job, true))),
                Err(LedgerError::Conflict(_)) if borne < CONFLICTS_BORNE => borne += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Folds news of a runner, and says what it is now if that is new. News of one that the ledger does
    /// not know is let go (the ledger hears of a runner before it can register).
    pub async fn fold_runner(
        &self,
        scope: ScopeKey,
        instance: &InstanceId,
        news: &RunnerNews,
    ) -> Result<Option<Runner>, ControlError> {
        let mut borne = 0;
        loop {
            let Some(known) = self.ports.ledger.runner(scope, instance).await? else {
                return Ok(None);
            };
            let Some(runner) = known.fold(news, self.now()) else {
                return Ok(None);
            };
            match self.ports.ledger.put_runner(&runner).await {
                Ok(()) => {
                    if runner.phase == RunnerPhase::Ended {
                        self.forget_configuration(instance).await;
                    }
                    self.report(&Happening::RunnerChanged {
                        runner: runner.name.clone(),
                        instance: instance.clone(),
                        scope,
                        phase: runner.phase.clone(),
                    });
                    return Ok(Some(runner));
                }
                Err(LedgerError::Conflict(_)) if borne < CONFLICTS_BORNE => borne += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
