//! An SDK error in an operator's words: the service's code and message, never a debug dump.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Under which the SDK keeps AWS's id of the request, which its support asks for.
const REQUEST_ID: &str = "aws_request_id";

/// What went wrong, in one line.
pub(crate) fn words<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    match error {
        SdkError::ServiceError(answer) => {
            let meta = answer.err().meta();
            let mut words = match (meta.code(), meta.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, Some(message)) => message.to_owned(),
                (None, None) => "an error without a code or a message".to_owned(),
            };
            if let Some(id) = meta.extra(REQUEST_ID) {
                words.push_str(" (request ");
                words.push_str(id);
                words.push(')');
            }
            words
        }
        SdkError::TimeoutError(_) => "it did not answer in time".to_owned(),
        SdkError::DispatchFailure(failure) => format!(
            "it could not be reached: {}",
            failure.as_connector_error().map_or_else(
                || "the request could not be sent".to_owned(),
                |cause| chain(cause)
            )
        ),
        SdkError::ResponseError(_) => "its answer was broken off or can't be read".to_owned(),
        SdkError::ConstructionFailure(_) => {
            format!("the request could not be made: {}", causes(error))
        }
        _ => causes(error),
    }
}

/// The service's own word for the error, if the service answered.
pub(crate) fn code<E, R>(error: &SdkError<E, R>) -> Option<&str>
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(answer) => answer.err().meta().code(),
        _ => None,
    }
}

/// The service's sentence about it, if the service answered.
pub(crate) fn message<E, R>(error: &SdkError<E, R>) -> Option<&str>
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(answer) => answer.err().meta().message(),
        _ => None,
    }
}

/// What an error says was behind it.
fn causes(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}

/// An error and all that is behind it, each said once.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !words.contains(&said) {
            words.push_str(": ");
            words.push_str(&said);
        }
        cause = next.source();
    }
    words
}
