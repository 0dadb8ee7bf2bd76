//! What is measured, by what happens.

use stoker_core::distribution::Synced;
use stoker_core::happening::{Decision, Happening, RetirementDecision, SyncDecision};
use stoker_core::ids::ScopeKey;
use stoker_core::plan::Fallback;
use stoker_lambda::metric::{Measured, Unit};

/// Records that could not be written to the journal.
pub const JOURNAL_FAILURES: &str = "JournalFailures";

/// How long a policy took to decide.
pub const DECISION_TIME: &str = "DecisionTime";

/// What a failure is counted by.
const CAUSE: &str = "Cause";

/// Everything that is to be measured of it.
pub fn measured(happening: &Happening) -> Vec<Measured> {
    match happening {
        Happening::MessagePutAside { .. } => vec![
            Measured::count("MessagesPutAside", 1),
            failure("MessagePutAside", 1, None),
        ],
        Happening::Redriven { messages, .. } => {
            vec![Measured::count("MessagesRedriven", *messages)]
        }
        Happening::Folded {
            scope,
            waited: Some(seconds),
            ..
        } => vec![
            Measured {
                name: "QueueWait",
                unit: Unit::Seconds,
                value: f64::from(*seconds),
                by: None,
                scope: None,
            }
            .of(*scope),
        ],
        Happening::Decided(decision) => decided(decision),
        Happening::DecidedRetirement(decision) => decided_retirement(decision),
        Happening::DecidedSync(decision) => decided_sync(decision),
        Happening::Synced(came) => synced(came),
        Happening::SyncFailed { .. } => vec![Measured::count("SyncFailures", 1)],
        Happening::Launched {
            scope,
            instances,
            refusals,
            wanted,
            ..
        } => {
            let given = u32::try_from(instances.len()).unwrap_or(u32::MAX);
            let lacking = usize::try_from(wanted.saturating_sub(given)).unwrap_or(usize::MAX);
            let mut all = Vec::new();
            if !instances.is_empty() {
                all.push(Measured::count("RunnersLaunched", instances.len()).of(*scope));
            }
            if lacking > 0 {
                let code = refusals.first().map_or("unknown", |first| &first.code);
                all.push(failure(code, lacking, Some(*scope)));
            }
            all
        }
        Happening::LaunchUnsettled { scope, .. } => vec![
            Measured::count("LaunchesUnsettled", 1).of(*scope),
            failure("LaunchUnsettled", 1, Some(*scope)),
        ],
        Happening::ConfigurationFailed { scope, .. } => vec![
            Measured::count("ConfigurationsFailed", 1).of(*scope),
            failure("ConfigurationFailed", 1, Some(*scope)),
        ],
        Happening::RunnerLost {
            scope, interrupted, ..
        } => {
            let cause = if *interrupted {
                "SpotInterruption"
            } else {
                "RunnerLost"
            };
            vec![
                Measured::count("RunnersLost", 1).of(*scope),
                failure(cause, 1, Some(*scope)),
            ]
        }
        Happening::Rebuilt(came) if came.runners() > 0 => {
            vec![Measured::count("RunnersRebuilt", came.runners())]
        }
        Happening::TakenAway { scope, .. } => {
            vec![Measured::count("RunnersTakenAway", 1).of(*scope)]
        }
        Happening::ScopeClosed { scope, .. } => {
            vec![Measured::count("ScopesClosed", 1).of(*scope)]
        }
        Happening::Redelivered { webhooks, .. } => {
            vec![Measured::count("WebhooksRedelivered", *webhooks)]
        }
        Happening::FoundJobs { jobs, .. } => vec![Measured::count("JobsWithoutWebhook", *jobs)],
        Happening::Ticked(ticked) => {
            let left = ticked.points_left.map(|left| Measured {
                value: f64::from(left),
                ..Measured::count("GitHubBudgetLeft", 0)
            });
            left.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// What failed, by its cause: EC2's code, or ours.
fn failure(cause: &str, count: usize, scope: Option<ScopeKey>) -> Measured {
    Measured {
        scope,
        ..Measured::count("Failures", count).by(CAUSE, cause)
    }
}

fn decided(decision: &Decision) -> Vec<Measured> {
    let mut all = fallbacks(decision.fallback.as_ref(), Some(decision.scope));
    for edit in &decision.edits {
        let rule = word(&serde_json::to_value(edit.rule).unwrap_or_default());
        all.push(
            Measured::count("GuardrailEdits", 1)
                .of(decision.scope)
                .by("Rule", &rule),
        );
    }
    for deferral in &decision.deferrals {
        let reason = match deferral.rule {
            Some(rule) => word(&serde_json::to_value(rule).unwrap_or_default()),
            // Its words are its own, and there may be any number of them.
            None => "policy".to_owned(),
        };
        let jobs = Measured::count("PendingJobs", deferral.jobs.len());
        all.push(jobs.of(decision.scope).by("Reason", &reason));
    }
    all
}

fn decided_retirement(decision: &RetirementDecision) -> Vec<Measured> {
    let mut all = fallbacks(decision.fallback.as_ref(), Some(decision.scope));
    let retired = decision.retired.iter().map(|one| one.runners.len()).sum();
    if retired > 0 {
        all.push(Measured::count("RunnersRetired", retired).of(decision.scope));
    }
    for kept in &decision.kept {
        let rule = word(&serde_json::to_value(kept.rule).unwrap_or_default());
        all.push(
            Measured::count("GuardrailEdits", 1)
                .of(decision.scope)
                .by("Rule", &rule),
        );
    }
    all
}

fn decided_sync(decision: &SyncDecision) -> Vec<Measured> {
    let mut all = fallbacks(decision.fallback.as_ref(), None);
    for edit in &decision.edits {
        let rule = word(&serde_json::to_value(edit.rule).unwrap_or_default());
        all.push(Measured::count("GuardrailEdits", 1).by("Rule", &rule));
    }
    // Of the decision, so that it is also known of rounds that fail after it.
    all.extend(decision.offered_age.map(|seconds| Measured {
        unit: Unit::None,
        // Days, to a tenth.
        value: (f64::from(seconds) / 8_640.0).round() / 10.0,
        ..Measured::count("OfferedRunnerAge", 0)
    }));
    all
}

fn synced(came: &Synced) -> Vec<Measured> {
    let mut all = Vec::new();
    if !came.mirrored.is_empty() {
        let versions = came.mirrored.len();
        all.push(Measured::count("RunnerVersionsMirrored", versions));
    }
    all
}

/// `scope`: none of all that the deployment has together.
fn fallbacks(fallback: Option<&Fallback>, scope: Option<ScopeKey>) -> Vec<Measured> {
    let Some(fallback) = fallback else {
        return Vec::new();
    };
    let of = |measured: Measured| Measured { scope, ..measured };
    let fallbacks = of(Measured::count("PolicyFallbacks", 1));
    let mut all = vec![fallbacks.by(CAUSE, &fallback.cause)];
    if fallback.alarm {
        all.push(of(Measured::count("PolicyAlarms", 1)));
    }
    all
}

/// A rule, as it is written.
fn word(rule: &serde_json::Value) -> String {
    rule.as_str().unwrap_or("unknown").to_owned()
}
