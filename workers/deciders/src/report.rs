//! What happened, as lines of JSON on standard output, each field of which can be searched for.

use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;
use stoker_core::happening::Happening;
use stoker_core::ids::Deployment;
use stoker_core::plan::Fallback;
use stoker_core::ports::Reporter;
use stoker_core::time::Timestamp;
use stoker_lambda::metric::Measured;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::Level;

use crate::metric::measured;

tokio::task_local! {
    /// The Lambda's id of the invocation that is being handled.
    pub static REQUEST: String;
}

/// Writes one line for each happening, and one for each counter that it raises.
#[derive(Debug, Clone)]
pub struct Lines {
    deployment: String,
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    deployment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(flatten)]
    happening: &'a Happening,
}

impl Lines {
    /// Those of that deployment.
    pub fn new(deployment: &Deployment) -> Self {
        Self {
            deployment: deployment.to_string(),
        }
    }

    /// Writes a number down.
    pub fn measure(&self, at: Timestamp, measured: &Measured) {
        // Without standard output there is nobody left to tell.
        let _told = writeln!(std::io::stdout(), "{}", measured.line(&self.deployment, at));
    }

    /// The lines for a happening.
    fn lines(&self, at: Timestamp, happening: &Happening) -> Vec<Value> {
        let level = level(happening);
        let brief = happening.brief();
        let line = Line {
            timestamp: rfc3339(at),
            level: level.as_str(),
            deployment: &self.deployment,
            request_id: REQUEST.try_with(String::clone).ok(),
            happening: &brief,
        };
        let mut lines = Vec::new();
        if is_wanted(level) {
            // A happening is made of strings, numbers and lists of them: it always has a JSON form.
            lines.extend(serde_json::to_value(&line));
        }
        // Counters are no log lines: whoever wants fewer of those still wants to be alarmed.
        for one in measured(happening) {
            lines.push(one.line(&self.deployment, at));
        }
        lines
    }
}

impl Reporter for Lines {
    fn report(&self, at: Timestamp, happening: &Happening) {
        let mut out = std::io::stdout().lock();
        for line in self.lines(at, happening) {
            // Without standard output there is nobody left to tell.
            let _told = writeln!(out, "{line}");
        }
    }
}

fn rfc3339(at: Timestamp) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok())
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

fn is_wanted(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(Level::ERROR),
        Level::WARN => tracing::enabled!(Level::WARN),
        _ => tracing::enabled!(Level::INFO),
    }
}

/// Warnings are what an operator may have to do something about.
fn level(happening: &Happening) -> Level {
    match happening {
        Happening::MessagePutAside { .. }
        | Happening::LaunchUnsettled { .. }
        | Happening::ConfigurationFailed { .. }
        | Happening::RunnerLost { .. }
        | Happening::ScopeClosed { .. }
        | Happening::MirrorFailed { .. }
        | Happening::Trouble { .. } => Level::WARN,
        Happening::SyncFailed { .. } => Level::ERROR,
        Happening::Decided(decision) => by(decision.fallback.as_ref()),
        Happening::DecidedRetirement(decision) => by(decision.fallback.as_ref()),
        Happening::DecidedSync(decision) => by(decision.fallback.as_ref()),
        Happening::Launched { refusals, .. } if !refusals.is_empty() => Level::WARN,
        // A ledger that lacked runners was lost, or part of it.
        Happening::Rebuilt(came) if came.runners() > 0 || came.has_gaps() => Level::WARN,
        _ => Level::INFO,
    }
}

/// How much a decision concerns an operator that was, or was not, taken by the policy that was meant to.
fn by(fallback: Option<&Fallback>) -> Level {
    match fallback {
        Some(fallback) if fallback.alarm => Level::ERROR,
        Some(_) => Level::WARN,
        None => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::control::{Rebuilt, RebuiltScope};
    use stoker_core::happening::DecidedDeferral;
    use stoker_core::happening::Decision;
    use stoker_core::ids::{DecisionId, IntentId, JobKey};
    use stoker_core::intent::Refusal;
    use stoker_core::plan::{DecidedBy, PolicyLevel};

    use super::*;

    fn told(happening: &Happening) -> Vec<Value> {
        // Everything is wanted.
        let all = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .finish();
        tracing::subscriber::with_default(all, || {
            Lines::new(&"ci".parse().unwrap()).lines(Timestamp(1_700_000_000), happening)
        })
    }

    #[test]
    fn a_decision_can_be_searched_for_by_policy_and_by_cause() {
        let mut decision = Decision {
            id: DecisionId("d".to_owned()),
            scope: "org-1".parse().unwrap(),
            scope_name: "acme".to_owned(),
            by: DecidedBy {
                policy: "built-in".to_owned(),
                level: PolicyLevel::BuiltIn,
                digest: None,
                generation: None,
                fuel: None,
            },
            fallback: Some(Fallback {
                alarm: false,
                cause: "trap".to_owned(),
                message: "it broke".to_owned(),
                level: Some(PolicyLevel::Default),
                digest: None,
                instead: stoker_core::plan::Instead::BuiltIn,
            }),
            pending: 1,
            runners: 0,
            launches: Vec::new(),
            deferrals: Vec::new(),
            edits: Vec::new(),
            notes: Vec::new(),
        };
        let lines = told(&Happening::Decided(Box::new(decision.clone())));
        assert_eq!(lines[0]["happening"], "decided");
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["timestamp"], "2023-11-14T22:13:20Z");
        assert_eq!(lines[0]["by"]["level"], "built-in");
        assert_eq!(lines[0]["fallback"]["cause"], "trap");
        assert_eq!(lines[1]["PolicyFallbacks"], 1);
        assert_eq!(lines.len(), 2);
        decision.fallback.as_mut().unwrap().alarm = true;
        let lines = told(&Happening::Decided(Box::new(decision)));
        assert_eq!(lines[0]["level"], "ERROR");
        assert_eq!(lines[2]["PolicyAlarms"], 1);
    }

    #[test]
    fn a_dropped_message_raises_its_counter() {
        let lines = told(&Happening::MessagePutAside {
            message: "m-1".to_owned(),
            problem: "line\nbreak".to_owned(),
        });
        assert_eq!(lines[0]["happening"], "message-put-aside");
        assert_eq!(lines[0]["message"], "m-1");
        assert!(!lines[0].to_string().contains('\n'));
        assert_eq!(lines[1]["MessagesPutAside"], 1);
        let metrics = &lines[1]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Metrics"][0]["Name"], "MessagesPutAside");
        assert_eq!(metrics["Namespace"], "Stoker");
    }

    #[test]
    fn a_ledger_that_lacked_runners_raises_a_counter() {
        let scope = RebuiltScope {
            runners: 3,
            ..RebuiltScope::default()
        };
        let came = Rebuilt {
            scopes: [("org-1".parse().unwrap(), scope)].into(),
            ..Rebuilt::default()
        };
        let lines = told(&Happening::Rebuilt(Box::new(came)));
        assert_eq!(lines[0]["happening"], "rebuilt");
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["scopes"]["org-1"]["runners"], 3);
        assert_eq!(lines[1]["RunnersRebuilt"], 3);
        let lines = told(&Happening::Rebuilt(Box::default()));
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn why_jobs_wait_and_what_failed_is_counted_by_few_words_and_searched_for_by_scope() {
        let decision = Decision {
            id: DecisionId("d".to_owned()),
            scope: "org-1".parse().unwrap(),
            scope_name: "acme".to_owned(),
            by: DecidedBy {
                policy: "theirs".to_owned(),
                level: PolicyLevel::Default,
                digest: None,
                generation: None,
                fuel: None,
            },
            fallback: None,
            pending: 2,
            runners: 0,
            launches: Vec::new(),
            deferrals: vec![DecidedDeferral {
                jobs: [2_u64, 3]
                    .map(|number| JobKey {
                        repository: 1.into(),
                        check_run: number.into(),
                    })
                    .to_vec(),
                unnamed_jobs: 0,
                retry_after: None,
                rule: None,
                reason: "whatever words a policy has".to_owned(),
            }],
            edits: Vec::new(),
            notes: Vec::new(),
        };
        let lines = told(&Happening::Decided(Box::new(decision)));
        assert_eq!(lines[1]["PendingJobs"], 2);
        assert_eq!(lines[1]["Reason"], "policy");
        assert_eq!(lines[1]["Scope"], "org-1");
        let lines = told(&Happening::Launched {
            intent: IntentId("0123".to_owned()),
            decision: DecisionId("d".to_owned()),
            scope: "org-1".parse().unwrap(),
            class: stoker_core::ids::ClassName("any".to_owned()),
            capacity: stoker_core::class::Capacity::Spot,
            wanted: 3,
            instances: Vec::new(),
            refusals: vec![Refusal {
                code: "InsufficientInstanceCapacity".to_owned(),
                message: "none left".to_owned(),
            }],
        });
        assert_eq!(lines[0]["decision"], "d");
        assert_eq!(lines[1]["Failures"], 3);
        assert_eq!(lines[1]["Cause"], "InsufficientInstanceCapacity");
    }

    #[test]
    fn each_minute_tells_what_is_left_of_github_s_patience() {
        let ticked = stoker_core::control::Ticked {
            points_left: Some(870),
            ..Default::default()
        };
        let lines = told(&Happening::Ticked(ticked));
        assert_eq!(lines[0]["happening"], "ticked");
        assert_eq!(lines[1]["GitHubBudgetLeft"], 870);
    }

    #[test]
    fn what_is_as_it_should_be_raises_nothing() {
        let lines = told(&Happening::Configured {
            instance: "i-1".parse().unwrap(),
            intent: IntentId("0123".to_owned()),
            scope: "org-1".parse().unwrap(),
            runner: "stoker-ci-i-1".to_owned(),
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["level"], "INFO");
    }
}
