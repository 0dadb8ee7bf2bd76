//! Who compiles and tries policies. Both are a stranger's code at work, so on AWS a process of its own
//! does it ([`crate::child`]); `stoker up`, whose owner puts the files there, does it in its own.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stoker_policy::activation::NativeCode;
use stoker_policy::{Decision, Needs, Spoken};
use thiserror::Error;

use crate::problem::Problem;

/// Takes up components, to ask them.
#[async_trait]
pub trait Judge: Send + Sync {
    /// Compiles a component, looks at what it wants and offers, and brings it to life.
    ///
    /// # Errors
    /// If that could not be done, or killed who did it: neither says that it is refused.
    async fn open(&self, component: Arc<Vec<u8>>) -> Result<Opened, JudgeError>;
}

/// What became of a component.
pub enum Opened {
    /// It is no policy, or one that no host would take.
    Refused(Problem),
    /// It is one.
    Open {
        /// What it is.
        about: About,
        /// What it was compiled to, and for which engine.
        code: NativeCode,
        /// The machine code.
        native: Vec<u8>,
        /// It, to be asked.
        policy: Box<dyn Trying>,
    },
}

/// A policy that is being tried.
#[async_trait]
pub trait Trying: Send + Sync {
    /// Asks it about settings, and has it decide with them where that is wanted. The answers are in the
    /// order of the questions.
    ///
    /// # Errors
    /// As [`Judge::open`].
    async fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<Answer>, JudgeError>;
}

/// What a policy says of itself, and offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its own name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Which decisions it takes.
    pub exports: Spoken,
}

/// What a policy is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Question {
    /// About which decision.
    pub decision: Decision,
    /// Whether it accepts these merged settings.
    pub settings: String,
    /// Whether it is to decide with them about the host's own situations, within the limits.
    pub trial: bool,
}

/// What it says: what it needs for the settings, or why they, or it with them, are refused.
pub type Answer = Result<Needs, Problem>;

/// Nothing is known of the component.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JudgeError {
    /// It killed the process that compiled and tried it.
    #[error("the process that compiled and tried the component died: {0}")]
    Killed(String),
    /// It could not be tried now.
    #[error("the component could not be tried: {0}")]
    Unable(String),
}
