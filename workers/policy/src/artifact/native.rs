//! Machine code: what it is known by, and what it is trusted for.

use serde::{Deserialize, Serialize};
use stoker_core::ids::ArtifactDigest;

use super::Admitted;
use super::trust::{PublicKeys, Statement};
use crate::contract::Spoken;
use crate::contract::tame::tame;
use crate::engine::EngineId;
use crate::failure::Failure;

/// The machine code of an admitted policy, to be stored.
#[derive(Debug, Clone)]
pub struct Native {
    bytes: Vec<u8>,
    record: NativeRecord,
}

/// What is signed of a piece of machine code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NativeRecord {
    /// The SHA-256 of the component that it was compiled from: what decisions name.
    pub policy: ArtifactDigest,
    /// The SHA-256 of the machine code.
    pub native: ArtifactDigest,
    /// The engine that it was compiled for.
    pub engine: EngineId,
    /// What the component exports.
    pub exports: Spoken,
}

impl Native {
    /// The machine code of a policy.
    ///
    /// # Errors
    /// If wasmtime can't write it down.
    pub fn of(admitted: &Admitted, engine: &EngineId) -> Result<Self, Failure> {
        let bytes = admitted
            .component
            .serialize()
            .map_err(|error| Failure::NotAComponent(tame(crate::run::one_line(&error))))?;
        Ok(Self {
            record: NativeRecord {
                policy: admitted.digest.clone(),
                native: ArtifactDigest::of(&bytes),
                engine: engine.clone(),
                exports: admitted.spoken.clone(),
            },
            bytes,
        })
    }

    /// The machine code.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is to be signed of it.
    pub fn record(&self) -> &NativeRecord {
        &self.record
    }
}

/// Machine code that may run here: a trusted key has signed the record, the record is for this engine,
/// and names the SHA-256 of these very bytes. Only [`Trusted::verify`] makes one.
#[derive(Debug)]
pub struct Trusted<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) record: NativeRecord,
}

impl<'a> Trusted<'a> {
    /// Verifies machine code from outside, in this order: the signature over `body`, that `body` is the
    /// record of code for `engine`, and the digest of `bytes`.
    ///
    /// # Errors
    /// [`Failure::Unsigned`], [`Failure::WrongEngine`] or [`Failure::Tampered`].
    pub fn verify(
        keys: &PublicKeys,
        deployment: &str,
        generation: u64,
        body: &[u8],
        signature: &[u8],
        engine: &EngineId,
        bytes: &'a [u8],
    ) -> Result<Self, Failure> {
        keys.verify(&Statement::new(deployment, generation, body), signature)?;
        let record: NativeRecord = serde_json::from_slice(body).map_err(|error| {
            Failure::Unsigned(format!("it is signed and can't be read: {error}"))
        })?;
        if record.engine != *engine {
            return Err(Failure::WrongEngine {
                found: record.engine.to_string(),
                wanted: engine.to_string(),
            });
        }
        let found = ArtifactDigest::of(bytes);
        if found != record.native {
            return Err(Failure::Tampered {
                found,
                recorded: record.native,
            });
        }
        Ok(Self { bytes, record })
    }
}
