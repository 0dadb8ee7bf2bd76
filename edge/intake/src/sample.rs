//! Events for tests.

use time::macros::datetime;

use crate::event::{Action, EventKind, JobEvent, Owner, OwnerKind, Repository, Visibility};
use crate::ids::{
    CheckRunId, DeliveryId, InstallationId, JobId, OwnerId, RepositoryId, RunId, RunnerId,
};
use crate::message::MessageVersion;

pub(crate) fn workflow_job_queued() -> JobEvent {
    JobEvent {
        version: MessageVersion::CURRENT,
        delivery: DeliveryId::new("72d3162e-cc78-11e3-81ab-4c9367dc0958").unwrap(),
        event: EventKind::WorkflowJob,
        action: Action::Queued,
        owner: Owner {
            id: OwnerId::new(6_811_672),
            login: "Octo-Org".into(),
            kind: OwnerKind::Organization,
        },
        repository: Repository {
            id: RepositoryId::new(186_853_002),
            name: "Example".into(),
            full_name: "Octo-Org/Example".into(),
            visibility: Visibility::Private,
        },
        installation_id: Some(InstallationId::new(3_456_996)),
        job_id: Some(JobId::new(289_782_451)),
        check_run_id: CheckRunId::new(1_291_536_064),
        run_id: Some(RunId::new(2_202_229_078)),
        run_attempt: Some(1),
        name: "linters".into(),
        workflow_name: Some("CI".into()),
        labels: Some(vec!["self-hosted".into(), "linux".into()]),
        head_branch: Some("main".into()),
        head_sha: Some("3484a3fb816e0859fd6e1cea078d76385ff50625".into()),
        runner_id: None,
        runner_name: None,
        conclusion: None,
        created_at: Some(datetime!(2021-09-13 02:21:13 UTC)),
        started_at: Some(datetime!(2021-09-13 02:21:13 UTC)),
        completed_at: None,
    }
}

pub(crate) fn check_run_completed() -> JobEvent {
    JobEvent {
        event: EventKind::CheckRun,
        action: Action::Completed,
        installation_id: None,
        job_id: None,
        run_id: None,
        run_attempt: None,
        workflow_name: None,
        labels: None,
        head_branch: None,
        runner_id: Some(RunnerId::new(5)),
        runner_name: Some("runner 5".into()),
        conclusion: Some("success".into()),
        created_at: None,
        completed_at: Some(datetime!(2021-09-13 02:25:00 UTC)),
        ..workflow_job_queued()
    }
}
