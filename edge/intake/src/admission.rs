//! Which events are work, which are news, and which repositories and Apps may bring work.

use std::str::FromStr;

use thiserror::Error;

use crate::allow_list::AllowList;
use crate::event::{Action, EventKind, Visibility};
use crate::payload::Projected;

/// The rules for work. News is admitted always: an organisation's runner may be taken by a repository
/// that the rules would not admit, and the ledger must hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Which repositories may ask for runners.
    pub allow_list: AllowList,
    /// Whether public ones may: a fork's pull request runs a stranger's code on the runner.
    pub allow_public: bool,
    /// Whose check runs are jobs.
    pub check_run_apps: CheckRunApps,
}

/// What an admitted event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventClass {
    /// A job wants a runner.
    Work,
    /// A job has got one, or is over.
    News,
}

impl EventClass {
    /// The word in answers and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::News => "news",
        }
    }
}

/// Why a verified webhook is acknowledged and not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// An event that does not speak of jobs.
    EventNotHandled,
    /// An action that changes nothing for runners.
    ActionNotHandled,
    /// A check run that was created in another status than queued: no runner is to take it.
    CheckRunNotQueued,
    /// A job behind a deployment gate: it is announced again once the gate opens.
    JobWaiting,
    /// A job that was announced as queued and has another status.
    JobNotQueued,
    /// A check run of an App whose checks are not jobs.
    AppNotAdmitted,
    /// A repository that is not on the allow-list.
    RepositoryNotAdmitted,
    /// A public repository.
    PublicRepository,
}

impl DropReason {
    /// The machine-readable word in answers, logs and counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventNotHandled => "event_not_handled",
            Self::ActionNotHandled => "action_not_handled",
            Self::CheckRunNotQueued => "check_run_not_queued",
            Self::JobWaiting => "job_waiting",
            Self::JobNotQueued => "job_not_queued",
            Self::AppNotAdmitted => "app_not_admitted",
            Self::RepositoryNotAdmitted => "repository_not_admitted",
            Self::PublicRepository => "public_repository",
        }
    }

    /// The sentence for whoever looks at the delivery in GitHub's settings.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::EventNotHandled => {
                "Stoker handles check_run and workflow_job; the webhook need not send this event."
            }
            Self::ActionNotHandled => "This action changes nothing for runners.",
            Self::CheckRunNotQueued => "The check run is not queued, so no runner is wanted.",
            Self::JobWaiting => {
                "The job waits behind a deployment gate; it counts once it is queued."
            }
            Self::JobNotQueued => "The job is not queued any more.",
            Self::AppNotAdmitted => {
                "The check run's App is not in CHECK_RUN_APPS, so its checks are not jobs."
            }
            Self::RepositoryNotAdmitted => "The repository is not in REPOSITORY_ALLOW_LIST.",
            Self::PublicRepository => {
                "The repository is public, and ALLOW_PUBLIC_REPOSITORIES is not true."
            }
        }
    }
}

/// What an event and its action mean, before the rest of the payload is looked at.
pub(crate) fn classify(kind: EventKind, action: &str) -> Result<Action, DropReason> {
    match (kind, action) {
        (EventKind::CheckRun, "created") => Ok(Action::Created),
        (EventKind::WorkflowJob, "queued") => Ok(Action::Queued),
        (EventKind::WorkflowJob, "in_progress") => Ok(Action::InProgress),
        (EventKind::CheckRun | EventKind::WorkflowJob, "completed") => Ok(Action::Completed),
        (EventKind::WorkflowJob, "waiting") => Err(DropReason::JobWaiting),
        _ => Err(DropReason::ActionNotHandled),
    }
}

impl Admission {
    /// Whether an event is passed on, and as what.
    pub(crate) fn judge(&self, projected: &Projected) -> Result<EventClass, DropReason> {
        let event = &projected.event;
        if !event.is_work() {
            return Ok(EventClass::News);
        }
        match (event.event, projected.status.as_deref()) {
            (_, Some("queued")) => {}
            (EventKind::CheckRun, _) => return Err(DropReason::CheckRunNotQueued),
            (EventKind::WorkflowJob, Some("waiting")) => return Err(DropReason::JobWaiting),
            (EventKind::WorkflowJob, _) => return Err(DropReason::JobNotQueued),
        }
        if event.event == EventKind::CheckRun
            && !self.check_run_apps.admit(projected.app.as_deref())
        {
            return Err(DropReason::AppNotAdmitted);
        }
        let (login, name) = (&event.owner.login, &event.repository.name);
        if !self.allow_list.admits(login, name) {
            return Err(DropReason::RepositoryNotAdmitted);
        }
        if event.repository.visibility == Visibility::Public && !self.allow_public {
            return Err(DropReason::PublicRepository);
        }
        Ok(EventClass::Work)
    }
}

/// The Apps whose check runs are jobs, by slug: an App with `checks: read` hears of every App's checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckRunApps {
    /// `*`: all of them, and those without a slug.
    Any,
    /// These, in lower case.
    Slugs(Vec<String>),
}

/// Why a text is not a list of Apps.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckRunAppsError {
    /// No slug at all.
    #[error("the list is empty: write slugs of GitHub Apps, such as github-actions, or * for any")]
    Empty,
    /// A slug with a character that slugs do not have.
    #[error("{slug:?} is not a slug of a GitHub App: letters, digits and hyphens, or * for any")]
    InvalidSlug {
        /// The slug as written.
        slug: String,
    },
}

impl Default for CheckRunApps {
    /// GitHub Actions alone.
    fn default() -> Self {
        Self::Slugs(vec!["github-actions".into()])
    }
}

impl CheckRunApps {
    /// Whether an App's check runs are jobs.
    pub fn admit(&self, slug: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Slugs(slugs) => {
                slug.is_some_and(|slug| slugs.iter().any(|own| own.eq_ignore_ascii_case(slug)))
            }
        }
    }
}

impl FromStr for CheckRunApps {
    type Err = CheckRunAppsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut slugs = Vec::new();
        let mut any = false;
        for slug in text.split(|c: char| c == ',' || c.is_whitespace()) {
            match slug {
                "" => {}
                "*" => any = true,
                _ if slug
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) =>
                {
                    slugs.push(slug.to_ascii_lowercase());
                }
                _ => {
                    return Err(CheckRunAppsError::InvalidSlug {
                        slug: slug.to_owned(),
                    });
                }
            }
        }
        match (any, slugs.is_empty()) {
            (true, _) => Ok(Self::Any),
            (false, false) => Ok(Self::Slugs(slugs)),
            (false, true) => Err(CheckRunAppsError::Empty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::JobEvent;
    use crate::sample;

    fn strict() -> Admission {
        Admission {
            allow_list: AllowList::all(),
            allow_public: false,
            check_run_apps: CheckRunApps::default(),
        }
    }

    fn with_status(event: JobEvent, status: &str) -> Projected {
        Projected {
            event,
            status: Some(status.into()),
            app: None,
        }
    }

    fn check_run(status: &str, app: Option<&str>) -> Projected {
        let event = JobEvent {
            event: EventKind::CheckRun,
            action: Action::Created,
            ..sample::workflow_job_queued()
        };
        Projected {
            app: app.map(Into::into),
            ..with_status(event, status)
        }
    }

    #[test]
    fn a_queued_job_of_a_private_repository_is_work() {
        let job = with_status(sample::workflow_job_queued(), "queued");
        assert_eq!(strict().judge(&job), Ok(EventClass::Work));
    }

    #[test]
    fn a_job_behind_a_deployment_gate_is_not_work() {
        let job = with_status(sample::workflow_job_queued(), "waiting");
        assert_eq!(strict().judge(&job), Err(DropReason::JobWaiting));
        let action = classify(EventKind::WorkflowJob, "waiting");
        assert_eq!(action, Err(DropReason::JobWaiting));
    }

    #[test]
    fn a_check_run_is_work_only_when_queued_by_an_admitted_app() {
        let actions = Some("github-actions");
        let rules = strict();
        assert_eq!(
            rules.judge(&check_run("queued", actions)),
            Ok(EventClass::Work)
        );
        assert_eq!(
            rules.judge(&check_run("in_progress", actions)),
            Err(DropReason::CheckRunNotQueued)
        );
        for other in [Some("linter"), None] {
            assert_eq!(
                rules.judge(&check_run("queued", other)),
                Err(DropReason::AppNotAdmitted)
            );
        }
        let any = Admission {
            check_run_apps: CheckRunApps::Any,
            ..strict()
        };
        assert_eq!(any.judge(&check_run("queued", None)), Ok(EventClass::Work));
    }

    #[test]
    fn a_public_repository_is_work_only_if_the_owner_says_so() {
        let mut job = with_status(sample::workflow_job_queued(), "queued");
        job.event.repository.visibility = Visibility::Public;
        assert_eq!(strict().judge(&job), Err(DropReason::PublicRepository));
        let open = Admission {
            allow_public: true,
            ..strict()
        };
        assert_eq!(open.judge(&job), Ok(EventClass::Work));
        job.event.repository.visibility = Visibility::Internal;
        assert_eq!(strict().judge(&job), Ok(EventClass::Work));
    }

    #[test]
    fn a_repository_off_the_list_is_not_work() {
        let rules = Admission {
            allow_list: "octo-org/other, acme".parse().unwrap(),
            ..strict()
        };
        let job = with_status(sample::workflow_job_queued(), "queued");
        assert_eq!(rules.judge(&job), Err(DropReason::RepositoryNotAdmitted));
    }

    #[test]
    fn no_rule_holds_back_news() {
        let rules = Admission {
            allow_list: "nobody".parse().unwrap(),
            ..strict()
        };
        let mut news = with_status(sample::check_run_completed(), "completed");
        news.event.repository.visibility = Visibility::Public;
        assert_eq!(rules.judge(&news), Ok(EventClass::News));
    }

    #[test]
    fn a_list_of_apps_is_slugs_or_a_star() {
        let apps = "GitHub-Actions, my_ci".parse::<CheckRunApps>().unwrap();
        assert!(apps.admit(Some("github-actions")) && apps.admit(Some("My_CI")));
        assert!(!apps.admit(Some("other")) && !apps.admit(None));
        assert_eq!("one *".parse(), Ok(CheckRunApps::Any));
        assert_eq!(" ,".parse::<CheckRunApps>(), Err(CheckRunAppsError::Empty));
        assert!("a/b".parse::<CheckRunApps>().is_err());
    }
}
