//! Why something is refused, as it is written down and told.

use serde::{Deserialize, Serialize};
use stoker_policy::Failure;

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What it is about, such as `policy.wasm` or `scale-up`.
    pub about: String,
    /// A word for the cause, such as `forbidden-import`; never changes.
    pub cause: String,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

impl Problem {
    /// A failure of a policy or its settings.
    pub fn of(about: impl Into<String>, failure: &Failure) -> Self {
        Self {
            about: about.into(),
            cause: failure.cause().to_owned(),
            message: failure.to_string(),
        }
    }
}
