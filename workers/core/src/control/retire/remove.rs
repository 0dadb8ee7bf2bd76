//! A runner goes: `retiring` is saved first, then GitHub is asked to remove it, and only when it has, or has
//! said twice that it knows no such runner, is the instance terminated.

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use crate::control::act::{Again, SOON};
use crate::control::configure::REGISTERED_AT_ONCE;
use crate::control::{Control, ControlError};
use crate::happening::Happening;
use crate::ids::InstanceId;
use crate::ports::{GitHubError, GitHubFault, LedgerError, RegistrationTarget, Removed};
use crate::runner::{ABSENT_FOR, Retirement, Runner, RunnerNews, RunnerPhase};

/// When GitHub is asked again about a runner of a scope at which it does not let the App, in seconds.
const CLOSED_AGAIN: u32 = 300;

/// A runner that is to go.
#[derive(Debug, Clone)]
pub(super) struct Going {
    /// As it was read.
    pub(super) runner: Runner,
    /// GitHub's id of it, where it was listed.
    pub(super) id: Option<u64>,
    pub(super) retirement: Retirement,
}

/// What GitHub said to a removal.
enum Answer {
    /// It has no such runner (any more): its instance can take no job.
    Free,
    /// It runs a job, or may: it stays.
    Stays(String),
    /// In so many seconds it is to be asked again.
    Later(u32),
}

/// What came of removals.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Those whose instances are being terminated.
    pub(super) runners: Vec<Runner>,
    /// When the rest is to be tried again.
    pub(super) again: Again,
}

impl Control {
    /// Retires runners, all at once. One that did anything since it was read stays.
    pub(super) async fn retire(
        &self,
        target: &RegistrationTarget,
        going: Vec<Going>,
    ) -> Result<Gone, ControlError> {
        let mut retiring = Vec::new();
        for one in going {
            retiring.push(self.retire_one(target, one).boxed());
        }
        self.see_through(retiring).await
    }

    /// Takes up retirements that whoever began them did not see through, or that wait for GitHub's word.
    pub(in crate::control) async fn take_up_retirements(
        &self,
        target: Option<&RegistrationTarget>,
        runners: Vec<Runner>,
    ) -> Result<Again, ControlError> {
        let wanted = u32::try_from(runners.len()).unwrap_or(u32::MAX);
        let granted = self.reserve_removals(wanted).await?;
        let mut removing = Vec::new();
        for runner in runners
            .into_iter()
            .take(usize::try_from(granted).unwrap_or(0))
        {
            let its_own = runner.scope_name.clone().map(|scope| RegistrationTarget {
                scope,
                installation: None,
            });
            // What it is called at GitHub nobody knows any more: it stays until its instance is gone.
            let Some(target) = target.cloned().or(its_own) else {
                continue;
            };
            removing.push(async move { self.remove(&target, runner, None).await }.boxed());
        }
        let mut again = self.see_through(removing).await?.again;
        if granted < wanted {
            again.join(Again::after(SOON));
        }
        Ok(again)
    }

    /// Removes what nobody needs at GitHub, if GitHub's patience has room for it. What it says; none: nothing.
    pub(super) async fn remove_left(
        &self,
        target: &RegistrationTarget,
        id: u64,
    ) -> Result<Option<Removed>, ControlError> {
        if self.reserve_removals(1).await? == 0 {
            return Ok(None);
        }
        match self.ports.github.remove(target, id).await {
            Ok(removed) => Ok(Some(removed)),
            Err(error) => {
                self.heed(&error).await?;
                Ok(None)
            }
        }
    }

    async fn see_through(
        &self,
        work: Vec<futures::future::BoxFuture<'_, Result<Came, ControlError>>>,
    ) -> Result<Gone, ControlError> {
        // As many as come at once are terminated in one request.
        let mut came = stream::iter(work)
            .buffer_unordered(REGISTERED_AT_ONCE)
            .ready_chunks(REGISTERED_AT_ONCE);
        let mut gone = Gone::default();
        let mut failed = None;
        while let Some(some) = came.next().await {
            let mut free = Vec::new();
            for one in some {
                match one {
                    Ok(Came::Free(runner)) => free.push(*runner),
                    Ok(Came::Again(seconds)) => gone.again.join(Again::after(seconds)),
                    Ok(Came::Stays) => {}
                    // The others are seen through: GitHub has removed some of them already.
                    Err(error) => failed = Some(error),
                }
            }
            match self.terminate_all(&free).await {
                Ok(true) => gone.runners.extend(free),
                Ok(false) => gone.again.join(Again::after(SOON)),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(gone), Err)
    }

    async fn retire_one(
        &self,
        target: &RegistrationTarget,
        going: Going,
    ) -> Result<Came, ControlError> {
        let retiring = going.runner.retiring(going.retirement, self.now());
        match self.ports.ledger.put_runner(&retiring).await {
            Ok(()) => {}
            // It took a job, or somebody else retires it.
            Err(LedgerError::Conflict(_)) => return Ok(Came::Stays),
            Err(error) => return Err(error.into()),
        }
        self.changed(&retiring).await;
        let revision = retiring.revision + 1;
        let retiring = Runner {
            revision,
            ..retiring
        };
        self.remove(target, retiring, going.id).await
    }

    /// Has GitHub remove a retiring runner.
    async fn remove(
        &self,
        target: &RegistrationTarget,
        runner: Runner,
        id: Option<u64>,
    ) -> Result<Came, ControlError> {
        match self.ask_to_remove(target, &runner, id).await? {
            Answer::Free => Ok(Came::Free(Box::new(runner))),
            Answer::Later(seconds) => Ok(Came::Again(seconds)),
            Answer::Stays(reason) => {
                self.report(&Happening::RunnerStays {
                    runner: runner.name.clone(),
                    instance: runner.instance.clone(),
                    scope: runner.scope,
                    reason,
                });
                // Its webhook says which job.
                self.fold_runner(&runner.instance, &RunnerNews::Occupied)
                    .await?;
                Ok(Came::Stays)
            }
        }
    }

    async fn ask_to_remove(
        &self,
        target: &RegistrationTarget,
        runner: &Runner,
        id: Option<u64>,
    ) -> Result<Answer, ControlError> {
        let removed = async {
            let id = match id {
                Some(id) => id,
                None => match self.ports.github.runner(target, &runner.name).await? {
                    None => return Ok(Removed::Unknown),
                    Some(found) if found.busy => return Ok(Removed::Busy),
                    Some(found) => found.id,
                },
            };
            self.ports.github.remove(target, id).await
        };
        let removed: Result<Removed, GitHubError> = removed.await;
        match removed {
            Ok(Removed::Removed) => Ok(Answer::Free),
            Ok(Removed::Busy) => Ok(Answer::Stays("GitHub says that it runs a job".to_owned())),
            Ok(Removed::Unknown) => self.note_absent(runner).await,
            Err(error) => self.heed(&error).await.map(Answer::Later),
        }
    }

    /// GitHub knows no such runner: that is believed when it says so again some time later.
    async fn note_absent(&self, runner: &Runner) -> Result<Answer, ControlError> {
        let Some(retirement) = &runner.retirement else {
            return Ok(Answer::Later(SOON));
        };
        let now = self.now();
        if let Some(absent) = retirement.absent {
            let age = absent.age(now);
            return Ok(if age >= ABSENT_FOR {
                Answer::Free
            } else {
                Answer::Later(ABSENT_FOR - age)
            });
        }
        let noted = Runner {
            retirement: Some(Retirement {
                absent: Some(now),
                ..retirement.clone()
            }),
            ..runner.clone()
        };
        match self.ports.ledger.put_runner(&noted).await {
            Ok(()) | Err(LedgerError::Conflict(_)) => Ok(Answer::Later(ABSENT_FOR)),
            Err(error) => Err(error.into()),
        }
    }

    /// GitHub did not remove a runner. In how many seconds it is to be asked again.
    pub(super) async fn heed(&self, error: &GitHubError) -> Result<u32, ControlError> {
        Ok(match error.fault {
            GitHubFault::Limited { until } => {
                self.leave_github_alone(until).await?;
                self.now().age(until).max(1)
            }
            GitHubFault::Closed => CLOSED_AGAIN,
            _ => {
                self.report(&Happening::Trouble {
                    scope: None,
                    problem: format!(
                        "{error}; the runner stays until GitHub says, and it is asked again"
                    ),
                });
                SOON
            }
        })
    }

    /// Terminates the instances of retiring runners that GitHub has removed. Whether EC2 accepted that.
    async fn terminate_all(&self, runners: &[Runner]) -> Result<bool, ControlError> {
        if runners.is_empty() {
            return Ok(true);
        }
        let instances: Vec<InstanceId> = runners
            .iter()
            .map(|runner| runner.instance.clone())
            .collect();
        if !self.terminate_instances(&instances).await {
            return Ok(false);
        }
        self.forget_configurations(&instances).await;
        for runner in runners {
            // One that goes by a policy's decision is on that decision's record.
            if let Some(Retirement {
                decision: None,
                reason,
                ..
            }) = &runner.retirement
            {
                self.tell_taken_away(runner.scope, &runner.name, &runner.instance, reason);
            }
        }
        let mut ending = Vec::new();
        for runner in runners {
            ending.push(self.ended(runner).boxed());
        }
        let mut ending = stream::iter(ending).buffer_unordered(REGISTERED_AT_ONCE);
        let mut failed = None;
        while let Some(one) = ending.next().await {
            failed = failed.or(one.err());
        }
        failed.map_or(Ok(true), Err)
    }

    /// Whether EC2 accepted that.
    pub(super) async fn terminate_instances(&self, instances: &[InstanceId]) -> bool {
        match self.ports.fleet.terminate(instances).await {
            Ok(()) => true,
            Err(error) => {
                self.report(&Happening::Trouble {
                    scope: None,
                    problem: format!("{error}; it is tried again"),
                });
                false
            }
        }
    }

    /// The runner is gone. Mostly it is as it was written last, so it need not be read.
    async fn ended(&self, runner: &Runner) -> Result<(), ControlError> {
        if runner.phase == RunnerPhase::Retiring
            && let Some(ended) = runner.fold(&RunnerNews::Gone, self.now())
        {
            match self.ports.ledger.put_runner(&ended).await {
                Ok(()) => {
                    self.tell_changed(&ended);
                    return Ok(());
                }
                Err(LedgerError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.fold_runner(&runner.instance, &RunnerNews::Gone)
            .await?;
        Ok(())
    }
}

/// What came of one retirement.
pub(super) enum Came {
    Free(Box<Runner>),
    Stays,
    Again(u32),
}
