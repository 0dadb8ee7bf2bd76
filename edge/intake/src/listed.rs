//! A job as GitHub's API lists it, as the event that its webhook would have been: by the very projection of
//! webhooks, since the API shows a job, a repository and its owner in the same shapes.

use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::event::{Action, EventKind, JobEvent};
use crate::ids::{DeliveryId, InstallationId};
use crate::payload::JobPayload;

/// Why a listed job is no event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotListed {
    /// GitHub lists it as something that it neither waits for a runner nor runs: `completed`, or `waiting`
    /// for something else than a runner.
    #[error("its status is {0:?}")]
    NotLive(String),
    /// It lacks what a job must have.
    #[error("{0}")]
    Unreadable(String),
}

/// The event that tells of a job that waits (`queued`) or runs (`in_progress`). `repository` and `job` are
/// GitHub's objects of "List repositories" and "List jobs for a workflow run".
///
/// # Errors
/// If the job is in another state, or something that an event must have is missing.
pub fn listed_job(
    delivery: DeliveryId,
    installation: Option<InstallationId>,
    repository: &Value,
    job: &Value,
) -> Result<JobEvent, NotListed> {
    let action = match job["status"].as_str().unwrap_or_default() {
        "queued" => Action::Queued,
        "in_progress" => Action::InProgress,
        other => return Err(NotListed::NotLive(other.to_owned())),
    };
    let payload = json!({
        "action": action.as_str(),
        "workflow_job": job,
        "repository": repository,
        "installation": installation.map(|id| json!({ "id": id })),
    });
    let payload = JobPayload::deserialize(payload)
        .map_err(|error| NotListed::Unreadable(error.to_string()))?;
    let projected = payload
        .project(delivery, EventKind::WorkflowJob, action)
        .map_err(|error| NotListed::Unreadable(error.to_string()))?;
    Ok(projected.event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{OwnerKind, Visibility};

    fn delivery() -> DeliveryId {
        "listed-1".parse().unwrap()
    }

    fn repository() -> Value {
        json!({
            "id": 5, "name": "Site", "full_name": "Acme/Site", "private": true, "visibility": "private",
            "owner": { "id": 9, "login": "Acme", "type": "Organization" },
        })
    }

    fn job(status: &str) -> Value {
        json!({
            "id": 21, "run_id": 4, "run_attempt": 2, "name": "build", "workflow_name": "CI",
            "status": status, "conclusion": null, "labels": ["linux"], "head_branch": "main",
            "head_sha": "009b8a3a", "runner_id": 3, "runner_name": "stoker-ci-i-1",
            "check_run_url": "https://api.github.com/repos/acme/site/check-runs/22",
            "created_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:00Z",
            "completed_at": null,
        })
    }

    fn listed(job: &Value) -> Result<JobEvent, NotListed> {
        listed_job(delivery(), Some(InstallationId::new(7)), &repository(), job)
    }

    #[test]
    fn a_listed_job_is_the_event_that_its_webhook_was() {
        let event = listed(&job("in_progress")).unwrap();
        assert_eq!(event.action, Action::InProgress);
        assert_eq!(event.check_run_id.get(), 22);
        assert_eq!(event.job_id.unwrap().get(), 21);
        assert_eq!(event.runner_name.as_deref(), Some("stoker-ci-i-1"));
        assert_eq!(event.installation_id, Some(InstallationId::new(7)));
        assert_eq!(event.owner.kind, OwnerKind::Organization);
        assert_eq!(event.repository.visibility, Visibility::Private);
        assert!(event.created_at.is_some());
        assert!(listed(&job("queued")).unwrap().is_work());
    }

    #[test]
    fn what_neither_waits_for_a_runner_nor_runs_is_no_event() {
        for status in ["completed", "waiting", "pending", "requested", ""] {
            let told = listed(&job(status)).unwrap_err();
            assert_eq!(told, NotListed::NotLive(status.to_owned()));
        }
    }

    #[test]
    fn a_repository_whose_visibility_is_not_known_is_not_taken_for_a_private_one() {
        let mut bare = repository();
        bare.as_object_mut().unwrap().remove("visibility");
        bare.as_object_mut().unwrap().remove("private");
        let told = listed_job(delivery(), None, &bare, &job("queued")).unwrap_err();
        assert!(told.to_string().contains("repository.private"), "{told}");
        bare["private"] = json!(false);
        let event = listed_job(delivery(), None, &bare, &job("queued")).unwrap();
        assert_eq!(event.repository.visibility, Visibility::Public);
    }
}
