//! The jobs that wait or run: of a repository, or of all that an installation sees.

use std::collections::BTreeMap;

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use stoker_core::ports::{InstalledAccount, LiveJobs, RegistrationTarget};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::{InstallationId, JobEvent, NotListed, listed_job};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::App;
use crate::error::{Error, Purpose};
use crate::http::Repeat;
use crate::jobs;
use crate::pages::Page;
use crate::runners::Asking;

/// How many requests are made at once: GitHub bears a hundred, and registrations go on meanwhile.
const ASKED_AT_ONCE: usize = 10;

/// Of how many repositories the runs are asked for: two requests each, of the 900 that GitHub takes in a
/// minute. Those that were pushed to last have the jobs, mostly.
const MOST_REPOSITORIES: usize = 200;

/// The states of a run that has jobs which wait for a runner, or run.
const STATES: [&str; 2] = ["queued", "in_progress"];

const LISTING_REPOSITORIES: Purpose = Purpose {
    permission: Some("metadata: read"),
    not_found: "check that the GitHub App is installed for that repository",
};

const LISTING_RUNS: Purpose = Purpose {
    not_found: "GitHub knows no such repository or run any more",
    ..jobs::LOOKING_UP
};

#[derive(Deserialize)]
struct Repositories {
    repositories: Vec<Value>,
}

impl Page for Repositories {
    type Item = Value;

    fn items(self) -> Vec<Value> {
        self.repositories
    }
}

#[derive(Deserialize)]
struct Runs {
    workflow_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
}

impl Page for Runs {
    type Item = u64;

    fn items(self) -> Vec<u64> {
        self.workflow_runs.into_iter().map(|run| run.id).collect()
    }
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<Value>,
}

impl Page for Jobs {
    type Item = Value;

    fn items(self) -> Vec<Value> {
        self.jobs
    }
}

/// A repository, whole and by its name.
struct Repository {
    owner: String,
    name: String,
    whole: Value,
}

impl Repository {
    fn new(whole: Value) -> Option<Self> {
        let owner = whole["owner"]["login"].as_str()?.to_owned();
        let name = whole["name"].as_str()?.to_owned();
        Some(Self { owner, name, whole })
    }

    fn full(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    fn path(&self, rest: &[&str]) -> Vec<String> {
        let start = ["repos", &self.owner, &self.name];
        let path = start.iter().chain(rest);
        path.map(|&part| part.to_owned()).collect()
    }

    /// Nothing runs there any more.
    fn is_at_rest(&self) -> bool {
        ["archived", "disabled"]
            .iter()
            .any(|word| self.whole[*word] == true)
    }

    /// When it was pushed to, in a form that sorts by time; empty: never.
    fn pushed_at(&self) -> &str {
        self.whole["pushed_at"].as_str().unwrap_or_default()
    }
}

fn get(path: Vec<String>, query: Vec<(&'static str, String)>, purpose: Purpose) -> Asking {
    Asking {
        method: Method::GET,
        path,
        query,
        body: None,
        purpose,
        repeat: Repeat::Harmless,
        mostly_same: true,
    }
}

impl App {
    pub(crate) async fn list_live_jobs(
        &self,
        target: &RegistrationTarget,
    ) -> Result<LiveJobs, Error> {
        let installation = self.installations.token(target).await?.installation;
        let mut repositories = self.repositories(target).await?;
        let mut live = LiveJobs {
            not_asked: repositories.len().saturating_sub(MOST_REPOSITORIES),
            ..LiveJobs::default()
        };
        repositories.truncate(MOST_REPOSITORIES);
        live.repositories = repositories.len();

        let mut asking = Vec::new();
        for repository in &repositories {
            asking.push(self.runs(target, repository).boxed());
        }
        let answers: Vec<Result<Vec<u64>, Error>> =
            stream::iter(asking).buffered(ASKED_AT_ONCE).collect().await;
        // A permission that is missing stays so; anything else that is wrong with all of them passes.
        if let Some(Err(error)) = answers.first()
            && answers.iter().all(Result::is_err)
            && !matches!(error.status(), Some(403 | 404))
        {
            return Err(error.clone());
        }
        let mut runs = Vec::new();
        for (repository, answer) in repositories.iter().zip(answers) {
            match answer {
                Ok(found) => runs.extend(found.into_iter().map(|run| (repository, run))),
                Err(error) => live.problems.push(format!(
                    "the runs of {} are not known: {error}",
                    repository.full()
                )),
            }
        }
        let mut asking = Vec::new();
        for (repository, run) in runs {
            asking.push(self.jobs(target, installation, repository, run).boxed());
        }
        let mut asking = stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        // A job that moved between two requests is there as what it was first, or twice.
        let mut events = BTreeMap::new();
        while let Some((found, problems)) = asking.next().await {
            for event in found {
                events.insert((event.repository.id, event.check_run_id), event);
            }
            live.problems.extend(problems);
        }
        live.events = events.into_values().collect();
        Ok(live)
    }

    /// What the account's repositories are called that were pushed to since then, last pushed to first.
    pub(crate) async fn list_active(
        &self,
        account: &InstalledAccount,
        since: Timestamp,
    ) -> Result<Vec<ScopeName>, Error> {
        let target = RegistrationTarget {
            scope: ScopeName {
                owner: account.login.to_lowercase(),
                repository: None,
            },
            installation: Some(account.installation),
        };
        let repositories = self.repositories(&target).await?;
        let is_active = |repository: &&Repository| {
            let pushed = OffsetDateTime::parse(repository.pushed_at(), &Rfc3339);
            pushed.is_ok_and(|pushed| Timestamp::from(pushed) >= since)
        };
        let active = repositories.iter().filter(is_active);
        Ok(active
            .map(|repository| ScopeName {
                owner: repository.owner.to_lowercase(),
                repository: Some(repository.name.to_lowercase()),
            })
            .collect())
    }

    /// The target's repositories in which something may run, last pushed to first.
    async fn repositories(&self, target: &RegistrationTarget) -> Result<Vec<Repository>, Error> {
        let listed = if let Some(name) = &target.scope.repository {
            let path = ["repos", &target.scope.owner, name];
            let path = path.map(str::to_owned).to_vec();
            let asking = get(path, Vec::new(), LISTING_REPOSITORIES);
            vec![self.ask(target, &asking).await?]
        } else {
            let path = ["installation", "repositories"].map(str::to_owned);
            let asking = get(path.to_vec(), Vec::new(), LISTING_REPOSITORIES);
            self.pages::<Repositories>(target, asking).await?
        };
        let mut repositories: Vec<Repository> = listed
            .into_iter()
            .filter_map(Repository::new)
            .filter(|repository| !repository.is_at_rest())
            .collect();
        repositories.sort_by(|a, b| b.pushed_at().cmp(a.pushed_at()));
        Ok(repositories)
    }

    /// The runs of a repository that have jobs which wait or run, each once.
    async fn runs(
        &self,
        target: &RegistrationTarget,
        repository: &Repository,
    ) -> Result<Vec<u64>, Error> {
        let mut all = Vec::new();
        for state in STATES {
            let query = vec![("status", state.to_owned())];
            let asking = get(repository.path(&["actions", "runs"]), query, LISTING_RUNS);
            all.extend(self.pages::<Runs>(target, asking).await?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The jobs of a run that wait or run, and what is wrong with others.
    async fn jobs(
        &self,
        target: &RegistrationTarget,
        installation: InstallationId,
        repository: &Repository,
        run: u64,
    ) -> (Vec<JobEvent>, Vec<String>) {
        let id = run.to_string();
        let path = repository.path(&["actions", "runs", &id, "jobs"]);
        let query = vec![("filter", "latest".to_owned())];
        let listed = match self
            .pages::<Jobs>(target, get(path, query, LISTING_RUNS))
            .await
        {
            Ok(listed) => listed,
            Err(error) => {
                let full = repository.full();
                let problem = format!("the jobs of run {run} of {full} are not known: {error}");
                return (Vec::new(), vec![problem]);
            }
        };
        let mut events = Vec::new();
        let mut problems = Vec::new();
        for job in listed {
            let id = &job["id"];
            let Ok(delivery) = format!("listed-{run}-{id}").parse() else {
                continue;
            };
            match listed_job(delivery, Some(installation), &repository.whole, &job) {
                Ok(event) => events.push(event),
                Err(NotListed::NotLive(_)) => {}
                Err(error @ NotListed::Unreadable(_)) => {
                    let full = repository.full();
                    problems.push(format!("job {id} of {full} can't be read: {error}"));
                }
            }
        }
        (events, problems)
    }
}
