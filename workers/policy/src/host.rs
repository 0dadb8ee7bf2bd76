//! Finds the policy that decides, runs it, and answers for it when it fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::{
    Basis, DecidedBy, Fallback, Instead, Plan, PolicyLevel, Proposal, ScaleDownPlan,
};
use stoker_core::ports::{PolicyStore, ScaleDownDecider, ScaleUpDecider, SyncDecider};
use stoker_core::situation::Situation;
use wasmtime::Engine;

use crate::artifact::{Loaded, Uploaded};
use crate::builtin;
use crate::decide::{Ask, AskScaleDown, AskScaleUp, AskSync, Wanted};
use crate::engine::{Configuration, EngineError};
use crate::failure::Failure;
use crate::folders::{Folders, Reader, Tuning};
use crate::health::{Good, Health, Whose};
use crate::limits::{Limits, MOST_NOTES};
use crate::settings::{self, Merged};

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

/// How many policies are kept ready. A deployment has a handful; a large one compiled to native code
/// takes 40 MB.
const KEPT_READY: usize = 8;

/// The policy host of one process.
pub struct PolicyHost {
    engine: Engine,
    settings: HostSettings,
    reader: Reader,
    /// Most recently used first.
    ready: Mutex<Vec<Arc<Loaded>>>,
    health: Mutex<Health>,
}

/// A failure, and whose it was.
struct Failed {
    failure: Failure,
    level: Option<PolicyLevel>,
    digest: Option<ArtifactDigest>,
    /// The settings that the built-in rules are to try.
    settings: String,
}

impl Failed {
    fn before_reading(failure: Failure) -> Self {
        Self {
            failure,
            level: None,
            digest: None,
            settings: "{}".to_owned(),
        }
    }
}

impl PolicyHost {
    /// A host that reads policies from `store`.
    ///
    /// # Errors
    /// If this build's engine can't be set up.
    pub fn new(store: Arc<dyn PolicyStore>, settings: HostSettings) -> Result<Self, EngineError> {
        Ok(Self {
            engine: Configuration::STANDARD.engine()?,
            settings,
            reader: Reader::new(store),
            ready: Mutex::default(),
            health: Mutex::default(),
        })
    }

    fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// Decides, whatever fails.
    async fn ask<A: Ask>(&self, ask: A) -> Proposal<A::Plan> {
        if self.settings.mode == PolicyMode::BuiltIn {
            return built_in(&ask, "{}");
        }
        match self.by_policy(&ask).await {
            Ok(proposal) => proposal,
            Err(failed) => self.instead(&ask, failed).await,
        }
    }

    async fn by_policy<A: Ask>(&self, ask: &A) -> Result<Proposal<A::Plan>, Failed> {
        let folders = self
            .reader
            .read(&ask.places())
            .await
            .map_err(|error| Failed::before_reading(error.into()))?;
        let mut stale = folders.stale.clone();
        let mut tuning = Tuning::default();
        if let Some((owner, repositories)) = ask.repositories() {
            match self.reader.tuning(&owner, &repositories).await {
                Ok(read) => {
                    stale = stale.or_else(|| read.stale.clone());
                    tuning = read;
                }
                Err(error) => stale = stale.or(Some(error)),
            }
        }
        let mut proposal = self.by_folders(ask, &folders, &tuning).await?;
        if let Some(failure) = stale.map(Failure::from) {
            proposal.fallback = Some(Fallback {
                cause: failure.cause().to_owned(),
                message: format!("{failure}; what was read before decided"),
                level: Some(proposal.by.level),
                digest: proposal.by.digest.clone(),
                instead: Instead::Previous,
            });
        }
        Ok(proposal)
    }

    async fn by_folders<A: Ask>(
        &self,
        ask: &A,
        folders: &Folders,
        tuning: &Tuning,
    ) -> Result<Proposal<A::Plan>, Failed> {
        let whose: Whose = (A::DECISION, ask.whose());
        for found in &folders.found {
            let Some(bytes) = &found.policy else {
                continue;
            };
            let digest = ArtifactDigest::of(bytes);
            let merged = settings::of_scope(&folders.found, found.level, A::DECISION);
            let failed = |failure: Failure| {
                self.health().failed(&whose, &digest, &failure, ask.now());
                Failed {
                    failure,
                    level: Some(found.level),
                    digest: Some(digest.clone()),
                    settings: merged
                        .as_ref()
                        .map_or_else(|_| "{}".to_owned(), Merged::text),
                }
            };
            // The lock is let go before a failure is noted.
            let admitted = self.health().admit(&whose, &digest, ask.now());
            admitted.map_err(failed)?;
            let policy = self.loaded(bytes, &digest).await.map_err(failed)?;
            if !policy.decides(A::DECISION) {
                // It decides something else; this is decided on a broader level.
                continue;
            }
            let merged = merged.as_ref().map_err(|failure| failed(failure.clone()))?;
            let mut notes = merged.notes.clone();
            let repository_settings =
                self.repository_settings(A::DECISION, &policy, merged, tuning, &mut notes);
            let good = Good {
                policy,
                level: found.level,
                settings: merged.text(),
            };
            let mut proposal = self
                .run(ask, &good, repository_settings)
                .await
                .map_err(failed)?;
            add_notes(&mut proposal.plan, notes);
            self.health().decided(&whose, good);
            return Ok(proposal);
        }
        // No policy is meant to decide: this is no fallback.
        let merged = settings::of_scope(&folders.found, PolicyLevel::Default, A::DECISION)
            .map_err(|failure| Failed {
                level: Some(PolicyLevel::BuiltIn),
                ..Failed::before_reading(failure)
            })?;
        let mut proposal = built_in(ask, &merged.text());
        add_notes(&mut proposal.plan, merged.notes);
        Ok(proposal)
    }

    /// What repositories set for their own jobs, as far as the policy accepts it.
    fn repository_settings(
        &self,
        decision: crate::Decision,
        policy: &Loaded,
        scope: &Merged,
        tuning: &Tuning,
        notes: &mut Vec<String>,
    ) -> BTreeMap<usize, String> {
        for name in &tuning.own_policy {
            notes.push(format!(
                "the repository {name} has a policy of its own, which decides only where runners are \
                 registered with each repository"
            ));
        }
        let mut accepted = BTreeMap::new();
        for (place, file) in &tuning.settings {
            let tuned = settings::of_repository(scope, file, decision).and_then(|tuned| {
                if let Some(tuned) = &tuned {
                    policy.needs(decision, &tuned.text(), &self.limits())?;
                }
                Ok(tuned)
            });
            match tuned {
                Ok(Some(tuned)) => {
                    accepted.insert(*place, tuned.text());
                    notes.extend(tuned.notes);
                }
                Ok(None) => {}
                Err(failure) => {
                    notes.push(format!("{} is left aside: {failure}", file.path));
                }
            }
        }
        accepted
    }

    /// Runs a policy. A decision may take its fuel's worth of time, and a panic of wasmtime's is not the
    /// caller's to suffer, so it runs on a thread of its own.
    async fn run<A: Ask>(
        &self,
        ask: &A,
        good: &Good,
        repository_settings: BTreeMap<usize, String>,
    ) -> Result<Proposal<A::Plan>, Failure> {
        let (ask, good, limits) = (ask.clone(), good.clone(), self.limits());
        tokio::task::spawn_blocking(move || {
            let mut basis = good
                .policy
                .basis(A::DECISION, &good.settings, ask.now(), &limits)?;
            basis.repository_settings = repository_settings;
            let mut decided = ask.of(&good.policy, good.level, &basis, &limits)?;
            add_notes(&mut decided.plan, decided.logged);
            Ok(Proposal {
                plan: decided.plan,
                by: DecidedBy {
                    policy: good.policy.title(),
                    level: good.level,
                    digest: Some(good.policy.digest().clone()),
                    fuel: Some(decided.cost.fuel),
                },
                basis,
                fallback: None,
            })
        })
        .await
        .unwrap_or_else(|panic| Err(Failure::HostPanic(panic.to_string())))
    }

    /// Answers for a policy that failed: by what was good before, then as the operator wants it.
    async fn instead<A: Ask>(&self, ask: &A, failed: Failed) -> Proposal<A::Plan> {
        let fallback = |then: &str, instead| Fallback {
            cause: failed.failure.cause().to_owned(),
            message: format!("{}; {then}", failed.failure),
            level: failed.level,
            digest: failed.digest.clone(),
            instead,
        };
        let whose: Whose = (A::DECISION, ask.whose());
        let previous = self
            .health()
            .previous(&whose, failed.digest.as_ref(), &failed.settings);
        for good in previous {
            if let Ok(mut proposal) = self.run(ask, &good, BTreeMap::new()).await {
                proposal.fallback =
                    Some(fallback("what was good before decided", Instead::Previous));
                return proposal;
            }
        }
        match self.settings.on_failure {
            OnFailure::BuiltIn => {
                let mut proposal = built_in(ask, &failed.settings);
                proposal.fallback =
                    Some(fallback("the built-in rules decided", Instead::BuiltIn));
                proposal
            }
            OnFailure::Hold => Proposal {
                plan: ask.hold(&format!(
                    "held: the policy failed ({}) and the operator wants nothing done until it is mended",
                    failed.failure.cause()
                )),
                by: DecidedBy {
                    policy: "none (held)".to_owned(),
                    level: failed.level.unwrap_or(PolicyLevel::BuiltIn),
                    digest: None,
                    fuel: None,
                },
                basis: Basis::default(),
                fallback: Some(fallback("nothing is launched or retired", Instead::Hold)),
            },
        }
    }

    /// The policy of these bytes, ready to run. What fails is tried afresh the next time.
    async fn loaded(
        &self,
        bytes: &Arc<Vec<u8>>,
        digest: &ArtifactDigest,
    ) -> Result<Arc<Loaded>, Failure> {
        if let Some(loaded) = self.take_ready(digest) {
            return Ok(loaded);
        }
        let (engine, bytes, limits) = (self.engine.clone(), Arc::clone(bytes), self.limits());
        // Compiling takes long, and may panic on hostile bytes: neither is the caller's to suffer.
        let loaded = tokio::task::spawn_blocking(move || {
            let admitted = Uploaded::new(&bytes, &limits)?.admit(&engine)?;
            Loaded::new(admitted, &limits)
        })
        .await
        .map_err(|panic| Failure::NotAComponent(panic.to_string()))??;
        let loaded = Arc::new(loaded);
        let mut ready = self.ready();
        // Another decision may have made it ready meanwhile.
        ready.retain(|other| other.digest() != loaded.digest());
        ready.insert(0, Arc::clone(&loaded));
        ready.truncate(KEPT_READY);
        Ok(loaded)
    }

    fn take_ready(&self, digest: &ArtifactDigest) -> Option<Arc<Loaded>> {
        let mut ready = self.ready();
        let place = ready.iter().position(|loaded| loaded.digest() == digest)?;
        ready[..=place].rotate_right(1);
        Some(Arc::clone(&ready[0]))
    }

    fn ready(&self) -> MutexGuard<'_, Vec<Arc<Loaded>>> {
        // A panic elsewhere can at worst have left one entry out.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // A panic elsewhere can at worst have lost one failure.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add_notes(plan: &mut impl Wanted, notes: Vec<String>) {
    let all = plan.notes();
    all.extend(notes);
    all.truncate(MOST_NOTES);
}

/// Decides by the built-in rules. Settings that they don't understand (those of another policy) are
/// left aside: the operator's maxima still hold.
fn built_in<A: Ask>(ask: &A, settings: &str) -> Proposal<A::Plan> {
    let decide = |settings: &str| {
        let basis = builtin::basis(A::DECISION, settings, ask.now())?;
        ask.of_built_in(&basis).map(|plan| (plan, basis))
    };
    let (plan, basis) = decide(settings).unwrap_or_else(|problem| {
        let (mut plan, basis) = decide("{}").unwrap_or_default();
        plan.notes().push(crate::contract::tame::tame(format!(
            "the built-in rules leave the settings aside: {problem}"
        )));
        (plan, basis)
    });
    Proposal {
        plan,
        by: builtin::decided_by(A::DECISION),
        basis,
        fallback: None,
    }
}

#[async_trait]
impl ScaleUpDecider for PolicyHost {
    async fn decide(&self, situation: &Situation) -> Proposal<Plan> {
        self.ask(AskScaleUp(Arc::new(situation.clone()))).await
    }
}

#[async_trait]
impl ScaleDownDecider for PolicyHost {
    async fn decide(&self, situation: &Situation) -> Proposal<ScaleDownPlan> {
        self.ask(AskScaleDown(Arc::new(situation.clone()))).await
    }
}

#[async_trait]
impl SyncDecider for PolicyHost {
    async fn decide(&self, distribution: &Distribution) -> Proposal<SyncPlan> {
        self.ask(AskSync(Arc::new(distribution.clone()))).await
    }
}
