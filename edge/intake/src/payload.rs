//! Of GitHub's payloads, what Stoker reads. The rest is skipped while it is read: a payload may have
//! 25 MB, and an isolate has 128 MB.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{Action, EventKind, JobEvent, Owner, OwnerKind, Repository, Visibility};
use crate::field::{Field, Object, PayloadError};
use crate::ids::{
    CheckRunId, DeliveryId, InstallationId, JobId, OwnerId, RepositoryId, RunId, RunnerId,
};
use crate::message::MessageVersion;

/// The payload of a `check_run` or a `workflow_job`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct JobPayload {
    pub(crate) action: Field<String>,
    check_run: Field<CheckRun>,
    workflow_job: Field<WorkflowJob>,
    repository: Field<RepositoryPart>,
    organization: Field<OrganizationPart>,
    installation: Field<InstallationPart>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckRun {
    id: Field<u64>,
    name: Field<String>,
    status: Field<String>,
    conclusion: Field<String>,
    head_sha: Field<String>,
    details_url: Field<String>,
    started_at: Field<String>,
    completed_at: Field<String>,
    check_suite: Field<CheckSuite>,
    app: Field<App>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckSuite {
    head_branch: Field<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct App {
    slug: Field<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkflowJob {
    id: Field<u64>,
    check_run_url: Field<String>,
    run_id: Field<u64>,
    run_attempt: Field<u64>,
    name: Field<String>,
    workflow_name: Field<String>,
    status: Field<String>,
    conclusion: Field<String>,
    labels: Field<Vec<String>>,
    head_branch: Field<String>,
    head_sha: Field<String>,
    runner_id: Field<u64>,
    runner_name: Field<String>,
    created_at: Field<String>,
    started_at: Field<String>,
    completed_at: Field<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RepositoryPart {
    id: Field<u64>,
    name: Field<String>,
    full_name: Field<String>,
    private: Field<bool>,
    visibility: Field<String>,
    owner: Field<OwnerPart>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnerPart {
    id: Field<u64>,
    login: Field<String>,
    #[serde(rename = "type")]
    kind: Field<String>,
}

/// Its presence is what counts.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OrganizationPart {}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InstallationPart {
    id: Field<u64>,
}

impl Object for CheckRun {}
impl Object for CheckSuite {}
impl Object for App {}
impl Object for WorkflowJob {}
impl Object for RepositoryPart {}
impl Object for OwnerPart {}
impl Object for OrganizationPart {}
impl Object for InstallationPart {}

/// A job event, with the two facts that admission asks for and nobody after it.
pub(crate) struct Projected {
    pub(crate) event: JobEvent,
    /// The job's status at the time of the event.
    pub(crate) status: Option<String>,
    /// The slug of the App that made the check; none for a `workflow_job`.
    pub(crate) app: Option<String>,
}

impl JobPayload {
    /// The event in the payload, or the first field that it should have and has not.
    pub(crate) fn project(
        self,
        delivery: DeliveryId,
        kind: EventKind,
        action: Action,
    ) -> Result<Projected, PayloadError> {
        let is_organization = self.organization.lenient().is_some();
        let (owner, repository) = self
            .repository
            .required("repository")?
            .project(is_organization)?;
        let event = JobEvent {
            version: MessageVersion::CURRENT,
            delivery,
            event: kind,
            action,
            owner,
            repository,
            installation_id: match self.installation.optional("installation")? {
                Some(part) => part
                    .id
                    .optional("installation.id")?
                    .map(InstallationId::new),
                None => None,
            },
            job_id: None,
            check_run_id: CheckRunId::new(0),
            run_id: None,
            run_attempt: None,
            name: String::new(),
            workflow_name: None,
            labels: None,
            head_branch: None,
            head_sha: None,
            runner_id: None,
            runner_name: None,
            conclusion: None,
            created_at: None,
            started_at: None,
            completed_at: None,
        };
        match kind {
            EventKind::CheckRun => self.check_run.required("check_run")?.complete(event),
            EventKind::WorkflowJob => self.workflow_job.required("workflow_job")?.complete(event),
        }
    }
}

impl CheckRun {
    fn complete(self, event: JobEvent) -> Result<Projected, PayloadError> {
        let details = self.details_url.lenient().unwrap_or_default();
        let (run_id, job_id) = run_and_job(&details);
        let suite = self.check_suite.lenient().unwrap_or_default();
        let event = JobEvent {
            job_id,
            check_run_id: self.id.required("check_run.id").map(CheckRunId::new)?,
            run_id,
            name: self.name.required("check_run.name")?,
            head_branch: suite.head_branch.lenient(),
            head_sha: self.head_sha.optional("check_run.head_sha")?,
            conclusion: self.conclusion.optional("check_run.conclusion")?,
            started_at: instant(self.started_at),
            completed_at: instant(self.completed_at),
            ..event
        };
        Ok(Projected {
            event,
            status: Some(self.status.required("check_run.status")?),
            app: self.app.lenient().and_then(|app| app.slug.lenient()),
        })
    }
}

impl WorkflowJob {
    fn complete(self, event: JobEvent) -> Result<Projected, PayloadError> {
        let job_id = self.id.required("workflow_job.id")?;
        // Old servers do not send the URL; on them the two ids are one.
        let check_run_id = match self.check_run_url.optional("workflow_job.check_run_url")? {
            Some(url) => id_after(&url, "/check-runs/").ok_or(PayloadError::Wrong {
                field: "workflow_job.check_run_url",
                expected: "a URL of a check run",
            })?,
            None => job_id,
        };
        let run_attempt = self.run_attempt.optional("workflow_job.run_attempt")?;
        // A job that ended without a runner says 0 and an empty name where others say null.
        let runner_id = self.runner_id.optional("workflow_job.runner_id")?;
        let runner_name = self.runner_name.optional("workflow_job.runner_name")?;
        let event = JobEvent {
            job_id: Some(JobId::new(job_id)),
            check_run_id: CheckRunId::new(check_run_id),
            run_id: self.run_id.optional("workflow_job.run_id")?.map(RunId::new),
            run_attempt: run_attempt.and_then(|attempt| u32::try_from(attempt).ok()),
            name: self.name.required("workflow_job.name")?,
            workflow_name: self.workflow_name.lenient(),
            labels: self.labels.optional("workflow_job.labels")?,
            head_branch: self.head_branch.lenient(),
            head_sha: self.head_sha.optional("workflow_job.head_sha")?,
            runner_id: runner_id.filter(|id| *id != 0).map(RunnerId::new),
            runner_name: runner_name.filter(|name| !name.is_empty()),
            conclusion: self.conclusion.optional("workflow_job.conclusion")?,
            created_at: instant(self.created_at),
            started_at: instant(self.started_at),
            completed_at: instant(self.completed_at),
            ..event
        };
        Ok(Projected {
            event,
            status: Some(self.status.required("workflow_job.status")?),
            app: None,
        })
    }
}

impl RepositoryPart {
    fn project(self, is_organization: bool) -> Result<(Owner, Repository), PayloadError> {
        let owner = self.owner.required("repository.owner")?;
        let kind = match owner.kind.optional("repository.owner.type")?.as_deref() {
            Some("Organization") => OwnerKind::Organization,
            None if is_organization => OwnerKind::Organization,
            Some("User") | None => OwnerKind::User,
            Some(_) => {
                return Err(PayloadError::Wrong {
                    field: "repository.owner.type",
                    expected: "Organization or User",
                });
            }
        };
        let owner = Owner {
            id: OwnerId::new(owner.id.required("repository.owner.id")?),
            login: owner.login.required("repository.owner.login")?,
            kind,
        };
        let private = self.private.optional("repository.private")?;
        let visibility = self.visibility.optional("repository.visibility")?;
        let repository = Repository {
            id: RepositoryId::new(self.id.required("repository.id")?),
            name: self.name.required("repository.name")?,
            full_name: self.full_name.required("repository.full_name")?,
            visibility: visible_to(private, visibility.as_deref())?,
        };
        Ok((owner, repository))
    }
}

/// Older payloads have only `private`, newer ones both. Where they disagree, or the word is a new one,
/// the more public answer holds: the other way a stranger's code would run.
fn visible_to(private: Option<bool>, word: Option<&str>) -> Result<Visibility, PayloadError> {
    match (private, word) {
        (Some(false), _) | (_, Some("public")) => Ok(Visibility::Public),
        (_, Some("internal")) => Ok(Visibility::Internal),
        (_, Some("private")) | (Some(true), None) => Ok(Visibility::Private),
        (_, Some(_)) => Err(PayloadError::Wrong {
            field: "repository.visibility",
            expected: "public, private or internal",
        }),
        (None, None) => Err(PayloadError::Lacking {
            field: "repository.private",
        }),
    }
}

/// The ids in `.../actions/runs/<run>/job/<job>`, the form of a check that a workflow job is. Other
/// Apps put any URL there.
fn run_and_job(details_url: &str) -> (Option<RunId>, Option<JobId>) {
    let run = id_after(details_url, "/actions/runs/");
    let job = id_after(details_url, "/job/").filter(|_| run.is_some());
    (run.map(RunId::new), job.map(JobId::new))
}

/// The number that is the path's part after `marker`.
fn id_after(url: &str, marker: &str) -> Option<u64> {
    let (_, rest) = url.split_once(marker)?;
    rest.split(['/', '?', '#']).next()?.parse().ok()
}

/// A time that cannot be read is left out: a job is worth more than its date.
fn instant(text: Field<String>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&text.lenient()?, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_and_the_job_are_read_from_a_details_url() {
        for (url, run, job) in [
            (
                "https://github.com/a/b/actions/runs/12/job/34",
                Some(12),
                Some(34),
            ),
            (
                "https://github.com/a/b/actions/runs/12/job/34?check_suite_focus=true",
                Some(12),
                Some(34),
            ),
            ("https://github.com/a/b/actions/runs/12", Some(12), None),
            (
                "https://github.com/a/b/actions/runs/12/job/x",
                Some(12),
                None,
            ),
            ("https://github.com/a/b/actions/runs/-1/job/34", None, None),
            ("https://ci.example.com/job/34", None, None),
            ("", None, None),
        ] {
            let expected = (run.map(RunId::new), job.map(JobId::new));
            assert_eq!(run_and_job(url), expected, "{url}");
        }
    }

    #[test]
    fn in_doubt_a_repository_is_public() {
        assert_eq!(visible_to(Some(true), None), Ok(Visibility::Private));
        assert_eq!(visible_to(Some(false), None), Ok(Visibility::Public));
        assert_eq!(
            visible_to(Some(true), Some("internal")),
            Ok(Visibility::Internal)
        );
        assert_eq!(visible_to(None, Some("private")), Ok(Visibility::Private));
        assert_eq!(
            visible_to(Some(false), Some("private")),
            Ok(Visibility::Public)
        );
        assert_eq!(
            visible_to(Some(true), Some("public")),
            Ok(Visibility::Public)
        );
        assert!(visible_to(Some(true), Some("galactic")).is_err());
        assert!(visible_to(None, None).is_err());
    }

    #[test]
    fn an_unreadable_time_costs_only_the_time() {
        assert!(instant(Field::Is("2021-09-13T02:21:13Z".into())).is_some());
        assert!(instant(Field::Is("2021-09-13T02:21:13.000+02:00".into())).is_some());
        assert!(instant(Field::Is("yesterday".into())).is_none());
        assert!(instant(Field::Wrong).is_none());
    }
}
