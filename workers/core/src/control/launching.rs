//! From a decision to runners: room is reserved, intents are saved, EC2 is asked, and what it gives is written
//! down and configured.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, FutureExt as _, join, join_all};

use super::act::{Again, SOON, installation};
use super::book::{Answered, Learnt};
use super::decision::{self, Decided};
use super::{Control, ControlError};
use crate::budget::{Budget, Reserved};
use crate::class::Capacity;
use crate::guardrails::{self, Granted};
use crate::happening::Happening;
use crate::ids::{ClassName, DecisionId, ScopeKey};
use crate::intent::{Instance, Intent, Launched};
use crate::plan::{Launch, Plan, Proposal};
use crate::ports::{
    DecidedScope, LedgerError, RegistrationTarget, ScaleUpDecider, ScopeState, Settlement,
    SharedItem,
};
use crate::runner::{Runner, RunnerPhase};
use crate::situation::{PhaseFacts, ScopeName, Situation, Trigger, situation};
use crate::time::Timestamp;

/// When a scope is looked at again after a launch, in seconds, should the act that decided it die: longer
/// than an act takes. It is looked at in any case: another act may count on that very second, and one that
/// finds nothing to do is cheap.
const LOOKED_AT_AGAIN: u64 = 60;

/// What EC2 answered to one launch.
struct Answer<'a> {
    intent: &'a Intent,
    /// None: its answer was lost.
    launched: Option<Launched>,
    /// The runners of it that may be configured.
    runners: Vec<Runner>,
}

impl Answer<'_> {
    /// How many instances EC2 gave.
    fn given(&self) -> u32 {
        let launched = self.launched.as_ref();
        let given = launched.map_or(0, |launched| launched.instances.len());
        u32::try_from(given).unwrap_or(u32::MAX)
    }

    /// How many it did not have, and its code for why.
    fn lacking(&self) -> Option<(u32, &str)> {
        let launched = self.launched.as_ref()?;
        let lacking = self.intent.request.count.saturating_sub(self.given());
        let code = launched
            .refusals
            .first()
            .map_or("Unknown", |first| &first.code);
        (lacking > 0).then_some((lacking, code))
    }
}

impl Control {
    /// Decides, and does what was decided. None: another actor decided meanwhile, and nothing was done.
    pub(super) async fn decide_and_launch(
        &self,
        scope: ScopeKey,
        name: &ScopeName,
        state: &ScopeState,
        trigger: Trigger,
    ) -> Result<Option<Again>, ControlError> {
        let now = self.now();
        let room = self.room(scope, state).await?;
        let mut situation = situation(&self.operation, name.clone(), state, &room, trigger, now);
        let policies = &*self.ports.decider;
        let proposal = ScaleUpDecider::decide(policies, &situation, state.generation).await;
        let (granted, reserved) = self
            .granted(scope, state, &proposal.plan, &mut situation)
            .await?;
        let decided = Decided {
            id: self.decision_id(scope, state, now),
            scope,
            proposal: &proposal,
            granted: &granted,
            situation: &situation,
            record: self.ports.reporter.record(),
        };
        let intents = decided.intents();
        if !self.save(&decided, state, &intents).await? {
            self.give_back(reserved).await;
            return Ok(None);
        }
        self.note_shortage(&situation, &granted, room.registrations)
            .await?;
        self.tell(&decided, &intents);
        self.carry_out(&decided, state, &intents, reserved, Some((name, trigger)))
            .await
            .map(Some)
    }

    /// Jobs that could be launched for wait for registrations alone: removals and redeliveries let those go before.
    async fn note_shortage(
        &self,
        situation: &Situation,
        granted: &Granted,
        registrations: u32,
    ) -> Result<(), ControlError> {
        let launched = granted.launches().iter().map(|launch| launch.count);
        let launched = launched.fold(0, u32::saturating_add);
        if launched < registrations || !has_room_for_more(situation, granted, launched) {
            return Ok(());
        }
        let now = self.now();
        self.change_shared(SharedItem::Budget, |budget: &mut Budget| {
            budget.note_short(now);
        })
        .await
    }

    /// Does what was decided and saved: asks EC2, gives what comes of it its configuration, and meanwhile, if
    /// it is to, falls back where EC2 had no spot instances.
    async fn carry_out(
        &self,
        decided: &Decided<'_>,
        state: &ScopeState,
        intents: &[Intent],
        reserved: Reserved,
        falls_back: Option<(&ScopeName, Trigger)>,
    ) -> Result<Again, ControlError> {
        let mut answers = self.ask_for(intents).await?;
        let runners: Vec<Runner> = answers
            .iter_mut()
            .flat_map(|answer| std::mem::take(&mut answer.runners))
            .collect();
        let target = RegistrationTarget {
            scope: decided.situation.scope.clone(),
            installation: installation(state),
        };
        let reserved = self.for_these(&runners, reserved).await;
        let configured = self.configure(&target, &runners, reserved);
        let fallen_back = async {
            match falls_back {
                Some((name, trigger)) => {
                    self.fall_back(decided.scope, name, &answers, trigger).await
                }
                None => Ok(Again::default()),
            }
        };
        let (configured, fallen_back) = join(configured, fallen_back).await;
        // Last, since runners are waited for, books and reasons are not; and whatever became of those: how
        // the launches went is known to nobody else.
        let finished = self
            .finish(decided, state, intents, &answers, configured.registered)
            .await;
        let mut again = configured.done?;
        again.join(fallen_back?);
        finished?;
        if answers.iter().any(|answer| answer.launched.is_none()) {
            again.join(Again::after(SOON / 2));
        }
        Ok(again)
    }

    fn decision_id(&self, scope: ScopeKey, state: &ScopeState, now: Timestamp) -> DecisionId {
        DecisionId::new(
            &self.operation.deployment,
            scope,
            state.version,
            now,
            self.next_turn(),
        )
    }

    /// What of a plan may be launched, with the room for it reserved.
    async fn granted(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
        plan: &Plan,
        situation: &mut Situation,
    ) -> Result<(Granted, Reserved), ControlError> {
        let guards = &self.operation.guards;
        let granted = guardrails::clamp(plan, situation, guards);
        let wanted = granted.launches().iter().map(|launch| launch.count);
        let wanted = wanted.fold(0, u32::saturating_add);
        let reserved = self.reserve(scope, state, wanted).await?;
        if reserved.count >= wanted {
            return Ok((granted, reserved));
        }
        // Another scope was quicker since the room was looked at.
        situation.headroom.registrations_left = reserved.count;
        Ok((guardrails::clamp(plan, situation, guards), reserved))
    }

    /// What was reserved for runners that EC2 did not give is for others, the fallback's among them.
    async fn for_these(&self, runners: &[Runner], reserved: Reserved) -> Reserved {
        let count = u32::try_from(runners.len()).unwrap_or(u32::MAX);
        let count = count.min(reserved.count);
        self.give_back(Reserved {
            count: reserved.count - count,
            ..reserved
        })
        .await;
        Reserved { count, ..reserved }
    }

    /// Whether the decision stands: false if the scope was decided meanwhile. One that launches nothing
    /// and was taken by no newer policies changes nothing, so it needs no fence.
    async fn save(
        &self,
        decided: &Decided<'_>,
        state: &ScopeState,
        intents: &[Intent],
    ) -> Result<bool, ControlError> {
        let generation = decided.proposal.by.generation.unwrap_or_default();
        if intents.is_empty() && generation <= state.generation {
            return Ok(true);
        }
        let saved = DecidedScope {
            scope: decided.scope,
            state: state.seen(),
            decision: &decided.id,
            generation,
            intents,
            due: (!intents.is_empty()).then(|| should_it_die(decided)),
        };
        match self.ports.ledger.save_decision(&saved).await {
            Ok(_version) => Ok(true),
            Err(LedgerError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn tell(&self, decided: &Decided<'_>, intents: &[Intent]) {
        let decision = decided.decision(intents);
        self.ports
            .reporter
            .decided(self.now(), &decision, &decided.considered());
    }

    /// Asks EC2 for what was decided, and writes down what it gives.
    async fn ask_for<'i>(&self, intents: &'i [Intent]) -> Result<Vec<Answer<'i>>, ControlError> {
        let mut launches = Vec::new();
        for intent in intents {
            launches.push(self.launch(intent).boxed());
        }
        join_all(launches).await.into_iter().collect()
    }

    async fn launch<'i>(&self, intent: &'i Intent) -> Result<Answer<'i>, ControlError> {
        match self.ports.fleet.launch(intent).await {
            Ok(launched) => Ok(Answer {
                intent,
                runners: self.settle(intent, launched.clone()).await?,
                launched: Some(launched),
            }),
            Err(error) => {
                self.report(&Happening::LaunchUnsettled {
                    intent: intent.id.clone(),
                    decision: intent.decision.clone(),
                    scope: intent.scope,
                    problem: format!("{error}; the launch is kept and taken up again"),
                });
                // What EC2 gave, if anything, is not known.
                Ok(Answer {
                    intent,
                    launched: None,
                    runners: Vec::new(),
                })
            }
        }
    }

    /// Where EC2 had no spot instances, on-demand ones follow at once, if the operator wants that and the
    /// class offers them: as a decision of its own, with an intent of its own.
    fn fall_back<'a>(
        &'a self,
        scope: ScopeKey,
        name: &'a ScopeName,
        answers: &'a [Answer<'_>],
        trigger: Trigger,
    ) -> BoxFuture<'a, Result<Again, ControlError>> {
        async move {
            let lacking = self.lacking_spot(answers);
            if lacking.is_empty() {
                return Ok(Again::default());
            }
            let now = self.now();
            let state = self.ports.ledger.scope(scope).await?;
            // Room anew: what was reserved for the spot instances may be others' by now.
            let room = self.room(scope, &state).await?;
            let mut situation =
                situation(&self.operation, name.clone(), &state, &room, trigger, now);
            let plan = Plan {
                launches: lacking
                    .into_iter()
                    .filter_map(|(intent, count, code)| on_demand(&situation, intent, count, code))
                    .collect(),
                ..Plan::default()
            };
            if plan.launches.is_empty() {
                return Ok(Again::default());
            }
            let (granted, reserved) = self.granted(scope, &state, &plan, &mut situation).await?;
            let proposal = Proposal {
                plan,
                by: decision::spot_fallback(),
                basis: crate::plan::Basis::default(),
                fallback: None,
            };
            let decided = Decided {
                id: self.decision_id(scope, &state, now),
                scope,
                proposal: &proposal,
                granted: &granted,
                situation: &situation,
                record: self.ports.reporter.record(),
            };
            let intents = decided.intents();
            if intents.is_empty() || !self.save(&decided, &state, &intents).await? {
                self.give_back(reserved).await;
                return Ok(Again::after(SOON));
            }
            self.tell(&decided, &intents);
            self.carry_out(&decided, &state, &intents, reserved, None)
                .await
        }
        .boxed()
    }

    /// The spot launches for which EC2 had not all instances, by how many, and why, where the operator wants
    /// on-demand ones for that.
    fn lacking_spot<'a>(&self, answers: &'a [Answer<'_>]) -> Vec<(&'a Intent, u32, &'a str)> {
        answers
            .iter()
            .filter(|answer| answer.intent.request.capacity == Capacity::Spot)
            .filter_map(|answer| {
                let (count, code) = answer.lacking()?;
                let falls_back = self.operation.spot_fallback.iter().any(|one| one == code);
                falls_back.then_some((answer.intent, count, code))
            })
            .collect()
    }

    /// What can wait until the runners are on their way: the account, why jobs wait, and when the scope is
    /// to be looked at again.
    async fn finish(
        &self,
        decided: &Decided<'_>,
        state: &ScopeState,
        intents: &[Intent],
        answers: &[Answer<'_>],
        registered: BTreeMap<ClassName, Option<String>>,
    ) -> Result<(), ControlError> {
        let now = self.now();
        let answered: Vec<Answered> = answers
            .iter()
            .filter(|answer| answer.launched.is_some())
            .map(|answer| Answered {
                class: answer.intent.request.class.clone(),
                capacity: answer.intent.request.capacity,
                launched: answer.given(),
                refused: answer.lacking().map_or(0, |(count, _)| count),
                lacking: answer.lacking().map(|(_, code)| code.to_owned()),
                at: now,
            })
            .collect();
        let pauses = answered.iter().any(|answer| answer.lacking.is_some());
        let learnt = Learnt {
            answered,
            registered,
        };
        self.book(decided.scope, state, &learnt).await;
        self.note_jobs(decided, intents).await;
        let soonest = decided
            .retry_after()
            .or(pauses.then_some(super::book::FIRST_PAUSE));
        if let Some(seconds) = soonest {
            // From when it was decided on, so that all acts of these seconds mean the same one.
            let at = decided.situation.now.0 + u64::from(seconds);
            let at = Timestamp(at.max(now.0 + 1));
            // Before any runner can register, nothing could be launched.
            let registers = self.registers_from().await?;
            self.look_again(decided.scope, at.max(registers)).await?;
        }
        Ok(())
    }

    /// Writes down what EC2 gave: the runners that there are now, none of which has a configuration.
    pub(super) async fn settle(
        &self,
        intent: &Intent,
        launched: Launched,
    ) -> Result<Vec<Runner>, ControlError> {
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
        self.report(&Happening::Launched {
            intent: intent.id.clone(),
            decision: intent.decision.clone(),
            scope: intent.scope,
            class: intent.request.class.clone(),
            capacity: intent.request.capacity,
            wanted: intent.request.count,
            instances: launched.instances,
            refusals: launched.refusals,
        });
        Ok(runners)
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
            scope_name: intent.scope_name.clone(),
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
            configured: false,
            attempt: 0,
            retirement: None,
            revision: 0,
        }
    }
}

/// When the scope is looked at again, should the act that took the decision die.
fn should_it_die(decided: &Decided<'_>) -> Timestamp {
    Timestamp(decided.situation.now.0 + LOOKED_AT_AGAIN)
}

/// The launch that follows where EC2 had no spot instances; none: the class is not offered on demand.
fn on_demand(situation: &Situation, intent: &Intent, count: u32, code: &str) -> Option<Launch> {
    let class = situation
        .classes
        .iter()
        .position(|facts| facts.class.name == intent.request.class)?;
    situation.classes[class].class.on_demand_price?;
    let given = intent.request.count - count;
    let given = usize::try_from(given).unwrap_or(usize::MAX);
    let place = |key| situation.pending.iter().position(|job| job.key == key);
    let for_repository = |id| situation.repositories.iter().position(|one| one.id == id);
    Some(Launch {
        class,
        capacity: Capacity::OnDemand,
        count,
        launched_for: intent.launched_for.and_then(for_repository),
        jobs: intent
            .jobs
            .iter()
            .skip(given)
            .filter_map(|&key| place(key))
            .collect(),
        reason: format!("EC2 had no spot instances ({code}): on demand instead"),
    })
}

/// Whether a job waits that no runner is there or on its way for, and whose scope and class have room for one more
/// than is launched.
fn has_room_for_more(situation: &Situation, granted: &Granted, launched: u32) -> bool {
    let is_supply = |phase: PhaseFacts| {
        matches!(
            phase,
            PhaseFacts::Launching | PhaseFacts::Booting | PhaseFacts::Idle
        )
    };
    let headroom = &situation.headroom;
    let supply = situation.runners.iter();
    let supply = supply.filter(|runner| is_supply(runner.phase)).count();
    let supply = u32::try_from(supply).unwrap_or(u32::MAX);
    let pending = u32::try_from(situation.pending.len()).unwrap_or(u32::MAX);
    let left = |class: usize| {
        let taken = granted.launches().iter();
        let taken = taken.filter(|launch| launch.class == class);
        let taken = taken.map(|launch| launch.count);
        situation.classes[class]
            .left
            .saturating_sub(taken.fold(0, u32::saturating_add))
    };
    pending > supply.saturating_add(launched)
        && headroom.runners_left > launched
        && headroom.launches_left > launched
        && headroom.spend_left.is_none_or(|left| left > 0.0)
        && (0..situation.classes.len()).any(|class| left(class) > 0)
}
