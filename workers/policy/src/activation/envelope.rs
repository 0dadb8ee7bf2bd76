//! `active.json`: the document as it was signed, and the signature.
//!
//! Not the JSON value is signed but its very bytes, through their SHA-256 in a short statement: so the
//! file stays one that people and `jq` can read, and nothing depends on how JSON is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stoker_core::ids::{Deployment, PolicyGeneration};

use super::document::{Document, SCHEMA};
use crate::artifact::{PublicKeys, Statement};
use crate::failure::Failure;

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    deployment: Deployment,
    generation: PolicyGeneration,
    signature: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// A document that is to be signed.
#[derive(Debug)]
pub struct Unsigned {
    deployment: Deployment,
    generation: PolicyGeneration,
    body: Box<RawValue>,
}

impl Unsigned {
    /// What a deployment is to publish.
    ///
    /// # Errors
    /// If it has no JSON form: a fault of this build.
    pub fn new(deployment: &Deployment, document: &Document) -> Result<Self, serde_json::Error> {
        Ok(Self {
            deployment: deployment.clone(),
            generation: document.generation,
            body: serde_json::value::to_raw_value(document)?,
        })
    }

    /// What is signed.
    pub fn statement(&self) -> Statement {
        Statement::new(
            &self.deployment,
            self.generation,
            self.body.get().as_bytes(),
        )
    }

    /// `active.json`, with that signature.
    ///
    /// # Errors
    /// If it has no JSON form: a fault of this build.
    pub fn signed(&self, signature: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Envelope {
            deployment: self.deployment.clone(),
            generation: self.generation,
            signature: STANDARD.encode(signature),
            body: &self.body,
        })
    }
}

/// What `active.json` says, whoever wrote it. For people who look at it without the key at hand: nothing
/// may run by it, so it is no [`Activation`] and can't become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// Whose it says that it is.
    pub deployment: Deployment,
    /// What it says.
    pub document: Document,
}

impl Unverified {
    /// Reads it.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
        Ok(Self {
            document: serde_json::from_str(envelope.body.get())?,
            deployment: envelope.deployment,
        })
    }
}

/// A document that a trusted key has signed for this deployment. Only [`Activation::verify`] makes one,
/// and [`Activation::none`], which names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    document: Document,
}

impl Activation {
    /// Nothing was ever published.
    pub fn none() -> Self {
        Self {
            document: Document::empty(),
        }
    }

    /// Verifies `active.json`.
    ///
    /// # Errors
    /// [`Failure::Unsigned`], which says what is wrong with it.
    pub fn verify(
        keys: &PublicKeys,
        deployment: &Deployment,
        bytes: &[u8],
    ) -> Result<Self, Failure> {
        let envelope: Envelope<'_> = serde_json::from_slice(bytes)
            .map_err(|error| Failure::Unsigned(format!("it can't be read: {error}")))?;
        if envelope.deployment != *deployment {
            return Err(Failure::Unsigned(format!(
                "it is of the deployment `{}` and this is `{deployment}`",
                envelope.deployment
            )));
        }
        let signature = STANDARD
            .decode(&envelope.signature)
            .map_err(|error| Failure::Unsigned(format!("its signature is no base64: {error}")))?;
        let body = envelope.body.get();
        let statement = Statement::new(deployment, envelope.generation, body.as_bytes());
        keys.verify(&statement, &signature)?;
        let document: Document = serde_json::from_str(body).map_err(|error| {
            Failure::Unsigned(format!("it is signed and can't be understood: {error}"))
        })?;
        if document.schema > SCHEMA {
            return Err(Failure::Unsigned(format!(
                "it is signed and of the form {}, and this Stoker knows forms up to {SCHEMA}: finish the upgrade",
                document.schema
            )));
        }
        if document.generation != envelope.generation {
            return Err(Failure::Unsigned(format!(
                "it is signed for generation {} and says that it is {}",
                envelope.generation, document.generation
            )));
        }
        Ok(Self { document })
    }

    /// What it says.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Which publication it is.
    pub fn generation(&self) -> PolicyGeneration {
        self.document.generation
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::ids::PolicyGeneration;

    use super::*;

    #[test]
    fn a_document_is_read_without_the_key_and_trusted_by_nobody_for_that() {
        let deployment: Deployment = "ci".parse().unwrap();
        let document = Document {
            generation: PolicyGeneration(7),
            ..Document::empty()
        };
        let bytes = Unsigned::new(&deployment, &document)
            .unwrap()
            .signed(b"nobody's")
            .unwrap();
        let read = Unverified::read(&bytes).unwrap();
        assert_eq!(
            (read.deployment, read.document),
            (deployment.clone(), document)
        );
        let verified = Activation::verify(&PublicKeys::default(), &deployment, &bytes);
        assert!(verified.is_err());
        assert!(Unverified::read(b"{}").is_err());
    }
}
