//! Who may say what runs. Native code from outside is arbitrary code, so it is trusted by signature
//! alone: ECDSA P-256 with SHA-256 over a short statement, whatever the size of what it speaks of (KMS
//! signs 4,096 bytes at most).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey, UnparsedPublicKey};
use stoker_core::ids::{ArtifactDigest, Deployment, PolicyGeneration};

use crate::failure::Failure;

/// What is signed: what for, for whom, which generation, and the SHA-256 of the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    text: String,
}

impl Statement {
    /// The statement of a deployment about a body.
    pub fn new(deployment: &Deployment, generation: PolicyGeneration, body: &[u8]) -> Self {
        let digest = ArtifactDigest::of(body);
        Self {
            text: format!(
                "stoker policy activation\ndeployment {deployment}\ngeneration {generation}\nsha256 {digest}\n"
            ),
        }
    }

    /// The bytes that are signed.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// The keys that are trusted: one, or two while one is replaced by the other.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(Vec<Vec<u8>>);

impl PublicKeys {
    /// Keys as DER-encoded `SubjectPublicKeyInfo`, which is what KMS gives.
    pub fn new(keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// The same, if there is one at least and each is a key on P-256.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn checked(keys: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, String> {
        let keys = Self::new(keys);
        if keys.0.is_empty() {
            return Err("there is no key in it".to_owned());
        }
        for key in &keys.0 {
            let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
            parsed
                .map_err(|_| "a key in it is no public key on P-256 (ECC_NIST_P256)".to_owned())?;
        }
        Ok(keys)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether one of the keys signed the statement (an ASN.1 signature).
    ///
    /// # Errors
    /// [`Failure::Unsigned`] if none did.
    pub fn verify(&self, statement: &Statement, signature: &[u8]) -> Result<(), Failure> {
        let signed = self.0.iter().any(|key| {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
                .verify(statement.bytes(), signature)
                .is_ok()
        });
        if signed {
            return Ok(());
        }
        Err(Failure::Unsigned(match self.0.len() {
            0 => "no key is configured".to_owned(),
            1 => "one key was tried".to_owned(),
            keys => format!("{keys} keys were tried"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    fn of(deployment: &str, generation: u64, body: &[u8]) -> Statement {
        let generation = PolicyGeneration(generation);
        Statement::new(&deployment.parse().unwrap(), generation, body)
    }

    fn pair() -> (EcdsaKeyPair, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let public = der.as_ref().to_vec();
        (pair, public)
    }

    fn signed(pair: &EcdsaKeyPair, statement: &Statement) -> Vec<u8> {
        let signature = pair.sign(&SystemRandom::new(), statement.bytes()).unwrap();
        signature.as_ref().to_vec()
    }

    #[test]
    fn each_of_two_keys_is_believed_and_no_third() {
        let [(one, first), (two, second), (stranger, _)] = [pair(), pair(), pair()];
        let keys = PublicKeys::new([first, second]);
        let statement = of("ci", 7, b"body");
        for pair in [&one, &two] {
            assert_eq!(keys.verify(&statement, &signed(pair, &statement)), Ok(()));
        }
        let refused = keys.verify(&statement, &signed(&stranger, &statement));
        assert!(matches!(refused, Err(Failure::Unsigned(_))));
        let none = PublicKeys::default().verify(&statement, &signed(&one, &statement));
        assert!(matches!(none, Err(Failure::Unsigned(_))));
    }

    #[test]
    fn a_signature_is_for_one_deployment_one_generation_and_one_body() {
        let (pair, public) = pair();
        let keys = PublicKeys::new([public]);
        let signature = signed(&pair, &of("ci", 7, b"body"));
        for other in [
            of("other", 7, b"body"),
            of("ci", 6, b"body"),
            of("ci", 7, b"other body"),
        ] {
            assert!(keys.verify(&other, &signature).is_err());
        }
    }
}
