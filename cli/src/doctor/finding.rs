//! What is found: one thing that was looked at, and how it is.

use serde::Serialize;
use stoker_aws::InspectError;
use stoker_github::Error as GitHubProblem;

/// What a finding belongs to, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    Settings,
    Secrets,
    Clock,
    App,
    Webhook,
    Installations,
    RunnerGroups,
    Limits,
    Queues,
    Ledger,
    Policies,
    Classes,
}

impl Check {
    /// What people call it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Secrets => "secrets",
            Self::Clock => "clock",
            Self::App => "GitHub App",
            Self::Webhook => "its webhook",
            Self::Installations => "its installations",
            Self::RunnerGroups => "runner groups",
            Self::Limits => "GitHub's limits",
            Self::Queues => "queues",
            Self::Ledger => "ledger",
            Self::Policies => "policies",
            Self::Classes => "runner classes",
        }
    }

    /// It is as it should be.
    pub(super) fn ok(self, subject: impl Into<String>) -> Finding {
        Finding {
            check: self,
            verdict: Verdict::Ok,
            subject: subject.into(),
            problem: None,
            remedy: None,
        }
    }

    /// It works, and is not as it should be; or it could not be looked at.
    pub(super) fn warning(
        self,
        subject: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            verdict: Verdict::Warning,
            problem: Some(problem.into()),
            remedy: Some(remedy.into()),
            ..self.ok(subject)
        }
    }

    /// It does not work, or is not safe.
    pub(super) fn failure(
        self,
        subject: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            verdict: Verdict::Failure,
            ..self.warning(subject, problem, remedy)
        }
    }

    /// AWS would not show it: a failure if it is not there, and else nothing is known of it.
    pub(super) fn unseen(
        self,
        subject: impl Into<String>,
        error: &InspectError,
        if_missing: &str,
    ) -> Finding {
        match error {
            InspectError::Missing(_) => self.failure(subject, error.to_string(), if_missing),
            InspectError::NoAccess { action, problem } => {
                let remedy = format!("allow {action} to whoever runs this, and run it again");
                self.warning(subject, format!("not looked at: {problem}"), remedy)
            }
            InspectError::Unavailable(problem) => self.warning(
                subject,
                format!("not looked at: {problem}"),
                "check this machine's region, credentials and network, and run it again",
            ),
        }
    }

    /// GitHub would not say. A key that it refuses fails for the Lambdas too; of the rest nothing is known.
    pub(super) fn unsaid(self, subject: impl Into<String>, error: &GitHubProblem) -> Finding {
        let (problem, remedy) = match error {
            GitHubProblem::Refused { refusal, advice } if !advice.is_empty() => {
                (refusal.to_string(), advice.clone())
            }
            GitHubProblem::Unreachable { problem } => (
                format!("it could not be reached: {problem}"),
                "check GITHUB_API_URL and the way out of this machine's network".to_owned(),
            ),
            _ => (
                error.to_string(),
                "run it again; see https://www.githubstatus.com if it stays so".to_owned(),
            ),
        };
        if is_refused(error) {
            self.failure(subject, problem, remedy)
        } else {
            self.warning(subject, format!("not looked at: {problem}"), remedy)
        }
    }
}

/// Whether GitHub does not take the App for what it says that it is.
pub(super) fn is_refused(error: &GitHubProblem) -> bool {
    matches!(error, GitHubProblem::NoKey(_)) || error.status() == Some(401)
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and should be mended; or nobody could look.
    Warning,
    /// It does not work, or is not safe.
    Failure,
}

impl Verdict {
    /// The mark before a finding.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) verdict: Verdict,
    /// What was looked at.
    pub(super) subject: String,
    /// What is wrong; none: nothing.
    pub(super) problem: Option<String>,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_looked_at_is_a_warning_that_names_the_permission() {
        let denied = InspectError::NoAccess {
            action: "sqs:GetQueueAttributes",
            problem: "AccessDenied".to_owned(),
        };
        let finding = Check::Queues.unseen("the intake queue", &denied, "make it");
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.remedy.unwrap().contains("sqs:GetQueueAttributes"));
        let missing = InspectError::Missing("NonExistentQueue".to_owned());
        let finding = Check::Queues.unseen("the intake queue", &missing, "make it");
        assert_eq!(finding.verdict, Verdict::Failure);
        assert_eq!(finding.remedy.as_deref(), Some("make it"));
    }

    #[test]
    fn findings_are_written_for_machines_as_documented() {
        let finding = Check::RunnerGroups.failure("acme", "open", "close it");
        let value = serde_json::to_value(&finding).unwrap();
        assert_eq!(value["check"], "runner-groups");
        assert_eq!(value["verdict"], "failure");
        assert_eq!(value["problem"], "open");
        let fine = serde_json::to_value(Check::App.ok("it")).unwrap();
        assert!(fine["problem"].is_null() && fine["remedy"].is_null());
    }
}
