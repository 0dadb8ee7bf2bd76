//! A decision, as it is saved and told.

use crate::guardrails::Granted;
use crate::happening::{DecidedDeferral, DecidedLaunch, Decision};
use crate::ids::{DecisionId, IntentId, ScopeKey};
use crate::intent::{FleetRequest, Intent};
use crate::journal::{Considered, RecordName};
use crate::plan::{DecidedBy, Launch, PolicyLevel, Proposal};
use crate::situation::{Situation, counts_until};

use super::reasons;

/// A decision that was taken.
pub(super) struct Decided<'a> {
    pub(super) id: DecisionId,
    pub(super) scope: ScopeKey,
    pub(super) proposal: &'a Proposal,
    pub(super) granted: &'a Granted,
    pub(super) situation: &'a Situation,
    /// Where in the journal it is told, asked for before it is: the next record may begin meanwhile.
    pub(super) record: Option<RecordName>,
}

impl Decided<'_> {
    /// What is to be launched.
    pub(super) fn intents(&self) -> Vec<Intent> {
        let launches = self.granted.launches().iter().enumerate();
        launches
            .map(|(place, launch)| self.intent(place, launch))
            .collect()
    }

    fn intent(&self, place: usize, launch: &Launch) -> Intent {
        let situation = self.situation;
        let class = &situation.classes[launch.class].class;
        Intent {
            id: IntentId::new(&self.id, place),
            decision: self.id.clone(),
            scope: self.scope,
            scope_name: Some(situation.scope.clone()),
            request: FleetRequest {
                class: class.name.clone(),
                capacity: launch.capacity,
                count: launch.count,
                launch_template: class.launch_template.clone(),
                launch_template_version: class.launch_template_version.clone(),
                instance_types: class.instance_types.clone(),
                subnets: class.subnets.clone(),
            },
            launched_for: launch
                .launched_for
                .map(|place| situation.repositories[place].id),
            jobs: launch
                .jobs
                .iter()
                .map(|&place| situation.pending[place].key)
                .collect(),
            reason: launch.reason.clone(),
            price: class.price(launch.capacity).unwrap_or(0.0),
            decided_at: situation.now,
        }
    }

    /// All that it was taken from.
    pub(super) fn considered(&self) -> Considered<'_> {
        Considered {
            situation: self.situation,
            basis: &self.proposal.basis,
            plan: &self.proposal.plan,
        }
    }

    /// In how many seconds what it leaves waiting is to be decided again; none: when something changes.
    pub(super) fn retry_after(&self) -> Option<u32> {
        let deferred = self.proposal.plan.deferrals.iter();
        let deferred = deferred.filter_map(|deferral| deferral.retry_after);
        let cut = reasons::cut(self.granted, self.situation);
        let cut = cut.filter_map(|deferral| deferral.retry_after);
        let overlooked = counts_until(self.situation);
        deferred.chain(cut).chain(overlooked).min()
    }

    /// As it is written down.
    pub(super) fn decision(&self, intents: &[Intent]) -> Decision {
        let (proposal, situation) = (self.proposal, self.situation);
        Decision {
            id: self.id.clone(),
            scope: self.scope,
            scope_name: situation.scope.to_string(),
            by: proposal.by.clone(),
            fallback: proposal.fallback.clone(),
            pending: situation.pending.len(),
            runners: situation.runners.len(),
            launches: intents
                .iter()
                .map(|intent| DecidedLaunch {
                    unnamed_jobs: 0,
                    intent: intent.id.clone(),
                    class: intent.request.class.clone(),
                    capacity: intent.request.capacity,
                    count: intent.request.count,
                    jobs: intent.jobs.clone(),
                    reason: intent.reason.clone(),
                })
                .collect(),
            deferrals: proposal
                .plan
                .deferrals
                .iter()
                .map(|deferral| DecidedDeferral {
                    unnamed_jobs: 0,
                    jobs: deferral
                        .jobs
                        .iter()
                        .map(|&place| situation.pending[place].key)
                        .collect(),
                    retry_after: deferral.retry_after,
                    rule: None,
                    reason: deferral.reason.clone(),
                })
                .chain(reasons::cut(self.granted, situation))
                .collect(),
            edits: self.granted.edits().to_vec(),
            notes: proposal.plan.notes.clone(),
        }
    }
}

/// Who decides that on-demand instances follow where EC2 had no spot ones: the operator's
/// `SPOT_FALLBACK_CODES`.
pub(super) fn spot_fallback() -> DecidedBy {
    DecidedBy {
        policy: "spot fallback".to_owned(),
        level: PolicyLevel::BuiltIn,
        digest: None,
        generation: None,
        fuel: None,
    }
}
