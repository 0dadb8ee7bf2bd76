//! The GitHub App, behind the port.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use stoker_core::boot::Registration;
use stoker_core::ports::{
    Clock, GitHub, GitHubError, JobLookup, RegisteredRunner, RegistrationTarget, Removed,
    RunnerSpec,
};
use stoker_core::situation::ScopeName;
use stoker_intake::JobId;

use crate::credentials::{Credentials, KeyRing};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::http::{self, Ask, Http, Repeat};
use crate::installations::Installations;
use crate::jobs;
use crate::runners::{Answer, Asking, Listed, removed};

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

    /// Asks as the installation that serves the target, and reads the answer.
    async fn ask<T: DeserializeOwned>(
        &self,
        target: &RegistrationTarget,
        asking: &Asking,
    ) -> Result<T, Error> {
        http::read(self.answered(target, asking).await?).await
    }

    /// Asks as the installation that serves the target. A token that GitHub refuses is replaced once: it
    /// was revoked, and a refused request did nothing.
    async fn answered(
        &self,
        target: &RegistrationTarget,
        asking: &Asking,
    ) -> Result<Response, Error> {
        let path: Vec<&str> = asking.path.iter().map(String::as_str).collect();
        let mut url = self.installations.endpoints.api(&path);
        if let Some((name, value)) = &asking.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut again = true;
        loop {
            let token = self.installations.token(target).await?;
            let ask = Ask {
                method: asking.method.clone(),
                url: url.clone(),
                body: asking.body.as_ref(),
                bearer: Some(token.installation),
                token: &token.secret,
                purpose: asking.purpose,
                repeat: asking.repeat,
            };
            let answer = self.installations.http.answered(&ask).await;
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
        let path = ["repos", owner, repository, "actions", "jobs", &id];
        let asking = Asking {
            method: Method::GET,
            path: path.map(str::to_owned).to_vec(),
            query: None,
            body: None,
            purpose: jobs::LOOKING_UP,
            repeat: Repeat::Harmless,
        };
        jobs::lookup(self.ask(target, &asking).await)
            .map_err(|error| error.during(format!("look up job {job} of {owner}/{repository}")))
    }

    async fn register(
        &self,
        target: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError> {
        let answer = self
            .ask(target, &Asking::to_register(&target.scope, runner))
            .await;
        answer
            .map(|answer: Answer| Registration::from(answer))
            .map_err(|error| {
                error.during(format!("register {} with {}", runner.name, target.scope))
            })
    }

    async fn runner(
        &self,
        target: &RegistrationTarget,
        name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError> {
        let listed: Result<Listed, Error> = self
            .ask(target, &Asking::by_name(&target.scope, name))
            .await;
        listed
            .map(|listed| listed.named(name))
            .map_err(|error| error.during(format!("look up the runner {name}")))
    }

    async fn remove(&self, target: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError> {
        let asking = Asking::to_remove(&target.scope, id);
        removed(self.answered(target, &asking).await.map(drop))
            .map_err(|error| error.during(format!("remove the runner {id} of {}", target.scope)))
    }

    fn page(&self, scope: &ScopeName) -> String {
        let endpoints = &self.installations.endpoints;
        match &scope.repository {
            Some(repository) => endpoints.page(&[&scope.owner, repository]),
            None => endpoints.page(&[&scope.owner]),
        }
    }
}
