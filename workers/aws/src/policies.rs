//! Policies and their settings, read from S3 by conditional requests.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use stoker_core::ports::{Fetched, PolicyStore, PolicyStoreError, RepositoryFolder};

use crate::problem;

/// No policy is larger: the largest that is known, a whole Python interpreter in a component, has
/// 18 MB. Whatever is larger is not read into a Lambda's memory.
const LARGEST: usize = 20 * 1024 * 1024;

/// The policies of a bucket, under a prefix (`policies/`).
#[derive(Debug, Clone)]
pub struct S3Policies {
    client: Client,
    bucket: String,
    prefix: String,
}

impl S3Policies {
    /// The policies of that bucket, under `policies/`.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self {
            client,
            bucket: bucket.into(),
            prefix: "policies/".to_owned(),
        }
    }

    /// Under another prefix, with or without its last slash. Empty: the bucket's top.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        let bare = prefix.trim_matches('/');
        self.prefix = if bare.is_empty() {
            String::new()
        } else {
            format!("{bare}/")
        };
        self
    }

    fn refused(&self, key: &str, problem: impl Into<String>) -> PolicyStoreError {
        PolicyStoreError {
            path: format!("s3://{}/{key}", self.bucket),
            problem: problem.into(),
        }
    }

    fn without_object(
        &self,
        key: &str,
        error: &SdkError<GetObjectError>,
    ) -> Result<Fetched, PolicyStoreError> {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        match (status, problem::code(error)) {
            (Some(304), _) => Ok(Fetched::Unchanged),
            // A missing bucket is a 404 too, and no reason to fall back to the built-in rules quietly.
            (_, Some("NoSuchKey")) | (Some(404), None | Some("NotFound")) => Ok(Fetched::Absent),
            (_, Some("AccessDenied")) | (Some(403), _) => Err(self.refused(
                key,
                format!(
                    "{}; allow s3:GetObject on it, and s3:ListBucket on the bucket: without that, S3 says the same of an object that does not exist",
                    problem::words(error)
                ),
            )),
            _ => Err(self.refused(key, problem::words(error))),
        }
    }

    async fn read(
        &self,
        key: &str,
        mut object: GetObjectOutput,
    ) -> Result<Fetched, PolicyStoreError> {
        let too_large = || {
            self.refused(
                key,
                format!(
                    "it is larger than the {LARGEST} bytes that a policy may have; it is not read"
                ),
            )
        };
        let announced = object
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > LARGEST) {
            return Err(too_large());
        }
        let tag = object
            .e_tag()
            .ok_or_else(|| self.refused(key, "S3 sent it without an ETag"))?
            .to_owned();
        let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
        while let Some(chunk) = object.body.next().await {
            let chunk = chunk.map_err(|error| {
                self.refused(key, format!("S3 broke off while sending it: {error}"))
            })?;
            if bytes.len() + chunk.len() > LARGEST {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched::Found { bytes, tag })
    }
}

#[async_trait]
impl PolicyStore for S3Policies {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        let key = format!("{}{path}", self.prefix);
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&key)
            .set_if_none_match(known.map(str::to_owned))
            .send()
            .await;
        match answer {
            Ok(object) => self.read(&key, object).await,
            Err(error) => self.without_object(&key, &error),
        }
    }

    async fn repositories(&self, owner: &str) -> Result<Vec<RepositoryFolder>, PolicyStoreError> {
        let prefix = format!("{}repos/{owner}/", self.prefix);
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&prefix)
            .into_paginator()
            .send();
        let mut folders: BTreeMap<String, RepositoryFolder> = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                let words = problem::words(&error);
                self.refused(
                    &prefix,
                    format!("{words}; allow s3:ListBucket on the bucket"),
                )
            })?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                let Some((name, file)) = key
                    .strip_prefix(&prefix)
                    .and_then(|path| path.split_once('/'))
                else {
                    continue;
                };
                let folder = folders
                    .entry(name.to_owned())
                    .or_insert_with(|| RepositoryFolder {
                        name: name.to_owned(),
                        policy: false,
                        settings: false,
                    });
                folder.policy |= file == "policy.wasm";
                folder.settings |= file == "settings.json";
            }
        }
        Ok(folders.into_values().collect())
    }
}
