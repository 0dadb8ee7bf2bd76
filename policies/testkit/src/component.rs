//! A component, ready to be asked.

use std::path::{Path, PathBuf};

use stoker_policy::artifact::{Admitted, Loaded, Uploaded};
use stoker_policy::engine::Configuration;
use stoker_policy::{Decided, Failure, Limits, SizeClass};
use stoker_policy_sdk::testing::properties::Undecided;
use stoker_policy_sdk::{facts, scale_down, scale_up, sync};

use crate::convert;

/// Why a component can't be asked.
#[derive(Debug)]
pub enum OpenError {
    /// Its file can't be read.
    Unreadable(PathBuf, std::io::Error),
    /// A host would not take it.
    Refused(Failure),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{} can't be read: {error}", path.display()),
            Self::Refused(failure) => write!(f, "a host refuses it: {failure}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// A component in the real host.
pub struct Component {
    loaded: Loaded,
    limits: Limits,
    bytes: usize,
    stubs: Vec<String>,
}

impl Component {
    /// Takes up a component's file as a host of policies in compiled languages does.
    ///
    /// # Errors
    /// Why it can't be read, or why a host would refuse it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|error| OpenError::Unreadable(path.to_owned(), error))?;
        Ok(Self::new(&bytes, SizeClass::Small.limits())?)
    }

    /// Takes up a component's bytes, in a host with those limits.
    ///
    /// # Errors
    /// Why a host would refuse it.
    pub fn new(bytes: &[u8], limits: Limits) -> Result<Self, Failure> {
        let engine = Configuration::STANDARD
            .engine()
            .map_err(|error| Failure::Instantiation(error.to_string()))?;
        let admitted: Admitted = Uploaded::new(bytes, &limits)?.admit(&engine)?;
        Ok(Self {
            stubs: admitted.stubs(),
            loaded: Loaded::new(admitted, &limits)?,
            limits,
            bytes: bytes.len(),
        })
    }

    /// The policy as the host has it.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// What it may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The component's size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it imports of WASI, and what would trap if it were called.
    pub fn stubs(&self) -> &[String] {
        &self.stubs
    }

    /// Asks which runners to launch.
    ///
    /// # Errors
    /// How it failed.
    pub fn scale_up(
        &self,
        situation: &facts::Situation,
    ) -> Result<Decided<scale_up::Plan>, Failure> {
        let (shown, level, basis) = convert::situation(situation);
        let decided = self.loaded.scale_up(&shown, level, &basis, &self.limits)?;
        Ok(with(decided, convert::plan))
    }

    /// Asks which runners to retire.
    ///
    /// # Errors
    /// How it failed.
    pub fn scale_down(
        &self,
        situation: &facts::Situation,
    ) -> Result<Decided<scale_down::Plan>, Failure> {
        let (shown, level, basis) = convert::situation(situation);
        let decided = self
            .loaded
            .scale_down(&shown, level, &basis, &self.limits)?;
        Ok(with(decided, convert::verdicts))
    }

    /// Asks which versions to mirror and to offer.
    ///
    /// # Errors
    /// How it failed.
    pub fn sync(&self, situation: &sync::Situation) -> Result<Decided<sync::Plan>, Failure> {
        let (shown, basis) = convert::distribution(situation);
        let decided = self.loaded.sync(&shown, &basis, &self.limits)?;
        Ok(with(decided, convert::sync_plan))
    }
}

/// A failure as the property checks have it.
pub fn undecided(failure: Failure) -> Undecided {
    match failure {
        Failure::Refused(reason) => Undecided::Refused(reason),
        other => Undecided::Failed(other.to_string()),
    }
}

fn with<A, B>(decided: Decided<A>, convert: impl FnOnce(A) -> B) -> Decided<B> {
    Decided {
        plan: convert(decided.plan),
        logged: decided.logged,
        cost: decided.cost,
    }
}
