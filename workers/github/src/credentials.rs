//! Who the App is: its id, and the private key that proves it.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use stoker_core::ports::Clock;
use stoker_core::time::Timestamp;
use thiserror::Error;
use tokio::sync::Mutex;

use crate::jwt::{SigningKey, UnusableKey};

/// The App's id and private key, as they are kept.
#[derive(Debug, Clone)]
pub struct AppCredentials {
    /// The App's id or its client id.
    pub app: String,
    /// Its private key, as PEM. Line breaks may be written as `\n`, as they come out of JSON.
    pub private_key: SecretString,
}

impl AppCredentials {
    /// Whether GitHub could be asked with them: whether the key is one, and signs.
    ///
    /// # Errors
    /// What is wrong with them, and nothing of what they hold.
    pub fn check(&self) -> Result<(), UnusableKey> {
        let key = SigningKey::new(&self.app, self.private_key.expose_secret())?;
        key.sign(Timestamp(0)).map(drop)
    }
}

/// The credentials could not be read. The text names where they were looked for, and no value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct CredentialsError(pub String);

/// Where the credentials are kept. They are read again now and then, and when GitHub refuses them, so
/// that a rotated key takes effect by itself.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Reads them as they are now.
    async fn read(&self) -> Result<AppCredentials, CredentialsError>;
}

/// Why there is nothing to sign with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoKey {
    /// The credentials could not be read.
    #[error(transparent)]
    Unread(#[from] CredentialsError),
    /// They were read and are no key.
    #[error(transparent)]
    Unusable(#[from] UnusableKey),
}

/// How long a key is used before it is read again, in seconds: a key that was replaced and not yet
/// revoked goes out of use within this time.
const GOOD_FOR: u32 = 900;

struct Read {
    key: Arc<SigningKey>,
    at: Timestamp,
}

/// The key that was read last.
pub(crate) struct KeyRing {
    source: Arc<dyn Credentials>,
    clock: Arc<dyn Clock>,
    /// Held while reading, so that concurrent callers share one read.
    read: Mutex<Option<Read>>,
}

impl KeyRing {
    pub(crate) fn new(source: Arc<dyn Credentials>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            read: Mutex::default(),
        }
    }

    /// The key to sign with.
    pub(crate) async fn key(&self) -> Result<Arc<SigningKey>, NoKey> {
        let now = self.clock.now();
        let mut read = self.read.lock().await;
        match read.as_ref() {
            Some(known) if known.at.age(now) < GOOD_FOR => Ok(Arc::clone(&known.key)),
            known => {
                let known = known.map(|known| Arc::clone(&known.key));
                match (self.fetch().await, known) {
                    (Ok(key), _) => Ok(Self::keep(&mut read, key, now)),
                    // What was good a moment ago may still be; GitHub will say if it is not.
                    (Err(error), Some(known)) => {
                        tracing::warn!(problem = %error, "the GitHub App's key could not be read again; the one read before is used");
                        Ok(known)
                    }
                    (Err(error), None) => Err(error),
                }
            }
        }
    }

    /// The key to sign with after GitHub has refused `refused`.
    pub(crate) async fn after(&self, refused: &Arc<SigningKey>) -> Result<Arc<SigningKey>, NoKey> {
        let mut read = self.read.lock().await;
        match read.as_ref() {
            // Somebody else was refused too, and has read it again already.
            Some(known) if !Arc::ptr_eq(&known.key, refused) => Ok(Arc::clone(&known.key)),
            _ => {
                *read = None;
                let key = self.fetch().await?;
                Ok(Self::keep(&mut read, key, self.clock.now()))
            }
        }
    }

    fn keep(read: &mut Option<Read>, key: SigningKey, at: Timestamp) -> Arc<SigningKey> {
        let key = Arc::new(key);
        *read = Some(Read {
            key: Arc::clone(&key),
            at,
        });
        key
    }

    async fn fetch(&self) -> Result<SigningKey, NoKey> {
        let credentials = self.source.read().await?;
        let pem = credentials.private_key.expose_secret();
        Ok(SigningKey::new(&credentials.app, pem)?)
    }
}
