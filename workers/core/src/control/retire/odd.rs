//! What looked wrong twice is taken away.

use std::collections::BTreeSet;

use super::Came;
use super::look::Looked;
use crate::control::{Control, ControlError};
use crate::happening::Happening;
use crate::ids::{InstanceId, JobKey, ScopeKey};
use crate::job::{Job, JobPhase, RUNS_AT_MOST, Standing};
use crate::ports::{OwnInstance, RegistrationTarget, ScopeState, SharedItem};
use crate::runner::{Runner, RunnerNews};
use crate::sightings::{Sighting, Sightings};

/// How long an instance is given to end itself after its runner has, in seconds.
const LINGERS: u32 = 300;

impl Control {
    /// Instances whose runner has ended a while ago. Those that the ledger does not know are given back to it.
    pub(super) async fn lingering(
        &self,
        state: &ScopeState,
        instances: &[OwnInstance],
    ) -> Result<Vec<Sighting>, ControlError> {
        let known: BTreeSet<&InstanceId> = state.runners.iter().map(|one| &one.instance).collect();
        let now = self.now();
        let mut lingering = Vec::new();
        let mut unknown = Vec::new();
        for instance in instances {
            let is_launched = state.intents.iter().any(|one| one.id == instance.intent);
            if known.contains(&instance.id) || is_launched {
                continue;
            }
            match self.ports.ledger.runner(&instance.id).await? {
                Some(runner) if !runner.is_live() && runner.phase_since.age(now) > LINGERS => {
                    lingering.push(Sighting::Lingers(instance.id.clone()));
                }
                // A launch is settled within that time, or taken up again.
                None if instance.launched_at.age(now) > LINGERS => unknown.push(instance.clone()),
                Some(_) | None => {}
            }
        }
        if let Some(first) = unknown.first() {
            self.adopt(first.scope, unknown.clone()).await?;
        }
        Ok(lingering)
    }

    /// Takes away what looked wrong twice. How many that was.
    pub(super) async fn take_away(
        &self,
        scope: ScopeKey,
        target: &RegistrationTarget,
        state: &ScopeState,
        instances: &[OwnInstance],
        looked: &Looked,
        believed: &BTreeSet<Sighting>,
    ) -> Result<usize, ControlError> {
        let mut count = 0;
        for sighting in believed {
            let is_done = match sighting {
                Sighting::Gone(instance) => self.is_gone(state, instance).await?,
                Sighting::Left(name) => {
                    self.remove_what_is_left(scope, target, looked, name)
                        .await?
                }
                Sighting::Lingers(instance) => {
                    let there = instances.iter().any(|one| one.id == *instance);
                    there
                        && self
                            .end_what_lingers(scope, target, looked, instance)
                            .await?
                }
                // Runners that may serve all the same go as others do.
                Sighting::Lost(_) | Sighting::Closed => false,
            };
            count += usize::from(is_done);
        }
        Ok(count)
    }

    /// EC2 shows an instance no more: its runner has ended, and a job that it had is lost.
    async fn is_gone(
        &self,
        state: &ScopeState,
        instance: &InstanceId,
    ) -> Result<bool, ControlError> {
        let Some(runner) = state.runners.iter().find(|one| one.instance == *instance) else {
            return Ok(false);
        };
        // One that was stopped by somebody serves no more, and costs.
        if !self
            .terminate_instances(std::slice::from_ref(instance))
            .await
        {
            return Ok(false);
        }
        let event = format!("not-shown-{}", self.now().0);
        self.hear_of_instance(instance, &RunnerNews::Gone, &event)
            .await?;
        self.tell_taken_away(
            runner.scope,
            &runner.name,
            instance,
            "EC2 shows no such instance any more",
        );
        Ok(true)
    }

    /// A runner at GitHub whose instance is gone.
    async fn remove_what_is_left(
        &self,
        scope: ScopeKey,
        target: &RegistrationTarget,
        looked: &Looked,
        name: &str,
    ) -> Result<bool, ControlError> {
        let Some(instance) = self.operation.names.instance(name) else {
            return Ok(false);
        };
        // It may have been launched since the scope was read.
        let known = self.ports.ledger.runner(&instance).await?;
        if known.is_some_and(|runner| runner.is_live()) {
            return Ok(false);
        }
        let Some(id) = looked.ids.get(&instance) else {
            return Ok(false);
        };
        // GitHub takes minutes to notice that it is gone.
        if looked.busy.contains(&instance) || looked.online.contains(&instance) {
            return Ok(false);
        }
        if self.reserve_removals(1).await? == 0 || !self.remove_left(target, *id).await? {
            return Ok(false);
        }
        self.tell_taken_away(
            scope,
            name,
            &instance,
            "its instance is gone, and it was still registered",
        );
        Ok(true)
    }

    /// An instance whose runner has ended, and that has not ended itself.
    async fn end_what_lingers(
        &self,
        scope: ScopeKey,
        target: &RegistrationTarget,
        looked: &Looked,
        instance: &InstanceId,
    ) -> Result<bool, ControlError> {
        let name = self.operation.names.name(instance);
        if looked.busy.contains(instance) || self.reserve_removals(1).await? == 0 {
            // GitHub has given it a job all the same.
            return Ok(false);
        }
        // A list may have missed it while it was read.
        let id = match looked.ids.get(instance) {
            Some(id) => Some(*id),
            None => match self.ports.github.runner(target, &name).await {
                Ok(Some(found)) if found.busy => return Ok(false),
                Ok(found) => found.map(|found| found.id),
                Err(error) => {
                    self.heed(&error).await?;
                    return Ok(false);
                }
            },
        };
        if let Some(id) = id
            && !self.remove_left(target, id).await?
        {
            return Ok(false);
        }
        if !self
            .terminate_instances(std::slice::from_ref(instance))
            .await
        {
            return Ok(false);
        }
        self.tell_taken_away(
            scope,
            &name,
            instance,
            "its runner has ended, and it had not ended itself",
        );
        Ok(true)
    }

    /// GitHub does not let the App at a scope any more. Seen twice, nothing is launched for its jobs any more.
    /// Its runners may have jobs, which nobody can tell: they stay as long as a job may take.
    pub(super) async fn close(
        &self,
        scope: ScopeKey,
        target: &RegistrationTarget,
        state: &ScopeState,
        problem: &str,
    ) -> Result<Came, ControlError> {
        let now = self.now();
        let seen = BTreeSet::from([Sighting::Closed]);
        let believed = self
            .change_shared(SharedItem::Sightings, |sightings: &mut Sightings| {
                sightings.look(scope, &target.scope, &seen, now)
            })
            .await?;
        if believed.is_empty() {
            return Ok(Came::default());
        }
        let waiting = state.jobs.iter().filter(|job| job.is_demand());
        let waiting: Vec<JobKey> = waiting.map(|job| job.key).collect();
        for job in &waiting {
            let reason = format!(
                "nothing is launched for {} any more: {problem}",
                target.scope
            );
            self.change_job(*job, |known, _| let_go(known?, &reason))
                .await?;
        }
        let old = |runner: &&Runner| runner.phase_since.age(now) > RUNS_AT_MOST;
        let mut came = Came::default();
        for runner in state.runners.iter().filter(old) {
            if self
                .terminate_instances(std::slice::from_ref(&runner.instance))
                .await
            {
                self.hear_of_instance(&runner.instance, &RunnerNews::Gone, "closed")
                    .await?;
                came.taken_away += 1;
                let reason = "no job takes longer, and GitHub can't be asked whether it has one";
                self.tell_taken_away(scope, &runner.name, &runner.instance, reason);
            }
        }
        if state.runners.is_empty() && waiting.is_empty() && came.taken_away == 0 {
            // There is nothing left that anybody could do for it.
            let nothing = BTreeSet::new();
            self.change_shared(SharedItem::Sightings, |sightings: &mut Sightings| {
                let _believed = sightings.look(scope, &target.scope, &nothing, now);
            })
            .await?;
            return Ok(came);
        }
        self.report(&Happening::ScopeClosed {
            scope,
            name: target.scope.to_string(),
            jobs: waiting.len(),
            runners: state.runners.len() - came.taken_away,
            problem: problem.to_owned(),
        });
        Ok(came)
    }

    /// EC2 shows instances that the ledger does not know, and it is not a launch that is still open.
    async fn adopt(&self, scope: ScopeKey, unknown: Vec<OwnInstance>) -> Result<(), ControlError> {
        let rebuilt = self.rebuild_scope(scope, unknown).await?;
        self.tell_rebuilt(&rebuilt);
        Ok(())
    }

    fn tell_taken_away(&self, scope: ScopeKey, runner: &str, instance: &InstanceId, reason: &str) {
        self.report(&Happening::TakenAway {
            runner: runner.to_owned(),
            instance: instance.clone(),
            scope,
            reason: reason.to_owned(),
        });
    }
}

/// A job that is not launched for any more, until a fresh event says that it waits.
fn let_go(job: &Job, reason: &str) -> Option<Job> {
    (job.phase == JobPhase::Queued && job.standing != Standing::Denied).then(|| Job {
        standing: Standing::Denied,
        last_deferral: Some(reason.to_owned()),
        ..job.clone()
    })
}
