//! Finds the policy that decides, and runs it; `fallback` answers for it when it fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::plan::{
    Basis, DecidedBy, Fallback, Instead, Plan, PolicyLevel, Proposal, ScaleDownPlan,
};
use stoker_core::ports::{PolicyStore, ScaleDownDecider, ScaleUpDecider, SyncDecider};
use stoker_core::situation::Situation;
use stoker_core::time::Timestamp;

use crate::activation::Activation;
use crate::active::{Active, Trust};
use crate::artifact::Loaded;
use crate::contract::Needs;
use crate::contract::tame::tame;
use crate::decide::{Ask, AskScaleDown, AskScaleUp, AskSync};
use crate::engine::{Configuration, EngineError};
use crate::failure::Failure;
use crate::fallback::Failed;
use crate::health::{Health, Whose};
use crate::library::Library;
use crate::limits::Limits;
use crate::patience::Patience;
use crate::stand_in::{add_notes, built_in, built_in_tuned, put_first};
use crate::tuning::Tuning;
use crate::zones;

/// Whether policies decide at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyMode {
    /// The most specific policy of a scope decides.
    Policies,
    /// The built-in rules decide and no policy is even read: the glass to break.
    BuiltIn,
}

/// What happens when a policy fails and nothing that was good before can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The built-in rules decide: jobs go on getting runners.
    BuiltIn,
    /// Nothing is launched or retired until the policy is mended.
    Hold,
}

/// How the host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSettings {
    /// Whether policies decide.
    pub mode: PolicyMode,
    /// What a policy may be and use.
    pub limits: Limits,
    /// What happens when a policy fails.
    pub on_failure: OnFailure,
}

/// The policy host of one process.
pub struct PolicyHost {
    pub(crate) settings: HostSettings,
    pub(crate) library: Arc<Library>,
    active: Arc<Active>,
    health: Mutex<Health>,
}

/// How a policy that was run failed.
struct Broken {
    failure: Failure,
    /// Settings of repositories may have had a part in it.
    tuned: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            tuned: false,
        }
    }
}

/// Who is to decide, and with what.
#[derive(Clone)]
pub(crate) struct Chosen {
    pub(crate) digest: ArtifactDigest,
    pub(crate) level: PolicyLevel,
    pub(crate) settings: Arc<str>,
    pub(crate) needs: Needs,
}

impl PolicyHost {
    /// A host that runs what admission has published to `store`, if somebody who is trusted has signed
    /// for it.
    ///
    /// # Errors
    /// If this build's engine can't be set up.
    pub fn new(
        store: Arc<dyn PolicyStore>,
        trust: Trust,
        settings: HostSettings,
    ) -> Result<Self, EngineError> {
        let configuration = Configuration::STANDARD;
        let library = Arc::new(Library::new(
            store,
            configuration.engine()?,
            configuration.id(),
            settings.limits,
        ));
        Ok(Self {
            settings,
            active: Arc::new(Active::new(trust, Arc::clone(&library))),
            library,
            health: Mutex::default(),
        })
    }

    fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// Reads what is active before the first decision needs it, and waits for it no longer than that would.
    /// What fails is told by that decision.
    pub async fn warm_up(&self, now: Timestamp) {
        if self.settings.mode == PolicyMode::Policies {
            let _ = self.active.at(now, PolicyGeneration(0)).await;
        }
    }

    /// Decides, whatever fails.
    async fn ask<A: Ask>(&self, ask: A, seen: PolicyGeneration) -> Proposal<A::Plan> {
        if self.settings.mode == PolicyMode::BuiltIn {
            return built_in(&ask, "{}", None);
        }
        match self.by_policy(&ask, seen).await {
            Ok(proposal) => proposal,
            Err(failed) => self.instead(&ask, failed).await,
        }
    }

    async fn by_policy<A: Ask>(
        &self,
        ask: &A,
        seen: PolicyGeneration,
    ) -> Result<Proposal<A::Plan>, Failed> {
        let view = self
            .active
            .at(ask.now(), seen)
            .await
            .map_err(Failed::before_reading)?;
        let generation = view.activation.generation();
        let known = (generation > PolicyGeneration(0)).then_some(generation);
        let decided = self.by_activation(ask, &view.activation).await;
        let mut proposal = decided.map_err(|failed| Failed {
            generation: known,
            trouble: view.trouble.clone(),
            ..failed
        })?;
        proposal.by.generation = known;
        if let Some(failure) = view.trouble {
            proposal.fallback = Some(Fallback {
                cause: failure.cause().to_owned(),
                message: format!("{failure}; what was read before decided"),
                level: Some(proposal.by.level),
                digest: proposal.by.digest.clone(),
                instead: Instead::Previous,
                alarm: failure.is_alarm(),
            });
        }
        Ok(proposal)
    }

    async fn by_activation<A: Ask>(
        &self,
        ask: &A,
        activation: &Arc<Activation>,
    ) -> Result<Proposal<A::Plan>, Failed> {
        let folder = ask.folder();
        self.active.used(&folder, A::DECISION);
        let Some((entry, settings)) = activation.document().entry(&folder, A::DECISION) else {
            return Ok(built_in(ask, "{}", None));
        };
        let record = activation.document().folders.get(&folder);
        let own = record.is_some_and(|record| record.scope.contains_key(&A::DECISION));
        let failed = |failure: Failure, settings: Option<Arc<str>>| Failed {
            failure,
            level: Some(entry.pair.level),
            digest: entry.pair.policy.clone(),
            settings,
            generation: None,
            previous: entry
                .previous
                .clone()
                .map(|pair| (Arc::clone(activation), pair, own)),
            trouble: None,
        };
        let patience = Patience::of_a_decision(ask.now());
        let text = self.library.settings(settings, patience).await;
        let text = text.map_err(|failure| failed(failure, None))?;
        let tuning = Tuning::of(ask, activation, &self.active, &self.library, patience).await;
        let alarm = tuning.alarm.clone().map(|(message, failure)| Fallback {
            cause: failure.cause().to_owned(),
            message,
            level: Some(PolicyLevel::Repository),
            digest: entry.pair.policy.clone(),
            instead: Instead::LeftAside,
            alarm: true,
        });
        let Some(digest) = &entry.pair.policy else {
            let mut proposal = built_in_tuned(ask, text, tuning).await;
            put_first(&mut proposal.plan, settings.notes.clone());
            proposal.fallback = alarm;
            return Ok(proposal);
        };
        let chosen = Chosen {
            digest: digest.clone(),
            level: entry.pair.level,
            settings: Arc::clone(&text),
            needs: settings.needs(),
        };
        let decided = self
            .chosen(ask, activation, &chosen, tuning, patience)
            .await;
        let mut proposal = decided.map_err(|failure| failed(failure, Some(text)))?;
        put_first(&mut proposal.plan, settings.notes.clone());
        proposal.fallback = alarm;
        Ok(proposal)
    }

    /// Has the policy decide that is meant to, unless it is left alone.
    pub(crate) async fn chosen<A: Ask>(
        &self,
        ask: &A,
        activation: &Arc<Activation>,
        chosen: &Chosen,
        tuning: Tuning,
        patience: Patience,
    ) -> Result<Proposal<A::Plan>, Failure> {
        let whose: Whose = (A::DECISION, ask.whose());
        self.health().admit(&whose, &chosen.digest, ask.now())?;
        let decided = async {
            let policy = self
                .library
                .policy(activation, &chosen.digest, patience)
                .await?;
            self.run_tuned(ask, &policy, chosen, tuning).await
        }
        .await;
        match &decided {
            Ok(_) => self.health().decided(&whose, &chosen.digest),
            Err(failure) => self
                .health()
                .failed(&whose, &chosen.digest, failure, ask.now()),
        }
        decided
    }

    /// Runs a policy with what repositories set for their own jobs, and once more without, should it
    /// fail: their settings are theirs, and the decision is everybody's.
    async fn run_tuned<A: Ask>(
        &self,
        ask: &A,
        policy: &Arc<Loaded>,
        chosen: &Chosen,
        tuning: Tuning,
    ) -> Result<Proposal<A::Plan>, Failure> {
        match self.run(ask, policy, chosen, tuning).await {
            Err(broken) if broken.tuned => {
                let mut proposal = self
                    .run(ask, policy, chosen, Tuning::default())
                    .await
                    .map_err(|broken| broken.failure)?;
                let note = format!(
                    "the settings of all repositories are left aside in this decision, which failed with \
                     them and not without: {}",
                    broken.failure
                );
                put_first(&mut proposal.plan, vec![note]);
                Ok(proposal)
            }
            ran => ran.map_err(|broken| broken.failure),
        }
    }

    /// Runs a policy. A decision may take its fuel's worth of time, and a panic of wasmtime's is not the
    /// caller's to suffer, so it runs on a thread of its own.
    async fn run<A: Ask>(
        &self,
        ask: &A,
        policy: &Arc<Loaded>,
        chosen: &Chosen,
        tuning: Tuning,
    ) -> Result<Proposal<A::Plan>, Broken> {
        let may_be_tuned = !tuning.settings.is_empty();
        let (ask, policy, chosen) = (ask.clone(), Arc::clone(policy), chosen.clone());
        let limits = self.limits();
        tokio::task::spawn_blocking(move || {
            let mut basis = Basis {
                settings: chosen.settings.to_string(),
                zones: zones::times(ask.now(), &chosen.needs)?,
                ..Basis::default()
            };
            let notes = tuning.add_to(&mut basis, ask.now());
            let decided = ask.of(&policy, chosen.level, &basis, &limits);
            let mut decided = decided.map_err(|failure| Broken {
                failure,
                tuned: !basis.repository_settings.is_empty(),
            })?;
            add_notes(&mut decided.plan, decided.logged);
            put_first(&mut decided.plan, notes);
            Ok(Proposal {
                plan: decided.plan,
                by: DecidedBy {
                    policy: policy.title(),
                    level: chosen.level,
                    digest: Some(chosen.digest),
                    generation: None,
                    fuel: Some(decided.cost.fuel),
                },
                basis,
                fallback: None,
            })
        })
        .await
        .unwrap_or_else(|panic| {
            Err(Broken {
                failure: Failure::HostPanic(tame(panic.to_string())),
                tuned: may_be_tuned,
            })
        })
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // A panic elsewhere can at worst have lost one failure.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ScaleUpDecider for PolicyHost {
    async fn decide(&self, situation: &Situation, seen: PolicyGeneration) -> Proposal<Plan> {
        self.ask(AskScaleUp(Arc::new(situation.clone())), seen)
            .await
    }
}

#[async_trait]
impl ScaleDownDecider for PolicyHost {
    async fn decide(
        &self,
        situation: &Situation,
        seen: PolicyGeneration,
    ) -> Proposal<ScaleDownPlan> {
        self.ask(AskScaleDown(Arc::new(situation.clone())), seen)
            .await
    }
}

#[async_trait]
impl SyncDecider for PolicyHost {
    async fn decide(
        &self,
        distribution: &Distribution,
        seen: PolicyGeneration,
    ) -> Proposal<SyncPlan> {
        self.ask(AskSync(Arc::new(distribution.clone())), seen)
            .await
    }
}
