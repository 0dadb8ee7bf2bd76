//! What happened, for people and machines: each with the ids that lead on.
//!
//! Nothing here holds a secret, and strings from a policy or from GitHub are only ever written as JSON
//! values.

use serde::Serialize;
use stoker_intake::{Action, DeliveryId, EventKind};

use crate::class::Capacity;
use crate::control::Rebuilt;
use crate::guardrails::{Edit, Rule};
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
    },
    /// An event told nothing new: a redelivery, or older than what is known.
    NothingNew {
        /// The webhook delivery.
        delivery: DeliveryId,
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
        /// The job.
        job: JobKey,
        /// What GitHub said.
        answer: String,
        /// Whether it is demand now.
        demand: bool,
    },
    /// A policy decided.
    Decided(Box<Decision>),
    /// EC2 answered a launch.
    Launched {
        /// The launch.
        intent: IntentId,
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
        /// For whom.
        scope: ScopeKey,
        /// What happened.
        problem: String,
    },
    /// An instance has what it needs to register.
    Configured {
        /// The instance.
        instance: InstanceId,
        /// Its runner.
        runner: String,
    },
    /// An instance could not be given what it needs to register. It is terminated; its demand stays.
    ConfigurationFailed {
        /// The instance.
        instance: InstanceId,
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
    /// The policy's reason.
    pub reason: String,
}

/// Jobs of a decision that get no runner of their own now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecidedDeferral {
    /// Which.
    pub jobs: Vec<JobKey>,
    /// In how many seconds to ask again; none: when something changes.
    pub retry_after: Option<u32>,
    /// The guardrail that kept them from the runners that the policy wanted for them; none: it wanted none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The policy's reason, or the guardrail's.
    pub reason: String,
}
