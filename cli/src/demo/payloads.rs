//! GitHub's example payloads, with other ids, names, labels and times, as GitHub would vary them.

use anyhow::Context as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The organisation of the demo.
pub(super) const OWNER: &str = "octo-org";

/// Any number will do; it is the same for all jobs.
const OWNER_ID: u64 = 38_302_899;
const INSTALLATION_ID: u64 = 3_456_996;

/// A repository of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) name: &'static str,
    pub(super) private: bool,
}

/// A job to be told of.
#[derive(Debug, Clone)]
pub(super) struct Told<'a> {
    pub(super) id: u64,
    pub(super) repository: Repository,
    pub(super) name: &'a str,
    pub(super) labels: &'a [&'static str],
}

/// GitHub's examples.
#[derive(Debug, Clone, Copy)]
pub(super) enum Example {
    Ping,
    Push,
    CheckRunCreated,
    JobQueued,
    JobInProgress,
    JobCompleted,
    JobWaiting,
}

impl Example {
    /// `X-GitHub-Event`.
    pub(super) fn event(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Push => "push",
            Self::CheckRunCreated => "check_run",
            _ => "workflow_job",
        }
    }

    /// The payload as GitHub publishes it.
    pub(super) fn payload(self) -> anyhow::Result<Value> {
        let json = match self {
            Self::Ping => include_str!("../../fixtures/github/ping.json"),
            Self::Push => include_str!("../../fixtures/github/push.json"),
            Self::CheckRunCreated => include_str!("../../fixtures/github/check_run.created.json"),
            Self::JobQueued => include_str!("../../fixtures/github/workflow_job.queued.json"),
            Self::JobInProgress => {
                include_str!("../../fixtures/github/workflow_job.in_progress.json")
            }
            Self::JobCompleted => include_str!("../../fixtures/github/workflow_job.completed.json"),
            Self::JobWaiting => include_str!("../../fixtures/github/workflow_job.waiting.json"),
        };
        serde_json::from_str(json).context("an example payload")
    }

    /// The payload for a job of the demo, which that runner has.
    pub(super) fn of(self, job: &Told<'_>, runner: Option<&str>) -> anyhow::Result<Value> {
        let mut payload = self.payload()?;
        let full_name = format!("{OWNER}/{}", job.repository.name);
        let page = format!("https://github.com/{full_name}");
        let api = format!("https://api.github.com/repos/{full_name}");
        let now = OffsetDateTime::now_utc().format(&Rfc3339)?;
        let repository = &mut payload["repository"];
        repository["id"] = job.repository.id.into();
        repository["name"] = job.repository.name.into();
        repository["full_name"] = full_name.into();
        repository["private"] = job.repository.private.into();
        repository["visibility"] = if job.repository.private {
            "private"
        } else {
            "public"
        }
        .into();
        repository["owner"]["id"] = OWNER_ID.into();
        repository["owner"]["login"] = OWNER.into();
        repository["owner"]["type"] = "Organization".into();
        payload["installation"] = json!({ "id": INSTALLATION_ID });
        let run = job.id - job.id % 10;
        if let Self::CheckRunCreated = self {
            let check = &mut payload["check_run"];
            check["id"] = job.id.into();
            check["name"] = job.name.into();
            check["details_url"] = format!("{page}/actions/runs/{run}/job/{}", job.id).into();
            check["started_at"] = now.into();
            check["app"]["slug"] = "github-actions".into();
        } else {
            let told = &mut payload["workflow_job"];
            told["id"] = job.id.into();
            told["run_id"] = run.into();
            told["check_run_url"] = format!("{api}/check-runs/{}", job.id).into();
            told["html_url"] = format!("{page}/actions/runs/{run}/job/{}", job.id).into();
            told["name"] = job.name.into();
            told["workflow_name"] = "ci".into();
            told["head_branch"] = "main".into();
            told["labels"] = json!(job.labels);
            told["runner_name"] = json!(runner);
            told["runner_id"] = json!(runner.map(|_| job.id % 1_000));
            told["created_at"] = now.clone().into();
            told["started_at"] = now.clone().into();
            if let Self::JobCompleted = self {
                told["conclusion"] = "success".into();
                told["completed_at"] = now.into();
            }
        }
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_can_be_read_and_varied() {
        let job = Told {
            id: 77,
            repository: Repository {
                id: 5,
                name: "shop",
                private: true,
            },
            name: "build",
            labels: &["self-hosted"],
        };
        for example in [
            Example::CheckRunCreated,
            Example::JobQueued,
            Example::JobInProgress,
            Example::JobCompleted,
            Example::JobWaiting,
        ] {
            let payload = example.of(&job, None).unwrap();
            assert_eq!(payload["repository"]["full_name"], "octo-org/shop");
            assert_eq!(payload["repository"]["visibility"], "private");
        }
        assert!(Example::Ping.payload().is_ok() && Example::Push.payload().is_ok());
    }
}
