//! What people put into a bucket.

use std::borrow::Cow;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{EncodingType, ObjectVersion};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use stoker_core::ports::{PolicyStoreError, PolicyUploads, Upload, UploadBytes};
use stoker_core::time::Timestamp;

use crate::bucket::{BY, Bucket, Got};
use crate::problem;

/// How much of that is believed, in characters and in what they are encoded to: S3 keeps 2 KB.
const LONGEST_BY: usize = 256;
/// See [`LONGEST_BY`].
const LONGEST_BY_ENCODED: usize = 1_024;

/// What of it is encoded, beside what is not ASCII: S3 takes nothing else as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The version that S3 gives to objects of a bucket that keeps none.
const NO_VERSION: &str = "null";

/// The [`PolicyUploads`] of a bucket, under `policies/`.
///
/// A version is S3's version id. In a bucket that keeps no versions it is `null-` and the `ETag`, and
/// only the latest can be read.
#[derive(Debug, Clone)]
pub struct S3Uploads {
    bucket: Bucket,
    page_size: Option<i32>,
}

impl S3Uploads {
    /// No upload is larger: the largest policy that is known, a whole Python interpreter in a component,
    /// has 18 MB. Whatever is larger is not read into a Lambda's memory.
    pub const LARGEST: usize = 20 << 20;

    /// What was put under `policies/` in that bucket.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self {
            bucket: Bucket::new(client, bucket).prefix("policies"),
            page_size: None,
        }
    }

    /// Under `policies/` below a prefix, with or without its last slash. Empty: at the bucket's top.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        let prefix = format!("{}/policies", prefix.trim_matches('/'));
        Self {
            bucket: self.bucket.prefix(&prefix),
            ..self
        }
    }

    /// Lists in pages of at most that many versions. Without it, a page is what S3 makes it: a thousand.
    #[must_use]
    pub fn page_size(mut self, versions: i32) -> Self {
        self.page_size = Some(versions);
        self
    }

    /// A version of an object; none if it is not the latest, or no file.
    fn upload(&self, listed: &ListObjectVersionsOutput, one: &ObjectVersion) -> Option<Upload> {
        let key = decoded(listed, one.key()?);
        let path = key.strip_prefix(&self.bucket.prefix)?;
        // The console makes a key with a slash at its end for each folder.
        if one.is_latest() != Some(true) || path.is_empty() || path.ends_with('/') {
            return None;
        }
        let version = match one.version_id() {
            None | Some(NO_VERSION) => {
                format!("{NO_VERSION}-{}", one.e_tag()?.trim_matches('"'))
            }
            Some(version) => version.to_owned(),
        };
        let at = one.last_modified().map_or(0, DateTime::secs);
        Some(Upload {
            path: path.to_owned(),
            version,
            size: one.size().unwrap_or_default().cast_unsigned(),
            at: Timestamp(at.max(0).cast_unsigned()),
        })
    }
}

/// A key as it is. S3 encodes them for the answer, since XML has no form for some characters.
fn decoded<'a>(listed: &ListObjectVersionsOutput, key: &'a str) -> Cow<'a, str> {
    if listed.encoding_type() != Some(&EncodingType::Url) {
        return Cow::Borrowed(key);
    }
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
    Cow::Owned(decoded.into_owned())
}

/// Who uploaded, as S3 keeps it.
fn encoded(by: &str) -> String {
    let mut encoded = String::new();
    for c in one_line(by).chars() {
        let c = c.to_string();
        let next = utf8_percent_encode(&c, ENCODED).to_string();
        if encoded.len() + next.len() > LONGEST_BY_ENCODED {
            break;
        }
        encoded.push_str(&next);
    }
    encoded.trim_end().to_owned()
}

/// Who uploaded, as it is told: anybody may have written anything there.
fn one_line(by: &str) -> String {
    let line: String = by
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_BY)
        .collect();
    line.trim().to_owned()
}

#[async_trait]
impl PolicyUploads for S3Uploads {
    async fn list(&self) -> Result<Vec<Upload>, PolicyStoreError> {
        let mut uploads = Vec::new();
        let mut next = (None, None);
        loop {
            let (key_marker, version_id_marker) = next;
            let page = self
                .bucket
                .client
                .list_object_versions()
                .bucket(&self.bucket.name)
                .prefix(&self.bucket.prefix)
                .encoding_type(EncodingType::Url)
                .set_max_keys(self.page_size)
                .set_key_marker(key_marker)
                .set_version_id_marker(version_id_marker)
                .send()
                .await
                .map_err(|error| {
                    let words = problem::words(&error);
                    let problem = format!("{words}; allow s3:ListBucketVersions on the bucket");
                    self.bucket.refused(&self.bucket.prefix, problem)
                })?;
            uploads.extend(
                page.versions()
                    .iter()
                    .filter_map(|version| self.upload(&page, version)),
            );
            let marker = page
                .next_key_marker()
                .map(|key| decoded(&page, key).into_owned());
            if page.is_truncated() != Some(true) || marker.is_none() {
                return Ok(uploads);
            }
            next = (marker, page.next_version_id_marker);
        }
    }

    async fn read(&self, upload: &Upload) -> Result<Option<UploadBytes>, PolicyStoreError> {
        let key = self.bucket.key(&upload.path);
        let tag = upload
            .version
            .strip_prefix(NO_VERSION)
            .and_then(|rest| rest.strip_prefix('-'));
        let got = self.bucket.get(&key, Self::LARGEST, |get| match tag {
            Some(tag) => get.if_match(format!("\"{tag}\"")),
            None => get.version_id(&upload.version),
        });
        Ok(match got.await? {
            Got::Absent | Got::Unmet => None,
            Got::Object { bytes, by, .. } => {
                let by = by.map(|by| one_line(&percent_decode_str(&by).decode_utf8_lossy()));
                Some(UploadBytes {
                    bytes,
                    by: by.filter(|by| !by.is_empty()),
                })
            }
        })
    }

    async fn put(&self, path: &str, bytes: &[u8], by: &str) -> Result<(), PolicyStoreError> {
        let key = self.bucket.key(path);
        if bytes.len() > Self::LARGEST {
            return Err(self.bucket.too_large(&key, Self::LARGEST));
        }
        let by = encoded(by);
        self.bucket
            .put_anyway(&key, bytes, |put| put.metadata(BY, by))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(encoding: Option<EncodingType>) -> ListObjectVersionsOutput {
        ListObjectVersionsOutput::builder()
            .set_encoding_type(encoding)
            .build()
    }

    #[test]
    fn keys_are_decoded_where_s3_encoded_them_and_only_there() {
        let key = "policies/orgs/a+b%2Bc%01/%C3%B1.wasm";
        let url = decoded(&listed(Some(EncodingType::Url)), key);
        assert_eq!(url, "policies/orgs/a b+c\u{1}/ñ.wasm");
        assert_eq!(decoded(&listed(None), key), key);
    }

    #[test]
    fn who_uploaded_fits_into_what_s3_keeps_whatever_it_is() {
        for by in ["🚂".repeat(1_000), "x".repeat(10_000), "%".repeat(400)] {
            let encoded = encoded(&by);
            assert!(encoded.is_ascii() && encoded.len() <= LONGEST_BY_ENCODED);
            let decoded = percent_decode_str(&encoded).decode_utf8().unwrap();
            assert!(by.starts_with(decoded.as_ref()), "{decoded}");
        }
        assert_eq!(
            encoded(" julia\r\nx-amz-acl: all "),
            "julia  x-amz-acl: all"
        );
    }
}
