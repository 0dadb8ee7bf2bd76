//! Compiling and trying a component in this process: what the child does, and what `stoker up` does
//! itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use stoker_policy::activation::NativeCode;
use stoker_policy::artifact::{Loaded, Native, Uploaded};
use stoker_policy::engine::Configuration;
use stoker_policy::self_check::self_check_of;
use stoker_policy::{Failure, Limits, Needs, tame};

use crate::judge::{About, Answer, Judge, JudgeError, Opened, Question, Trying};
use crate::problem::Problem;
use crate::settings;

/// A component that was compiled and lives.
pub(crate) struct Trial {
    policy: Loaded,
    limits: Limits,
}

/// What there is to tell of a component that was taken up.
pub(crate) struct TakenUp {
    pub(crate) trial: Trial,
    pub(crate) about: About,
    pub(crate) code: NativeCode,
    pub(crate) native: Vec<u8>,
}

impl Trial {
    /// Takes a component up.
    pub(crate) fn open(
        configuration: Configuration,
        limits: &Limits,
        component: &[u8],
    ) -> Result<TakenUp, Problem> {
        // wasmtime may panic on hostile bytes: that is a refusal.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let engine = configuration
                .engine()
                .map_err(|error| Failure::Instantiation(error.to_string()))?;
            let admitted = Uploaded::new(component, limits)?.admit(&engine)?;
            let native = Native::of(&admitted, &configuration.id())?;
            let policy = Loaded::new(admitted, limits)?;
            Ok::<_, Failure>((policy, native))
        }))
        .unwrap_or_else(|panic| Err(Failure::HostPanic(words(panic.as_ref()))));
        let (policy, native) = opened.map_err(|failure| Problem::of("policy.wasm", &failure))?;
        let about = About {
            name: policy.description().name.clone(),
            version: policy.description().version.clone(),
            exports: policy.spoken().clone(),
        };
        Ok(TakenUp {
            about,
            code: native.code().clone(),
            native: native.into_bytes(),
            trial: Self {
                policy,
                limits: *limits,
            },
        })
    }

    /// Asks it one thing.
    pub(crate) fn ask(&self, question: &Question) -> Answer {
        let about = question.decision.as_str();
        catch_unwind(AssertUnwindSafe(|| self.answer(question)))
            .unwrap_or_else(|panic| Err(Failure::HostPanic(words(panic.as_ref()))))
            .map_err(|failure| Problem::of(about, &failure))
            .and_then(|needs| {
                if question.trial {
                    self.tried(question)?;
                }
                Ok(needs)
            })
    }

    fn answer(&self, question: &Question) -> Result<Needs, Failure> {
        let needs = self
            .policy
            .needs(question.decision, &question.settings, &self.limits)?;
        stoker_policy::zones_exist(&needs)?;
        Ok(needs)
    }

    /// Has it decide. A refusal of its own may be right about a fleet that is not its owner's.
    fn tried(&self, question: &Question) -> Result<(), Problem> {
        let classes = settings::classes(&question.settings);
        let trials = catch_unwind(AssertUnwindSafe(|| {
            self_check_of(
                &self.policy,
                question.decision,
                &question.settings,
                &classes,
                &self.limits,
            )
        }))
        .map_err(|panic| {
            let failure = Failure::HostPanic(words(panic.as_ref()));
            Problem::of(question.decision.as_str(), &failure)
        })?;
        for trial in trials {
            match trial.outcome {
                Ok(_) | Err(Failure::Refused(_)) => {}
                Err(failure) => {
                    let problem = Problem::of(question.decision.as_str(), &failure);
                    return Err(Problem {
                        message: format!(
                            "it fails in the host's own trial of {}: {}",
                            trial.about, problem.message
                        ),
                        ..problem
                    });
                }
            }
        }
        Ok(())
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .map(|said| (*said).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    tame(said.unwrap_or_else(|| "it does not say why".to_owned()))
}

/// Compiles and tries in this process: for whoever puts policies into a folder of their own machine.
#[derive(Debug, Clone, Copy)]
pub struct InProcess {
    configuration: Configuration,
    limits: Limits,
}

impl InProcess {
    /// Judges by those limits, for that engine.
    pub fn new(configuration: Configuration, limits: Limits) -> Self {
        Self {
            configuration,
            limits,
        }
    }
}

#[async_trait]
impl Judge for InProcess {
    async fn open(&self, component: Arc<Vec<u8>>) -> Result<Opened, JudgeError> {
        let Self {
            configuration,
            limits,
        } = *self;
        let opened =
            tokio::task::spawn_blocking(move || Trial::open(configuration, &limits, &component))
                .await
                .map_err(|error| JudgeError::Unable(error.to_string()))?;
        Ok(match opened {
            Err(problem) => Opened::Refused(problem),
            Ok(taken) => Opened::Open {
                about: taken.about,
                code: taken.code,
                native: taken.native,
                policy: Box::new(Here(Arc::new(taken.trial))),
            },
        })
    }
}

/// A trial in this process.
struct Here(Arc<Trial>);

#[async_trait]
impl Trying for Here {
    async fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<Answer>, JudgeError> {
        let trial = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            questions
                .iter()
                .map(|question| trial.ask(question))
                .collect()
        })
        .await
        .map_err(|error| JudgeError::Unable(error.to_string()))
    }
}
