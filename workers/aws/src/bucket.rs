//! A part of a bucket: objects read, and written on conditions.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use stoker_core::ports::PolicyStoreError;

use crate::{clients, problem};

/// The metadata in which an upload says whose it is.
pub(crate) const BY: &str = "stoker-by";

/// How many bytes a second are waited for while an object is written, beside the time of any other
/// request: a component of 18 MB is uploaded from a desk, too, and not only from inside AWS.
const SLOWEST: u64 = 256 * 1024;

/// The time that an attempt to send so many bytes has.
pub(crate) fn to_send(bytes: usize) -> Builder {
    to_wait(clients::ATTEMPT + Duration::from_secs(bytes as u64 / SLOWEST))
}

/// That time for an attempt.
pub(crate) fn to_wait(attempt: Duration) -> Builder {
    Builder::new().timeout_config(clients::patience(attempt))
}

/// A part of a bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) client: Client,
    pub(crate) name: String,
    /// Empty, or with a slash at its end.
    pub(crate) prefix: String,
}

/// What there is at a key.
pub(crate) enum Got {
    /// Nothing.
    Absent,
    /// What the condition of the request says.
    Unmet,
    /// This.
    Object {
        bytes: Vec<u8>,
        tag: String,
        /// The metadata [`BY`].
        by: Option<String>,
    },
}

/// What an object must be to be written over.
pub(crate) enum Over<'a> {
    /// Whatever it is.
    Anything,
    /// Nothing.
    Nothing,
    /// The one with that tag.
    Known(&'a str),
}

/// What became of a write.
pub(crate) enum Wrote {
    /// It is written, and has this tag.
    Written(String),
    /// The condition does not hold.
    Unmet,
    /// Another write of the same key is under way.
    Met,
}

impl Bucket {
    pub(crate) fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
            prefix: String::new(),
        }
    }

    /// The part of it under that prefix, with or without its first and last slash.
    pub(crate) fn prefix(self, prefix: &str) -> Self {
        let bare = prefix.trim_matches('/');
        let prefix = if bare.is_empty() {
            String::new()
        } else {
            format!("{bare}/")
        };
        Self { prefix, ..self }
    }

    pub(crate) fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    pub(crate) fn refused(&self, key: &str, problem: impl Into<String>) -> PolicyStoreError {
        PolicyStoreError {
            path: format!("s3://{}/{key}", self.name),
            problem: problem.into(),
        }
    }

    /// Reads an object, `with` what else the request asks for; more than `largest` bytes are refused.
    pub(crate) async fn get(
        &self,
        key: &str,
        largest: usize,
        with: impl FnOnce(GetObjectFluentBuilder) -> GetObjectFluentBuilder + Send,
    ) -> Result<Got, PolicyStoreError> {
        let request = self.client.get_object().bucket(&self.name).key(key);
        match with(request).send().await {
            Ok(object) => self.read(key, largest, object).await,
            Err(error) => self.without_object(key, &error),
        }
    }

    fn without_object(
        &self,
        key: &str,
        error: &SdkError<GetObjectError>,
    ) -> Result<Got, PolicyStoreError> {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        match (status, problem::code(error)) {
            (Some(304 | 412), _) => Ok(Got::Unmet),
            // A missing bucket is a 404 too, and no reason to fall back to the built-in rules quietly.
            (_, Some("NoSuchKey" | "NoSuchVersion")) | (Some(404), None | Some("NotFound")) => {
                Ok(Got::Absent)
            }
            (_, Some("AccessDenied")) | (Some(403), _) => Err(self.refused(
                key,
                format!(
                    "{}; allow s3:GetObject on it (and s3:GetObjectVersion, if it is an upload in a bucket that keeps versions), kms:Decrypt on the bucket's key, and s3:ListBucket on the bucket: without that, S3 says the same of an object that does not exist",
                    problem::words(error)
                ),
            )),
            _ => Err(self.refused(key, problem::words(error))),
        }
    }

    async fn read(
        &self,
        key: &str,
        largest: usize,
        mut object: GetObjectOutput,
    ) -> Result<Got, PolicyStoreError> {
        let announced = object
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > largest) {
            return Err(self.too_large(key, largest));
        }
        let tag = object
            .e_tag()
            .ok_or_else(|| self.refused(key, "S3 sent it without an ETag"))?
            .to_owned();
        let by = object
            .metadata()
            .and_then(|metadata| metadata.get(BY))
            .cloned();
        let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
        while let Some(chunk) = object.body.next().await {
            let chunk = chunk.map_err(|error| {
                self.refused(key, format!("S3 broke off while sending it: {error}"))
            })?;
            if bytes.len() + chunk.len() > largest {
                return Err(self.too_large(key, largest));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Got::Object { bytes, tag, by })
    }

    pub(crate) fn too_large(&self, key: &str, largest: usize) -> PolicyStoreError {
        self.refused(
            key,
            format!(
                "it is larger than the {largest} bytes that it may have; Stoker leaves it alone"
            ),
        )
    }

    /// Writes an object, `with` what else the request is to say.
    pub(crate) async fn put(
        &self,
        key: &str,
        bytes: &[u8],
        over: Over<'_>,
        with: impl FnOnce(PutObjectFluentBuilder) -> PutObjectFluentBuilder + Send,
    ) -> Result<Wrote, PolicyStoreError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .body(ByteStream::from(bytes.to_vec()));
        let request = match over {
            Over::Anything => request,
            Over::Nothing => request.if_none_match("*"),
            Over::Known(tag) => request.if_match(tag),
        };
        let answer = with(request)
            .customize()
            .config_override(to_send(bytes.len()));
        match answer.send().await {
            Ok(written) => self.tag(key, &written).map(Wrote::Written),
            Err(error) => self.not_written(key, &over, &error),
        }
    }

    /// Writes an object over whatever is there.
    pub(crate) async fn put_anyway(
        &self,
        key: &str,
        bytes: &[u8],
        with: impl FnOnce(PutObjectFluentBuilder) -> PutObjectFluentBuilder + Send,
    ) -> Result<(), PolicyStoreError> {
        match self.put(key, bytes, Over::Anything, with).await? {
            Wrote::Written(_) => Ok(()),
            Wrote::Unmet | Wrote::Met => Err(self.met(key)),
        }
    }

    /// What [`Wrote::Met`] is where that is not an answer.
    pub(crate) fn met(&self, key: &str) -> PolicyStoreError {
        self.refused(
            key,
            "another write of it is under way, and nothing was written; try again",
        )
    }

    fn tag(&self, key: &str, written: &PutObjectOutput) -> Result<String, PolicyStoreError> {
        written
            .e_tag()
            .map(str::to_owned)
            .ok_or_else(|| self.refused(key, "S3 wrote it and sent no ETag"))
    }

    fn not_written(
        &self,
        key: &str,
        over: &Over<'_>,
        error: &SdkError<PutObjectError>,
    ) -> Result<Wrote, PolicyStoreError> {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        match (status, problem::code(error)) {
            (Some(412), _) => Ok(Wrote::Unmet),
            (_, Some("ConditionalRequestConflict")) => Ok(Wrote::Met),
            // The object that was to be written over is gone.
            (_, Some("NoSuchKey")) if matches!(over, Over::Known(_)) => Ok(Wrote::Unmet),
            (_, Some("AccessDenied")) | (Some(403), _) => Err(self.refused(
                key,
                format!(
                    "{}; allow s3:PutObject and s3:GetObject on it, and kms:GenerateDataKey and kms:Decrypt on the bucket's key",
                    problem::words(error)
                ),
            )),
            _ => Err(self.refused(key, problem::words(error))),
        }
    }
}
