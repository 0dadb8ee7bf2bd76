//! What a document names, taken from the store: policies ready to run, and settings. Everything is known
//! by its digest and never changes, so what is here is never asked for again. What is not here is asked
//! for once, and a decision waits for it as long as it has patience.

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
use crate::patience::Patience;
use crate::ready::Ready;
use crate::underway::Underway;

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
    /// Policies by their digest and that of their machine code: another publication may name other code.
    coming_policies: Underway<(ArtifactDigest, ArtifactDigest), Arc<Loaded>>,
    settings: Mutex<Texts>,
    coming_settings: Underway<ArtifactDigest, Arc<str>>,
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
            coming_policies: Underway::default(),
            settings: Mutex::default(),
            coming_settings: Underway::default(),
        }
    }

    pub(crate) fn store(&self) -> &dyn PolicyStore {
        self.store.as_ref()
    }

    /// A policy that a document names, ready to run. What fails is tried afresh the next time.
    pub(crate) async fn policy(
        self: &Arc<Self>,
        activation: &Arc<Activation>,
        digest: &ArtifactDigest,
        patience: Patience,
    ) -> Result<Arc<Loaded>, Failure> {
        if let Some(loaded) = self.policies.get(digest) {
            return Ok(loaded);
        }
        let (_, code) = named(activation, digest, &self.engine_id)?;
        let loading = Arc::clone(self).load(Arc::clone(activation), digest.clone());
        let key = (digest.clone(), code.digest.clone());
        self.coming_policies
            .join(key, paths::native(&code.engine, &code.digest), loading)
            .within(patience)
            .await
    }

    async fn load(
        self: Arc<Self>,
        activation: Arc<Activation>,
        digest: ArtifactDigest,
    ) -> Result<Arc<Loaded>, Failure> {
        // Whoever looked for it may have done so just before it was ready.
        if let Some(loaded) = self.policies.get(&digest) {
            return Ok(loaded);
        }
        let (_, code) = named(&activation, &digest, &self.engine_id)?;
        let size = usize::try_from(code.bytes).unwrap_or(usize::MAX);
        let bytes = self
            .object(&paths::native(&code.engine, &code.digest))
            .await?;
        let (this, policy) = (Arc::clone(&self), digest.clone());
        // Hashing and mapping the machine code of a large policy takes a while.
        let loaded = tokio::task::spawn_blocking(move || {
            let trusted = Trusted::of(&activation, &policy, &this.engine_id, &bytes)?;
            Loaded::from_native(&this.engine, trusted, &this.limits)
        })
        .await
        .map_err(|panic| Failure::HostPanic(tame(panic.to_string())))??;
        let loaded = Arc::new(loaded);
        self.policies.keep(digest, size, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// The text of merged settings. What fails is tried afresh the next time.
    pub(crate) async fn settings(
        self: &Arc<Self>,
        wanted: &SettingsRef,
        patience: Patience,
    ) -> Result<Arc<str>, Failure> {
        if let Some(text) = self.text(&wanted.digest) {
            return Ok(text);
        }
        let reading = Arc::clone(self).read(wanted.digest.clone());
        let path = paths::settings(&wanted.digest);
        self.coming_settings
            .join(wanted.digest.clone(), path, reading)
            .within(patience)
            .await
    }

    async fn read(self: Arc<Self>, wanted: ArtifactDigest) -> Result<Arc<str>, Failure> {
        // As with policies.
        if let Some(text) = self.text(&wanted) {
            return Ok(text);
        }
        let bytes = self.object(&paths::settings(&wanted)).await?;
        let found = ArtifactDigest::of(&bytes);
        if found != wanted {
            return Err(Failure::Tampered {
                found,
                recorded: wanted,
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
        texts.by_digest.insert(wanted, Arc::clone(&text));
        Ok(text)
    }

    fn text(&self, digest: &ArtifactDigest) -> Option<Arc<str>> {
        self.texts().by_digest.get(digest).cloned()
    }

    /// Takes up all that a pair names, however long that takes, so that the decision that needs it does
    /// not wait for it. What fails is told by that decision.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        activation: &Arc<Activation>,
        pair: &Pair,
        settings: &SettingsRef,
    ) {
        let policy = async {
            if let Some(digest) = &pair.policy {
                let _ = self.policy(activation, digest, Patience::ENDLESS).await;
            }
        };
        let text = async {
            let _ = self.settings(settings, Patience::ENDLESS).await;
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
