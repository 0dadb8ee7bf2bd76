//! The GitHub App, behind the port.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stoker_core::boot::Registration;
use stoker_core::ports::{Clock, GitHub, GitHubError, JobLookup, RegistrationTarget, RunnerSpec};
use stoker_core::situation::ScopeName;
use stoker_intake::JobId;

use crate::credentials::{Credentials, KeyRing};
use crate::endpoints::Endpoints;
use crate::error::{Error, Purpose};
use crate::http::{Ask, Http, Repeat};
use crate::installations::Installations;
use crate::jobs;
use crate::runners::{Answer, Registering};

/// A GitHub App at one GitHub. Clones share connections and tokens.
#[derive(Clone)]
pub struct App {
    installations: Arc<Installations>,
}

impl App {
    /// The App that `credentials` tell of. Nothing is asked or read yet.
    ///
    /// # Errors
    /// If no connection could ever be made, such as without root certificates.
    pub fn new(
        endpoints: Endpoints,
        credentials: Arc<dyn Credentials>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let http = Http::new(&endpoints, Arc::clone(&clock))?;
        let keys = KeyRing::new(credentials, Arc::clone(&clock));
        Ok(Self {
            installations: Arc::new(Installations::new(http, endpoints, keys, clock)),
        })
    }

    /// Asks as the installation that serves the target. A token that GitHub refuses is replaced once:
    /// it was revoked, and a refused request did nothing.
    async fn ask<T: DeserializeOwned>(
        &self,
        target: &RegistrationTarget,
        request: &Request<'_>,
    ) -> Result<T, Error> {
        let mut again = true;
        loop {
            let token = self.installations.token(target).await?;
            let answer = self
                .installations
                .http
                .ask(&Ask {
                    method: request.method.clone(),
                    url: self.installations.endpoints.api(request.path),
                    body: request.body,
                    bearer: Some(token.installation),
                    token: &token.secret,
                    purpose: request.purpose,
                    repeat: request.repeat,
                })
                .await;
            match answer {
                Err(error) if error.status() == Some(401) => {
                    self.installations.refused(&token);
                    if !again {
                        return Err(error);
                    }
                    again = false;
                }
                answer => return answer,
            }
        }
    }
}

/// What is asked as an installation.
struct Request<'a> {
    method: Method,
    path: &'a [&'a str],
    body: Option<&'a Value>,
    purpose: Purpose,
    repeat: Repeat,
}

#[async_trait]
impl GitHub for App {
    async fn job(
        &self,
        target: &RegistrationTarget,
        owner: &str,
        repository: &str,
        job: JobId,
    ) -> Result<JobLookup, GitHubError> {
        let id = job.to_string();
        let answer = self
            .ask(
                target,
                &Request {
                    method: Method::GET,
                    path: &["repos", owner, repository, "actions", "jobs", &id],
                    body: None,
                    purpose: jobs::LOOKING_UP,
                    repeat: Repeat::Harmless,
                },
            )
            .await;
        jobs::lookup(answer)
            .map_err(|error| error.during(format!("look up job {job} of {owner}/{repository}")))
    }

    async fn register(
        &self,
        target: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError> {
        let registering = Registering::new(&target.scope, runner);
        let path: Vec<&str> = registering.path.iter().map(String::as_str).collect();
        let answer: Result<Answer, Error> = self
            .ask(
                target,
                &Request {
                    method: Method::POST,
                    path: &path,
                    body: registering.body.as_ref(),
                    purpose: registering.purpose,
                    repeat: registering.repeat,
                },
            )
            .await;
        answer.map(Registration::from).map_err(|error| {
            error.during(format!("register {} with {}", runner.name, target.scope))
        })
    }

    fn page(&self, scope: &ScopeName) -> String {
        let endpoints = &self.installations.endpoints;
        match &scope.repository {
            Some(repository) => endpoints.page(&[&scope.owner, repository]),
            None => endpoints.page(&[&scope.owner]),
        }
    }
}
