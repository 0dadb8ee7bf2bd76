//! What a new runner needs to register.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use stoker_core::boot::Registration;
use stoker_core::limits::RunnerMode;
use stoker_core::ports::RunnerSpec;
use stoker_core::situation::ScopeName;

use crate::error::Purpose;
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

/// A registration as a request.
pub(crate) struct Registering {
    pub(crate) path: Vec<String>,
    pub(crate) body: Option<Value>,
    pub(crate) purpose: Purpose,
    pub(crate) repeat: Repeat,
}

impl Registering {
    pub(crate) fn new(scope: &ScopeName, runner: &RunnerSpec) -> Self {
        let (start, group, purpose) = match &scope.repository {
            None => (
                vec!["orgs", &scope.owner],
                runner.runner_group,
                WITH_ORGANIZATION,
            ),
            Some(name) => (
                vec!["repos", &scope.owner, name],
                REPOSITORY_GROUP,
                WITH_REPOSITORY,
            ),
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
        Self {
            path: start
                .into_iter()
                .chain(["actions", "runners", end])
                .map(str::to_owned)
                .collect(),
            body,
            purpose,
            repeat,
        }
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
