//! Policies, from a bucket.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use stoker_aws::S3Policies;
use stoker_core::ports::{Fetched, PolicyStore as _, RepositoryFolder};

use crate::{Aws, unique};

const PATH: &str = "default/policy.wasm";

async fn bucket(aws: &Aws) -> String {
    let name = unique("policies");
    aws.clients
        .s3
        .create_bucket()
        .bucket(&name)
        .create_bucket_configuration(
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::EuCentral1)
                .build(),
        )
        .send()
        .await
        .unwrap();
    name
}

async fn upload(aws: &Aws, bucket: &str, key: &str, bytes: Vec<u8>) {
    aws.clients
        .s3
        .put_object()
        .bucket(bucket)
        .key(key)
        .body(ByteStream::from(bytes))
        .send()
        .await
        .unwrap();
}

fn found(fetched: Fetched) -> (Vec<u8>, String) {
    match fetched {
        Fetched::Found { bytes, tag } => (bytes, tag),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_policy_is_read_once_and_again_only_when_it_has_changed() {
    let aws = Aws::new().await;
    let bucket = bucket(&aws).await;
    let policies = S3Policies::new(aws.clients.s3.clone(), &bucket);
    assert_eq!(policies.fetch(PATH, None).await.unwrap(), Fetched::Absent);

    upload(
        &aws,
        &bucket,
        "policies/default/policy.wasm",
        b"one".to_vec(),
    )
    .await;
    let (bytes, tag) = found(policies.fetch(PATH, None).await.unwrap());
    assert_eq!(bytes, b"one");
    assert_eq!(
        policies.fetch(PATH, Some(&tag)).await.unwrap(),
        Fetched::Unchanged
    );

    upload(
        &aws,
        &bucket,
        "policies/default/policy.wasm",
        b"two".to_vec(),
    )
    .await;
    let (bytes, _) = found(policies.fetch(PATH, Some(&tag)).await.unwrap());
    assert_eq!(bytes, b"two");

    aws.clients
        .s3
        .delete_object()
        .bucket(&bucket)
        .key("policies/default/policy.wasm")
        .send()
        .await
        .unwrap();
    assert_eq!(
        policies.fetch(PATH, Some(&tag)).await.unwrap(),
        Fetched::Absent
    );
}

#[tokio::test]
async fn another_prefix_is_another_place() {
    let aws = Aws::new().await;
    let bucket = bucket(&aws).await;
    upload(
        &aws,
        &bucket,
        "staging/default/policy.wasm",
        b"one".to_vec(),
    )
    .await;
    for prefix in ["staging", "/staging/"] {
        let policies = S3Policies::new(aws.clients.s3.clone(), &bucket).prefix(prefix);
        found(policies.fetch(PATH, None).await.unwrap());
    }
}

#[tokio::test]
async fn a_policy_that_is_too_large_is_refused_with_the_limit_in_the_error() {
    let aws = Aws::new().await;
    let bucket = bucket(&aws).await;
    let largest = 20 * 1024 * 1024;
    upload(
        &aws,
        &bucket,
        "policies/default/policy.wasm",
        vec![0; largest + 1],
    )
    .await;
    let policies = S3Policies::new(aws.clients.s3.clone(), &bucket);
    let error = policies.fetch(PATH, None).await.unwrap_err();
    assert!(error.problem.contains("20971520"), "{error}");
    upload(
        &aws,
        &bucket,
        "policies/default/policy.wasm",
        vec![0; largest],
    )
    .await;
    let (bytes, _) = found(policies.fetch(PATH, None).await.unwrap());
    assert_eq!(bytes.len(), largest);
}

#[tokio::test]
async fn a_missing_bucket_is_an_error_and_not_a_missing_policy() {
    let aws = Aws::new().await;
    let error = S3Policies::new(aws.clients.s3.clone(), unique("none"))
        .fetch(PATH, None)
        .await
        .unwrap_err();
    assert!(error.problem.contains("NoSuchBucket"), "{error}");
    assert!(error.path.ends_with("/policies/default/policy.wasm"));
}

#[tokio::test]
async fn the_folders_of_an_owner_s_repositories_are_listed() {
    let aws = Aws::new().await;
    let bucket = bucket(&aws).await;
    let policies = S3Policies::new(aws.clients.s3.clone(), &bucket);
    assert_eq!(policies.repositories("acme").await.unwrap(), []);
    for key in [
        "policies/repos/acme/app/policy.wasm",
        "policies/repos/acme/app/settings.json",
        "policies/repos/acme/web/settings.json",
        "policies/repos/acme-2/other/settings.json",
        "policies/orgs/acme/settings.json",
    ] {
        upload(&aws, &bucket, key, b"{}".to_vec()).await;
    }
    let of = |name: &str, policy| RepositoryFolder {
        name: name.to_owned(),
        policy,
        settings: true,
    };
    let listed = policies.repositories("acme").await.unwrap();
    assert_eq!(listed, [of("app", true), of("web", false)]);
}
