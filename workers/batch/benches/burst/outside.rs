//! EC2, SSM and GitHub: their ports, and what happens by itself: instances boot, runners take jobs, jobs end.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stoker_core::boot::{InstanceConfiguration, Registration};
use stoker_core::ids::{InstanceId, IntentId};
use stoker_core::intent::{Instance, Intent, Launched};
use stoker_core::ports::{
    Clock as _, ConfigurationError, Configurations, Deliveries, Fleet, FleetError, GitHub,
    GitHubError, GitHubFault, InstalledAccount, JobLookup, LiveJobs, Ours, RegisteredRunner,
    RegistrationTarget, Removed, RunnerSpec,
};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::JobId;
use tokio::time::{Instant, sleep};

use crate::life;
use crate::world::{CREATE_FLEET, Client, EC2, GITHUB, SSM, What, World, locked};

/// GitHub counts its points over so long.
const MINUTE: Duration = Duration::from_mins(1);
/// What a write costs, and a read.
const WRITE: u32 = 5;
const READ: u32 = 1;
/// How often the SDK asks SSM (as `workers/aws` sets it), and any other service.
const SSM_ATTEMPTS: u32 = 8;
const ATTEMPTS: u32 = 3;

/// What there is of EC2 and GitHub.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    /// GitHub's jobs that wait, by number.
    pub(crate) waiting: VecDeque<u64>,
    pub(crate) jobs_ended: u64,
    /// Instances whose configuration is there, and not read yet.
    pub(crate) parameters: HashSet<InstanceId>,
    /// What GitHub has registered, by name.
    pub(crate) registered: HashMap<String, u64>,
    fleets: HashMap<IntentId, Launched>,
    launched: u64,
    pub(crate) terminated: HashSet<InstanceId>,
    /// When a runner was ready to boot: launched, registered, and its configuration written.
    pub(crate) ready: Vec<f64>,
    /// Points that GitHub counts.
    points: VecDeque<(Instant, u32)>,
    most_points: u32,
    asking: u32,
    most_asking: u32,
}

impl Outside {
    pub(crate) fn launched(&self) -> u64 {
        self.launched
    }

    /// The most points that GitHub counted in a minute, and the most requests at once.
    pub(crate) fn most(&self) -> (u32, u32) {
        (self.most_points, self.most_asking)
    }

    /// Spends points, or says after how many seconds there are enough again.
    fn spend(&mut self, points: u32, limit: Option<u32>) -> Result<(), u64> {
        let now = Instant::now();
        while self
            .points
            .front()
            .is_some_and(|(at, _)| *at + MINUTE <= now)
        {
            self.points.pop_front();
        }
        let spent: u32 = self.points.iter().map(|(_, points)| points).sum();
        if limit.is_some_and(|limit| spent + points > limit) {
            let oldest = self.points.front().map_or(now, |(at, _)| *at);
            return Err((oldest + MINUTE).duration_since(now).as_secs() + 1);
        }
        self.points.push_back((now, points));
        self.most_points = self.most_points.max(spent + points);
        Ok(())
    }
}

/// The services, as one process has them.
pub(crate) struct Services {
    world: Arc<World>,
    ec2: Client,
    ssm: Client,
}

impl Services {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            ec2: Client::new(ATTEMPTS),
            ssm: Client::new(SSM_ATTEMPTS),
        }
    }

    async fn github(&self, what: &'static str, points: u32) -> Result<(), GitHubError> {
        {
            let mut outside = locked(&self.world.outside);
            outside.asking += 1;
            outside.most_asking = outside.most_asking.max(outside.asking);
        }
        sleep(GITHUB / 2).await;
        let limit = self.world.limits.github_points;
        let spent = locked(&self.world.outside).spend(points, limit);
        sleep(GITHUB / 2).await;
        locked(&self.world.outside).asking -= 1;
        spent.map_err(|seconds| {
            self.world.count(What::GitHubRefused, 1);
            let until = Timestamp(self.world.now().0 + seconds);
            refusal(what, GitHubFault::Limited { until })
        })
    }
}

fn refusal(what: &str, fault: GitHubFault) -> GitHubError {
    GitHubError {
        what: what.to_owned(),
        problem: format!("{fault:?}"),
        request: None,
        fault,
    }
}

#[async_trait]
impl GitHub for Services {
    async fn job(
        &self,
        _: &RegistrationTarget,
        _: &str,
        _: &str,
        _: JobId,
    ) -> Result<JobLookup, GitHubError> {
        self.world.count(What::GitHubOthers, 1);
        self.github("look up a job", READ).await?;
        Ok(JobLookup::Queued {
            labels: life::labels(),
        })
    }

    async fn register(
        &self,
        _: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError> {
        self.world.count(What::Registrations, 1);
        self.github("register a runner", WRITE).await?;
        let mut outside = locked(&self.world.outside);
        let number = outside.registered.len() as u64;
        if outside
            .registered
            .insert(runner.name.clone(), number)
            .is_some()
        {
            return Err(refusal("register a runner", GitHubFault::Conflict));
        }
        drop(outside);
        Ok(Registration::Ephemeral(self.configuration(runner).into()))
    }

    async fn runner(
        &self,
        _: &RegistrationTarget,
        name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError> {
        self.world.count(What::GitHubOthers, 1);
        self.github("look up a runner", READ).await?;
        let outside = locked(&self.world.outside);
        let id = outside.registered.get(name).copied();
        Ok(id.map(|id| RegisteredRunner {
            id,
            name: name.to_owned(),
            online: false,
            busy: false,
        }))
    }

    async fn runners(&self, _: &RegistrationTarget) -> Result<Vec<RegisteredRunner>, GitHubError> {
        // GitHub lists a hundred to a page.
        let pages = locked(&self.world.outside)
            .registered
            .len()
            .div_ceil(100)
            .max(1);
        for _ in 0..pages {
            self.world.count(What::GitHubOthers, 1);
            self.github("list runners", READ).await?;
        }
        let outside = locked(&self.world.outside);
        let all = outside
            .registered
            .iter()
            .map(|(name, id)| RegisteredRunner {
                id: *id,
                name: name.clone(),
                online: false,
                busy: false,
            });
        Ok(all.collect())
    }

    /// Only a ledger that was lost is filled from this, and this one is not.
    async fn live_jobs(&self, _: &RegistrationTarget) -> Result<LiveJobs, GitHubError> {
        self.world.count(What::GitHubOthers, 1);
        self.github("list jobs", READ).await?;
        Ok(LiveJobs::default())
    }

    async fn accounts(&self) -> Result<Vec<InstalledAccount>, GitHubError> {
        self.world.count(What::GitHubOthers, 1);
        self.github("list accounts", READ).await?;
        Ok(Vec::new())
    }

    async fn remove(&self, _: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError> {
        self.world.count(What::GitHubOthers, 1);
        self.github("remove a runner", WRITE).await?;
        locked(&self.world.outside)
            .registered
            .retain(|_, known| *known != id);
        Ok(Removed::Removed)
    }

    async fn deliveries(&self, _: Option<&str>) -> Result<Deliveries, GitHubError> {
        Ok(Deliveries::default())
    }

    async fn active_repositories(
        &self,
        _: &InstalledAccount,
        _: Timestamp,
    ) -> Result<Vec<ScopeName>, GitHubError> {
        Ok(Vec::new())
    }

    async fn deliver_again(&self, _: u64) -> Result<(), GitHubError> {
        Ok(())
    }

    fn page(&self, scope: &ScopeName) -> String {
        format!("https://github.com/{scope}")
    }
}

impl Services {
    /// A just-in-time configuration as long as GitHub's, most of which is a key and can't be compressed.
    fn configuration(&self, runner: &RunnerSpec) -> String {
        let key: Vec<u8> = (0..1_600)
            .map(|_| {
                let number = self.world.draw() * 256.0;
                // At least 0 and less than 256.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let byte = number as u8;
                byte
            })
            .collect();
        let settings = serde_json::json!({
            ".runner": {"agentName": runner.name, "disableUpdate": true, "ephemeral": true, "poolId": 1,
                "serverUrlV2": "https://broker.actions.githubusercontent.com/", "useV2Flow": true},
            ".credentials": {"scheme": "OAuth", "data": {"clientId": "00000000-0000-4000-8000-000000000000"}},
            ".credentials_rsaparams": STANDARD.encode(key),
        });
        STANDARD.encode(settings.to_string())
    }
}

#[async_trait]
impl Fleet for Services {
    async fn launch(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let limit = self.world.limits.fleets.as_ref();
        let (served, refused) = self.ec2.ask(&self.world, CREATE_FLEET, limit).await;
        self.world.count(What::FleetsThrottled, refused.into());
        if !served {
            return Err(FleetError {
                what: format!("launch {}", intent.id),
                problem: "RequestLimitExceeded".to_owned(),
            });
        }
        self.world.count(What::Fleets, 1);
        let mut outside = locked(&self.world.outside);
        if let Some(known) = outside.fleets.get(&intent.id) {
            return Ok(known.clone());
        }
        let mut launched = Launched::default();
        for _ in 0..intent.request.count {
            outside.launched += 1;
            let Ok(id) = format!("i-{:017x}", outside.launched).parse::<InstanceId>() else {
                continue;
            };
            launched.instances.push(Instance {
                id: id.clone(),
                instance_type: "c7i.large".to_owned(),
                gone: false,
            });
            tokio::spawn(life::of_an_instance(Arc::clone(&self.world), id));
        }
        outside.fleets.insert(intent.id.clone(), launched.clone());
        Ok(launched)
    }

    async fn find(&self, intent: &Intent) -> Result<Launched, FleetError> {
        sleep(EC2).await;
        self.world.count(What::Ec2Others, 1);
        let outside = locked(&self.world.outside);
        Ok(outside.fleets.get(&intent.id).cloned().unwrap_or_default())
    }

    /// Asked before a scope's first decision, when nothing was launched yet.
    async fn ours(&self) -> Result<Ours, FleetError> {
        sleep(EC2).await;
        self.world.count(What::Ec2Others, 1);
        Ok(Ours::default())
    }

    async fn terminate(&self, instances: &[InstanceId]) -> Result<(), FleetError> {
        sleep(EC2).await;
        self.world.count(What::Ec2Others, 1);
        let mut outside = locked(&self.world.outside);
        outside.terminated.extend(instances.iter().cloned());
        Ok(())
    }
}

#[async_trait]
impl Configurations for Services {
    async fn put(
        &self,
        instance: &InstanceId,
        configuration: &InstanceConfiguration,
    ) -> Result<(), ConfigurationError> {
        let _secret = configuration.to_parameter();
        let limit = self.world.limits.parameters.as_ref();
        let (served, refused) = self.ssm.ask(&self.world, SSM, limit).await;
        self.world.count(What::ParametersThrottled, refused.into());
        if !served {
            self.world.count(What::ParametersFailed, 1);
            return Err(ConfigurationError {
                instance: instance.clone(),
                what: "written",
                may_be_done: true,
                problem: "ThrottlingException: Rate exceeded".to_owned(),
            });
        }
        self.world.count(What::ParametersWritten, 1);
        let elapsed = self.world.elapsed();
        let mut outside = locked(&self.world.outside);
        outside.parameters.insert(instance.clone());
        outside.ready.push(elapsed);
        Ok(())
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), ConfigurationError> {
        sleep(SSM).await;
        self.world.count(What::ParametersDeleted, 1);
        locked(&self.world.outside).parameters.remove(instance);
        Ok(())
    }
}
