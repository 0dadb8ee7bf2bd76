//! Who signs for what is active: an asymmetric key in KMS, which never leaves it.

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, MessageType, SigningAlgorithmSpec};
use stoker_core::ports::{PolicySigner, SignerError};

use crate::problem;

/// The longest message that KMS signs without its digest being made elsewhere.
const LONGEST: usize = 4_096;

/// What to do about a key of another kind.
const KIND: &str =
    "make a key with key spec ECC_NIST_P256 and key usage SIGN_VERIFY, and name that";

/// A [`PolicySigner`] with a key of KMS: ECDSA on P-256 (`ECC_NIST_P256`, `SIGN_VERIFY`).
#[derive(Debug, Clone)]
pub struct KmsSigner {
    client: Client,
    key: String,
}

impl KmsSigner {
    /// The key of that id, ARN or alias (`alias/…`).
    pub fn new(client: Client, key: impl Into<String>) -> Self {
        Self {
            client,
            key: key.into(),
        }
    }

    fn refused(&self, what: &'static str, problem: impl Into<String>) -> SignerError {
        SignerError {
            key: self.key.clone(),
            what,
            problem: problem.into(),
        }
    }

    /// What KMS answered, and what to do. `permission`: what the request needs.
    fn failed<E, R>(
        &self,
        what: &'static str,
        permission: &str,
        error: &SdkError<E, R>,
    ) -> SignerError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let words = problem::words(error);
        let advice = match problem::code(error) {
            Some("AccessDeniedException") => {
                format!("allow {permission} on it, in the role's policy and in the key's own")
            }
            Some("NotFoundException") => {
                "correct its id or alias in the settings: a key belongs to one region and account"
                    .to_owned()
            }
            Some("DisabledException" | "KMSInvalidStateException") => {
                "enable the key, or cancel its deletion".to_owned()
            }
            Some(
                "InvalidKeyUsageException"
                | "ValidationException"
                | "UnsupportedOperationException",
            ) => KIND.to_owned(),
            _ => return self.refused(what, words),
        };
        self.refused(what, format!("{words}; {advice}"))
    }
}

#[async_trait]
impl PolicySigner for KmsSigner {
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignerError> {
        const WHAT: &str = "sign";
        if statement.len() > LONGEST {
            let length = statement.len();
            let problem = format!("the statement has {length} bytes, and {LONGEST} is the most");
            return Err(self.refused(WHAT, problem));
        }
        let answer = self
            .client
            .sign()
            .key_id(&self.key)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .message_type(MessageType::Raw)
            .message(Blob::new(statement))
            .send()
            .await
            .map_err(|error| self.failed(WHAT, "kms:Sign", &error))?;
        let signature = answer.signature.map(Blob::into_inner);
        signature.ok_or_else(|| self.refused(WHAT, "KMS answered without a signature"))
    }

    async fn public_key(&self) -> Result<Vec<u8>, SignerError> {
        const WHAT: &str = "give its public half";
        let answer = self
            .client
            .get_public_key()
            .key_id(&self.key)
            .send()
            .await
            .map_err(|error| self.failed(WHAT, "kms:GetPublicKey", &error))?;
        // Others sign by the same algorithm (ECC_SECG_P256K1), and nobody here could verify that.
        let other = answer
            .key_spec()
            .is_some_and(|spec| *spec != KeySpec::EccNistP256);
        let signs = answer
            .signing_algorithms()
            .contains(&SigningAlgorithmSpec::EcdsaSha256);
        if other || !signs {
            let spec = answer.key_spec().map_or("another kind", KeySpec::as_str);
            return Err(self.refused(WHAT, format!("it is of {spec}; {KIND}")));
        }
        let key = answer.public_key.map(Blob::into_inner);
        key.ok_or_else(|| self.refused(WHAT, "KMS answered without a key"))
    }
}
