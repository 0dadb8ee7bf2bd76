//! One of Stoker's Lambdas, as an operator's commands deal with it: invoked and waited for, or asked how it is
//! set up.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;
use thiserror::Error;

use crate::clients::{ATTEMPT, CONNECT, patience};
use crate::inspect::{InspectError, refused};
use crate::problem;

/// No Lambda runs for longer: compiling and trying many policies takes minutes, and so does asking GitHub
/// about many repositories. Who asked waits for the answer.
const LONGEST: Duration = Duration::from_mins(15);

/// There is no answer.
#[derive(Debug, Error)]
pub enum LambdaError {
    /// It was not invoked, or nobody knows what came of it.
    #[error("the Lambda {function} could not be invoked: {problem}")]
    NotInvoked {
        /// Its name.
        function: String,
        /// Why, and what to do.
        problem: String,
    },
    /// It failed.
    #[error("the Lambda {function} failed: {problem}")]
    Failed {
        /// Its name.
        function: String,
        /// What it says.
        problem: String,
    },
    /// It answered something else than JSON.
    #[error("the Lambda {function} answered what is no JSON ({problem}): is it one of Stoker's?")]
    NoJson {
        /// Its name.
        function: String,
        /// What is wrong with it.
        problem: serde_json::Error,
    },
}

/// How a Lambda is set up. What its environment says may be secret, so it is shown nowhere.
pub struct LambdaConfiguration {
    /// Its variables.
    pub environment: HashMap<String, String>,
    /// After how many seconds it is ended.
    pub timeout: u64,
}

/// A Lambda.
#[derive(Debug, Clone)]
pub struct LambdaFunction {
    client: Client,
    function: String,
}

impl LambdaFunction {
    /// The Lambda of that name (or ARN) where this process's environment leads to.
    pub async fn load(function: impl Into<String>) -> Self {
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .load()
            .await;
        Self::new(&config, function)
    }

    /// The same, for a configuration of the SDK. Its time-outs and retries are replaced by ours.
    pub fn new(config: &SdkConfig, function: impl Into<String>) -> Self {
        let patience = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(LONGEST)
            .build();
        let config = aws_sdk_lambda::config::Builder::from(config)
            .timeout_config(patience)
            // What was asked for is perhaps done, and not to be done twice unasked: going back to the policy
            // before twice is going forward again.
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(config),
            function: function.into(),
        }
    }

    /// How it is set up.
    pub async fn configuration(&self) -> Result<LambdaConfiguration, InspectError> {
        const ACTION: &str = "lambda:GetFunctionConfiguration";
        // Asking does nothing, so it is neither waited for that long nor asked for only once.
        let asking = aws_sdk_lambda::config::Builder::new()
            .timeout_config(patience(ATTEMPT))
            .retry_config(RetryConfig::standard());
        let answer = self
            .client
            .get_function_configuration()
            .function_name(&self.function)
            .customize()
            .config_override(asking)
            .send()
            .await
            .map_err(|error| refused(ACTION, &error))?;
        let timeout = answer.timeout().unwrap_or_default();
        let environment = answer
            .environment
            .unwrap_or_else(|| aws_sdk_lambda::types::EnvironmentResponse::builder().build());
        if let Some(error) = environment.error() {
            let said = error.message().unwrap_or("no reason is given");
            return Err(InspectError::NoAccess {
                action: "kms:Decrypt on the key of its environment",
                problem: format!("its environment can't be read: {said}"),
            });
        }
        Ok(LambdaConfiguration {
            environment: environment.variables.unwrap_or_default(),
            timeout: u64::try_from(timeout).unwrap_or_default(),
        })
    }

    /// Invokes it, and waits for its answer.
    ///
    /// # Errors
    /// If it was not invoked, or failed, with what it said.
    pub async fn invoke(&self, request: &Value) -> Result<Value, LambdaError> {
        let not_invoked = |problem| LambdaError::NotInvoked {
            function: self.function.clone(),
            problem,
        };
        let answer = self
            .client
            .invoke()
            .function_name(&self.function)
            .payload(Blob::new(request.to_string()))
            .send()
            .await
            .map_err(|error| {
                let words = problem::words(&error);
                not_invoked(match problem::code(&error) {
                    Some("AccessDeniedException") => {
                        format!("{words}; allow lambda:InvokeFunction on it")
                    }
                    Some("ResourceNotFoundException") => {
                        format!(
                            "{words}; correct its name: a Lambda belongs to one region and account"
                        )
                    }
                    _ => words,
                })
            })?;
        let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
        let said: Result<Value, _> = serde_json::from_slice(payload);
        if answer.function_error().is_some() {
            return Err(LambdaError::Failed {
                function: self.function.clone(),
                problem: failure(said.as_ref().ok()),
            });
        }
        said.map_err(|problem| LambdaError::NoJson {
            function: self.function.clone(),
            problem,
        })
    }
}

/// What a Lambda that failed says.
fn failure(said: Option<&Value>) -> String {
    let message = said.and_then(|said| said["errorMessage"].as_str());
    message.map_or_else(
        || "it does not say why; see its log".to_owned(),
        ToOwned::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lambda_that_fails_is_quoted() {
        let said = json!({"errorType": "anyhow::Error", "errorMessage": "no key"});
        assert_eq!(failure(Some(&said)), "no key");
        assert!(failure(Some(&json!({}))).contains("see its log"));
        assert!(failure(None).contains("see its log"));
    }
}
