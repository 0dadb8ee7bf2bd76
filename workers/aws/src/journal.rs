//! The journal in a bucket: one object a record, below `journal/`.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use stoker_core::journal::RecordName;
use stoker_core::ports::{JournalError, JournalStore};

use crate::bucket::{Bucket, Got};

/// The largest record that is read, in bytes, packed.
const LARGEST: usize = 64 << 20;

/// A [`JournalStore`] in S3.
#[derive(Debug, Clone)]
pub struct S3Journal {
    bucket: Bucket,
}

impl S3Journal {
    /// The journal in that bucket.
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

    fn key(&self, name: &RecordName) -> String {
        self.bucket.key(&format!("journal/{name}.jsonl.gz"))
    }
}

#[async_trait]
impl JournalStore for S3Journal {
    async fn write(&self, name: &RecordName, bytes: Vec<u8>) -> Result<(), JournalError> {
        let key = self.key(name);
        self.bucket
            .put_anyway(&key, &bytes, |put| put.content_type("application/gzip"))
            .await
            .map_err(|error| JournalError {
                name: name.clone(),
                what: "written",
                problem: error.to_string(),
            })
    }

    async fn read(&self, name: &RecordName) -> Result<Option<Vec<u8>>, JournalError> {
        match self.bucket.get(&self.key(name), LARGEST, |get| get).await {
            Ok(Got::Object { bytes, .. }) => Ok(Some(bytes)),
            Ok(Got::Absent | Got::Unmet) => Ok(None),
            Err(error) => Err(JournalError {
                name: name.clone(),
                what: "read",
                problem: error.to_string(),
            }),
        }
    }
}
