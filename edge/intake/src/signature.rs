//! `X-Hub-Signature-256`: HMAC-SHA-256 over the raw bytes, compared in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The webhook secrets. Two, so that one can be replaced without losing a delivery: the new one becomes
/// current and the old one previous; then GitHub is told the new one; then the previous one goes.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// The secret that GitHub is to sign with.
    pub current: SecretString,
    /// The one before it, as long as deliveries signed with it may still come.
    pub previous: Option<SecretString>,
}

/// Which secret a delivery was signed with. Once none comes with the previous one any more, it can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedWith {
    /// [`Secrets::current`].
    Current,
    /// [`Secrets::previous`].
    Previous,
}

impl SignedWith {
    /// The word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// The raw bytes of a body that its sender proved to know a secret for. Only [`Secrets::verify`] makes
/// one, and nothing else is parsed.
#[derive(Clone, Copy)]
pub struct Verified<'a> {
    body: &'a [u8],
    signed_with: SignedWith,
}

impl<'a> Verified<'a> {
    /// The body, as it was signed.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Which secret it was signed with.
    pub const fn signed_with(&self) -> SignedWith {
        self.signed_with
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("bytes", &self.body.len())
            .field("signed_with", &self.signed_with)
            .finish()
    }
}

impl Secrets {
    /// Verifies the value of `X-Hub-Signature-256` (`sha256=` and 64 hexadecimal digits) over the raw
    /// body. `None` for a signature that is missing, malformed or wrong: who sends one learns nothing
    /// from a difference.
    pub fn verify<'a>(&self, signature: Option<&str>, body: &'a [u8]) -> Option<Verified<'a>> {
        let mut claimed = [0; 32];
        hex::decode_to_slice(signature?.strip_prefix("sha256=")?, &mut claimed).ok()?;
        let signed_with = if signs(&self.current, body, &claimed) {
            SignedWith::Current
        } else if signs(self.previous.as_ref()?, body, &claimed) {
            SignedWith::Previous
        } else {
            return None;
        };
        Some(Verified { body, signed_with })
    }
}

/// The value of `X-Hub-Signature-256` for a body: what GitHub sends, for tests and for senders of test
/// deliveries.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    mac(secret, body).map_or_else(String::new, |mac| {
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    })
}

fn signs(secret: &SecretString, body: &[u8], claimed: &[u8]) -> bool {
    mac(secret, body).is_some_and(|mac| mac.verify_slice(claimed).is_ok())
}

/// HMAC takes a key of any length, so there always is one.
fn mac(secret: &SecretString, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(body);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The test vector in GitHub's documentation ("Validating webhook deliveries").
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secrets(current: &str, previous: Option<&str>) -> Secrets {
        Secrets {
            current: current.into(),
            previous: previous.map(Into::into),
        }
    }

    #[test]
    fn the_documented_vector_is_verified() {
        let verified = secrets(SECRET, None).verify(Some(SIGNATURE), BODY).unwrap();
        assert_eq!(verified.body(), BODY);
        assert_eq!(verified.signed_with(), SignedWith::Current);
        assert_eq!(sign(&SECRET.into(), BODY), SIGNATURE);
    }

    #[test]
    fn during_a_rotation_both_secrets_are_good_and_told_apart() {
        let rotating = secrets("new", Some(SECRET));
        let old = rotating.verify(Some(SIGNATURE), BODY).unwrap();
        assert_eq!(old.signed_with(), SignedWith::Previous);
        let signature = sign(&"new".into(), BODY);
        let new = rotating.verify(Some(&signature), BODY).unwrap();
        assert_eq!(new.signed_with(), SignedWith::Current);
        assert!(secrets("new", None).verify(Some(SIGNATURE), BODY).is_none());
    }

    #[test]
    fn a_missing_or_malformed_signature_is_refused() {
        let secrets = secrets(SECRET, Some("previous"));
        let digits = SIGNATURE.strip_prefix("sha256=").unwrap();
        for refused in [
            None,
            Some(""),
            Some("sha256="),
            Some(digits),
            Some(&format!("sha1={digits}")),
            Some(&format!("SHA256={digits}")),
            Some(&format!("sha256={digits}00")),
            Some(&format!("sha256= {digits}")),
            Some(&SIGNATURE[..SIGNATURE.len() - 1]),
            Some(&SIGNATURE[..SIGNATURE.len() - 2]),
            Some("sha256=é57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
        ] {
            assert!(secrets.verify(refused, BODY).is_none(), "{refused:?}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret_and_no_body() {
        let secrets = secrets(SECRET, Some("an older secret"));
        let shown = format!("{secrets:?} {:?}", secrets.verify(Some(SIGNATURE), BODY));
        for hidden in [SECRET, "older", "Hello"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }

    proptest! {
        /// Any one bit of the body or the signature decides.
        #[test]
        fn a_single_flipped_bit_is_refused(
            secret in ".{1,80}",
            body in prop::collection::vec(any::<u8>(), 1..300),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let secrets = secrets(&secret, None);
            let signature = sign(&secrets.current, &body);
            prop_assert!(secrets.verify(Some(&signature), &body).is_some());

            let mut other_body = body.clone();
            other_body[at.index(body.len())] ^= 1 << bit;
            prop_assert!(secrets.verify(Some(&signature), &other_body).is_none());

            let mut digest = hex::decode(&signature["sha256=".len()..]).unwrap();
            digest[at.index(32)] ^= 1 << bit;
            let other_signature = format!("sha256={}", hex::encode(digest));
            prop_assert!(secrets.verify(Some(&other_signature), &body).is_none());
        }

        #[test]
        fn no_signature_header_panics(header in ".*", body in prop::collection::vec(any::<u8>(), 0..50)) {
            let refused = secrets(SECRET, Some("previous")).verify(Some(&header), &body);
            prop_assert!(refused.is_none());
        }
    }
}
