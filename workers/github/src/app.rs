//! The GitHub App, behind the port.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Method, Response, StatusCode};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use stoker_core::boot::Registration;
use stoker_core::ports::{
    Clock, Deliveries, GitHub, GitHubError, GitHubFault, InstalledAccount, JobLookup, LiveJobs,
    RegisteredRunner, RegistrationTarget, Removed, RunnerSpec,
};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::JobId;

use crate::credentials::{Credentials, KeyRing};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::groups::{self, Groups};
use crate::http::{self, Ask, Http, Repeat};
use crate::installations::Installations;
use crate::jobs;
use crate::kept::Kept;
use crate::runners::{Asking, JitConfiguration, Listed, RegistrationToken, removed};
use crate::unchanged::Unchanged;

/// A GitHub App at one GitHub. Clones share connections and tokens.
#[derive(Clone)]
pub struct App {
    pub(crate) installations: Arc<Installations>,
    /// The numbers of runner groups, by `owner/group`.
    groups: Arc<Kept<u64>>,
    /// Registration tokens, by the scope's name.
    registration_tokens: Arc<Kept<SecretString>>,
    /// Lists that mostly stay the same.
    unchanged: Arc<Unchanged>,
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
            groups: Arc::default(),
            registration_tokens: Arc::default(),
            unchanged: Arc::default(),
        })
    }

    /// A registration token, the same for all runners of a scope while it is good for long enough.
    async fn token(&self, target: &RegistrationTarget) -> Result<SecretString, Error> {
        let name = target.scope.to_string();
        let now = self.installations.clock.now();
        let fetch = async {
            let asking = Asking::for_token(&target.scope);
            let token: RegistrationToken = self.ask(target, &asking).await?;
            token.until(now)
        };
        self.registration_tokens.get(&name, now, fetch).await
    }

    async fn jit(
        &self,
        target: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<SecretString, Error> {
        let named = runner
            .runner_group
            .as_deref()
            .filter(|_| target.scope.repository.is_none());
        let group = match named {
            Some(name) => self.group(target, name).await?,
            None => groups::DEFAULT,
        };
        let asking = Asking::for_jit(&target.scope, runner, group);
        let answer: Result<JitConfiguration, Error> = self.ask(target, &asking).await;
        if let (Err(error), Some(name)) = (&answer, named)
            && matches!(error.status(), Some(404 | 422))
        {
            // The group may have been made anew.
            self.groups.forget(&group_key(target, name));
        }
        answer.map(|answer| answer.encoded_jit_config)
    }

    /// The number of an organisation's runner group.
    async fn group(&self, target: &RegistrationTarget, name: &str) -> Result<u64, Error> {
        let now = self.installations.clock.now();
        let fetch = async {
            let asking = groups::asking(&target.scope.owner);
            let all = self.pages::<Groups>(target, asking).await?;
            let found = all.iter().find(|group| group.is_called(name));
            let id = found
                .ok_or_else(|| groups::unknown(&target.scope, name))?
                .id;
            Ok((id, Timestamp(now.0 + groups::KEPT_FOR)))
        };
        self.groups.get(&group_key(target, name), now, fetch).await
    }

    /// Asks as the installation that serves the target, and reads the answer.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        target: &RegistrationTarget,
        asking: &Asking,
    ) -> Result<T, Error> {
        if !asking.mostly_same {
            return http::read(self.answered(target, asking, None).await?).await;
        }
        let asked = format!("{} {:?} {:?}", target.scope, asking.path, asking.query);
        let known = self.unchanged.known(&asked);
        let tag = known.as_ref().map(|answer| answer.tag.as_str());
        let response = self.answered(target, asking, tag).await?;
        if let (Some(known), StatusCode::NOT_MODIFIED) = (&known, response.status()) {
            return http::parsed(&known.body);
        }
        let headers = response.headers().clone();
        let body = http::body(response).await?;
        let answer = http::parsed(&body)?;
        self.unchanged.keep(&asked, &headers, &body);
        Ok(answer)
    }

    /// Asks as the installation that serves the target. A token that GitHub refuses is replaced once: it
    /// was revoked, and a refused request did nothing.
    async fn answered(
        &self,
        target: &RegistrationTarget,
        asking: &Asking,
        unless: Option<&str>,
    ) -> Result<Response, Error> {
        let path: Vec<&str> = asking.path.iter().map(String::as_str).collect();
        let mut url = self.installations.endpoints.api(&path);
        for (name, value) in &asking.query {
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
                token: Some(&token.secret),
                purpose: asking.purpose,
                repeat: asking.repeat,
                unless,
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

fn group_key(target: &RegistrationTarget, name: &str) -> String {
    format!("{}/{name}", target.scope.owner)
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
            query: Vec::new(),
            body: None,
            purpose: jobs::LOOKING_UP,
            repeat: Repeat::Harmless,
            mostly_same: false,
        };
        jobs::lookup(self.ask(target, &asking).await)
            .map_err(|error| error.during(format!("look up job {job} of {owner}/{repository}")))
    }

    async fn register(
        &self,
        target: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError> {
        let registered = if runner.mode.registers_by_token() {
            self.token(target).await.map(Registration::Persistent)
        } else {
            self.jit(target, runner).await.map(Registration::Ephemeral)
        };
        registered.map_err(|error| {
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

    async fn runners(
        &self,
        target: &RegistrationTarget,
    ) -> Result<Vec<RegisteredRunner>, GitHubError> {
        let listed = self
            .pages::<Listed>(target, Asking::all(&target.scope))
            .await;
        let error = match listed {
            Ok(listed) => return Ok(listed),
            Err(error) => error,
        };
        // A missing permission is told by the same answer. Of an organisation that was renamed GitHub knows the old
        // name no more, and its installation all the same.
        let is_closed = error.status() == Some(404)
            && target.scope.repository.is_some()
            && self.installations.is_missing(&target.scope).await;
        let mut error = error.during(format!("list the runners of {}", target.scope));
        if is_closed {
            error.fault = GitHubFault::Closed;
        }
        Err(error)
    }

    async fn live_jobs(&self, target: &RegistrationTarget) -> Result<LiveJobs, GitHubError> {
        self.list_live_jobs(target).await.map_err(|error| {
            error.during(format!(
                "list the jobs of {} that wait or run",
                target.scope
            ))
        })
    }

    async fn accounts(&self) -> Result<Vec<InstalledAccount>, GitHubError> {
        let accounts = self.installations.accounts().await;
        accounts.map_err(|error| error.during("list the installations of the GitHub App"))
    }

    async fn remove(&self, target: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError> {
        let asking = Asking::to_remove(&target.scope, id);
        removed(self.answered(target, &asking, None).await.map(drop))
            .map_err(|error| error.during(format!("remove the runner {id} of {}", target.scope)))
    }

    async fn deliveries(&self, cursor: Option<&str>) -> Result<Deliveries, GitHubError> {
        let listed = self.installations.deliveries(cursor).await;
        listed.map_err(|error| error.during("list the deliveries of the App's webhook"))
    }

    async fn active_repositories(
        &self,
        account: &InstalledAccount,
        since: Timestamp,
    ) -> Result<Vec<ScopeName>, GitHubError> {
        let active = self.list_active(account, since).await;
        active.map_err(|error| error.during(format!("list the repositories of {}", account.login)))
    }

    async fn deliver_again(&self, delivery: u64) -> Result<(), GitHubError> {
        let asked = self.installations.deliver_again(delivery).await;
        asked.map_err(|error| error.during(format!("deliver the webhook {delivery} again")))
    }

    fn page(&self, scope: &ScopeName) -> String {
        let endpoints = &self.installations.endpoints;
        match &scope.repository {
            Some(repository) => endpoints.page(&[&scope.owner, repository]),
            None => endpoints.page(&[&scope.owner]),
        }
    }
}
