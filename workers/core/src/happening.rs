//! What happened, for people and machines: each with the ids that lead on.
//!
//! Nothing here holds a secret, and strings from a policy or from GitHub are only ever written as JSON
//! values.

use std::borrow::Cow;

use serde::Serialize;
use stoker_intake::{Action, DeliveryId, EventKind};

use crate::class::Capacity;
use crate::control::{Rebuilt, Ticked};
use crate::distribution::{Choice, LeftOut, SyncEdit, Synced};
use crate::guardrails::{Edit, Kept, Rule};
use crate::ids::{ClassName, DecisionId, InstanceId, IntentId, JobKey, ScopeKey};
use crate::intent::{Instance, Refusal};
use crate::job::JobPhase;
use crate::plan::{DecidedBy, Fallback};
use crate::runner::RunnerPhase;

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "happening")]
pub enum Happening {
    /// A message was put aside for people to look at: it could not be read and never will be, or failed too
    /// often.
    MessagePutAside {
        /// The queue's id of it.
        message: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Messages that were put aside are handled once more.
    Redriven {
        /// How many.
        messages: usize,
        /// How many stay aside.
        left: usize,
    },
    /// An event told something new of a job.
    Folded {
        /// The webhook delivery.
        delivery: DeliveryId,
        /// The event.
        event: EventKind,
        /// Its action.
        action: Action,
        /// The scope that it belongs to.
        scope: ScopeKey,
        /// The job.
        job: JobKey,
        /// `owner/repository`.
        repository: String,
        /// The job's name.
        name: String,
        /// How far the job has come.
        phase: JobPhase,
        /// How long it had waited, in seconds, if it has just been taken.
        #[serde(skip_serializing_if = "Option::is_none")]
        waited: Option<u32>,
    },
    /// An event told nothing new: a redelivery, or older than what is known.
    NothingNew {
        /// The webhook delivery.
        delivery: DeliveryId,
        /// The scope that it belongs to.
        scope: ScopeKey,
        /// The job.
        job: JobKey,
    },
    /// An event of a job that no runner of ours could take.
    NotOurs {
        /// The webhook delivery.
        delivery: DeliveryId,
        /// The job.
        job: JobKey,
        /// Why not.
        reason: String,
    },
    /// GitHub was asked whether a job waits.
    Verified {
        /// The scope that it belongs to.
        scope: ScopeKey,
        /// The job.
        job: JobKey,
        /// What GitHub said.
        answer: String,
        /// Whether it is demand now.
        demand: bool,
    },
    /// A policy decided.
    Decided(Box<Decision>),
    /// A policy decided which runners go.
    DecidedRetirement(Box<RetirementDecision>),
    /// A runner that was to go has taken a job meanwhile, or GitHub did not say that it has none: it stays.
    RunnerStays {
        /// Its name.
        runner: String,
        /// Its instance.
        instance: InstanceId,
        /// For whom it is counted.
        scope: ScopeKey,
        /// Why it stays.
        reason: String,
    },
    /// What is of no use any more is taken away: an instance that never registered or that nobody needs, or a
    /// runner at GitHub whose instance is gone.
    TakenAway {
        /// The runner's name.
        runner: String,
        /// Its instance.
        instance: InstanceId,
        /// For whom it was counted.
        scope: ScopeKey,
        /// What was wrong with it.
        reason: String,
    },
    /// The schedule's minute: what is due was asked for, and what nobody told was looked for.
    Ticked(Ticked),
    /// Webhooks that failed are to be delivered again.
    Redelivered {
        /// How many.
        webhooks: usize,
        /// How many more have to wait for their turn.
        left: usize,
    },
    /// Jobs were found of which no webhook had told.
    FoundJobs {
        /// `owner/repository`.
        repository: String,
        /// How many.
        jobs: usize,
    },
    /// GitHub does not let the App at a scope any more: nothing is launched for its jobs, and they are let go.
    ScopeClosed {
        /// Which.
        scope: ScopeKey,
        /// What it is called.
        name: String,
        /// How many jobs waited.
        jobs: usize,
        /// How many runners are left, each of which stays while it may run a job.
        runners: usize,
        /// What GitHub says, and what to do.
        problem: String,
    },
    /// EC2 answered a launch.
    Launched {
        /// The launch.
        intent: IntentId,
        /// The decision that it comes from.
        decision: DecisionId,
        /// For whom.
        scope: ScopeKey,
        /// The class.
        class: ClassName,
        /// Spot or on demand.
        capacity: Capacity,
        /// How many were wanted.
        wanted: u32,
        /// What there is.
        instances: Vec<Instance>,
        /// Why it is not more.
        refusals: Vec<Refusal>,
    },
    /// EC2 could not be asked, or its answer was lost: the launch is taken up again.
    LaunchUnsettled {
        /// The launch.
        intent: IntentId,
        /// The decision that it comes from.
        decision: DecisionId,
        /// For whom.
        scope: ScopeKey,
        /// What happened.
        problem: String,
    },
    /// An instance has what it needs to register.
    Configured {
        /// The instance.
        instance: InstanceId,
        /// The launch that it came from.
        intent: IntentId,
        /// For whom it is counted.
        scope: ScopeKey,
        /// Its runner.
        runner: String,
    },
    /// An instance could not be given what it needs to register. It is terminated; its demand stays.
    ConfigurationFailed {
        /// The instance.
        instance: InstanceId,
        /// The launch that it came from.
        intent: IntentId,
        /// For whom it was counted.
        scope: ScopeKey,
        /// What happened.
        problem: String,
    },
    /// A runner does something else than before.
    RunnerChanged {
        /// Its name.
        runner: String,
        /// Its instance.
        instance: InstanceId,
        /// For whom it is counted.
        scope: ScopeKey,
        /// What it does now.
        #[serde(flatten)]
        phase: RunnerPhase,
    },
    /// A job's runner went away under it: GitHub ends the job, and a re-run of it is known again.
    RunnerLost {
        /// The job.
        job: JobKey,
        /// Its runner's name.
        runner: String,
        /// Its instance.
        instance: InstanceId,
        /// For whom it was counted.
        scope: ScopeKey,
        /// Whether EC2 took it back; otherwise it failed or was terminated by somebody.
        interrupted: bool,
    },
    /// The ledger lacked runners or jobs that there are, and was given them.
    Rebuilt(Box<Rebuilt>),
    /// A policy decided which version of the runner instances get.
    DecidedSync(Box<SyncDecision>),
    /// An archive of the runner was copied from GitHub, whole.
    Mirrored {
        /// The version.
        version: String,
        /// For which platform.
        platform: String,
        /// How large it is.
        bytes: u64,
        /// The SHA-256 of its bytes.
        sha256: String,
        /// GitHub had published no digest, and the operator allows that.
        unverified: bool,
        /// How long it took.
        seconds: u32,
    },
    /// An archive of the runner could not be copied, and nothing of it was kept.
    MirrorFailed {
        /// The version.
        version: String,
        /// For which platform.
        platform: String,
        /// What happened.
        problem: String,
    },
    /// Instances that boot from now on get another version of the runner.
    RunnerOffered {
        /// Which.
        version: String,
        /// Which they got before.
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<String>,
        /// The policy's reason.
        reason: String,
    },
    /// A mirrored version of the runner was deleted.
    RunnerDeleted {
        /// Which.
        version: String,
        /// The policy's reason.
        reason: String,
    },
    /// The runner's distribution was looked after.
    Synced(Synced),
    /// It could not be, or not wholly; what instances get is whole.
    SyncFailed {
        /// What happened, and what to do.
        problem: String,
    },
    /// Something went wrong that Stoker mends by itself; nothing is lost.
    Trouble {
        /// For whom.
        scope: Option<ScopeKey>,
        /// What happened, what Stoker does about it, what to do.
        problem: String,
    },
}

/// A decision, as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// For whom.
    pub scope: ScopeKey,
    /// What that is called.
    pub scope_name: String,
    /// Who decided.
    pub by: DecidedBy,
    /// Why it was not the policy that was meant to.
    pub fallback: Option<Fallback>,
    /// Jobs that waited and were shown.
    pub pending: usize,
    /// Runners that were there or on their way.
    pub runners: usize,
    /// What is launched.
    pub launches: Vec<DecidedLaunch>,
    /// What is left waiting.
    pub deferrals: Vec<DecidedDeferral>,
    /// What the guardrails took away.
    pub edits: Vec<Edit>,
    /// What the policy wrote down besides.
    pub notes: Vec<String>,
}

/// A decision which runners go, as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetirementDecision {
    /// Its id.
    pub id: DecisionId,
    /// For whom.
    pub scope: ScopeKey,
    /// What that is called.
    pub scope_name: String,
    /// Who decided.
    pub by: DecidedBy,
    /// Why it was not the policy that was meant to.
    pub fallback: Option<Fallback>,
    /// Jobs that waited and were shown.
    pub pending: usize,
    /// Runners that were there or on their way.
    pub runners: usize,
    /// Those that go, by the policy's reasons.
    pub retired: Vec<DecidedRetirements>,
    /// Those that the policy wanted to go and that stay.
    pub kept: Vec<Kept>,
    /// What the policy wrote down besides.
    pub notes: Vec<String>,
}

/// A decision which version of the runner instances get, as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncDecision {
    /// Its id.
    pub id: DecisionId,
    /// Who decided.
    pub by: DecidedBy,
    /// Why it was not the policy that was meant to.
    pub fallback: Option<Fallback>,
    /// What instances get now.
    pub offered: Option<String>,
    /// Seconds since that was published, if that is known.
    pub offered_age: Option<u32>,
    /// GitHub gives older runners no jobs.
    pub minimum_version: Option<String>,
    /// What they get once it is mirrored whole; none: what they get now.
    pub offer: Option<Choice>,
    /// Versions of which something is to be copied.
    pub copies: Vec<Choice>,
    /// Mirrored versions to delete.
    pub deletions: Vec<Choice>,
    /// What the guardrails did not grant.
    pub edits: Vec<SyncEdit>,
    /// Releases that the policy was not shown, since they could not be offered.
    pub left_out: Vec<LeftOut>,
    /// What the policy wrote down besides.
    pub notes: Vec<String>,
}

/// Runners that go for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecidedRetirements {
    /// Their names.
    pub runners: Vec<String>,
    /// How many more, which are not named: in a log.
    #[serde(skip_serializing_if = "is_none")]
    pub unnamed_runners: usize,
    /// The policy's reason.
    pub reason: String,
}

/// The most jobs or runners that a log line names of one launch, deferral or retirement.
const NAMED_IN_A_LINE: usize = 20;

impl Happening {
    /// The same for a log, where one line is not to name thousands of jobs: the journal does.
    pub fn brief(&self) -> Cow<'_, Self> {
        match self {
            Self::Decided(decision) => self.brief_decision(decision),
            Self::DecidedRetirement(decision) => {
                let mut brief = decision.clone();
                for retired in &mut brief.retired {
                    retired.unnamed_runners = cut(&mut retired.runners);
                }
                brief.kept.truncate(NAMED_IN_A_LINE);
                Cow::Owned(Self::DecidedRetirement(brief))
            }
            _ => Cow::Borrowed(self),
        }
    }

    fn brief_decision(&self, decision: &Decision) -> Cow<'_, Self> {
        let launched = decision.launches.iter().map(|launch| &launch.jobs);
        let deferred = decision.deferrals.iter().map(|deferral| &deferral.jobs);
        if launched
            .chain(deferred)
            .all(|jobs| jobs.len() <= NAMED_IN_A_LINE)
        {
            return Cow::Borrowed(self);
        }
        let mut brief = Box::new(decision.clone());
        for launch in &mut brief.launches {
            launch.unnamed_jobs = cut(&mut launch.jobs);
        }
        for deferral in &mut brief.deferrals {
            deferral.unnamed_jobs = cut(&mut deferral.jobs);
        }
        Cow::Owned(Self::Decided(brief))
    }
}

/// How many are cut off.
fn cut<T>(named: &mut Vec<T>) -> usize {
    let all = named.len();
    named.truncate(NAMED_IN_A_LINE);
    all - named.len()
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_none(number: &usize) -> bool {
    *number == 0
}

/// One launch of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecidedLaunch {
    /// Its intent.
    pub intent: IntentId,
    /// The class.
    pub class: ClassName,
    /// Spot or on demand.
    pub capacity: Capacity,
    /// How many.
    pub count: u32,
    /// The jobs that the policy had in mind.
    pub jobs: Vec<JobKey>,
    /// How many more, which are not named: in a log.
    #[serde(skip_serializing_if = "is_none")]
    pub unnamed_jobs: usize,
    /// The policy's reason.
    pub reason: String,
}

/// Jobs of a decision that get no runner of their own now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecidedDeferral {
    /// Which.
    pub jobs: Vec<JobKey>,
    /// How many more, which are not named: in a log.
    #[serde(skip_serializing_if = "is_none")]
    pub unnamed_jobs: usize,
    /// In how many seconds to ask again; none: when something changes.
    pub retry_after: Option<u32>,
    /// The guardrail that kept them from the runners that the policy wanted for them; none: it wanted none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The policy's reason, or the guardrail's.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PolicyLevel;

    fn decision(jobs: u64) -> Happening {
        let key = |n: u64| JobKey {
            repository: 1.into(),
            check_run: n.into(),
        };
        Happening::Decided(Box::new(Decision {
            id: DecisionId("d".to_owned()),
            scope: ScopeKey::Organization(1.into()),
            scope_name: "acme".to_owned(),
            by: DecidedBy {
                policy: "default".to_owned(),
                level: PolicyLevel::BuiltIn,
                digest: None,
                generation: None,
                fuel: None,
            },
            fallback: None,
            pending: 0,
            runners: 0,
            launches: Vec::new(),
            deferrals: vec![DecidedDeferral {
                jobs: (0..jobs).map(key).collect(),
                unnamed_jobs: 0,
                retry_after: None,
                rule: None,
                reason: "full".to_owned(),
            }],
            edits: Vec::new(),
            notes: Vec::new(),
        }))
    }

    #[test]
    fn a_log_line_names_some_jobs_and_says_how_many_more_there_are() {
        let few = decision(20);
        assert_eq!(*few.brief(), few);
        let many = decision(2_000);
        let line = serde_json::to_value(many.brief()).unwrap();
        let deferral = &line["deferrals"][0];
        assert_eq!(deferral["jobs"].as_array().unwrap().len(), 20);
        assert_eq!(deferral["unnamed_jobs"], 1_980);
        let whole = serde_json::to_value(&many).unwrap();
        let deferral = &whole["deferrals"][0];
        assert_eq!(deferral["jobs"].as_array().unwrap().len(), 2_000);
        assert!(deferral.get("unnamed_jobs").is_none());
    }
}
