//! Runners: what a new one needs to register, whether one is there, and its removal.

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use stoker_core::boot::Registration;
use stoker_core::limits::RunnerMode;
use stoker_core::ports::{RegisteredRunner, Removed, RunnerSpec};
use stoker_core::situation::ScopeName;

use crate::error::{Error, Purpose};
use crate::http::Repeat;

/// The only group that repository runners have.
const REPOSITORY_GROUP: u64 = 1;

/// Where a runner keeps its jobs' files, below its own folder: the runner's own default.
const WORK_FOLDER: &str = "_work";

const WITH_ORGANIZATION: Purpose = Purpose {
    permission: Some("organization_self_hosted_runners: write"),
    not_found: "check that the GitHub App is installed for that organisation and that the runner group (RUNNER_GROUP_ID) exists",
};

const WITH_REPOSITORY: Purpose = Purpose {
    permission: Some("administration: write"),
    not_found: "check that the GitHub App is installed for that repository",
};

/// The path of a scope's runners, and what it takes to ask about them.
fn runners(scope: &ScopeName) -> (Vec<String>, Purpose) {
    let (start, purpose) = match &scope.repository {
        None => (vec!["orgs", &scope.owner], WITH_ORGANIZATION),
        Some(name) => (vec!["repos", &scope.owner, name], WITH_REPOSITORY),
    };
    let path = start.into_iter().chain(["actions", "runners"]);
    (path.map(str::to_owned).collect(), purpose)
}

/// A request about runners.
pub(crate) struct Asking {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: Option<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) purpose: Purpose,
    pub(crate) repeat: Repeat,
}

impl Asking {
    /// That a runner be registered.
    pub(crate) fn to_register(scope: &ScopeName, runner: &RunnerSpec) -> Self {
        let (mut path, purpose) = runners(scope);
        let group = match scope.repository {
            None => runner.runner_group,
            Some(_) => REPOSITORY_GROUP,
        };
        let (end, body, repeat) = match runner.mode {
            RunnerMode::Ephemeral => (
                "generate-jitconfig",
                Some(json!({
                    "name": runner.name,
                    "runner_group_id": group,
                    "labels": runner.labels,
                    "work_folder": WORK_FOLDER,
                })),
                // It makes a runner: the second time would be a 409, with the first answer lost.
                Repeat::Never,
            ),
            RunnerMode::Persistent => ("registration-token", None, Repeat::Harmless),
        };
        path.push(end.to_owned());
        Self {
            method: Method::POST,
            path,
            query: None,
            body,
            purpose,
            repeat,
        }
    }

    /// For the runner of that name.
    pub(crate) fn by_name(scope: &ScopeName, name: &str) -> Self {
        let (path, purpose) = runners(scope);
        Self {
            method: Method::GET,
            path,
            query: Some(("name", name.to_owned())),
            body: None,
            purpose,
            repeat: Repeat::Harmless,
        }
    }

    /// That a runner be removed.
    pub(crate) fn to_remove(scope: &ScopeName, id: u64) -> Self {
        let (mut path, purpose) = runners(scope);
        path.push(id.to_string());
        Self {
            method: Method::DELETE,
            path,
            query: None,
            body: None,
            purpose,
            // The second time it is a 404, which says the same.
            repeat: Repeat::Harmless,
        }
    }
}

/// Runners, as GitHub lists them.
#[derive(Deserialize)]
pub(crate) struct Listed {
    runners: Vec<ListedRunner>,
}

#[derive(Deserialize)]
struct ListedRunner {
    id: u64,
    name: String,
    status: String,
    busy: bool,
}

impl Listed {
    /// The one of that name: GitHub's filter is not known to be exact.
    pub(crate) fn named(self, name: &str) -> Option<RegisteredRunner> {
        let mut all = self.runners.into_iter();
        let found = all.find(|runner| runner.name == name)?;
        Some(RegisteredRunner {
            id: found.id,
            name: found.name,
            // Anything but a plain word for its absence: what is not known to be gone is there.
            online: found.status != "offline",
            busy: found.busy,
        })
    }
}

/// What came of a removal.
pub(crate) fn removed(answer: Result<(), Error>) -> Result<Removed, Error> {
    match answer {
        Ok(()) => Ok(Removed::Removed),
        Err(error) => match error.status() {
            Some(404) => Ok(Removed::Unknown),
            Some(422) => Ok(Removed::Busy),
            _ => Err(error),
        },
    }
}

/// GitHub's answer to either kind.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Jit { encoded_jit_config: SecretString },
    Token { token: SecretString },
}

impl From<Answer> for Registration {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Jit { encoded_jit_config } => Self::Ephemeral(encoded_jit_config),
            Answer::Token { token } => Self::Persistent(token),
        }
    }
}
