//! What looked wrong twice is taken away.

use std::collections::BTreeSet;

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use super::Came;
use super::look::Looked;
use crate::control::{Control, ControlError};
use crate::happening::Happening;
use crate::ids::{InstanceId, JobKey, ScopeKey};
use crate::job::{Job, JobPhase, RUNS_AT_MOST, Standing};
use crate::ports::{OwnInstance, RegistrationTarget, Removed, ScopeState, SharedItem};
use crate::runner::{Runner, RunnerNews};
use crate::sightings::{Sighting, Sightings};

/// How long an instance is given to end itself after its runner has, in seconds.
const LINGERS: u32 = 300;

/// How many are seen to at once.
const AT_ONCE: usize = 20;

impl Control {
    /// Instances whose runner has ended a while ago. Those that the ledger does not know are given back to it.
    pub(super) async fn lingering(
        &self,
        state: &ScopeState,
        instances: &[OwnInstance],
    ) -> Result<Vec<Sighting>, ControlError> {
        let known: BTreeSet<&InstanceId> = state.runners.iter().map(|one| &one.instance).collect();
        let now = self.now();
        let mut asking = Vec::new();
        for instance in instances {
            let is_launched = state.intents.iter().any(|one| one.id == instance.intent);
            if known.contains(&instance.id) || is_launched {
                continue;
            }
            let ask = async move { (instance, self.ports.ledger.runner(&instance.id).await) };
            asking.push(ask.boxed());
        }
        let mut asked = stream::iter(asking).buffer_unordered(AT_ONCE);
        let mut lingering = Vec::new();
        let mut unknown = Vec::new();
        while let Some((instance, runner)) = asked.next().await {
            match runner? {
                Some(runner) if !runner.is_live() && runner.phase_since.age(now) > LINGERS => {
                    lingering.push(Sighting::Lingers(instance.id.clone()));
                }
                // A launch is settled within that time, or taken up again.
                None if instance.launched_at.age(now) > LINGERS => unknown.push(instance.clone()),
                Some(_) | None => {}
            }
        }
        if let Some(scope) = unknown.first().map(|first| first.scope) {
            // Whatever became of their launch, nobody has written them down.
            let rebuilt = self.rebuild_scope(scope, unknown).await?;
            self.tell_rebuilt(&rebuilt);
        }
        Ok(lingering)
    }

    /// Takes away what looked wrong twice. How many that was.
    pub(super) async fn take_away(
        &self,
        scope: ScopeKey,
        target: &RegistrationTarget,
        state: &ScopeState,
        looked: &Looked,
        believed: &BTreeSet<Sighting>,
    ) -> Result<usize, ControlError> {
        let mut taking = Vec::new();
        for sighting in believed {
            let take = async move {
                match sighting {
                    Sighting::Gone(instance) => self.is_gone(state, instance).await,
                    Sighting::Left(name) => {
                        self.remove_what_is_left(scope, target, looked, name).await
                    }
                    Sighting::Lingers(instance) => {
                        self.end_what_lingers(scope, target, looked, instance).await
                    }
                    // Runners that may serve all the same go as others do.
                    Sighting::Lost(_) | Sighting::Closed => Ok(false),
                }
            };
            taking.push(take.boxed());
        }
        let mut taking = stream::iter(taking).buffer_unordered(AT_ONCE);
        let mut count = 0;
        let mut failed = None;
        while let Some(is_done) = taking.next().await {
            match is_done {
                Ok(is_done) => count += usize::from(is_done),
                // What keeps one holds up no other.
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(count), Err)
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
        let removed = self.remove_left(target, *id).await?;
        if !matches!(removed, Some(Removed::Removed | Removed::Unknown)) {
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
        if looked.busy.contains(instance) {
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
        // That it is not there after all is believed when the next look finds it neither.
        if let Some(id) = id
            && self.remove_left(target, id).await? != Some(Removed::Removed)
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
        let reason = format!(
            "nothing is launched for {} any more: {problem}",
            target.scope
        );
        let reason = &reason;
        let mut letting = Vec::new();
        for job in &waiting {
            let let_go = self.change_job(*job, move |known, _| let_go(known?, reason));
            letting.push(let_go.boxed());
        }
        let mut letting = stream::iter(letting).buffer_unordered(AT_ONCE);
        while let Some(one) = letting.next().await {
            one?;
        }
        drop(letting);
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

    pub(super) fn tell_taken_away(
        &self,
        scope: ScopeKey,
        runner: &str,
        instance: &InstanceId,
        reason: &str,
    ) {
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
