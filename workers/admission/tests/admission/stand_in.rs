//! A judge for components that are a line of text: what they take, and which settings they accept. Its
//! answers are a pure function, so that a test can ask it too.
//!
//!     policy NAME takes scale-up,scale-down accepts a,b        a policy
//!     refused NAME                                             no policy
//!     killer NAME                                              kills whoever tries it

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use stoker_admission::Problem;
use stoker_admission::judge::{About, Answer, Judge, JudgeError, Opened, Question, Trying};
use stoker_core::ids::ArtifactDigest;
use stoker_policy::activation::NativeCode;
use stoker_policy::engine::Configuration;
use stoker_policy::{Decision, Needs, Spoken, Version};

/// What a component is, by its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Component {
    Policy {
        name: String,
        takes: Vec<Decision>,
        accepts: Vec<String>,
    },
    Refused,
    Killer,
}

pub(crate) fn component(bytes: &[u8]) -> Component {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["policy", name, "takes", takes, "accepts", accepts] => Component::Policy {
            name: (*name).to_owned(),
            takes: Decision::ALL
                .into_iter()
                .filter(|decision| takes.split(',').any(|word| word == decision.as_str()))
                .collect(),
            accepts: accepts.split(',').map(ToOwned::to_owned).collect(),
        },
        ["killer", _] => Component::Killer,
        _ => Component::Refused,
    }
}

/// Whether a component accepts settings.
pub(crate) fn accepts(bytes: &[u8], settings: &str) -> Result<(), String> {
    let Component::Policy { accepts, .. } = component(bytes) else {
        return Err("it is no policy".to_owned());
    };
    let settings: Value = serde_json::from_str(settings).unwrap();
    let keys = settings.as_object().unwrap().keys();
    let unknown: Vec<&String> = keys.filter(|key| !accepts.contains(*key)).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("it does not know {unknown:?}"))
    }
}

fn problem(about: &str, message: String) -> Problem {
    Problem {
        about: about.to_owned(),
        cause: "stand-in".to_owned(),
        message,
    }
}

/// The judge.
pub(crate) struct StandIn {
    pub(crate) configuration: Configuration,
    /// How many components it has taken up.
    pub(crate) opened: std::sync::atomic::AtomicUsize,
}

impl StandIn {
    pub(crate) fn new(configuration: Configuration) -> Self {
        Self {
            configuration,
            opened: std::sync::atomic::AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Judge for StandIn {
    async fn open(&self, bytes: Arc<Vec<u8>>) -> Result<Opened, JudgeError> {
        self.opened
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match component(&bytes) {
            Component::Killer => Err(JudgeError::Killed("signal 9".to_owned())),
            Component::Refused => Ok(Opened::Refused(problem(
                "policy.wasm",
                "it is no policy".to_owned(),
            ))),
            Component::Policy { name, takes, .. } => {
                let engine = self.configuration.id();
                let native = [format!("{engine} ").as_bytes(), &bytes[..]].concat();
                Ok(Opened::Open {
                    about: About {
                        name,
                        version: "1".to_owned(),
                        exports: Spoken {
                            version: Version::V0_1,
                            decisions: takes,
                        },
                    },
                    code: NativeCode {
                        digest: ArtifactDigest::of(&native),
                        bytes: native.len() as u64,
                        engine,
                    },
                    native,
                    policy: Box::new(Policy(bytes)),
                })
            }
        }
    }
}

struct Policy(Arc<Vec<u8>>);

#[async_trait]
impl Trying for Policy {
    async fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<Answer>, JudgeError> {
        Ok(questions
            .iter()
            .map(|question| {
                accepts(&self.0, &question.settings)
                    .map(|()| Needs::default())
                    .map_err(|told| problem(question.decision.as_str(), told))
            })
            .collect())
    }
}
