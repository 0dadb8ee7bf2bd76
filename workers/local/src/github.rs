//! GitHub, simulated: it knows the jobs that were announced to it, and hands out made-up registrations.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use stoker_core::boot::Registration;
use stoker_core::limits::RunnerMode;
use stoker_core::ports::{
    Deliveries, GitHub, GitHubError, InstalledAccount, JobLookup, LiveJobs, RegisteredRunner,
    RegistrationTarget, Removed, RunnerSpec,
};
use stoker_core::runner::RunnerPhase;
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::JobId;

/// What is said of a job that was not announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownJobs {
    /// It waits, with these labels: whoever sends single webhooks by hand need not announce anything.
    Queued {
        /// The labels.
        labels: Vec<String>,
    },
    /// GitHub knows no such job.
    Unknown,
}

/// A [`GitHub`] without a network.
#[derive(Debug)]
pub struct SimulatedGitHub {
    unknown: UnknownJobs,
    jobs: Mutex<HashMap<JobId, JobLookup>>,
    runners: Mutex<Runners>,
}

/// Who is registered, by scope and name.
#[derive(Debug, Default)]
struct Runners {
    made: u64,
    all: BTreeMap<(String, String), RegisteredRunner>,
}

impl SimulatedGitHub {
    /// One that knows no job yet.
    pub fn new(unknown: UnknownJobs) -> Self {
        Self {
            unknown,
            jobs: Mutex::default(),
            runners: Mutex::default(),
        }
    }

    /// Says what is to be answered when it is asked for a job.
    pub fn announce(&self, job: JobId, answer: JobLookup) {
        self.jobs().insert(job, answer);
    }

    /// A runner does what the ledger has heard: whoever sends its webhooks says what it does.
    pub fn follow(&self, scope: Option<&ScopeName>, name: &str, phase: &RunnerPhase) {
        let mut runners = self.runners();
        let is_known = runners.all.keys().any(|(_, known)| known == name);
        match (scope, phase) {
            (_, RunnerPhase::Ended) => runners.all.retain(|(_, known), _| known != name),
            (Some(scope), RunnerPhase::Idle | RunnerPhase::Busy { .. }) if !is_known => {
                runners.register(scope, name);
            }
            _ => {}
        }
        let mut all = runners.all.values_mut();
        let Some(runner) = all.find(|runner| runner.name == name) else {
            return;
        };
        match phase {
            RunnerPhase::Idle => (runner.online, runner.busy) = (true, false),
            RunnerPhase::Busy { .. } => (runner.online, runner.busy) = (true, true),
            _ => {}
        }
    }

    fn runners(&self) -> MutexGuard<'_, Runners> {
        self.runners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, JobLookup>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runners {
    fn register(&mut self, scope: &ScopeName, name: &str) {
        self.made += 1;
        let runner = RegisteredRunner {
            id: self.made,
            name: name.to_owned(),
            online: false,
            busy: false,
        };
        self.all
            .insert((scope.to_string(), name.to_owned()), runner);
    }
}

#[async_trait]
impl GitHub for SimulatedGitHub {
    async fn job(
        &self,
        _target: &RegistrationTarget,
        _owner: &str,
        _repository: &str,
        job: JobId,
    ) -> Result<JobLookup, GitHubError> {
        let known = self.jobs().get(&job).cloned();
        Ok(known.unwrap_or_else(|| match &self.unknown {
            UnknownJobs::Queued { labels } => JobLookup::Queued {
                labels: labels.clone(),
            },
            UnknownJobs::Unknown => JobLookup::Unknown,
        }))
    }

    async fn register(
        &self,
        target: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError> {
        self.runners().register(&target.scope, &runner.name);
        // Of the shape of GitHub's, and worth nothing.
        let made_up = hex::encode(Sha256::digest(format!("{} {}", target.scope, runner.name)));
        Ok(match runner.mode {
            RunnerMode::Ephemeral => {
                let json = serde_json::json!({ ".runner": made_up, ".credentials": "simulated" });
                Registration::Ephemeral(STANDARD.encode(json.to_string()).into())
            }
            RunnerMode::EphemeralByToken | RunnerMode::Persistent => {
                Registration::Persistent(made_up.to_uppercase().into())
            }
        })
    }

    async fn runner(
        &self,
        target: &RegistrationTarget,
        name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError> {
        let key = (target.scope.to_string(), name.to_owned());
        Ok(self.runners().all.get(&key).cloned())
    }

    async fn runners(
        &self,
        target: &RegistrationTarget,
    ) -> Result<Vec<RegisteredRunner>, GitHubError> {
        let scope = target.scope.to_string();
        let runners = self.runners();
        let all = runners.all.iter().filter(|((whose, _), _)| *whose == scope);
        Ok(all.map(|(_, runner)| runner.clone()).collect())
    }

    /// What was announced has an answer each, and no event.
    async fn live_jobs(&self, _target: &RegistrationTarget) -> Result<LiveJobs, GitHubError> {
        Ok(LiveJobs::default())
    }

    async fn accounts(&self) -> Result<Vec<InstalledAccount>, GitHubError> {
        Ok(Vec::new())
    }

    async fn remove(&self, _target: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError> {
        let mut runners = self.runners();
        let found = runners.all.iter().find(|(_, runner)| runner.id == id);
        let Some((key, runner)) = found.map(|(key, runner)| (key.clone(), runner.clone())) else {
            return Ok(Removed::Unknown);
        };
        if runner.busy {
            return Ok(Removed::Busy);
        }
        runners.all.remove(&key);
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
