//! The JWT by which the App itself asks: RS256, made anew for each call.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::SecretString;
use serde::Serialize;
use stoker_core::time::Timestamp;
use thiserror::Error;

/// GitHub's clock may be behind ours by this much, in seconds.
const BACKDATED: u64 = 60;

/// GitHub refuses what is good for more than 600 seconds by *its* clock; this leaves a minute.
const GOOD_FOR: u64 = 540;

/// What was read is no key. The text holds nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnusableKey {
    /// No App id.
    #[error("the GitHub App's id is empty: write the App's id or client id there")]
    NoId,
    /// No PEM.
    #[error(
        "the GitHub App's private key is not an RSA key in PEM form: store the file that GitHub gave for download, from `-----BEGIN RSA PRIVATE KEY-----` to the end"
    )]
    NotPem,
    /// PEM, but it does not sign.
    #[error(
        "the GitHub App's private key can't sign: it is damaged, or shorter than 2048 bits; store the file that GitHub gave for download"
    )]
    CantSign,
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: u64,
    exp: u64,
    iss: &'a str,
}

/// The App's key, ready to sign.
pub(crate) struct SigningKey {
    app: String,
    key: EncodingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    pub(crate) fn new(app: &str, pem: &str) -> Result<Self, UnusableKey> {
        let app = app.trim();
        if app.is_empty() {
            return Err(UnusableKey::NoId);
        }
        let pem = SecretString::from(pem.replace("\\r", "").replace("\\n", "\n"));
        let key = EncodingKey::from_rsa_pem(secrecy::ExposeSecret::expose_secret(&pem).as_bytes())
            .map_err(|_| UnusableKey::NotPem)?;
        Ok(Self {
            app: app.to_owned(),
            key,
        })
    }

    /// A JWT that is good from now on.
    pub(crate) fn sign(&self, now: Timestamp) -> Result<SecretString, UnusableKey> {
        let claims = Claims {
            iat: now.0.saturating_sub(BACKDATED),
            exp: now.0 + GOOD_FOR,
            iss: &self.app,
        };
        encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map(SecretString::from)
            .map_err(|_| UnusableKey::CantSign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for (app, pem, expected) in [
            ("", "x", UnusableKey::NoId),
            ("7", "hunter2", UnusableKey::NotPem),
            ("7", "", UnusableKey::NotPem),
        ] {
            let told = SigningKey::new(app, pem).unwrap_err();
            assert_eq!(told, expected);
            assert!(!told.to_string().contains("hunter2"));
        }
    }
}
