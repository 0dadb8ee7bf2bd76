//! Parameters that the operator keeps in SSM Parameter Store: the App's id and its private key.
//!
//! Nothing is cached here: who asks decides how long an answer is good for.

use aws_sdk_ssm::Client;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::problem;

/// What a parameter holds that was made before its value was known. Parameter Store takes no empty
/// value, so whoever makes one beforehand writes one of these.
const PLACEHOLDERS: [&str; 3] = ["-", "placeholder", "change-me"];

/// Why a parameter could not be read. The name tells which; the value is in none of them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// There is none.
    #[error(
        "SSM has no parameter `{0}` in this region: create it (a SecureString if it is a secret), or correct its name in the settings"
    )]
    Missing(String),
    /// There is one, and it can't be read.
    #[error(
        "SSM parameter `{name}` may not be read: {problem}; allow ssm:GetParameter on it, and kms:Decrypt on its key"
    )]
    NoAccess {
        /// Which one.
        name: String,
        /// The answer.
        problem: String,
    },
    /// There is one, and its value was never filled in.
    #[error("SSM parameter `{0}` holds only a placeholder: write its value")]
    Placeholder(String),
    /// SSM gave no answer.
    #[error("SSM could not give parameter `{name}`: {problem}; it is asked again the next time")]
    Unavailable {
        /// Which one.
        name: String,
        /// The answer.
        problem: String,
    },
}

/// Reads parameters.
#[derive(Debug, Clone)]
pub struct Parameters {
    client: Client,
}

impl Parameters {
    /// Parameters of the client's account and region.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// A parameter that is a secret. White space around it is not part of it: files end with a line
    /// break, secrets don't.
    pub async fn secret(&self, name: &str) -> Result<SecretString, ParameterError> {
        let answer = self
            .client
            .get_parameter()
            .name(name)
            .with_decryption(true)
            .send()
            .await
            .map_err(|error| refused(name, &error))?;
        // Nothing copies the value but what zeroes it when it is dropped.
        let value = answer
            .parameter
            .and_then(|parameter| parameter.value)
            .map(SecretString::from);
        let trimmed = value
            .as_ref()
            .map_or("", |value| value.expose_secret().trim());
        let unset = trimmed.is_empty()
            || PLACEHOLDERS
                .iter()
                .any(|placeholder| trimmed.eq_ignore_ascii_case(placeholder));
        if unset {
            return Err(ParameterError::Placeholder(name.to_owned()));
        }
        Ok(SecretString::from(trimmed))
    }

    /// A parameter that is no secret.
    pub async fn plain(&self, name: &str) -> Result<String, ParameterError> {
        let value = self.secret(name).await?;
        Ok(value.expose_secret().to_owned())
    }
}

fn refused<R: std::fmt::Debug>(
    name: &str,
    error: &aws_sdk_ssm::error::SdkError<
        aws_sdk_ssm::operation::get_parameter::GetParameterError,
        R,
    >,
) -> ParameterError {
    let name = name.to_owned();
    match problem::code(error) {
        Some("ParameterNotFound" | "ParameterVersionNotFound") => ParameterError::Missing(name),
        // A key that may not be used, or is disabled, keeps the value as much as a missing permission.
        Some(
            "AccessDeniedException" | "AccessDenied" | "InvalidKeyId" | "KMSAccessDeniedException",
        ) => ParameterError::NoAccess {
            name,
            problem: problem::words(error),
        },
        _ => ParameterError::Unavailable {
            name,
            problem: problem::words(error),
        },
    }
}
