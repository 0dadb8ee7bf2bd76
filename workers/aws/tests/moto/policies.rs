//! Policies, in a bucket.

use std::sync::atomic::Ordering;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    VersioningConfiguration,
};
use stoker_aws::{S3Policies, S3Uploads};
use stoker_core::contract::{check_admission_store, check_uploads};
use stoker_core::ports::{
    AdmissionStore as _, Fetched, PolicyStore as _, PolicyUploads as _, Replaced, Upload,
};

use crate::{Aws, clients_of, unique, wire};

const ACTIVE: &str = "active.json";
const UPLOAD: &str = "default/policy.wasm";

/// Whether a bucket keeps versions.
#[derive(Clone, Copy)]
enum Versions {
    None,
    Kept,
}

struct Given {
    aws: Aws,
    bucket: String,
}

impl Given {
    async fn new(versions: Versions) -> Self {
        let aws = Aws::new().await;
        let bucket = unique("policies");
        aws.clients
            .s3
            .create_bucket()
            .bucket(&bucket)
            .create_bucket_configuration(
                CreateBucketConfiguration::builder()
                    .location_constraint(BucketLocationConstraint::EuCentral1)
                    .build(),
            )
            .send()
            .await
            .unwrap();
        let given = Self { aws, bucket };
        if matches!(versions, Versions::Kept) {
            given.keep_versions().await;
        }
        given
    }

    async fn keep_versions(&self) {
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        self.aws
            .clients
            .s3
            .put_bucket_versioning()
            .bucket(&self.bucket)
            .versioning_configuration(enabled)
            .send()
            .await
            .unwrap();
    }

    fn store(&self) -> S3Policies {
        S3Policies::new(self.aws.clients.s3.clone(), &self.bucket)
    }

    fn uploads(&self) -> S3Uploads {
        S3Uploads::new(self.aws.clients.s3.clone(), &self.bucket)
    }

    /// Puts an object there as people do: `aws s3 cp`.
    async fn copy(&self, key: &str, bytes: &[u8]) {
        self.aws
            .clients
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(ByteStream::from(bytes.to_vec()))
            .send()
            .await
            .unwrap();
    }

    async fn delete(&self, key: &str) {
        self.aws
            .clients
            .s3
            .delete_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .unwrap();
    }

    async fn only(&self) -> Upload {
        let mut listed = self.uploads().list().await.unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        listed.remove(0)
    }
}

fn found(fetched: Fetched) -> (Vec<u8>, String) {
    match fetched {
        Fetched::Found { bytes, tag } => (bytes, tag),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_of_all_stores_with_and_without_versions() {
    for versions in [Versions::None, Versions::Kept] {
        let given = Given::new(versions).await;
        if let Err(breaches) = check_admission_store(&given.store()).await {
            panic!("{breaches}");
        }
    }
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_of_all_places_for_uploads_with_and_without_versions() {
    for versions in [Versions::None, Versions::Kept] {
        let given = Given::new(versions).await;
        let delete = async |path: &str| given.delete(&format!("policies/{path}")).await;
        if let Err(breaches) = check_uploads(&given.uploads(), delete).await {
            panic!("{breaches}");
        }
    }
}

#[tokio::test]
async fn what_is_published_lies_at_the_top_and_what_is_uploaded_under_policies() {
    let given = Given::new(Versions::Kept).await;
    given.store().put(ACTIVE, b"active").await.unwrap();
    given.copy("policies/default/policy.wasm", b"one").await;
    let (bytes, _) = found(given.store().fetch(ACTIVE, None).await.unwrap());
    assert_eq!(bytes, b"active");
    assert_eq!(given.only().await.path, UPLOAD);
    let all = given.store().list("", None).await.unwrap();
    assert_eq!(all, [ACTIVE, "policies/default/policy.wasm"]);
}

#[tokio::test]
async fn another_prefix_is_another_place() {
    let given = Given::new(Versions::Kept).await;
    given.copy("staging/active.json", b"active").await;
    given
        .copy("staging/policies/default/policy.wasm", b"one")
        .await;
    for prefix in ["staging", "/staging/"] {
        let store = given.store().prefix(prefix);
        found(store.fetch(ACTIVE, None).await.unwrap());
        let listed = store.list("a", None).await.unwrap();
        assert_eq!(listed, [ACTIVE]);
        let uploads = given.uploads().prefix(prefix).list().await.unwrap();
        assert_eq!(uploads[0].path, UPLOAD);
    }
    let absent = given.store().fetch(ACTIVE, None).await.unwrap();
    assert_eq!(absent, Fetched::Absent);
    assert_eq!(given.uploads().list().await.unwrap(), []);
    assert_eq!(given.uploads().prefix("").list().await.unwrap(), []);
}

#[tokio::test]
async fn a_missing_bucket_is_an_error_and_not_a_missing_policy() {
    let aws = Aws::new().await;
    let bucket = unique("none");
    let store = S3Policies::new(aws.clients.s3.clone(), &bucket);
    let uploads = S3Uploads::new(aws.clients.s3.clone(), &bucket);
    let upload = Upload {
        path: UPLOAD.to_owned(),
        version: "null-0".to_owned(),
        size: 1,
        at: stoker_core::time::Timestamp(1),
    };
    let errors = [
        store.fetch(ACTIVE, None).await.map(|_| ()),
        store.create(ACTIVE, b"x").await.map(|_| ()),
        store.replace(ACTIVE, Some("tag"), b"x").await.map(|_| ()),
        store.put(ACTIVE, b"x").await,
        store.list("", None).await.map(|_| ()),
        uploads.list().await.map(|_| ()),
        uploads.read(&upload).await.map(|_| ()),
        uploads.put(UPLOAD, b"x", "julia").await,
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert!(error.problem.contains("NoSuchBucket"), "{error}");
        assert!(error.path.starts_with(&format!("s3://{bucket}/")));
    }
}

#[tokio::test]
async fn a_list_of_many_pages_is_whole_whoever_cuts_them() {
    let given = Given::new(Versions::None).await;
    for n in 0..10 {
        given.copy(&format!("verdicts/{n}"), b"").await;
    }
    let whole = given.store().list("verdicts/", Some("verdicts/1")).await;
    let whole = whole.unwrap();
    assert_eq!(whole.len(), 8);
    for size in [1, 3, 8, 100] {
        let store = given.store().page_size(size);
        let listed = store.list("verdicts/", Some("verdicts/1")).await.unwrap();
        assert_eq!(listed, whole, "in pages of {size}");
    }
}

#[tokio::test]
async fn a_replacement_whose_answer_was_lost_is_known_to_have_succeeded() {
    let given = Given::new(Versions::Kept).await;
    let (_, known) = {
        given.store().put(ACTIVE, b"before").await.unwrap();
        found(given.store().fetch(ACTIVE, None).await.unwrap())
    };
    for (path, known) in [(ACTIVE, Some(known.as_str())), ("other.json", None)] {
        let losing = wire::losing_the_first_answer(&given.aws.endpoint);
        let store = S3Policies::new(clients_of(&losing).await.s3, &given.bucket);
        let replaced = store.replace(path, known, b"after").await.unwrap();
        let (bytes, tag) = found(given.store().fetch(path, None).await.unwrap());
        assert_eq!(replaced, Replaced::Written { tag });
        assert_eq!(bytes, b"after");
    }
}

#[tokio::test]
async fn a_write_that_meets_another_is_a_conflict_or_to_be_tried_again() {
    let (endpoint, asked) = wire::always(
        "409 Conflict",
        "<Error><Code>ConditionalRequestConflict</Code><Message>met</Message></Error>",
    );
    let store = S3Policies::new(clients_of(&endpoint).await.s3, "policies");
    let told = store.create(ACTIVE, b"x").await.unwrap_err();
    assert!(told.problem.contains("try again"), "{told}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_may_not_be_done_is_told_with_the_permission_that_is_missing() {
    let (endpoint, _) = wire::always(
        "403 Forbidden",
        "<Error><Code>AccessDenied</Code><Message>no</Message></Error>",
    );
    let clients = clients_of(&endpoint).await;
    let store = S3Policies::new(clients.s3.clone(), "policies");
    let uploads = S3Uploads::new(clients.s3, "policies");
    let told = [
        (store.fetch(ACTIVE, None).await.unwrap_err(), "s3:GetObject"),
        (
            store.create(ACTIVE, b"x").await.unwrap_err(),
            "s3:PutObject",
        ),
        (
            store.replace(ACTIVE, None, b"x").await.unwrap_err(),
            "s3:PutObject",
        ),
        (store.list("", None).await.unwrap_err(), "s3:ListBucket"),
        (uploads.list().await.unwrap_err(), "s3:ListBucketVersions"),
    ];
    for (error, permission) in told {
        let words = error.to_string();
        assert!(words.contains("AccessDenied: no"), "{words}");
        assert!(words.contains(permission), "{words}");
    }
}

#[tokio::test]
async fn an_old_version_is_read_where_the_bucket_keeps_it() {
    let given = Given::new(Versions::Kept).await;
    given.copy("policies/default/policy.wasm", b"one").await;
    let first = given.only().await;
    given.copy("policies/default/policy.wasm", b"two").await;
    let old = given.uploads().read(&first).await.unwrap().unwrap();
    assert_eq!(old.bytes, b"one");
    assert_eq!(old.by, None, "nobody said who");
    given.delete("policies/default/policy.wasm").await;
    assert_eq!(given.uploads().list().await.unwrap(), []);
}

#[tokio::test]
async fn an_upload_from_before_the_bucket_kept_versions_is_read_until_there_is_another() {
    let given = Given::new(Versions::None).await;
    given.copy("policies/default/policy.wasm", b"one").await;
    given.keep_versions().await;
    let first = given.only().await;
    assert!(first.version.starts_with("null-"), "{first:?}");
    let read = given.uploads().read(&first).await.unwrap().unwrap();
    assert_eq!(read.bytes, b"one");
    given.copy("policies/default/policy.wasm", b"two").await;
    let second = given.only().await;
    assert!(!second.version.starts_with("null-"), "{second:?}");
    assert_eq!(given.uploads().read(&first).await.unwrap(), None);
}

#[tokio::test]
async fn what_the_console_makes_for_a_folder_is_no_upload() {
    let given = Given::new(Versions::Kept).await;
    for key in ["policies/", "policies/default/", "policies/README"] {
        given.copy(key, b"").await;
    }
    assert_eq!(given.only().await.path, "README");
}

#[tokio::test]
async fn uploads_with_many_old_versions_are_listed_whole_whoever_cuts_the_pages() {
    let given = Given::new(Versions::Kept).await;
    let keys = ["a", "b", "c"].map(|owner| format!("policies/orgs/{owner}/settings.json"));
    for n in 0..5 {
        for key in &keys {
            given.copy(key, format!("{key} {n}").as_bytes()).await;
        }
    }
    given.copy("policies/orgs/d/settings.json", b"gone").await;
    given.delete("policies/orgs/d/settings.json").await;
    let whole = given.uploads().list().await.unwrap();
    assert_eq!(whole.len(), 3);
    for (upload, key) in whole.iter().zip(&keys) {
        let read = given.uploads().read(upload).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(read.bytes).unwrap(), format!("{key} 4"));
    }
    for size in [2, 5, 100] {
        let listed = given.uploads().page_size(size).list().await.unwrap();
        assert_eq!(listed, whole, "in pages of {size}");
    }
}

#[tokio::test]
async fn an_upload_that_is_too_large_is_listed_and_refused_with_the_limit_in_the_error() {
    let given = Given::new(Versions::Kept).await;
    let largest = 20 * 1024 * 1024;
    given
        .copy("policies/default/policy.wasm", &vec![0; largest + 1])
        .await;
    let upload = given.only().await;
    assert_eq!(upload.size, 20_971_521);
    let told = given.uploads().read(&upload).await.unwrap_err();
    assert!(told.problem.contains("20971520"), "{told}");
    let larger = vec![0; largest + 1];
    let told = given.uploads().put(UPLOAD, &larger, "julia").await;
    assert!(told.unwrap_err().problem.contains("20971520"));
    given
        .uploads()
        .put(UPLOAD, &larger[1..], "julia")
        .await
        .unwrap();
    let read = given.uploads().read(&given.only().await).await.unwrap();
    assert_eq!(read.unwrap().bytes.len(), largest);
    // The machine code of the largest policies has more, and is read.
    given.store().create("native", &larger).await.unwrap();
    let (bytes, _) = found(given.store().fetch("native", None).await.unwrap());
    assert_eq!(bytes.len(), largest + 1);
}
