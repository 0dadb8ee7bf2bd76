//! Claims about signers.

use crate::contract::{Held, ensure, same};
use crate::ports::PolicySigner;

/// What `verify` is: key, statement, signature.
pub(super) trait Verify: Fn(&[u8], &[u8], &[u8]) -> bool {}

impl<F: Fn(&[u8], &[u8], &[u8]) -> bool> Verify for F {}

/// The longest statement that may be signed: what KMS takes.
const LONGEST: usize = 4096;

pub(super) async fn a_signature_verifies_with_the_public_key(
    signer: &dyn PolicySigner,
    verify: &impl Verify,
) -> Held {
    let key = signer.public_key().await?;
    let statements: Vec<Vec<u8>> = (1..6_u8).map(|n| vec![n; usize::from(n) * 50]).collect();
    let signings = statements.iter().map(|statement| signer.sign(statement));
    for (statement, signature) in statements
        .iter()
        .zip(futures::future::join_all(signings).await)
    {
        let signature = signature?;
        ensure(verify(&key, statement, &signature), || {
            format!("{signature:02x?} is not a signature for {statement:02x?} by {key:02x?}")
        })?;
    }
    Ok(())
}

pub(super) async fn a_signature_is_for_one_statement(
    signer: &dyn PolicySigner,
    verify: &impl Verify,
) -> Held {
    let key = signer.public_key().await?;
    let signature = signer.sign(b"generation 7").await?;
    for other in [&b"generation 8"[..], b"generation 7 ", b""] {
        ensure(!verify(&key, other, &signature), || {
            format!("the signature for another statement is taken for {other:?}")
        })?;
    }
    let mut bent = signature;
    if let Some(last) = bent.last_mut() {
        *last ^= 1;
    }
    ensure(!verify(&key, b"generation 7", &bent), || {
        "a bent signature is taken".to_owned()
    })
}

pub(super) async fn the_longest_statement_is_signed_and_none_that_is_longer(
    signer: &dyn PolicySigner,
    verify: &impl Verify,
) -> Held {
    let key = signer.public_key().await?;
    let longest = vec![b'x'; LONGEST];
    let signature = signer.sign(&longest).await?;
    ensure(verify(&key, &longest, &signature), || {
        "the longest statement's signature does not verify".to_owned()
    })?;
    let longer = vec![b'x'; LONGEST + 1];
    ensure(signer.sign(&longer).await.is_err(), || {
        format!("a statement of {} bytes is signed", longer.len())
    })
}

pub(super) async fn the_public_key_stays_what_it_is(
    signer: &dyn PolicySigner,
    _: &impl Verify,
) -> Held {
    let key = signer.public_key().await?;
    signer.sign(b"statement").await?;
    same("the key", &signer.public_key().await?, &key)
}
