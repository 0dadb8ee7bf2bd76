//! The App's key pair: made anew by each test that needs one, so that no key lies in the repository.

use anyhow::anyhow;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What stands before the RSA key in a PKCS #8 envelope of this size: sequence, version, algorithm,
/// and the head of the octet string that holds the key.
const ENVELOPE: usize = 26;

/// The head of that octet string, with a length of two bytes.
const OCTET_STRING: [u8; 2] = [0x04, 0x82];

/// An RSA key pair, 2048 bits, as GitHub makes for an App.
#[derive(Debug)]
pub struct AppKey {
    envelope: Vec<u8>,
    public: Vec<u8>,
}

impl AppKey {
    /// Makes one.
    pub fn generate() -> anyhow::Result<Self> {
        let failed = |_| anyhow!("no RSA key pair could be made");
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let envelope: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        Ok(Self {
            envelope: envelope.as_ref().to_vec(),
            public: pair.public_key().as_ref().to_vec(),
        })
    }

    /// The private key as GitHub's page gives it for download (PKCS #1).
    pub fn pem(&self) -> anyhow::Result<String> {
        let (head, key) = self
            .envelope
            .split_at_checked(ENVELOPE)
            .ok_or_else(|| anyhow!("the key's envelope is too short"))?;
        anyhow::ensure!(
            head[ENVELOPE - 4..ENVELOPE - 2] == OCTET_STRING,
            "the key's envelope has another form than expected"
        );
        Ok(pem("RSA PRIVATE KEY", key))
    }

    /// The private key as `openssl pkcs8` rewrites it (PKCS #8).
    pub fn pkcs8_pem(&self) -> String {
        pem("PRIVATE KEY", &self.envelope)
    }

    /// The public key (PKCS #1, DER).
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = ["-----BEGIN ", label, "-----\n"].concat();
    for (place, character) in encoded.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    for part in ["\n-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}
