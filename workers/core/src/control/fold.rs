//! An event becomes part of the ledger, and its scope is asked to be acted on.

use std::sync::PoisonError;

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

/// What hearing of an event came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What it is to the ledger.
    pub folded: Folded,
    /// The act that is to be [asked for](Control::ask) before the event is done with; none: nothing can
    /// follow from it.
    pub request: Option<ActRequest>,
}

impl Control {
    /// Folds an event, and asks for an act if anything may follow from it.
    ///
    /// # Errors
    /// If it may not have been written down: the message is to be delivered again.
    pub async fn fold(&self, event: &JobEvent) -> Result<Folded, ControlError> {
        let heard = self.hear(event).await?;
        if let Some(request) = &heard.request {
            self.ask(request).await?;
        }
        Ok(heard.folded)
    }

    /// Asks for an act.
    ///
    /// # Errors
    /// If the queue may not have taken it.
    pub async fn ask(&self, request: &ActRequest) -> Result<(), ControlError> {
        Ok(self.ports.acts.ask(request).await?)
    }

    /// Folds an event, and asks for nothing: who hears of many events asks once for all of them.
    ///
    /// # Errors
    /// If it may not have been written down: the message is to be delivered again.
    pub async fn hear(&self, event: &JobEvent) -> Result<Heard, ControlError> {
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
            return Ok(Heard {
                folded: Folded::NotOurs,
                request: None,
            });
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
                waited: (job.phase == JobPhase::InProgress).then(|| job.queued_at.age(self.now())),
            });
        } else {
            self.report(&Happening::NothingNew {
                delivery: event.delivery.clone(),
                scope: job.scope,
                job: key,
            });
        }
        if new && event.is_work() {
            self.name_repository(&job).await?;
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
            self.fold_runner(instance, &news).await?;
        }
        // Also when nothing was new: the request of the first time may have been lost, and an act that
        // finds nothing to do is cheap. Nothing follows from the end of a job that nobody waited for.
        let first_heard = new && job.revision == 0;
        let follows = event.is_work() || instance.is_some() || !first_heard;
        let request = follows.then(|| ActRequest {
            scope: job.scope,
            folded: format!(
                "{}-{}-{}",
                event.delivery,
                event.action.as_str(),
                job.revision
            ),
            trigger: Trigger::Jobs,
        });
        let folded = if new {
            Folded::New(job.scope)
        } else {
            Folded::Known(job.scope)
        };
        Ok(Heard { folded, request })
    }

    /// Why no runner of ours could take the event's job; none: one could, or the event does not tell.
    pub(super) fn not_ours(&self, event: &JobEvent) -> Option<String> {
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
        let record = self.ports.reporter.record();
        self.change_job(key, |known, now| {
            let mut job = job::fold(known, event, scope, now)?;
            job.story.add(record.clone());
            Some(job)
        })
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

    /// Notes what a job's repository is called, so that people find its jobs by that.
    async fn name_repository(&self, job: &Job) -> Result<(), ControlError> {
        let (name, id) = (job.full_name(), job.repository_id());
        let known = {
            let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            named.get(&name) == Some(&id)
        };
        if !known {
            self.ports.ledger.name_repository(&name, id).await?;
            let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            named.insert(name, id);
        }
        Ok(())
    }

    /// Folds what EC2 tells of an instance: one of ours that is gone, or is about to be taken back, is no
    /// supply any more, and its scope is asked to be acted on. `event` tells this event from others.
    /// Whether it is one of ours.
    ///
    /// # Errors
    /// If it may not have been written down: the event is to be delivered again.
    pub async fn fold_instance(
        &self,
        instance: &InstanceId,
        news: &RunnerNews,
        event: &str,
    ) -> Result<bool, ControlError> {
        let request = self.hear_of_instance(instance, news, event).await?;
        if let Some(request) = &request {
            self.ask(request).await?;
        }
        Ok(request.is_some())
    }

    /// The same, without asking for the act that is to follow; none: it is not one of ours.
    ///
    /// # Errors
    /// If it may not have been written down: the event is to be delivered again.
    pub async fn hear_of_instance(
        &self,
        instance: &InstanceId,
        news: &RunnerNews,
        event: &str,
    ) -> Result<Option<ActRequest>, ControlError> {
        let Some(before) = self.ports.ledger.runner(instance).await? else {
            return Ok(None);
        };
        let changed = self.fold_runner(instance, news).await?;
        if let Some(ended) = &changed {
            self.note_left(ended).await?;
        }
        if changed.is_some()
            && let RunnerPhase::Busy { job } = before.phase
        {
            self.lost_its_runner(job, &before, news).await?;
        }
        // Also when nothing was new: the request of the first time may have been lost.
        Ok(Some(ActRequest {
            scope: before.scope,
            folded: format!("{instance}-{event}"),
            trigger: Trigger::Fleet,
        }))
    }

    /// A job's runner went away under it.
    async fn lost_its_runner(
        &self,
        job: JobKey,
        runner: &Runner,
        news: &RunnerNews,
    ) -> Result<(), ControlError> {
        self.report(&Happening::RunnerLost {
            job,
            runner: runner.name.clone(),
            instance: runner.instance.clone(),
            scope: runner.scope,
            interrupted: *news == RunnerNews::Interrupted,
        });
        let record = self.ports.reporter.record();
        let _known = self
            .change_job(job, |known, _| {
                let mut job = known?.clone();
                job.story.add(record.clone()).then_some(job)
            })
            .await?;
        Ok(())
    }

    /// Folds news of a runner, and says what it is now if that is new. News of one that the ledger does
    /// not know is let go (the ledger hears of a runner before it can register).
    pub async fn fold_runner(
        &self,
        instance: &InstanceId,
        news: &RunnerNews,
    ) -> Result<Option<Runner>, ControlError> {
        let mut borne = 0;
        loop {
            let Some(known) = self.ports.ledger.runner(instance).await? else {
                return Ok(None);
            };
            let Some(runner) = known.fold(news, self.now()) else {
                return Ok(None);
            };
            match self.ports.ledger.put_runner(&runner).await {
                Ok(()) => {
                    self.changed(&runner).await;
                    return Ok(Some(runner));
                }
                Err(LedgerError::Conflict(_)) if borne < CONFLICTS_BORNE => borne += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What follows from a runner's new phase by itself.
    pub(super) async fn changed(&self, runner: &Runner) {
        if runner.phase == RunnerPhase::Ended {
            self.forget_configuration(&runner.instance).await;
        }
        self.tell_changed(runner);
    }

    pub(super) fn tell_changed(&self, runner: &Runner) {
        self.report(&Happening::RunnerChanged {
            runner: runner.name.clone(),
            instance: runner.instance.clone(),
            scope: runner.scope,
            phase: runner.phase.clone(),
        });
    }

    /// A runner is about to get its configuration: it leaves the phase in which it surely has none, if it
    /// is still this act's to configure. As it is written then.
    pub(super) async fn mark_configured(
        &self,
        runner: &Runner,
    ) -> Result<Option<Runner>, ControlError> {
        let mut borne = 0;
        loop {
            let known = self.ports.ledger.runner(&runner.instance).await?;
            let ours = known
                .filter(|known| known.attempt == runner.attempt && known.lacks_configuration());
            let Some(known) = ours else {
                return Ok(None);
            };
            let now = self.now();
            let is_new = known.phase == RunnerPhase::Launching;
            let marked = known.fold(&RunnerNews::Configured, now).unwrap_or(Runner {
                phase_since: now,
                ..known
            });
            match self.ports.ledger.put_runner(&marked).await {
                Ok(()) => {
                    if is_new {
                        self.changed(&marked).await;
                    }
                    let revision = marked.revision + 1;
                    return Ok(Some(Runner { revision, ..marked }));
                }
                Err(LedgerError::Conflict(_)) if borne < CONFLICTS_BORNE => borne += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A runner's configuration is written: who finds it from here on need not look after it.
    pub(super) async fn confirm_configured(&self, marked: Runner) -> Result<(), ControlError> {
        let confirmed = Runner {
            configured: true,
            ..marked
        };
        match self.ports.ledger.put_runner(&confirmed).await {
            // It was heard of since, which says the same; or another act has taken it over.
            Ok(()) | Err(LedgerError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
