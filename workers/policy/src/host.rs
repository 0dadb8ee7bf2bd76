//! Finds the policy that decides, runs it, and answers for it when it fails.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::{Basis, DecidedBy, Fallback, Instead, PolicyLevel, Proposal};
use stoker_core::ports::{PolicyStore, ScaleUpDecider};
use stoker_core::situation::Situation;
use wasmtime::Engine;

use crate::artifact::{Admitted, Loaded};
use crate::builtin;
use crate::engine::{self, EngineError};
use crate::failure::Failure;
use crate::limits::{Limits, SizeClass};
use crate::resolve::{self, Folders, Reader};
use crate::run;

/// Whether policies decide at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyMode {
    /// The most specific policy of a scope decides.
    Policies,
    /// The built-in rules decide and no policy is even read: the glass to break.
    BuiltIn,
}

/// How the host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSettings {
    /// Whether policies decide.
    pub mode: PolicyMode,
    /// What a policy may be and use.
    pub size_class: SizeClass,
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
            engine: engine::engine()?,
            settings,
            reader: Reader::new(store),
            ready: Mutex::default(),
        })
    }

    fn limits(&self) -> Limits {
        self.settings.size_class.limits()
    }

    async fn by_policy(&self, situation: &Situation) -> Result<Proposal, Failed> {
        let places = resolve::places(&situation.scope);
        let folders = self
            .reader
            .read(&places)
            .await
            .map_err(|error| Failed::before_reading(error.into()))?;
        let stale = folders.stale.clone().map(Failure::from);
        let mut proposal = self.by_folders(situation, &folders).await?;
        if let Some(stale) = stale {
            proposal.fallback = Some(Fallback {
                cause: stale.cause().to_owned(),
                message: format!("{stale}; what was read before decided"),
                level: Some(proposal.by.level),
                digest: proposal.by.digest.clone(),
                instead: Instead::Previous,
            });
        }
        Ok(proposal)
    }

    async fn by_folders(
        &self,
        situation: &Situation,
        folders: &Folders,
    ) -> Result<Proposal, Failed> {
        for found in &folders.found {
            let Some(bytes) = &found.policy else {
                continue;
            };
            let digest = ArtifactDigest::of(bytes);
            let settings = resolve::settings(&folders.found, found.level, "scale-up");
            let failed = |failure, settings: &Result<String, Failure>| Failed {
                failure,
                level: Some(found.level),
                digest: Some(digest.clone()),
                settings: settings.clone().unwrap_or_else(|_| "{}".to_owned()),
            };
            let loaded = self
                .loaded(bytes, &digest)
                .await
                .map_err(|failure| failed(failure, &settings))?;
            if !loaded.scales_up() {
                // It decides something else; who launches is decided on a broader level.
                continue;
            }
            let merged = match &settings {
                Ok(merged) => merged,
                Err(failure) => return Err(failed(failure.clone(), &settings)),
            };
            let decided = self
                .run(&loaded, situation, found.level, merged)
                .await
                .map_err(|failure| failed(failure, &settings))?;
            return Ok(Proposal {
                plan: decided.plan,
                by: DecidedBy {
                    policy: loaded.title().to_owned(),
                    level: found.level,
                    digest: Some(digest),
                    fuel: Some(decided.fuel),
                },
                basis: Basis::default(),
                fallback: None,
            });
        }
        // No policy is meant to decide: this is no fallback.
        let settings = resolve::settings(&folders.found, PolicyLevel::Default, "scale-up")
            .map_err(|failure| Failed {
                level: Some(PolicyLevel::BuiltIn),
                ..Failed::before_reading(failure)
            })?;
        Ok(built_in(situation, &settings, None))
    }

    /// Runs a policy. A decision may take its fuel's worth of time, and a panic of wasmtime's is not the
    /// caller's to suffer, so it runs on a thread of its own.
    async fn run(
        &self,
        policy: &Arc<Loaded>,
        situation: &Situation,
        level: PolicyLevel,
        settings: &str,
    ) -> Result<run::Decided, Failure> {
        let (policy, limits) = (Arc::clone(policy), self.limits());
        let (situation, settings) = (situation.clone(), settings.to_owned());
        tokio::task::spawn_blocking(move || policy.scale_up(&situation, level, &settings, &limits))
            .await
            .unwrap_or_else(|panic| Err(Failure::HostPanic(panic.to_string())))
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
            let admitted = Admitted::new(&engine, &bytes, &limits)?;
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
        let loaded = ready.remove(place);
        ready.insert(0, Arc::clone(&loaded));
        Some(loaded)
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Loaded>>> {
        // A panic elsewhere can at worst have left one entry out.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn built_in(situation: &Situation, settings: &str, fallback: Option<Fallback>) -> Proposal {
    Proposal {
        plan: builtin::decide(situation, settings),
        by: builtin::decided_by(),
        basis: Basis::default(),
        fallback,
    }
}

#[async_trait]
impl ScaleUpDecider for PolicyHost {
    async fn decide(&self, situation: &Situation) -> Proposal {
        if self.settings.mode == PolicyMode::BuiltIn {
            return built_in(situation, "{}", None);
        }
        match self.by_policy(situation).await {
            Ok(proposal) => proposal,
            Err(failed) => {
                let fallback = Fallback {
                    cause: failed.failure.cause().to_owned(),
                    message: format!("{}; the built-in rules decided", failed.failure),
                    level: failed.level,
                    digest: failed.digest,
                    instead: Instead::BuiltIn,
                };
                built_in(situation, &failed.settings, Some(fallback))
            }
        }
    }
}
