//! The signing key, in KMS.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use stoker_aws::KmsSigner;
use stoker_core::contract::check_signer;
use stoker_core::ports::PolicySigner as _;

use crate::{Aws, clients_of, unique, wire};

async fn key(aws: &Aws, spec: KeySpec) -> String {
    let made = aws
        .clients
        .kms
        .create_key()
        .key_spec(spec)
        .key_usage(KeyUsageType::SignVerify)
        .send()
        .await
        .unwrap();
    made.key_metadata.unwrap().key_id
}

fn verify(key: &[u8], statement: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(statement, signature)
        .is_ok()
}

#[tokio::test]
async fn a_key_of_kms_keeps_the_contract_of_all_signers_by_its_id_and_by_an_alias() {
    let aws = Aws::new().await;
    let id = key(&aws, KeySpec::EccNistP256).await;
    let alias = format!("alias/{}", unique("signing"));
    aws.clients
        .kms
        .create_alias()
        .alias_name(&alias)
        .target_key_id(&id)
        .send()
        .await
        .unwrap();
    for name in [&id, &alias] {
        let signer = KmsSigner::new(aws.clients.kms.clone(), name);
        if let Err(breaches) = check_signer(&signer, verify).await {
            panic!("{breaches}");
        }
    }
}

#[tokio::test]
async fn a_key_of_another_kind_is_refused_with_the_kind_that_is_wanted() {
    let aws = Aws::new().await;
    for spec in [KeySpec::Rsa2048, KeySpec::EccNistP384] {
        let signer = KmsSigner::new(aws.clients.kms.clone(), key(&aws, spec).await);
        let told = signer.public_key().await.unwrap_err().to_string();
        assert!(told.contains("ECC_NIST_P256"), "{told}");
        let told = signer.sign(b"statement").await.unwrap_err().to_string();
        assert!(told.contains("ECC_NIST_P256"), "{told}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_is_named() {
    let aws = Aws::new().await;
    let signer = KmsSigner::new(aws.clients.kms.clone(), "alias/none");
    for told in [
        signer.sign(b"statement").await.unwrap_err(),
        signer.public_key().await.unwrap_err(),
    ] {
        let told = told.to_string();
        assert!(told.contains("alias/none"), "{told}");
        assert!(told.contains("NotFoundException"), "{told}");
        assert!(told.contains("correct its id"), "{told}");
    }
}

#[tokio::test]
async fn a_key_that_may_not_be_used_is_told_with_the_permission_that_is_missing() {
    let (endpoint, _) = wire::always(
        "400 Bad Request",
        r#"{"__type":"AccessDeniedException","message":"no"}"#,
    );
    let signer = KmsSigner::new(clients_of(&endpoint).await.kms, "alias/signing");
    let told = signer.sign(b"statement").await.unwrap_err().to_string();
    assert!(told.contains("allow kms:Sign on it"), "{told}");
    let told = signer.public_key().await.unwrap_err().to_string();
    assert!(told.contains("allow kms:GetPublicKey on it"), "{told}");
}
