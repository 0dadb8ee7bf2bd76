//! What admission publishes, in a bucket.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use stoker_core::ports::{AdmissionStore, Fetched, PolicyStore, PolicyStoreError, Replaced};

use crate::bucket::{Bucket, Got, Over, Wrote};
use crate::problem;

/// No object of admission's is larger: the machine code of the largest policy that is known has a
/// third of it. Whatever is larger is not read into a Lambda's memory.
const LARGEST: usize = 256 * 1024 * 1024;

/// How many paths are listed at once: what S3 gives in one answer.
const LISTED_AT_ONCE: usize = 1_000;

/// The [`PolicyStore`] and [`AdmissionStore`] of a bucket: objects are known by their `ETag`, and
/// conditional writes are S3's own.
#[derive(Debug, Clone)]
pub struct S3Policies {
    bucket: Bucket,
    page_size: usize,
}

impl S3Policies {
    /// What is published in that bucket, at its top: `active.json` is one of its keys.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self {
            bucket: Bucket::new(client, bucket),
            page_size: LISTED_AT_ONCE,
        }
    }

    /// Under a prefix, with or without its last slash. Empty: the bucket's top.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        Self {
            bucket: self.bucket.prefix(prefix),
            ..self
        }
    }

    /// Lists in pages of at most that many objects. Without it, a page is what S3 makes it: a thousand.
    #[must_use]
    pub fn page_size(mut self, objects: usize) -> Self {
        self.page_size = objects;
        self
    }
}

#[async_trait]
impl PolicyStore for S3Policies {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        let key = self.bucket.key(path);
        let known = known.map(str::to_owned);
        let got = self
            .bucket
            .get(&key, LARGEST, |get| get.set_if_none_match(known));
        Ok(match got.await? {
            Got::Absent => Fetched::Absent,
            Got::Unmet => Fetched::Unchanged,
            Got::Object { bytes, tag, .. } => Fetched::Found { bytes, tag },
        })
    }
}

#[async_trait]
impl AdmissionStore for S3Policies {
    async fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, PolicyStoreError> {
        let key = self.bucket.key(path);
        match self
            .bucket
            .put(&key, bytes, Over::Nothing, |put| put)
            .await?
        {
            Wrote::Written(_) => Ok(true),
            Wrote::Unmet => Ok(false),
            Wrote::Met => Err(self.bucket.met(&key)),
        }
    }

    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, PolicyStoreError> {
        let key = self.bucket.key(path);
        let over = known.map_or(Over::Nothing, Over::Known);
        if let Wrote::Written(tag) = self.bucket.put(&key, bytes, over, |put| put).await? {
            return Ok(Replaced::Written { tag });
        }
        // The SDK repeats a write whose answer was lost, and that one then meets its own success.
        match self.bucket.get(&key, LARGEST, |get| get).await? {
            Got::Object {
                bytes: there, tag, ..
            } if there == bytes => Ok(Replaced::Written { tag }),
            _ => Ok(Replaced::Conflict),
        }
    }

    async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), PolicyStoreError> {
        let key = self.bucket.key(path);
        self.bucket.put_anyway(&key, bytes, |put| put).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, PolicyStoreError> {
        let prefix = self.bucket.key(prefix);
        let mut paths = Vec::new();
        let mut next = None;
        // S3 may give fewer than there are, even none, and say that there are more.
        while paths.len() < LISTED_AT_ONCE {
            let left = self.page_size.min(LISTED_AT_ONCE - paths.len());
            let page = self
                .bucket
                .client
                .list_objects_v2()
                .bucket(&self.bucket.name)
                .prefix(&prefix)
                .set_start_after(after.map(|path| self.bucket.key(path)))
                .set_continuation_token(next)
                .max_keys(i32::try_from(left).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| {
                    let words = problem::words(&error);
                    let problem = format!("{words}; allow s3:ListBucket on the bucket");
                    self.bucket.refused(&prefix, problem)
                })?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            paths.extend(
                keys.filter_map(|key| key.strip_prefix(&self.bucket.prefix))
                    .map(str::to_owned),
            );
            next = page.next_continuation_token;
            if next.is_none() {
                break;
            }
        }
        Ok(paths)
    }
}
