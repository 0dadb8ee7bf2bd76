//! Which runners a policy lets go, and what of that the guardrails grant.

use std::collections::{BTreeMap, BTreeSet};

use crate::control::{Control, ControlError};
use crate::guardrails::{self, KeepRule, Retirements};
use crate::happening::{DecidedRetirements, RetirementDecision};
use crate::ids::{DecisionId, InstanceId, ScopeKey};
use crate::journal::Considered;
use crate::plan::{Proposal, ScaleDownPlan};
use crate::ports::{DecidedScope, LedgerError, ScaleDownDecider, ScopeState};
use crate::runner::{Runner, RunnerPhase};
use crate::situation::{PhaseFacts, ScopeName, Situation, Trigger, situation};
use crate::time::Timestamp;

/// When a scope is looked at again should whoever retires its runners die, in seconds: longer than a retirement
/// takes.
pub(super) const LOOKED_AT_AGAIN: u64 = 90;

/// Runners that go, each with the policy's reason.
pub(super) struct Verdict {
    pub(super) decision: DecisionId,
    pub(super) going: Vec<(Runner, String)>,
    /// More would go if GitHub let more be removed within a minute.
    pub(super) has_more: bool,
}

impl Control {
    /// Asks the policy which runners of a scope go. None: another actor decided meanwhile.
    pub(super) async fn verdict(
        &self,
        scope: ScopeKey,
        name: &ScopeName,
        state: &ScopeState,
        unclear: &BTreeSet<InstanceId>,
    ) -> Result<Option<Verdict>, ControlError> {
        let now = self.now();
        let room = self.room(scope, state).await?;
        let mut situation = situation(
            &self.operation,
            name.clone(),
            state,
            &room,
            Trigger::Tick,
            now,
        );
        as_github_says(&mut situation, &state.runners, unclear);
        let decider = &*self.ports.decider;
        let proposal = ScaleDownDecider::decide(decider, &situation, state.generation).await;
        let granted = guardrails::retire(
            &proposal.plan,
            &situation,
            self.operation.minimum_running_time,
            self.operation.rates.writes_a_minute(),
        );
        let decision = DecisionId::new(
            &self.operation.deployment,
            scope,
            state.version,
            now,
            self.next_turn(),
        );
        if !self
            .fence(scope, state, &decision, &proposal, &granted, now)
            .await?
        {
            return Ok(None);
        }
        let told = told(&decision, scope, &situation, &proposal, &granted);
        let considered = Considered {
            situation: &situation,
            basis: &proposal.basis,
            plan: &proposal.plan,
        };
        self.ports
            .reporter
            .decided_retirement(now, &told, &considered);
        let by_name: BTreeMap<&str, &Runner> = state
            .runners
            .iter()
            .map(|runner| (runner.name.as_str(), runner))
            .collect();
        let going = granted.runners().iter().filter_map(|(place, reason)| {
            let runner = by_name.get(situation.runners[*place].name.as_str())?;
            Some(((*runner).clone(), reason.clone()))
        });
        let mut kept = granted.kept().iter();
        Ok(Some(Verdict {
            has_more: kept.any(|kept| kept.rule == KeepRule::RemovalBudget),
            decision,
            going: going.collect(),
        }))
    }

    /// Whether the decision stands: false if the scope was decided meanwhile, by whoever counts on a runner that
    /// is to go. One that retires none changes nothing, so it needs no fence.
    async fn fence(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
        decision: &DecisionId,
        proposal: &Proposal<ScaleDownPlan>,
        granted: &Retirements,
        now: Timestamp,
    ) -> Result<bool, ControlError> {
        let generation = proposal.by.generation.unwrap_or_default();
        let retires = !granted.runners().is_empty();
        if !retires && generation <= state.generation {
            return Ok(true);
        }
        let saved = DecidedScope {
            scope,
            state: state.seen(),
            decision,
            generation,
            intents: &[],
            due: retires.then_some(Timestamp(now.0 + LOOKED_AT_AGAIN)),
        };
        match self.ports.ledger.save_decision(&saved).await {
            Ok(_version) => Ok(true),
            Err(LedgerError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Runners do what GitHub's list says, of which the ledger has been told by now: one that scaling up counts on no
/// more, since it took no job for long, is idle all the same, and one of which the list does not tell is not.
fn as_github_says(situation: &mut Situation, runners: &[Runner], unclear: &BTreeSet<InstanceId>) {
    let by_name: BTreeMap<&str, &Runner> = runners
        .iter()
        .map(|runner| (runner.name.as_str(), runner))
        .collect();
    for facts in &mut situation.runners {
        let Some(runner) = by_name.get(facts.name.as_str()) else {
            continue;
        };
        if unclear.contains(&runner.instance) {
            facts.phase = PhaseFacts::Unknown;
        } else if runner.phase == RunnerPhase::Idle {
            facts.phase = PhaseFacts::Idle;
        }
    }
}

fn told(
    decision: &DecisionId,
    scope: ScopeKey,
    situation: &Situation,
    proposal: &Proposal<ScaleDownPlan>,
    granted: &Retirements,
) -> RetirementDecision {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (place, reason) in granted.runners() {
        let runners = by_reason.entry(reason).or_default();
        runners.push(situation.runners[*place].name.clone());
    }
    RetirementDecision {
        id: decision.clone(),
        scope,
        scope_name: situation.scope.to_string(),
        by: proposal.by.clone(),
        fallback: proposal.fallback.clone(),
        pending: situation.pending.len(),
        runners: situation.runners.len(),
        retired: by_reason
            .into_iter()
            .map(|(reason, runners)| DecidedRetirements {
                runners,
                unnamed_runners: 0,
                reason: reason.to_owned(),
            })
            .collect(),
        kept: granted.kept().to_vec(),
        notes: proposal.plan.notes.clone(),
    }
}
