//! A store, uploads and a signing key in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use stoker_core::ids::ArtifactDigest;
use stoker_core::ports::{
    AdmissionStore, Clock, Fetched, PolicySigner, PolicyStore, PolicyStoreError, PolicyUploads,
    Replaced, SignerError, Upload, UploadBytes,
};
use stoker_core::time::Timestamp;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    down: Mutex<bool>,
    fetches: Mutex<Vec<String>>,
}

impl MemoryStore {
    /// What is at a path.
    pub fn object(&self, path: &str) -> Option<Vec<u8>> {
        lock(&self.objects).get(path).cloned()
    }

    /// Everything that is there.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.objects).clone()
    }

    /// Puts something at a path, as somebody with the permission might.
    pub fn tamper(&self, path: &str, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => lock(&self.objects).insert(path.to_owned(), bytes),
            None => lock(&self.objects).remove(path),
        };
    }

    /// Lets every request fail, or no longer.
    pub fn set_down(&self, down: bool) {
        *lock(&self.down) = down;
    }

    /// Which paths were fetched since this was last asked.
    pub fn fetched(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.fetches))
    }

    fn up(&self, path: &str) -> Result<(), PolicyStoreError> {
        if *lock(&self.down) {
            return Err(PolicyStoreError {
                path: path.to_owned(),
                problem: "it is down".to_owned(),
            });
        }
        Ok(())
    }
}

fn tag(bytes: &[u8]) -> String {
    ArtifactDigest::of(bytes).to_string()
}

#[async_trait]
impl PolicyStore for MemoryStore {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        self.up(path)?;
        lock(&self.fetches).push(path.to_owned());
        Ok(match self.object(path) {
            None => Fetched::Absent,
            Some(bytes) if known == Some(tag(&bytes).as_str()) => Fetched::Unchanged,
            Some(bytes) => Fetched::Found {
                tag: tag(&bytes),
                bytes,
            },
        })
    }
}

#[async_trait]
impl AdmissionStore for MemoryStore {
    async fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, PolicyStoreError> {
        self.up(path)?;
        let mut objects = lock(&self.objects);
        let is_new = !objects.contains_key(path);
        objects
            .entry(path.to_owned())
            .or_insert_with(|| bytes.to_vec());
        Ok(is_new)
    }

    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, PolicyStoreError> {
        self.up(path)?;
        let mut objects = lock(&self.objects);
        let current = objects.get(path).map(|bytes| tag(bytes));
        if current.as_deref() != known {
            return Ok(Replaced::Conflict);
        }
        objects.insert(path.to_owned(), bytes.to_vec());
        Ok(Replaced::Written { tag: tag(bytes) })
    }

    async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), PolicyStoreError> {
        self.up(path)?;
        lock(&self.objects).insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, PolicyStoreError> {
        self.up(prefix)?;
        Ok(lock(&self.objects)
            .keys()
            .filter(|path| path.starts_with(prefix) && after.is_none_or(|a| path.as_str() > a))
            .take(1_000)
            .cloned()
            .collect())
    }
}

/// Uploads in memory, each with a version of its own.
#[derive(Debug, Default)]
pub struct MemoryUploads {
    files: Mutex<BTreeMap<String, (Upload, UploadBytes)>>,
    count: Mutex<u64>,
}

impl MemoryUploads {
    /// Uploads a file.
    pub fn upload(&self, path: &str, bytes: impl Into<Vec<u8>>) -> Upload {
        let (bytes, mut count) = (bytes.into(), lock(&self.count));
        *count += 1;
        let upload = Upload {
            path: path.to_owned(),
            version: format!("v{count}"),
            size: bytes.len() as u64,
            at: Timestamp(1_700_000_000 + *count),
        };
        let by = Some("a test".to_owned());
        let file = (upload.clone(), UploadBytes { bytes, by });
        lock(&self.files).insert(path.to_owned(), file);
        upload
    }

    /// Deletes one; whether there was one.
    pub fn delete(&self, path: &str) -> bool {
        lock(&self.files).remove(path).is_some()
    }
}

#[async_trait]
impl PolicyUploads for MemoryUploads {
    async fn list(&self) -> Result<Vec<Upload>, PolicyStoreError> {
        let files = lock(&self.files);
        Ok(files.values().map(|(upload, _)| upload.clone()).collect())
    }

    async fn read(&self, upload: &Upload) -> Result<Option<UploadBytes>, PolicyStoreError> {
        let files = lock(&self.files);
        let found = files.get(&upload.path);
        Ok(found
            .filter(|(now, _)| now.version == upload.version)
            .map(|(_, bytes)| bytes.clone()))
    }

    async fn put(&self, path: &str, bytes: &[u8], _by: &str) -> Result<(), PolicyStoreError> {
        self.upload(path, bytes);
        Ok(())
    }
}

/// A signing key in memory.
#[derive(Debug)]
pub struct MemorySigner(EcdsaKeyPair);

impl Default for MemorySigner {
    fn default() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        Self(pair.unwrap_or_else(|_| unreachable!("there is no randomness")))
    }
}

impl MemorySigner {
    /// What verifies its signatures.
    pub fn key(&self) -> Vec<u8> {
        let der: Result<PublicKeyX509Der<'_>, _> = self.0.public_key().as_der();
        der.map(|der| der.as_ref().to_vec()).unwrap_or_default()
    }

    /// Signs.
    pub fn signed(&self, statement: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(&SystemRandom::new(), statement);
        signature.map(|s| s.as_ref().to_vec()).unwrap_or_default()
    }
}

#[async_trait]
impl PolicySigner for MemorySigner {
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.signed(statement))
    }

    async fn public_key(&self) -> Result<Vec<u8>, SignerError> {
        Ok(self.key())
    }
}

/// A clock that stands until it is set.
#[derive(Debug, Default)]
pub struct SetClock(Mutex<u64>);

impl SetClock {
    /// Sets it.
    pub fn set(&self, now: Timestamp) {
        *lock(&self.0) = now.0;
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(*lock(&self.0))
    }
}
