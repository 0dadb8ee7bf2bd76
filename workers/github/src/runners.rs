//! Runners: what a new one needs to register, whether one is there, and its removal.

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use stoker_core::ports::{RegisteredRunner, Removed, RunnerSpec};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, Purpose};
use crate::http::Repeat;
use crate::pages::Page;

/// Where a runner keeps its jobs' files, below its own folder: the runner's own default.
const WORK_FOLDER: &str = "_work";

const WITH_ORGANIZATION: Purpose = Purpose {
    permission: Some("organization_self_hosted_runners: write"),
    not_found: "check that the GitHub App is installed for that organisation and that the runner group (RUNNER_GROUP) is still there",
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

/// A request that an installation makes.
#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) purpose: Purpose,
    pub(crate) repeat: Repeat,
    /// It is asked for every few minutes, and mostly has the same answer.
    pub(crate) mostly_same: bool,
}

impl Asking {
    /// For a just-in-time configuration of a runner in that group.
    pub(crate) fn for_jit(scope: &ScopeName, runner: &RunnerSpec, group: u64) -> Self {
        let body = json!({
            "name": runner.name,
            "runner_group_id": group,
            "labels": runner.labels,
            "work_folder": WORK_FOLDER,
        });
        // It makes a runner: the second time would be a 409, with the first answer lost.
        Self::posting(scope, "generate-jitconfig", Some(body), Repeat::Never)
    }

    /// For a registration token.
    pub(crate) fn for_token(scope: &ScopeName) -> Self {
        Self::posting(scope, "registration-token", None, Repeat::Harmless)
    }

    fn posting(scope: &ScopeName, end: &str, body: Option<Value>, repeat: Repeat) -> Self {
        let (mut path, purpose) = runners(scope);
        path.push(end.to_owned());
        Self {
            method: Method::POST,
            path,
            query: Vec::new(),
            body,
            purpose,
            repeat,
            mostly_same: false,
        }
    }

    /// For the runner of that name.
    pub(crate) fn by_name(scope: &ScopeName, name: &str) -> Self {
        let (path, purpose) = runners(scope);
        Self {
            method: Method::GET,
            path,
            query: vec![("name", name.to_owned())],
            body: None,
            purpose,
            repeat: Repeat::Harmless,
            mostly_same: false,
        }
    }

    /// For all runners.
    pub(crate) fn all(scope: &ScopeName) -> Self {
        let (path, purpose) = runners(scope);
        Self {
            method: Method::GET,
            path,
            query: Vec::new(),
            body: None,
            purpose,
            repeat: Repeat::Harmless,
            mostly_same: false,
        }
    }

    /// That a runner be removed.
    pub(crate) fn to_remove(scope: &ScopeName, id: u64) -> Self {
        let (mut path, purpose) = runners(scope);
        path.push(id.to_string());
        Self {
            method: Method::DELETE,
            path,
            query: Vec::new(),
            body: None,
            purpose,
            // The second time it is a 404, which says the same.
            repeat: Repeat::Harmless,
            mostly_same: false,
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

impl Page for Listed {
    type Item = RegisteredRunner;

    fn items(self) -> Vec<RegisteredRunner> {
        self.runners
            .into_iter()
            .map(|listed| RegisteredRunner {
                id: listed.id,
                name: listed.name,
                // Anything but a plain word for its absence: what is not known to be gone is there.
                online: listed.status != "offline",
                busy: listed.busy,
            })
            .collect()
    }
}

impl Listed {
    /// The one of that name: GitHub's filter is not known to be exact.
    pub(crate) fn named(self, name: &str) -> Option<RegisteredRunner> {
        self.items().into_iter().find(|runner| runner.name == name)
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

/// A just-in-time configuration.
#[derive(Deserialize)]
pub(crate) struct JitConfiguration {
    pub(crate) encoded_jit_config: SecretString,
}

/// A registration token.
#[derive(Deserialize)]
pub(crate) struct RegistrationToken {
    token: SecretString,
    expires_at: String,
}

/// A registration token is given to runners until so long before its end, in seconds: the last of them has
/// that long to boot.
const LEFT_TO_BOOT: u64 = 1_200;

/// See [`RegistrationToken::until`]; in seconds.
const MOMENT: u64 = 10;

impl RegistrationToken {
    /// The token, and until when it is given to runners: for a moment in any case, so that many at once ask
    /// for one.
    pub(crate) fn until(self, now: Timestamp) -> Result<(SecretString, Timestamp), Error> {
        let end = time::OffsetDateTime::parse(&self.expires_at, &Rfc3339).map_err(|_| {
            Error::Unreadable {
                problem: "the time at which the registration token ends is not RFC 3339".to_owned(),
            }
        })?;
        let end = Timestamp::from(end);
        let until = end.0.saturating_sub(LEFT_TO_BOOT).max(now.0 + MOMENT);
        Ok((self.token, Timestamp(until)))
    }
}
