//! The mirror of the runner's distribution, in a bucket.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use stoker_aws::S3Distribution;
use stoker_core::contract::check_distribution_store;
use stoker_core::ports::DistributionStore as _;

use crate::{Aws, unique};

async fn bucket(aws: &Aws) -> String {
    let name = unique("distribution");
    let place = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::EuCentral1)
        .build();
    let make = aws.clients.s3.create_bucket().bucket(&name);
    let make = make.create_bucket_configuration(place);
    make.send().await.unwrap();
    name
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_of_all_mirrors() {
    let aws = Aws::new().await;
    let bucket = bucket(&aws).await;
    for prefix in ["", "runner/"] {
        let store = S3Distribution::new(aws.clients.s3.clone(), &bucket).prefix(prefix);
        let read = async |path: &str| {
            let get = aws.clients.s3.get_object().bucket(&bucket);
            let object = get.key(format!("{prefix}{path}")).send().await.ok()?;
            Some(object.body.collect().await.unwrap().to_vec())
        };
        if let Err(breaches) = check_distribution_store(&store, &read).await {
            panic!("{breaches}");
        }
    }
}

#[tokio::test]
async fn what_is_given_up_takes_up_no_room() {
    let aws = Aws::new().await;
    let bucket = bucket(&aws).await;
    let store = S3Distribution::new(aws.clients.s3.clone(), &bucket);
    let mut upload = store.upload("releases/2.330.0/archive").await.unwrap();
    upload.add(vec![1; 100]).await.unwrap();
    upload.abort().await.unwrap();
    let uploads = aws.clients.s3.list_multipart_uploads().bucket(&bucket);
    let left = uploads.send().await.unwrap();
    assert_eq!(left.uploads().len(), 0);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told() {
    let aws = Aws::new().await;
    let store = S3Distribution::new(aws.clients.s3.clone(), unique("none"));
    let written = store.replace("sync.json", None, b"{}").await;
    let told = written.unwrap_err().to_string();
    assert!(told.contains("could not write"), "{told}");
    let told = store
        .upload("releases/1/x")
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(told.contains("NoSuchBucket"), "{told}");
    let told = store.list("releases/").await.unwrap_err().to_string();
    assert!(told.contains("could not list"), "{told}");
}
