//! Machine code: what it is known by, and what it is trusted for.

use stoker_core::ids::ArtifactDigest;

use super::Admitted;
use crate::activation::{Activation, NativeCode};
use crate::contract::Spoken;
use crate::contract::tame::tame;
use crate::engine::EngineId;
use crate::failure::Failure;

/// The machine code of an admitted policy, to be stored.
#[derive(Debug, Clone)]
pub struct Native {
    bytes: Vec<u8>,
    code: NativeCode,
}

impl Native {
    /// The machine code of a policy that was compiled for that engine.
    ///
    /// # Errors
    /// If wasmtime can't write it down.
    pub fn of(admitted: &Admitted, engine: &EngineId) -> Result<Self, Failure> {
        let bytes = admitted
            .component
            .serialize()
            .map_err(|error| Failure::NotAComponent(tame(crate::run::one_line(&error))))?;
        Ok(Self {
            code: NativeCode {
                engine: engine.clone(),
                digest: ArtifactDigest::of(&bytes),
                bytes: bytes.len() as u64,
            },
            bytes,
        })
    }

    /// The machine code.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The machine code, to be kept.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What it is known by.
    pub fn code(&self) -> &NativeCode {
        &self.code
    }
}

/// Machine code that may run here: a document that a trusted key has signed names it for this engine, by
/// the SHA-256 of these very bytes. Only [`Trusted::of`] makes one.
#[derive(Debug)]
pub struct Trusted<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) policy: ArtifactDigest,
    pub(super) exports: Spoken,
}

impl<'a> Trusted<'a> {
    /// Looks at machine code from outside.
    ///
    /// # Errors
    /// [`Failure::Unsigned`] if the document does not name the policy, [`Failure::WrongEngine`] or
    /// [`Failure::Tampered`].
    pub fn of(
        activation: &Activation,
        policy: &ArtifactDigest,
        engine: &EngineId,
        bytes: &'a [u8],
    ) -> Result<Self, Failure> {
        let (exports, code) = named(activation, policy, engine)?;
        let found = ArtifactDigest::of(bytes);
        if found != code.digest {
            return Err(Failure::Tampered {
                found,
                recorded: code.digest.clone(),
            });
        }
        Ok(Self {
            bytes,
            policy: policy.clone(),
            exports: exports.clone(),
        })
    }
}

/// What a document says of a policy's machine code for an engine.
///
/// # Errors
/// [`Failure::Unsigned`] or [`Failure::WrongEngine`].
pub(crate) fn named<'a>(
    activation: &'a Activation,
    policy: &ArtifactDigest,
    engine: &EngineId,
) -> Result<(&'a Spoken, &'a NativeCode), Failure> {
    let record = activation
        .document()
        .policies
        .get(policy)
        .ok_or_else(|| Failure::Unsigned(format!("it does not name the policy {policy}")))?;
    let code = record.native(engine).ok_or_else(|| {
        let found: Vec<String> = record
            .natives
            .iter()
            .map(|native| native.engine.to_string())
            .collect();
        Failure::WrongEngine {
            found: found.join(" and "),
            wanted: engine.to_string(),
        }
    })?;
    Ok((&record.exports, code))
}
