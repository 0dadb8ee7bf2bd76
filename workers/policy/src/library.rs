//! What a document names, taken from the store: policies ready to run, and settings. Everything is known
//! by its digest and never changes, so what is here is never asked for again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoker_core::ids::ArtifactDigest;
use stoker_core::ports::{Fetched, PolicyStore};
use wasmtime::Engine;

use crate::activation::{Activation, Pair, SettingsRef, paths};
use crate::artifact::{Loaded, Trusted, named};
use crate::contract::tame::tame;
use crate::engine::EngineId;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::ready::Ready;

/// How many bytes of settings are kept: a thousand repositories with the largest that there may be are
/// four times as many, and theirs are seldom larger than a screen. Beyond it the memory starts anew.
const SETTINGS_KEPT: usize = 16 << 20;

/// What was taken from the store.
pub(crate) struct Library {
    store: Arc<dyn PolicyStore>,
    engine: Engine,
    engine_id: EngineId,
    limits: Limits,
    policies: Ready<Arc<Loaded>>,
    settings: Mutex<Texts>,
}

#[derive(Default)]
struct Texts {
    by_digest: HashMap<ArtifactDigest, Arc<str>>,
    bytes: usize,
}

impl Library {
    pub(crate) fn new(
        store: Arc<dyn PolicyStore>,
        engine: Engine,
        engine_id: EngineId,
        limits: Limits,
    ) -> Self {
        Self {
            store,
            engine,
            engine_id,
            limits,
            policies: Ready::default(),
            settings: Mutex::default(),
        }
    }

    pub(crate) fn store(&self) -> &dyn PolicyStore {
        self.store.as_ref()
    }

    /// A policy that a document names, ready to run. What fails is tried afresh the next time.
    pub(crate) async fn policy(
        &self,
        activation: &Arc<Activation>,
        digest: &ArtifactDigest,
    ) -> Result<Arc<Loaded>, Failure> {
        if let Some(loaded) = self.policies.get(digest) {
            return Ok(loaded);
        }
        let queued = self.policies.queue(digest);
        let _turn = queued.turn().await;
        // Another decision may have made it ready meanwhile.
        if let Some(loaded) = self.policies.get(digest) {
            return Ok(loaded);
        }
        let (_, code) = named(activation, digest, &self.engine_id)?;
        let size = usize::try_from(code.bytes).unwrap_or(usize::MAX);
        let bytes = self
            .object(&paths::native(&code.engine, &code.digest))
            .await?;
        let (activation, policy) = (Arc::clone(activation), digest.clone());
        let (engine, engine_id, limits) =
            (self.engine.clone(), self.engine_id.clone(), self.limits);
        // Hashing and mapping the machine code of a large policy takes a while.
        let loaded = tokio::task::spawn_blocking(move || {
            let trusted = Trusted::of(&activation, &policy, &engine_id, &bytes)?;
            Loaded::from_native(&engine, trusted, &limits)
        })
        .await
        .map_err(|panic| Failure::HostPanic(tame(panic.to_string())))??;
        let loaded = Arc::new(loaded);
        self.policies
            .keep(digest.clone(), size, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// The text of merged settings.
    pub(crate) async fn settings(&self, wanted: &SettingsRef) -> Result<Arc<str>, Failure> {
        if let Some(text) = self.texts().by_digest.get(&wanted.digest) {
            return Ok(Arc::clone(text));
        }
        let bytes = self.object(&paths::settings(&wanted.digest)).await?;
        let found = ArtifactDigest::of(&bytes);
        if found != wanted.digest {
            return Err(Failure::Tampered {
                found,
                recorded: wanted.digest.clone(),
            });
        }
        let text: Arc<str> = String::from_utf8(bytes)
            .map_err(|error| {
                Failure::Unsigned(format!("it names settings that are no text: {error}"))
            })?
            .into();
        let mut texts = self.texts();
        if texts.bytes + text.len() > SETTINGS_KEPT {
            *texts = Texts::default();
        }
        texts.bytes += text.len();
        texts
            .by_digest
            .insert(wanted.digest.clone(), Arc::clone(&text));
        Ok(text)
    }

    /// Takes up all that a pair names, so that the decision that needs it does not wait for it. What fails
    /// is told by that decision.
    pub(crate) async fn prepare(
        &self,
        activation: &Arc<Activation>,
        pair: &Pair,
        settings: &SettingsRef,
    ) {
        let policy = async {
            if let Some(digest) = &pair.policy {
                let _ = self.policy(activation, digest).await;
            }
        };
        let text = async {
            let _ = self.settings(settings).await;
        };
        futures::future::join(policy, text).await;
    }

    async fn object(&self, path: &str) -> Result<Vec<u8>, Failure> {
        match self.store.fetch(path, None).await? {
            Fetched::Found { bytes, .. } => Ok(bytes),
            Fetched::Absent | Fetched::Unchanged => Err(Failure::Missing(path.to_owned())),
        }
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        // A panic elsewhere can at worst have miscounted.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
