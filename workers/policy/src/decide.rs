//! What is asked: each of the three decisions as a type, so that finding the policy, running it and
//! answering for it when it fails is written once.

use std::sync::Arc;

use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::plan::{Basis, Deferral, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::situation::Situation;
use stoker_core::time::Timestamp;

use crate::artifact::Loaded;
use crate::builtin;
use crate::contract::Decision;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::run::Decided;

/// One decision that is wanted.
pub(crate) trait Ask: Clone + Send + Sync + 'static {
    /// The plan that answers it.
    type Plan: Wanted;

    /// Which decision.
    const DECISION: Decision;

    /// The time of the decision.
    fn now(&self) -> Timestamp;

    /// For whom, in words.
    fn whose(&self) -> String;

    /// The folder in which the policy is looked for first.
    fn folder(&self) -> PolicyFolder;

    /// The owner and the names of the repositories whose own settings matter.
    fn repositories(&self) -> Option<(String, Vec<String>)>;

    /// Asks a policy.
    fn of(
        &self,
        policy: &Loaded,
        level: PolicyLevel,
        basis: &Basis,
        limits: &Limits,
    ) -> Result<Decided<Self::Plan>, Failure>;

    /// Asks the built-in rules; the error is their refusal.
    fn of_built_in(&self, basis: &Basis) -> Result<Self::Plan, String>;

    /// Nothing is done, for this reason.
    fn hold(&self, reason: &str) -> Self::Plan;
}

/// A plan of any decision.
pub(crate) trait Wanted: Default + Send + 'static {
    /// What was written down besides.
    fn notes(&mut self) -> &mut Vec<String>;
}

impl Wanted for Plan {
    fn notes(&mut self) -> &mut Vec<String> {
        &mut self.notes
    }
}

impl Wanted for ScaleDownPlan {
    fn notes(&mut self) -> &mut Vec<String> {
        &mut self.notes
    }
}

impl Wanted for SyncPlan {
    fn notes(&mut self) -> &mut Vec<String> {
        &mut self.notes
    }
}

/// Which runners to launch.
#[derive(Clone)]
pub(crate) struct AskScaleUp(pub(crate) Arc<Situation>);

/// Which runners to retire.
#[derive(Clone)]
pub(crate) struct AskScaleDown(pub(crate) Arc<Situation>);

/// Which versions of the runner to mirror and to offer.
#[derive(Clone)]
pub(crate) struct AskSync(pub(crate) Arc<Distribution>);

/// Only an organisation's repositories may tune: a repository that is a scope reads its own folder as
/// its most specific place.
fn repositories_of(situation: &Situation) -> Option<(String, Vec<String>)> {
    if situation.scope.repository.is_some() {
        return None;
    }
    let names = situation
        .repositories
        .iter()
        .map(|repository| repository.name.clone())
        .collect();
    Some((situation.scope.owner.clone(), names))
}

impl Ask for AskScaleUp {
    type Plan = Plan;

    const DECISION: Decision = Decision::ScaleUp;

    fn now(&self) -> Timestamp {
        self.0.now
    }

    fn whose(&self) -> String {
        self.0.scope.to_string()
    }

    fn folder(&self) -> PolicyFolder {
        PolicyFolder::of_scope(&self.0.scope)
    }

    fn repositories(&self) -> Option<(String, Vec<String>)> {
        repositories_of(&self.0)
    }

    fn of(
        &self,
        policy: &Loaded,
        level: PolicyLevel,
        basis: &Basis,
        limits: &Limits,
    ) -> Result<Decided<Plan>, Failure> {
        policy.scale_up(&self.0, level, basis, limits)
    }

    fn of_built_in(&self, basis: &Basis) -> Result<Plan, String> {
        builtin::scale_up(&self.0, basis)
    }

    fn hold(&self, reason: &str) -> Plan {
        let jobs: Vec<usize> = (0..self.0.pending.len()).collect();
        Plan {
            deferrals: if jobs.is_empty() {
                Vec::new()
            } else {
                vec![Deferral {
                    jobs,
                    retry_after: None,
                    reason: reason.to_owned(),
                }]
            },
            ..Plan::default()
        }
    }
}

impl Ask for AskScaleDown {
    type Plan = ScaleDownPlan;

    const DECISION: Decision = Decision::ScaleDown;

    fn now(&self) -> Timestamp {
        self.0.now
    }

    fn whose(&self) -> String {
        self.0.scope.to_string()
    }

    fn folder(&self) -> PolicyFolder {
        PolicyFolder::of_scope(&self.0.scope)
    }

    fn repositories(&self) -> Option<(String, Vec<String>)> {
        repositories_of(&self.0)
    }

    fn of(
        &self,
        policy: &Loaded,
        level: PolicyLevel,
        basis: &Basis,
        limits: &Limits,
    ) -> Result<Decided<ScaleDownPlan>, Failure> {
        policy.scale_down(&self.0, level, basis, limits)
    }

    fn of_built_in(&self, basis: &Basis) -> Result<ScaleDownPlan, String> {
        builtin::scale_down(&self.0, basis)
    }

    fn hold(&self, reason: &str) -> ScaleDownPlan {
        ScaleDownPlan {
            notes: vec![reason.to_owned()],
            ..ScaleDownPlan::default()
        }
    }
}

impl Ask for AskSync {
    type Plan = SyncPlan;

    const DECISION: Decision = Decision::Sync;

    fn now(&self) -> Timestamp {
        self.0.now
    }

    fn whose(&self) -> String {
        "the deployment".to_owned()
    }

    fn folder(&self) -> PolicyFolder {
        PolicyFolder::Default
    }

    fn repositories(&self) -> Option<(String, Vec<String>)> {
        None
    }

    fn of(
        &self,
        policy: &Loaded,
        _level: PolicyLevel,
        basis: &Basis,
        limits: &Limits,
    ) -> Result<Decided<SyncPlan>, Failure> {
        policy.sync(&self.0, basis, limits)
    }

    fn of_built_in(&self, basis: &Basis) -> Result<SyncPlan, String> {
        builtin::sync(&self.0, basis)
    }

    fn hold(&self, reason: &str) -> SyncPlan {
        SyncPlan {
            notes: vec![reason.to_owned()],
            ..SyncPlan::default()
        }
    }
}
