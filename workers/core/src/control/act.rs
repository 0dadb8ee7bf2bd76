//! One round of load → decide → save intents → act → save outcomes.

use futures::future::{FutureExt as _, join_all};

use super::book::Answered;
use super::{CONFLICTS_BORNE, Control, ControlError, reasons};
use crate::guardrails::{self, Granted};
use crate::happening::{DecidedDeferral, DecidedLaunch, Decision, Happening};
use crate::ids::{DecisionId, IntentId, ScopeKey};
use crate::intent::{FleetRequest, Instance, Intent, Launched, Refusal};
use crate::job::Job;
use crate::plan::{Launch, Proposal};
use crate::ports::{
    DecidedScope, FleetError, LedgerError, RegistrationTarget, ScopeState, Settlement,
};
use crate::runner::{Runner, RunnerPhase};
use crate::situation::{ScopeName, Situation, Trigger, UNSETTLED_IS_SUPPLY_FOR, situation};
use crate::time::Timestamp;

/// What an act came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// All that was decided is done.
    Done,
    /// Something could not be done now (EC2, GitHub or SSM did not answer or had nothing to give): the
    /// request is to be made again after a while.
    TryAgain,
}

/// What a launch has come to.
#[derive(Debug, Clone, Copy, Default)]
struct Settled {
    /// All that was wanted is there, and has what it needs.
    complete: bool,
    /// How many instances EC2 gave.
    launched: u32,
    /// How many it did not have.
    refused: u32,
}

impl Acted {
    fn and(self, done: bool) -> Self {
        if done { self } else { Self::TryAgain }
    }
}

impl Control {
    /// Acts on a scope. Whoever calls sees to it that only one act runs on a scope at a time; if two do
    /// all the same, the ledger lets one of them decide.
    ///
    /// # Errors
    /// If the ledger did not answer: the request is to be delivered again.
    pub async fn act(&self, scope: ScopeKey, trigger: Trigger) -> Result<Acted, ControlError> {
        let mut acted = Acted::Done;
        let mut state = self.ports.ledger.scope(scope).await?;
        if was_left_behind(&state) {
            acted = self.recover(scope, &state).await?;
            state = self.ports.ledger.scope(scope).await?;
        }
        for _ in 0..=CONFLICTS_BORNE {
            let Some(name) = scope_name(scope, &state) else {
                self.book(scope, &state, &[]).await;
                return Ok(acted);
            };
            let verified = self.verify(&name, &state).await?;
            acted = acted.and(!verified.unanswered);
            if verified.changed {
                state = self.ports.ledger.scope(scope).await?;
            }
            if let Some(done) = self
                .decide_and_launch(scope, &name, &state, trigger)
                .await?
            {
                return Ok(acted.and(done == Acted::Done));
            }
            // Another actor decided between our reading and our writing: nothing was done.
            state = self.ports.ledger.scope(scope).await?;
        }
        Err(LedgerError::Conflict(format!("scope {scope}")).into())
    }

    /// Takes up what an act that died left behind: launches without an outcome, and instances without
    /// a configuration.
    async fn recover(&self, scope: ScopeKey, state: &ScopeState) -> Result<Acted, ControlError> {
        let mut acted = Acted::Done;
        for intent in &state.intents {
            match self.take_up(intent).await {
                Ok(launched) => {
                    let target = target_of(scope, state);
                    let settled = self.settle(intent, launched, target.as_ref()).await?;
                    acted = acted.and(settled.complete);
                }
                Err(error) => {
                    self.report(&Happening::LaunchUnsettled {
                        intent: intent.id.clone(),
                        scope,
                        problem: error.to_string(),
                    });
                    acted = Acted::TryAgain;
                }
            }
        }
        // A registration can't be repeated safely, so these are replaced and not taken up again. Nobody
        // can have taken a job: a configuration is written only after its runner left this phase.
        for runner in &state.runners {
            if runner.phase == RunnerPhase::Launching {
                self.give_up(runner).await?;
            }
        }
        Ok(acted)
    }

    /// What a launch without an outcome has come to. Its instances are looked for by their tag; unless
    /// all of them are there (EC2 shows new ones late), the very same request is repeated, to which EC2
    /// answers with the same fleet, or launches it now. Not after ten minutes: the jobs that it was for
    /// have got another since, or are gone.
    async fn take_up(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let mut found = self.ports.fleet.find(intent).await?;
        let wanted = usize::try_from(intent.request.count).unwrap_or(usize::MAX);
        if found.instances.len() >= wanted {
            return Ok(found);
        }
        if intent.decided_at.age(self.now()) > UNSETTLED_IS_SUPPLY_FOR {
            found.refusals.push(Refusal {
                code: "Expired".to_owned(),
                message: format!(
                    "EC2 gave no outcome within {UNSETTLED_IS_SUPPLY_FOR} seconds; the launch is given up"
                ),
            });
            return Ok(found);
        }
        let mut repeated = self.ports.fleet.launch(intent).await?;
        for instance in found.instances {
            match repeated.instances.iter_mut().find(|i| i.id == instance.id) {
                Some(known) => known.gone |= instance.gone,
                None => repeated.instances.push(instance),
            }
        }
        Ok(repeated)
    }

    /// Decides, and does what was decided. None: another actor decided meanwhile, and nothing was done.
    async fn decide_and_launch(
        &self,
        scope: ScopeKey,
        name: &ScopeName,
        state: &ScopeState,
        trigger: Trigger,
    ) -> Result<Option<Acted>, ControlError> {
        let now = self.now();
        let situation = situation(&self.operation, name.clone(), state, trigger, now);
        let proposal = self
            .ports
            .decider
            .decide(&situation, state.generation)
            .await;
        let granted = guardrails::clamp(&proposal.plan, &situation, &self.operation.guards);
        let id = DecisionId::new(
            &self.operation.deployment,
            scope,
            state.version,
            now,
            self.next_turn(),
        );
        let intents: Vec<Intent> = granted
            .launches()
            .iter()
            .enumerate()
            .map(|(place, launch)| intent(&id, place, launch, scope, &situation))
            .collect();
        let generation = proposal.by.generation.unwrap_or_default();
        let saved = self
            .save(&DecidedScope {
                scope,
                state: state.seen(),
                decision: &id,
                generation,
                intents: &intents,
            })
            .await?;
        if !saved {
            return Ok(None);
        }
        self.report(&Happening::Decided(Box::new(decision(
            &id, scope, name, &proposal, &granted, &intents, &situation,
        ))));
        let target = target_of(scope, state);
        let mut launches = Vec::new();
        for intent in &intents {
            launches.push(self.launch(intent, target.as_ref()).boxed());
        }
        let mut acted = Acted::Done;
        let mut answered = Vec::new();
        for (settled, intent) in join_all(launches).await.into_iter().zip(&intents) {
            let settled = settled?;
            acted = acted.and(settled.complete);
            answered.push(Answered {
                class: intent.request.class.clone(),
                capacity: intent.request.capacity,
                launched: settled.launched,
                refused: settled.refused,
                at: now,
            });
        }
        // Last: runners are waited for, books and reasons are not.
        self.book(scope, state, &answered).await;
        self.note_deferrals(scope, &proposal, &granted, &situation)
            .await;
        Ok(Some(acted))
    }

    /// Whether the decision stands: false if the scope was decided meanwhile. One that launches nothing
    /// and was taken by no newer policies changes nothing, so it needs no fence.
    async fn save(&self, decided: &DecidedScope<'_>) -> Result<bool, ControlError> {
        if decided.intents.is_empty() && decided.generation <= decided.state.generation {
            return Ok(true);
        }
        match self.ports.ledger.save_decision(decided).await {
            Ok(_version) => Ok(true),
            Err(LedgerError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn launch(
        &self,
        intent: &Intent,
        target: Option<&RegistrationTarget>,
    ) -> Result<Settled, ControlError> {
        match self.ports.fleet.launch(intent).await {
            Ok(launched) => self.settle(intent, launched, target).await,
            Err(error) => {
                self.report(&Happening::LaunchUnsettled {
                    intent: intent.id.clone(),
                    scope: intent.scope,
                    problem: format!("{error}; the launch is kept and taken up again"),
                });
                // What EC2 gave, if anything, is not known.
                Ok(Settled::default())
            }
        }
    }

    /// Writes down what EC2 gave, then makes runners of it.
    async fn settle(
        &self,
        intent: &Intent,
        launched: Launched,
        target: Option<&RegistrationTarget>,
    ) -> Result<Settled, ControlError> {
        let now = self.now();
        let runners: Vec<Runner> = launched
            .instances
            .iter()
            .enumerate()
            .filter(|(_, instance)| !instance.gone)
            .map(|(number, instance)| self.runner(intent, number, instance, now))
            .collect();
        self.ports
            .ledger
            .settle(&Settlement {
                intent: intent.id.clone(),
                scope: intent.scope,
                runners: runners.clone(),
            })
            .await?;
        let given = u32::try_from(launched.instances.len()).unwrap_or(u32::MAX);
        let refused = intent.request.count.saturating_sub(given);
        self.report(&Happening::Launched {
            intent: intent.id.clone(),
            scope: intent.scope,
            class: intent.request.class.clone(),
            capacity: intent.request.capacity,
            wanted: intent.request.count,
            instances: launched.instances,
            refusals: launched.refusals,
        });
        let configured = if let Some(target) = target {
            self.configure(target, &runners).await?
        } else {
            // No job is left that would say where to register them.
            for runner in &runners {
                self.give_up(runner).await?;
            }
            true
        };
        Ok(Settled {
            complete: refused == 0 && configured,
            launched: given,
            refused,
        })
    }

    fn runner(
        &self,
        intent: &Intent,
        number: usize,
        instance: &Instance,
        now: Timestamp,
    ) -> Runner {
        Runner {
            instance: instance.id.clone(),
            name: self.operation.names.name(&instance.id),
            scope: intent.scope,
            class: intent.request.class.clone(),
            capacity: intent.request.capacity,
            instance_type: instance.instance_type.clone(),
            mode: self.operation.mode,
            phase: RunnerPhase::Launching,
            phase_since: now,
            launched_for: intent.launched_for(number),
            intent: intent.id.clone(),
            launched_at: now,
            price: intent.price,
            booted_at: None,
            interrupted: false,
            last_job: None,
            revision: 0,
        }
    }
}

/// Whether an act that died left something to take up.
fn was_left_behind(state: &ScopeState) -> bool {
    !state.intents.is_empty()
        || state
            .runners
            .iter()
            .any(|runner| runner.phase == RunnerPhase::Launching)
}

/// The job that was heard of last knows best what things are called and which installation serves.
fn newest(state: &ScopeState) -> Option<&Job> {
    state.jobs.iter().max_by_key(|job| (job.queued_at, job.key))
}

fn scope_name(scope: ScopeKey, state: &ScopeState) -> Option<ScopeName> {
    let job = newest(state)?;
    Some(ScopeName {
        owner: job.owner.clone(),
        repository: match scope {
            ScopeKey::Organization(_) => None,
            ScopeKey::Repository(_) => Some(job.repository.clone()),
        },
    })
}

fn target_of(scope: ScopeKey, state: &ScopeState) -> Option<RegistrationTarget> {
    Some(RegistrationTarget {
        scope: scope_name(scope, state)?,
        installation: newest(state)?.installation,
    })
}

fn intent(
    decision: &DecisionId,
    place: usize,
    launch: &Launch,
    scope: ScopeKey,
    situation: &Situation,
) -> Intent {
    let class = &situation.classes[launch.class].class;
    Intent {
        id: IntentId::new(decision, place),
        decision: decision.clone(),
        scope,
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

fn decision(
    id: &DecisionId,
    scope: ScopeKey,
    name: &ScopeName,
    proposal: &Proposal,
    granted: &Granted,
    intents: &[Intent],
    situation: &Situation,
) -> Decision {
    Decision {
        id: id.clone(),
        scope,
        scope_name: name.to_string(),
        by: proposal.by.clone(),
        fallback: proposal.fallback.clone(),
        pending: situation.pending.len(),
        runners: situation.runners.len(),
        launches: intents
            .iter()
            .map(|intent| DecidedLaunch {
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
                jobs: deferral
                    .jobs
                    .iter()
                    .map(|&place| situation.pending[place].key)
                    .collect(),
                retry_after: deferral.retry_after,
                reason: deferral.reason.clone(),
            })
            .chain(reasons::cut(granted, situation))
            .collect(),
        edits: granted.edits().to_vec(),
        notes: proposal.plan.notes.clone(),
    }
}
