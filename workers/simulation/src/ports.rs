//! The ports, as a process of a history has them: each request is a moment at which others go on and at
//! which the process may die, and each may fail before it was served, or after.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use stoker_core::boot::{InstanceConfiguration, Registration};
use stoker_core::happening::Happening;
use stoker_core::ids::InstanceId;
use stoker_core::intent::{Intent, Launched};
use stoker_core::journal::RecordName;
use stoker_core::ports::{
    Clock, ConfigurationError, Configurations, Deliveries, Fleet, FleetError, GitHub, GitHubError,
    GitHubFault, InstalledAccount, JobLookup, LedgerError, LiveJobs, Ours, RegisteredRunner,
    RegistrationTarget, Removed, Reporter, RunnerSpec,
};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::JobId;

use crate::outside::Work;
use crate::world::World;

/// The App's installation.
const INSTALLATION: u64 = 1;

/// What every secret begins with: none of them is ever told or written down.
pub(crate) const SECRET: &str = "SECRET-";

/// The ports of one history.
#[derive(Clone)]
pub(crate) struct Ports(pub(crate) Arc<Mutex<World>>);

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meets {
    Nothing,
    /// It is not served.
    Before,
    /// It is served, and its answer is lost.
    After,
}

/// Lets everybody else go on.
#[derive(Default)]
pub(crate) struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        // Whoever waits for several at once asks only those that have called.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Ports {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn meets(&self, what: &str) -> Meets {
        Turn::default().await;
        let mut world = self.world();
        let faults = world.faults;
        let meets = if !world.draw.one_in(faults) {
            Meets::Nothing
        } else if world.draw.one_in(2) {
            Meets::Before
        } else {
            Meets::After
        };
        if meets != Meets::Nothing {
            world.tell(format!("  {what}: fails {meets:?} it is served"));
        }
        meets
    }

    /// A request to the ledger.
    pub(crate) async fn books<T: Send>(
        &self,
        what: &str,
        effect: impl FnOnce(&mut World) -> Result<T, LedgerError> + Send,
    ) -> Result<T, LedgerError> {
        let unavailable = || LedgerError::Unavailable {
            what: what.to_owned(),
            problem: "no answer".to_owned(),
        };
        let meets = self.meets(what).await;
        if meets == Meets::Before {
            return Err(unavailable());
        }
        let answer = effect(&mut self.world());
        Turn::default().await;
        if meets == Meets::After {
            return Err(unavailable());
        }
        answer
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        self.world().now
    }
}

impl Reporter for Ports {
    fn report(&self, at: Timestamp, happening: &Happening) {
        let told = format!("{happening:?}");
        let mut world = self.world();
        if told.contains(SECRET) {
            world
                .outside
                .breaches
                .push(format!("a secret was told: {told}"));
        }
        world.tell(format!("  {} {told}", at.0));
    }

    fn record(&self) -> Option<RecordName> {
        let now = self.world().now;
        Some(RecordName::new(now, now.0))
    }
}

#[async_trait]
impl Fleet for Ports {
    async fn launch(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let throttled = || FleetError {
            what: format!("launch {}", intent.id),
            problem: "RequestLimitExceeded".to_owned(),
        };
        let meets = self.meets("launch").await;
        if meets == Meets::Before {
            return Err(throttled());
        }
        let launched = {
            let mut world = self.world();
            let key = (intent.scope, intent.id.0.clone());
            let is_open = world.books.intents.contains_key(&key);
            let is_known = world.outside.was_launched(&intent.id);
            if !is_open && !is_known {
                let breach = format!("{} was launched without being saved", intent.id);
                world.outside.breaches.push(breach);
            }
            let now = world.now;
            let World { outside, draw, .. } = &mut *world;
            outside.launch(intent, now, draw)
        };
        Turn::default().await;
        if meets == Meets::After {
            return Err(throttled());
        }
        Ok(launched)
    }

    async fn find(&self, intent: &Intent) -> Result<Launched, FleetError> {
        if self.meets("find").await != Meets::Nothing {
            return Err(FleetError {
                what: format!("find {}", intent.id),
                problem: "no answer".to_owned(),
            });
        }
        let world = self.world();
        Ok(world.outside.find(&intent.id, world.now))
    }

    async fn ours(&self) -> Result<Ours, FleetError> {
        if self.meets("show what is ours").await != Meets::Nothing {
            return Err(FleetError {
                what: "show the deployment's instances".to_owned(),
                problem: "no answer".to_owned(),
            });
        }
        let world = self.world();
        Ok(world.outside.ours(world.now))
    }

    async fn terminate(&self, instances: &[InstanceId]) -> Result<(), FleetError> {
        let failed = || FleetError {
            what: "terminate".to_owned(),
            problem: "no answer".to_owned(),
        };
        let meets = self.meets("terminate").await;
        if meets == Meets::Before {
            return Err(failed());
        }
        {
            let mut world = self.world();
            for instance in instances {
                let line = format!("  {} EC2 terminates {instance}", world.now.0);
                world.tell(line);
                let events = world.outside.terminate(instance);
                world.announce(events);
            }
        }
        Turn::default().await;
        if meets == Meets::After {
            return Err(failed());
        }
        Ok(())
    }
}

#[async_trait]
impl GitHub for Ports {
    async fn job(
        &self,
        _: &RegistrationTarget,
        _: &str,
        _: &str,
        job: JobId,
    ) -> Result<JobLookup, GitHubError> {
        self.is_let_in(1)?;
        if self.meets("look up a job").await != Meets::Nothing {
            return Err(github("look up a job", GitHubFault::Unknown));
        }
        let world = self.world();
        let mut all = world.outside.jobs.iter();
        let found = all.find(|(key, _)| key.check_run.get() == job.get());
        let key = found.map(|(key, _)| *key);
        Ok(match found {
            None => JobLookup::Unknown,
            Some((_, (_, Work::Queued))) => JobLookup::Queued {
                labels: world.labels.clone(),
            },
            Some((_, (_, Work::Taken))) => JobLookup::NotQueued {
                status: "in_progress".to_owned(),
                runner_name: key.and_then(|key| world.outside.runner_of(key)),
            },
            Some((_, (_, Work::Ended))) => JobLookup::NotQueued {
                status: "completed".to_owned(),
                runner_name: None,
            },
        })
    }

    async fn register(
        &self,
        _: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError> {
        self.is_let_in(5)?;
        let meets = self.meets("register").await;
        if meets == Meets::Before {
            let mut world = self.world();
            let until = Timestamp(world.now.0 + 20 + world.draw.below(60));
            let faults = [
                GitHubFault::Unknown,
                GitHubFault::Refused,
                GitHubFault::Limited { until },
            ];
            let place = world.draw.place(faults.len());
            return Err(github("register", faults[place]));
        }
        let made = {
            let mut world = self.world();
            let now = world.now;
            if world.outside.is_limited(now) {
                let until = Timestamp(now.0 + 60);
                return Err(github("register", GitHubFault::Limited { until }));
            }
            let made = world.outside.register(&runner.name, now);
            let line = format!("  {} GitHub registers {}: {made:?}", now.0, runner.name);
            world.tell(line);
            made
        };
        Turn::default().await;
        match (made, meets) {
            (_, Meets::After) => Err(github("register", GitHubFault::Unknown)),
            (None, _) => Err(github("register", GitHubFault::Conflict)),
            (Some(id), _) => Ok(Registration::Ephemeral(format!("{SECRET}{id}").into())),
        }
    }

    async fn runner(
        &self,
        _: &RegistrationTarget,
        name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError> {
        self.is_let_in(1)?;
        if self.meets("look up a runner").await != Meets::Nothing {
            return Err(github("look up a runner", GitHubFault::Unknown));
        }
        Ok(self.world().outside.runner(name))
    }

    async fn runners(&self, _: &RegistrationTarget) -> Result<Vec<RegisteredRunner>, GitHubError> {
        self.is_let_in(1)?;
        if self.meets("list the runners").await != Meets::Nothing {
            return Err(github("list the runners", GitHubFault::Unknown));
        }
        let mut world = self.world();
        let World {
            outside,
            draw,
            now,
            disorder,
            ..
        } = &mut *world;
        Ok(outside.runners(*now, draw, *disorder))
    }

    async fn live_jobs(&self, _: &RegistrationTarget) -> Result<LiveJobs, GitHubError> {
        self.is_let_in(1)?;
        if self.meets("list the jobs").await != Meets::Nothing {
            return Err(github("list the jobs", GitHubFault::Unknown));
        }
        Ok(self.world().live_jobs())
    }

    async fn accounts(&self) -> Result<Vec<InstalledAccount>, GitHubError> {
        self.is_let_in(1)?;
        if self.meets("list the accounts").await != Meets::Nothing {
            return Err(github("list the accounts", GitHubFault::Unknown));
        }
        Ok(vec![InstalledAccount {
            login: "Acme".to_owned(),
            installation: INSTALLATION.into(),
        }])
    }

    async fn remove(&self, _: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError> {
        self.is_let_in(5)?;
        let meets = self.meets("remove a runner").await;
        if meets == Meets::Before {
            return Err(github("remove a runner", GitHubFault::Unknown));
        }
        let removed = {
            let mut world = self.world();
            let (name, now) = (world.outside.name_of(id), world.now.0);
            let removed = world.outside.remove(id);
            world.tell(format!("  {now} GitHub is to remove {name:?}: {removed:?}"));
            removed
        };
        Turn::default().await;
        if meets == Meets::After {
            return Err(github("remove a runner", GitHubFault::Unknown));
        }
        Ok(match removed {
            None => Removed::Unknown,
            Some(false) => Removed::Busy,
            Some(true) => Removed::Removed,
        })
    }

    async fn deliveries(&self, cursor: Option<&str>) -> Result<Deliveries, GitHubError> {
        self.is_let_in(1)?;
        if self.meets("list the deliveries").await != Meets::Nothing {
            return Err(github("list the deliveries", GitHubFault::Unknown));
        }
        let before = cursor.and_then(|cursor| cursor.parse().ok());
        Ok(self.world().deliveries(before.unwrap_or(u64::MAX)))
    }

    async fn active_repositories(
        &self,
        account: &InstalledAccount,
        _: Timestamp,
    ) -> Result<Vec<ScopeName>, GitHubError> {
        self.is_let_in(1)?;
        if self.meets("list the repositories").await != Meets::Nothing {
            return Err(github("list the repositories", GitHubFault::Unknown));
        }
        Ok(vec![ScopeName {
            owner: account.login.to_lowercase(),
            repository: Some("all-of-them".to_owned()),
        }])
    }

    async fn deliver_again(&self, delivery: u64) -> Result<(), GitHubError> {
        self.is_let_in(5)?;
        let meets = self.meets("deliver again").await;
        if meets == Meets::Before {
            return Err(github("deliver again", GitHubFault::Unknown));
        }
        self.world().deliver_again(delivery);
        if meets == Meets::After {
            return Err(github("deliver again", GitHubFault::Unknown));
        }
        Ok(())
    }

    fn page(&self, scope: &ScopeName) -> String {
        format!("https://github.example/{scope}")
    }
}

impl Ports {
    /// Whether GitHub answers at all: not while the App's key is refused, or the App uninstalled. What a write
    /// costs is counted.
    fn is_let_in(&self, points: u32) -> Result<(), GitHubError> {
        let mut world = self.world();
        let now = world.now;
        if points > 1 {
            world.outside.spend(points, now);
        }
        match world.outside.shut {
            Some((until, fault)) if now < until => Err(github("be asked", fault)),
            _ => Ok(()),
        }
    }
}

fn github(what: &str, fault: GitHubFault) -> GitHubError {
    GitHubError {
        what: what.to_owned(),
        problem: format!("{fault:?}"),
        request: None,
        fault,
    }
}

#[async_trait]
impl Configurations for Ports {
    async fn put(
        &self,
        instance: &InstanceId,
        configuration: &InstanceConfiguration,
    ) -> Result<(), ConfigurationError> {
        let failed = || ConfigurationError {
            instance: instance.clone(),
            what: "written",
            may_be_done: true,
            problem: "no answer".to_owned(),
        };
        let meets = self.meets("write a configuration").await;
        if meets == Meets::Before {
            return Err(failed());
        }
        if let Registration::Ephemeral(secret) = &configuration.registration {
            let id = secret.expose_secret().strip_prefix(SECRET);
            if let Some(id) = id.and_then(|id| id.parse().ok()) {
                let mut world = self.world();
                world.outside.parameters.insert(instance.clone(), id);
            }
        }
        Turn::default().await;
        if meets == Meets::After {
            return Err(failed());
        }
        Ok(())
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), ConfigurationError> {
        if self.meets("delete a configuration").await == Meets::Before {
            return Err(ConfigurationError {
                instance: instance.clone(),
                what: "deleted",
                may_be_done: true,
                problem: "no answer".to_owned(),
            });
        }
        self.world().outside.parameters.remove(instance);
        Ok(())
    }
}
