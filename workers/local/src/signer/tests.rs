use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use stoker_core::contract::check_signer;

use super::*;

fn verify(key: &[u8], statement: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(statement, signature)
        .is_ok()
}

#[tokio::test]
async fn a_key_in_memory_keeps_the_contract_of_all_signers() {
    let signer = LocalSigner::in_memory().unwrap();
    if let Err(breaches) = check_signer(&signer, verify).await {
        panic!("{breaches}");
    }
}

#[tokio::test]
async fn a_key_in_a_file_keeps_the_contract_of_all_signers_whoever_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not/there/yet/signing.key");
    let first = LocalSigner::open(&path).unwrap();
    let again = LocalSigner::open(&path).unwrap();
    if let Err(breaches) = check_signer(&again, verify).await {
        panic!("{breaches}");
    }
    let signature = first.sign(b"statement").await.unwrap();
    let key = again.public_key().await.unwrap();
    assert!(verify(&key, b"statement", &signature));
    let stranger = LocalSigner::in_memory().unwrap();
    let other = stranger.public_key().await.unwrap();
    assert!(!verify(&other, b"statement", &signature));
}

#[test]
fn of_many_who_find_no_key_at_once_all_get_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key");
    let publics: BTreeSet<Vec<u8>> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| LocalSigner::open(&path).unwrap().public))
            .collect();
        opening.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(publics.len(), 1);
    // Nothing of a key that came too late is left.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_key_is_its_owner_s_alone_and_one_that_is_not_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key");
    LocalSigner::open(&path).unwrap();
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let told = LocalSigner::open(&path).unwrap_err();
    assert!(matches!(told, LocalSignerError::Exposed { .. }), "{told}");
    assert!(told.to_string().contains("mode 640"), "{told}");
}

#[cfg(unix)]
#[test]
fn what_is_no_key_is_told_and_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key");
    for bytes in [&b""[..], b"no key", &[0; 10_000]] {
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let told = LocalSigner::open(&path).unwrap_err();
        assert!(matches!(told, LocalSignerError::NotAKey { .. }), "{told}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    let told = LocalSigner::open(folder.path()).unwrap_err();
    assert!(told.to_string().contains("signing key"), "{told}");
}

#[test]
fn nothing_of_the_key_is_in_its_debug_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key");
    let signer = LocalSigner::open(&path).unwrap();
    let told = format!("{signer:?}");
    let expected = format!(
        "LocalSigner {{ name: {:?}, .. }}",
        path.display().to_string()
    );
    assert_eq!(told, expected);
}
