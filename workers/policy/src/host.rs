//! Finds the policy that decides, runs it, and answers for it when it fails.

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
use crate::contract::Needs;
use crate::contract::tame::tame;
use crate::decide::{Ask, AskScaleDown, AskScaleUp, AskSync, Wanted};
use crate::engine::{Configuration, EngineError};
use crate::failure::Failure;
use crate::folders::{Folders, PolicyFile, Reader, Tuning};
use crate::health::{Good, Health, Whose};
use crate::limits::{Limits, MOST_NOTES};
use crate::ready::Ready;
use crate::settings::{self, Merged};
use crate::tuning::Own;

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
    engine: Engine,
    settings: HostSettings,
    reader: Reader,
    ready: Ready<Arc<Loaded>>,
    health: Mutex<Health>,
}

/// A failure, and whose it was.
struct Failed {
    failure: Failure,
    level: Option<PolicyLevel>,
    digest: Option<ArtifactDigest>,
    /// The settings that it failed with, which the built-in rules are to try; none if they can't be read.
    settings: Option<String>,
}

impl Failed {
    fn before_reading(failure: Failure) -> Self {
        Self {
            failure,
            level: None,
            digest: None,
            settings: None,
        }
    }
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
            ready: Ready::default(),
            health: Mutex::default(),
        })
    }

    fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// Decides, whatever fails.
    async fn ask<A: Ask>(&self, ask: A) -> Proposal<A::Plan> {
        if self.settings.mode == PolicyMode::BuiltIn {
            return built_in(&ask, "{}", None);
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
        let mut proposal = self.by_folders(ask, &folders, tuning).await?;
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
        tuning: Tuning,
    ) -> Result<Proposal<A::Plan>, Failed> {
        let whose: Whose = (A::DECISION, ask.whose());
        self.health()
            .withdrawn(&whose, |level| folders.have_policy(level));
        for found in &folders.found {
            let Some(file) = &found.policy else {
                continue;
            };
            let digest = &file.digest;
            let merged = settings::of_scope(&folders.found, found.level, A::DECISION);
            let failed = |failure: Failure| {
                self.health().failed(&whose, digest, &failure, ask.now());
                Failed {
                    failure,
                    level: Some(found.level),
                    digest: Some(digest.clone()),
                    settings: merged.as_ref().ok().map(Merged::text),
                }
            };
            // The lock is let go before a failure is noted.
            let admitted = self.health().admit(&whose, digest, ask.now());
            admitted.map_err(failed)?;
            let policy = self.loaded(file).await.map_err(failed)?;
            if !policy.decides(A::DECISION) {
                // It decides something else; this is decided on a broader level.
                self.health()
                    .withdrawn(&whose, |level| level != found.level);
                continue;
            }
            let merged = merged.as_ref().map_err(|failure| failed(failure.clone()))?;
            let good = Good {
                digest: digest.clone(),
                level: found.level,
                settings: merged.text(),
            };
            let notes = told(merged, &tuning);
            let own = Own {
                scope: merged.clone(),
                files: tuning.settings,
            };
            let mut proposal = self
                .run_tuned(ask, &policy, &good, own)
                .await
                .map_err(failed)?;
            put_first(&mut proposal.plan, notes);
            self.health().decided(&whose, good);
            return Ok(proposal);
        }
        // No policy is meant to decide: this is no fallback, and what decided before was withdrawn.
        self.health().withdrawn(&whose, |_| false);
        let merged = settings::of_scope(&folders.found, PolicyLevel::Default, A::DECISION)
            .map_err(|failure| Failed {
                level: Some(PolicyLevel::BuiltIn),
                ..Failed::before_reading(failure)
            })?;
        let notes = told(&merged, &tuning);
        let own = Own {
            scope: merged,
            files: tuning.settings,
        };
        let mut proposal = built_in_tuned(ask, own).await;
        put_first(&mut proposal.plan, notes);
        Ok(proposal)
    }

    /// Runs a policy with what repositories set for their own jobs, and once more without, should it
    /// fail: their settings are theirs, and the decision is everybody's.
    async fn run_tuned<A: Ask>(
        &self,
        ask: &A,
        policy: &Arc<Loaded>,
        good: &Good,
        own: Own,
    ) -> Result<Proposal<A::Plan>, Failure> {
        match self.run(ask, policy, good, Some(own)).await {
            Err(broken) if broken.tuned => {
                let mut proposal = self
                    .run(ask, policy, good, None)
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
    /// caller's to suffer, so it runs on a thread of its own, and so does all that it is asked before.
    async fn run<A: Ask>(
        &self,
        ask: &A,
        policy: &Arc<Loaded>,
        good: &Good,
        own: Option<Own>,
    ) -> Result<Proposal<A::Plan>, Broken> {
        let may_be_tuned = own.as_ref().is_some_and(|own| !own.files.is_empty());
        let (ask, policy, good) = (ask.clone(), Arc::clone(policy), good.clone());
        let limits = self.limits();
        tokio::task::spawn_blocking(move || {
            let mut basis = policy.basis(A::DECISION, &good.settings, ask.now(), &limits)?;
            let notes = own.map_or_else(Vec::new, |own| {
                own.add_to(&mut basis, A::DECISION, ask.now(), |settings| {
                    policy.needs_each(A::DECISION, settings, &limits)
                })
            });
            let decided = ask.of(&policy, good.level, &basis, &limits);
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
                    level: good.level,
                    digest: Some(good.digest),
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
        let previous =
            self.health()
                .previous(&whose, failed.digest.as_ref(), failed.settings.as_deref());
        for good in previous {
            // What is no longer kept is not read again: it may be gone from its folder.
            let Some(policy) = self.ready.get(&good.digest) else {
                continue;
            };
            if let Ok(mut proposal) = self.run(ask, &policy, &good, None).await {
                proposal.fallback =
                    Some(fallback("what was good before decided", Instead::Previous));
                return proposal;
            }
        }
        match self.settings.on_failure {
            OnFailure::BuiltIn => {
                let settings = failed.settings.as_deref().unwrap_or("{}");
                let mut proposal = built_in(ask, settings, None);
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

    /// The policy of a file, ready to run. What fails is tried afresh the next time.
    async fn loaded(&self, file: &PolicyFile) -> Result<Arc<Loaded>, Failure> {
        if let Some(loaded) = self.ready.get(&file.digest) {
            return Ok(loaded);
        }
        let queued = self.ready.queue(&file.digest);
        let _turn = queued.turn().await;
        // Another decision may have made it ready meanwhile.
        if let Some(loaded) = self.ready.get(&file.digest) {
            return Ok(loaded);
        }
        let (engine, limits) = (self.engine.clone(), self.limits());
        let bytes = Arc::clone(&file.bytes);
        // Compiling takes long, and may panic on hostile bytes: neither is the caller's to suffer.
        let loaded = tokio::task::spawn_blocking(move || {
            let admitted = Uploaded::new(&bytes, &limits)?.admit(&engine)?;
            Loaded::new(admitted, &limits)
        })
        .await
        .map_err(|panic| Failure::NotAComponent(tame(panic.to_string())))??;
        let loaded = Arc::new(loaded);
        let kept = Arc::clone(&loaded);
        self.ready.keep(file.digest.clone(), file.bytes.len(), kept);
        Ok(loaded)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // A panic elsewhere can at worst have lost one failure.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the scope is told whoever decides.
fn told(merged: &Merged, tuning: &Tuning) -> Vec<String> {
    let own_policy = tuning.own_policy.iter().map(|name| {
        format!(
            "the repository {name} has a policy of its own, which decides only where runners are \
             registered with each repository"
        )
    });
    merged.notes.iter().cloned().chain(own_policy).collect()
}

fn add_notes(plan: &mut impl Wanted, notes: Vec<String>) {
    let all = plan.notes();
    all.extend(notes);
    all.truncate(MOST_NOTES);
}

/// Puts the host's own notes before those of the policy, which may have written down too many.
fn put_first(plan: &mut impl Wanted, notes: Vec<String>) {
    let others = std::mem::replace(plan.notes(), notes);
    add_notes(plan, others);
}

/// Decides by the built-in rules, with what repositories set for their own jobs. They can be many, so
/// it is on a thread of its own.
async fn built_in_tuned<A: Ask>(ask: &A, own: Own) -> Proposal<A::Plan> {
    let settings = own.scope.text();
    if own.files.is_empty() {
        return built_in(ask, &settings, None);
    }
    let (tuned, of_scope) = (ask.clone(), settings.clone());
    tokio::task::spawn_blocking(move || built_in(&tuned, &of_scope, Some(&own)))
        .await
        .unwrap_or_else(|_| built_in(ask, &settings, None))
}

/// Decides by the built-in rules. Settings that they don't understand (those of another policy) are
/// left aside: the operator's maxima still hold.
fn built_in<A: Ask>(ask: &A, settings: &str, own: Option<&Own>) -> Proposal<A::Plan> {
    let decide = |settings: &str, own: Option<&Own>| {
        let mut basis = builtin::basis(A::DECISION, settings, ask.now())?;
        let notes = own.map_or_else(Vec::new, |own| {
            own.add_to(&mut basis, A::DECISION, ask.now(), needs_built_in::<A>)
        });
        let mut plan = ask.of_built_in(&basis)?;
        put_first(&mut plan, notes);
        Ok::<_, String>((plan, basis))
    };
    let decided = decide(settings, own).or_else(|problem| match own {
        Some(_) => {
            let decided = decide(settings, None)?;
            let what = "the settings of all repositories";
            Ok(leaving_aside(decided, what, &problem))
        }
        None => Err(problem),
    });
    let (plan, basis) = decided.unwrap_or_else(|problem| {
        let decided = decide("{}", None).unwrap_or_default();
        leaving_aside(decided, "the settings", &problem)
    });
    Proposal {
        plan,
        by: builtin::decided_by(A::DECISION),
        basis,
        fallback: None,
    }
}

fn leaving_aside<P: Wanted>(
    (mut plan, basis): (P, Basis),
    what: &str,
    problem: &str,
) -> (P, Basis) {
    let note = format!("the built-in rules leave {what} aside: {problem}");
    put_first(&mut plan, vec![tame(note)]);
    (plan, basis)
}

/// What the built-in rules need for each of these settings.
fn needs_built_in<A: Ask>(settings: &[&str]) -> Vec<Option<Result<Needs, Failure>>> {
    settings
        .iter()
        .map(|settings| {
            let needs = builtin::needs(A::DECISION, settings);
            Some(needs.map_err(|problem| Failure::SettingsRefused(tame(problem))))
        })
        .collect()
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
