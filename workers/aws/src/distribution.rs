//! The mirror of the runner's distribution, in a bucket. Archives are multipart uploads, of which S3 shows nothing
//! before they are complete.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use stoker_core::ports::{
    ArchiveUpload, DistributionError, DistributionStore, Fetched, PolicyStoreError, Replaced,
    Stored,
};

use crate::bucket::{self, Bucket, Got, Over, Wrote};
use crate::problem;

/// No document is larger: GitHub's list has some hundred kilobytes.
const LARGEST: usize = 16 << 20;

/// S3 says that it may take minutes to put an archive together from its parts; these have a few hundred megabytes
/// at most.
const TO_COMPLETE: Duration = Duration::from_mins(1);

/// What a role needs to write an archive.
const TO_UPLOAD: &str = "allow s3:PutObject and s3:AbortMultipartUpload on it, and kms:GenerateDataKey and kms:Decrypt on the bucket's key";

/// A [`DistributionStore`] in S3.
#[derive(Debug, Clone)]
pub struct S3Distribution {
    bucket: Bucket,
}

impl S3Distribution {
    /// The mirror in that bucket, at its top.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self {
            bucket: Bucket::new(client, bucket),
        }
    }

    /// Below that prefix, with or without its first and last slash.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        Self {
            bucket: self.bucket.prefix(prefix),
        }
    }
}

/// The port's form of what a bucket says.
fn failed(what: &'static str) -> impl Fn(PolicyStoreError) -> DistributionError {
    move |error| DistributionError {
        what,
        path: error.path,
        problem: error.problem,
    }
}

#[async_trait]
impl DistributionStore for S3Distribution {
    async fn fetch(&self, path: &str) -> Result<Fetched, DistributionError> {
        let key = self.bucket.key(path);
        let got = self.bucket.get(&key, LARGEST, |get| get).await;
        Ok(match got.map_err(failed("read"))? {
            Got::Absent | Got::Unmet => Fetched::Absent,
            Got::Object { bytes, tag, .. } => Fetched::Found { bytes, tag },
        })
    }

    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, DistributionError> {
        let key = self.bucket.key(path);
        let over = known.map_or(Over::Nothing, Over::Known);
        let wrote = self
            .bucket
            .put(&key, bytes, over, |put| {
                put.content_type("application/json")
            })
            .await
            .map_err(failed("write"))?;
        if let Wrote::Written(tag) = wrote {
            return Ok(Replaced::Written { tag });
        }
        // The SDK repeats a write whose answer was lost, and that one then meets its own success.
        let got = self.bucket.get(&key, LARGEST, |get| get).await;
        match got.map_err(failed("read"))? {
            Got::Object {
                bytes: there, tag, ..
            } if there == bytes => Ok(Replaced::Written { tag }),
            _ => Ok(Replaced::Conflict),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Stored>, DistributionError> {
        let begin = self.bucket.key(prefix);
        let mut pages = self
            .bucket
            .client
            .list_objects_v2()
            .bucket(&self.bucket.name)
            .prefix(&begin)
            .into_paginator()
            .send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                let words = problem::words(&error);
                let problem = format!("{words}; allow s3:ListBucket on the bucket");
                failed("list")(self.bucket.refused(&begin, problem))
            })?;
            all.extend(page.contents().iter().filter_map(|object| {
                let path = object.key()?.strip_prefix(&self.bucket.prefix)?;
                Some(Stored {
                    path: path.to_owned(),
                    bytes: u64::try_from(object.size()?).ok()?,
                })
            }));
        }
        Ok(all)
    }

    async fn delete(&self, path: &str) -> Result<(), DistributionError> {
        let key = self.bucket.key(path);
        let delete = self.bucket.client.delete_object();
        let deleted = delete.bucket(&self.bucket.name).key(&key).send().await;
        deleted.map(drop).map_err(|error| {
            let problem = format!("{}; allow s3:DeleteObject on it", problem::words(&error));
            failed("delete")(self.bucket.refused(&key, problem))
        })
    }

    async fn upload(&self, path: &str) -> Result<Box<dyn ArchiveUpload>, DistributionError> {
        let key = self.bucket.key(path);
        let begun = self
            .bucket
            .client
            .create_multipart_upload()
            .bucket(&self.bucket.name)
            .key(&key)
            .content_type("application/octet-stream")
            // What the SDK sends with each part: S3 takes no other than what is declared here.
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .send()
            .await;
        let refused = |problem: String| failed("write")(self.bucket.refused(&key, problem));
        let begun =
            begun.map_err(|error| refused(format!("{}; {TO_UPLOAD}", problem::words(&error))))?;
        let id = begun
            .upload_id
            .ok_or_else(|| refused("S3 began to take it and sent no id".to_owned()))?;
        Ok(Box::new(Multipart {
            bucket: self.bucket.clone(),
            key,
            id,
            parts: Vec::new(),
        }))
    }
}

/// A multipart upload.
struct Multipart {
    bucket: Bucket,
    key: String,
    id: String,
    parts: Vec<CompletedPart>,
}

impl Multipart {
    fn refused(&self, problem: String) -> DistributionError {
        failed("write")(self.bucket.refused(&self.key, problem))
    }
}

#[async_trait]
impl ArchiveUpload for Multipart {
    async fn add(&mut self, bytes: Vec<u8>) -> Result<(), DistributionError> {
        // S3 counts them from 1, up to ten thousand.
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let patience = bucket::to_send(bytes.len());
        let sent = self
            .bucket
            .client
            .upload_part()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(number)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(patience)
            .send()
            .await
            .map_err(|error| self.refused(format!("{}; {TO_UPLOAD}", problem::words(&error))))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .build();
        self.parts.push(part);
        Ok(())
    }

    async fn complete(self: Box<Self>) -> Result<(), DistributionError> {
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(self.parts.clone()))
            .build();
        let completed = self
            .bucket
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&self.id)
            .multipart_upload(parts)
            .customize()
            .config_override(bucket::to_wait(TO_COMPLETE))
            .send()
            .await;
        let refused = completed.map_err(|error| self.refused(problem::words(&error)));
        if refused.is_err() {
            // What can't be tidied up now, a life-cycle rule tidies up; the reason is more important.
            let _tidied = self.abort().await;
        }
        refused.map(drop)
    }

    async fn abort(self: Box<Self>) -> Result<(), DistributionError> {
        let aborted = self
            .bucket
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&self.id)
            .send()
            .await;
        aborted.map(drop).map_err(|error| {
            self.refused(format!(
                "{}; a life-cycle rule of the bucket (AbortIncompleteMultipartUpload) tidies up what was sent",
                problem::words(&error)
            ))
        })
    }
}
