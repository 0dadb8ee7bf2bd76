//! What instances read when they boot: one `SecureString` of SSM for each.
//!
//! The parameter is `/<prefix>/<deployment>/runners/<instance id>` and carries the instance's id as a
//! tag (`InstanceId`), so that one IAM policy can let every instance read and delete its own and no
//! other.

use async_trait::async_trait;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{BuildError, SdkError};
use aws_sdk_ssm::operation::put_parameter::PutParameterError;
use aws_sdk_ssm::types::{ParameterTier, ParameterType, Tag};
use secrecy::{ExposeSecret as _, SecretString};
use stoker_core::boot::InstanceConfiguration;
use stoker_core::ids::{Deployment, InstanceId};
use stoker_core::ports::{ConfigurationError, Configurations};

use crate::fleet::tags;
use crate::problem;

/// The tag that IAM compares with the instance that asks.
const INSTANCE_TAG: &str = "InstanceId";

/// The parameters of one deployment's instances.
#[derive(Debug, Clone)]
pub struct SsmConfigurations {
    client: Client,
    deployment: Deployment,
    prefix: String,
    kms_key: Option<String>,
}

impl SsmConfigurations {
    /// Parameters under `/stoker/<deployment>/runners/`, encrypted by the account's own key for SSM.
    pub fn new(client: Client, deployment: Deployment) -> Self {
        Self {
            client,
            deployment,
            prefix: "stoker".to_owned(),
            kms_key: None,
        }
    }

    /// Under another prefix, with or without slashes around it.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.trim_matches('/').clone_into(&mut self.prefix);
        self
    }

    /// Encrypted by that KMS key (id, ARN or alias).
    #[must_use]
    pub fn kms_key(mut self, key: impl Into<String>) -> Self {
        self.kms_key = Some(key.into());
        self
    }

    /// The name of an instance's parameter.
    pub fn parameter_name(&self, instance: &InstanceId) -> String {
        format!("/{}/{}/runners/{instance}", self.prefix, self.deployment)
    }

    /// SSM takes tags only for a parameter that is new, and the value must never lie there without the
    /// tag that fences it. So it is made together with its tags; what is there already has them, and
    /// only its value is replaced.
    async fn write(
        &self,
        instance: &InstanceId,
        value: &SecretString,
    ) -> Result<(), ConfigurationError> {
        let failed = |problem: String, may_be_done: bool| ConfigurationError {
            instance: instance.clone(),
            what: "written",
            may_be_done,
            problem,
        };
        let tags = [
            tag(INSTANCE_TAG, instance.as_str()),
            tag(tags::DEPLOYMENT, self.deployment.as_str()),
        ];
        let tags: Result<Vec<Tag>, _> = tags.into_iter().collect();
        let tags = tags.map_err(|error| failed(error.to_string(), false))?;
        let put = || {
            self.client
                .put_parameter()
                .name(self.parameter_name(instance))
                .value(value.expose_secret())
                .r#type(ParameterType::SecureString)
                .tier(ParameterTier::IntelligentTiering)
                .set_key_id(self.kms_key.clone())
        };
        let made = put().overwrite(false).set_tags(Some(tags)).send().await;
        let Err(error) = made else {
            return Ok(());
        };
        if problem::code(&error) != Some("ParameterAlreadyExists") {
            return Err(failed(discreet(&error, value), !is_refused(&error)));
        }
        match put().overwrite(true).send().await {
            Ok(_) => Ok(()),
            // What is there may be what this call wrote at first, with the answer lost.
            Err(error) => Err(failed(discreet(&error, value), true)),
        }
    }
}

#[async_trait]
impl Configurations for SsmConfigurations {
    async fn put(
        &self,
        instance: &InstanceId,
        configuration: &InstanceConfiguration,
    ) -> Result<(), ConfigurationError> {
        let value = configuration.to_parameter();
        self.write(instance, &value).await
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), ConfigurationError> {
        let answer = self
            .client
            .delete_parameter()
            .name(self.parameter_name(instance))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            // The instance has read and deleted it.
            Err(error) if problem::code(&error) == Some("ParameterNotFound") => Ok(()),
            Err(error) => Err(ConfigurationError {
                instance: instance.clone(),
                what: "deleted",
                may_be_done: true,
                problem: problem::words(&error),
            }),
        }
    }

    async fn delete_all(&self, instances: &[InstanceId]) -> Result<(), ConfigurationError> {
        let mut done = Ok(());
        for some in instances.chunks(DELETED_AT_ONCE) {
            let names = some.iter().map(|one| self.parameter_name(one)).collect();
            let delete = self.client.delete_parameters().set_names(Some(names));
            // Those that are not there any more are named in the answer, and no error.
            if let (Err(error), Some(first)) = (delete.send().await, some.first()) {
                done = Err(ConfigurationError {
                    instance: first.clone(),
                    what: "deleted",
                    may_be_done: true,
                    problem: problem::words(&error),
                });
            }
        }
        done
    }
}

/// How many parameters one request deletes at most ("`DeleteParameters`", AWS Systems Manager API).
const DELETED_AT_ONCE: usize = 10;

fn tag(key: &str, value: &str) -> Result<Tag, BuildError> {
    Tag::builder().key(key).value(value).build()
}

/// Whether SSM will not write it, and has not at any attempt: what it throttles may have been written by the
/// attempt before.
fn is_refused<R>(error: &SdkError<PutParameterError, R>) -> bool {
    matches!(
        problem::code(error),
        Some(
            "AccessDeniedException"
                | "InvalidKeyId"
                | "ParameterLimitExceeded"
                | "UnsupportedParameterType"
                | "ValidationException"
        )
    )
}

/// What went wrong, without the value: AWS's validation errors repeat what they complain about
/// ("Value '…' at 'value' failed to satisfy constraint").
fn discreet<R: std::fmt::Debug>(
    error: &SdkError<PutParameterError, R>,
    value: &SecretString,
) -> String {
    let repeats = problem::message(error)
        .is_some_and(|message| message.contains("at 'value'") || shares(message, value));
    if repeats {
        format!(
            "{}: SSM does not take the value (its words are left out, since they repeat it)",
            problem::code(error).unwrap_or("refused")
        )
    } else {
        problem::words(error)
    }
}

/// Whether a text holds a piece of the secret that is long enough to matter.
fn shares(text: &str, secret: &SecretString) -> bool {
    const PIECE: usize = 24;
    let secret = secret.expose_secret().as_bytes();
    secret
        .windows(PIECE.min(secret.len().max(1)))
        .any(|piece| text.as_bytes().windows(piece.len()).any(|w| w == piece))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::error::ErrorMetadata;

    use super::*;

    fn refused(code: &str, message: &str) -> String {
        let value = SecretString::from("sesame-0123456789-abcdefghijklmnopqrstuvwxyz".to_owned());
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        let error = SdkError::service_error(PutParameterError::generic(meta), ());
        discreet(&error, &value)
    }

    #[test]
    fn a_refusal_that_repeats_the_value_or_part_of_it_is_told_without_its_words() {
        for message in [
            "Value 'sesame-0123456789-abcdefghijklmnopqrstuvwxyz' at 'value' failed to satisfy constraint",
            "1 validation error: sesame-0123456789-abcdefghijk is too long",
        ] {
            let words = refused("ValidationException", message);
            assert!(words.contains("ValidationException"), "{words}");
            assert!(!words.contains("sesame"), "{words}");
        }
    }

    #[test]
    fn only_what_every_attempt_would_have_met_is_a_refusal() {
        let error = |code: &str| {
            let meta = ErrorMetadata::builder().code(code).build();
            SdkError::service_error(PutParameterError::generic(meta), ())
        };
        assert!(is_refused(&error("AccessDeniedException")));
        for code in [
            "ThrottlingException",
            "InternalServerError",
            "TooManyUpdates",
        ] {
            assert!(!is_refused(&error(code)), "{code}");
        }
    }

    #[test]
    fn another_refusal_is_told_in_ssms_words() {
        assert_eq!(
            refused("InvalidKeyId", "no such key"),
            "InvalidKeyId: no such key"
        );
    }
}
