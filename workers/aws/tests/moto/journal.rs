//! The journal, in a bucket.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use stoker_aws::S3Journal;
use stoker_core::contract::check_journal;
use stoker_core::journal::RecordName;
use stoker_core::ports::JournalStore as _;
use stoker_core::time::Timestamp;

use crate::{Aws, unique};

async fn bucket(aws: &Aws) -> String {
    let name = unique("journal");
    let place = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::EuCentral1)
        .build();
    let make = aws.clients.s3.create_bucket().bucket(&name);
    let make = make.create_bucket_configuration(place);
    make.send().await.unwrap();
    name
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_of_all_journals() {
    let aws = Aws::new().await;
    let bucket = bucket(&aws).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for prefix in ["", "stoker/"] {
        let journal = S3Journal::new(aws.clients.s3.clone(), &bucket).prefix(prefix);
        if let Err(breaches) = check_journal(&journal, Timestamp(now.as_secs())).await {
            panic!("{breaches}");
        }
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told() {
    let aws = Aws::new().await;
    let journal = S3Journal::new(aws.clients.s3.clone(), unique("none"));
    let name = RecordName::new(Timestamp(1), 1);
    let told = journal.write(&name, vec![1]).await.unwrap_err().to_string();
    assert!(told.contains("could not be written"), "{told}");
}
