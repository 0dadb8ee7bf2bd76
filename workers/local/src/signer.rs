//! Who signs for what is active, with a key in a file.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use stoker_core::ports::{PolicySigner, SignerError};
use thiserror::Error;

/// The longest statement: what KMS signs, so that nothing works here that would fail there.
const LONGEST: usize = 4_096;

/// No key of this kind is larger: a file that is, is no key.
const LARGEST_KEY: u64 = 4_096;

/// There is no key to sign with.
#[derive(Debug, Error)]
pub enum LocalSignerError {
    /// It can't be read.
    #[error("the signing key {path} can't be read: {source}")]
    Unreadable {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It can't be written.
    #[error("the signing key {path} can't be written: {source}")]
    Unwritable {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read or write it.
    #[error(
        "the signing key {path} has mode {mode:o}, and whoever can read it can have any machine code run here: give it mode 600, or delete it if others may have read it (policies are signed anew then)"
    )]
    Exposed {
        /// Its file.
        path: PathBuf,
        /// What may be done by whom.
        mode: u32,
    },
    /// The file holds something else.
    #[error(
        "{path} holds no ECDSA P-256 key in PKCS #8 ({problem}): restore it, or delete it to have a new one made (policies are signed anew then)"
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No key could be made.
    #[error("no signing key could be made: the cryptographic library gave none")]
    Unmade,
}

impl From<Unspecified> for LocalSignerError {
    fn from(_: Unspecified) -> Self {
        Self::Unmade
    }
}

/// A [`PolicySigner`] with a key of its own: ECDSA on P-256.
pub struct LocalSigner {
    key: EcdsaKeyPair,
    public: Vec<u8>,
    name: String,
}

impl LocalSigner {
    /// The key in that file (PKCS #8, readable by its owner alone), which is made if there is none. Of
    /// several processes that find none at the same time, all get the one that was first.
    pub fn open(path: &Path) -> Result<Self, LocalSignerError> {
        let key = match read(path)? {
            Some(key) => key,
            None => make(path)?,
        };
        let pair = parse(&key).map_err(|rejected| LocalSignerError::NotAKey {
            path: path.to_owned(),
            problem: rejected.to_string(),
        })?;
        Self::of(pair, path.display().to_string())
    }

    /// A key that ends with the process.
    pub fn in_memory() -> Result<Self, LocalSignerError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        Self::of(pair, "(in memory)".to_owned())
    }

    /// What verifies its signatures, as [`PolicySigner::public_key`] has it.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    fn of(key: EcdsaKeyPair, name: String) -> Result<Self, LocalSignerError> {
        let public: PublicKeyX509Der<'_> = key.public_key().as_der()?;
        let public = public.as_ref().to_vec();
        Ok(Self { key, public, name })
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn parse(key: &SecretSlice<u8>) -> Result<EcdsaKeyPair, KeyRejected> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.expose_secret())
}

/// The key in a file; none if there is no file.
fn read(path: &Path) -> Result<Option<SecretSlice<u8>>, LocalSignerError> {
    let unreadable = |source| LocalSignerError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(unreadable)?,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(LocalSignerError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_KEY)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(Some(SecretSlice::from(bytes)))
}

/// Makes a key and writes it, unless somebody else does first: then theirs.
fn make(path: &Path) -> Result<SecretSlice<u8>, LocalSignerError> {
    let unwritable = |source| LocalSignerError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())?;
    let key = SecretSlice::from(made.as_ref().to_vec());
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || {
        std::fs::create_dir_all(folder)?;
        // For its owner alone, and whole before it has its name.
        let mut beside = tempfile::Builder::new()
            .prefix(".signing-key.")
            .tempfile_in(folder)?;
        beside.write_all(key.expose_secret())?;
        beside.as_file().sync_all()?;
        match beside.persist_noclobber(path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    };
    if write().map_err(unwritable)? {
        return Ok(key);
    }
    read(path)?.ok_or_else(|| unwritable(io::Error::from(io::ErrorKind::NotFound)))
}

#[async_trait]
impl PolicySigner for LocalSigner {
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignerError> {
        let failed = |problem| SignerError {
            key: self.name.clone(),
            what: "sign",
            problem,
        };
        if statement.len() > LONGEST {
            return Err(failed(format!(
                "the statement has {} bytes, and {LONGEST} is the most",
                statement.len()
            )));
        }
        let signature = self.key.sign(&SystemRandom::new(), statement);
        let signature = signature
            .map_err(|_| failed("the cryptographic library gave no signature".to_owned()))?;
        Ok(signature.as_ref().to_vec())
    }

    async fn public_key(&self) -> Result<Vec<u8>, SignerError> {
        Ok(self.public.clone())
    }
}

#[cfg(test)]
mod tests;
