//! GitHub, simulated: it knows the jobs that were announced to it, and hands out made-up registrations.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use stoker_core::boot::Registration;
use stoker_core::limits::RunnerMode;
use stoker_core::ports::{
    GitHub, GitHubError, InstalledAccount, JobLookup, LiveJobs, RegisteredRunner,
    RegistrationTarget, Removed, RunnerSpec,
};
use stoker_core::situation::ScopeName;
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
}

impl SimulatedGitHub {
    /// One that knows no job yet.
    pub fn new(unknown: UnknownJobs) -> Self {
        Self {
            unknown,
            jobs: Mutex::default(),
        }
    }

    /// Says what is to be answered when it is asked for a job.
    pub fn announce(&self, job: JobId, answer: JobLookup) {
        self.jobs().insert(job, answer);
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, JobLookup>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Registrations are worth nothing here, so nobody is ever registered before its instance is up.
    async fn runner(
        &self,
        _target: &RegistrationTarget,
        _name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError> {
        Ok(None)
    }

    /// Nor is any listed: there is nothing that a rebuild could find here.
    async fn runners(
        &self,
        _target: &RegistrationTarget,
    ) -> Result<Vec<RegisteredRunner>, GitHubError> {
        Ok(Vec::new())
    }

    /// What was announced has an answer each, and no event.
    async fn live_jobs(&self, _target: &RegistrationTarget) -> Result<LiveJobs, GitHubError> {
        Ok(LiveJobs::default())
    }

    async fn accounts(&self) -> Result<Vec<InstalledAccount>, GitHubError> {
        Ok(Vec::new())
    }

    async fn remove(&self, _target: &RegistrationTarget, _id: u64) -> Result<Removed, GitHubError> {
        Ok(Removed::Unknown)
    }

    fn page(&self, scope: &ScopeName) -> String {
        format!("https://github.com/{scope}")
    }
}
