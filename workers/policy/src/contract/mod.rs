//! The contract with policies, one module per version. Types in WIT match exactly, so any change of a
//! type is a new version beside the ones that are there, and old policies keep running: each version's
//! module converts between its own types and core's, behind one trait.

mod shapes;
mod since_v0_1;
#[cfg(test)]
mod since_v0_2;
pub(crate) mod tame;

use std::fmt;

use serde::{Deserialize, Serialize};
use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::plan::{Basis, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::situation::Situation;
use wasmtime::component::{InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::failure::Failure;
use crate::run::Guest;

pub(crate) use shapes::{plan_from, situation_into, sync_shapes, verdicts_from};

/// What the names of the contract's interfaces begin with.
pub(crate) const PACKAGE: &str = "stoker:policy/";

/// What this host speaks, for people.
const SPOKEN_HERE: &str = "stoker:policy@0.1";

/// A decision that a policy may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Which runners to launch.
    ScaleUp,
    /// Which runners to retire.
    ScaleDown,
    /// Which versions of the runner to mirror and to offer.
    Sync,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ScaleUp, Self::ScaleDown, Self::Sync];

    /// The contract's word for it: the name of its interface, and of its object in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScaleUp => "scale-up",
            Self::ScaleDown => "scale-down",
            Self::Sync => "sync",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A version of the contract. Within one, the types are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// `stoker:policy@0.1`.
    #[serde(rename = "0.1")]
    V0_1,
    /// A second one, so that it is tested that an old component keeps working.
    #[cfg(test)]
    #[serde(rename = "0.2")]
    V0_2,
}

impl Version {
    /// The version that the name of an interface ends with: patch releases only add.
    fn of(version: &str) -> Option<Self> {
        let mut parts = version.split('.');
        match (parts.next()?, parts.next()?) {
            ("0", "1") => Some(Self::V0_1),
            #[cfg(test)]
            ("0", "2") => Some(Self::V0_2),
            _ => None,
        }
    }
}

/// What a component exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// In which version of the contract.
    pub version: Version,
    /// Which decisions it takes.
    pub decisions: Vec<Decision>,
}

/// What a component exports, by the names of its exports.
///
/// # Errors
/// [`Failure::WrongWorld`] if it is no policy, or one of a version that this host does not speak.
pub(crate) fn spoken<'a>(exports: impl Iterator<Item = &'a str>) -> Result<Spoken, Failure> {
    let interfaces: Vec<(&str, &str)> = exports
        .filter_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'))
        .collect();
    let about = || {
        interfaces
            .iter()
            .filter(|(interface, _)| *interface == "about")
            .map(|(_, version)| *version)
    };
    let Some(version) = about().filter_map(Version::of).max() else {
        return Err(wrong_world(match about().next() {
            None => format!("the component does not export `{PACKAGE}about`"),
            Some(other) => format!("the component speaks stoker:policy@{other}"),
        }));
    };
    let decisions = Decision::ALL
        .into_iter()
        .filter(|decision| {
            interfaces.iter().any(|(interface, of)| {
                *interface == decision.as_str() && Version::of(of) == Some(version)
            })
        })
        .collect();
    Ok(Spoken { version, decisions })
}

/// The failure of a component that is not what this host expects. The problem may quote it.
pub(crate) fn wrong_world(problem: String) -> Failure {
    Failure::WrongWorld {
        problem: tame::tame(problem),
        spoken: SPOKEN_HERE,
    }
}

/// Whether an import is the one that policies get, of a version that this host speaks.
pub(crate) fn is_logging(import: &str) -> bool {
    import
        .strip_prefix(PACKAGE)
        .and_then(|name| name.strip_prefix("logging@"))
        .is_some_and(|version| Version::of(version).is_some())
}

/// Gives a policy what it may import.
pub(crate) fn add_logging(linker: &mut Linker<Guest>, spoken: &Spoken) -> wasmtime::Result<()> {
    match spoken.version {
        Version::V0_1 => since_v0_1::add_logging(linker),
        #[cfg(test)]
        Version::V0_2 => Ok(()),
    }
}

/// The component behind its version's module.
pub(crate) fn of(
    instance: &InstancePre<Guest>,
    spoken: &Spoken,
) -> wasmtime::Result<Box<dyn Contract>> {
    Ok(match spoken.version {
        Version::V0_1 => Box::new(since_v0_1::Component::new(instance, spoken)?),
        #[cfg(test)]
        Version::V0_2 => Box::new(since_v0_2::Component::new(instance)?),
    })
}

/// What a policy says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its author's version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The JSON schema of its settings.
    pub settings_schema: Option<String>,
}

/// What a policy needs of the host to decide.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Needs {
    /// IANA names of the zones that it wants to be told the time of.
    pub time_zones: Vec<String>,
}

/// Something in the settings that a policy does not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// JSON pointer.
    pub(crate) at: String,
    /// What is wrong.
    pub(crate) problem: String,
}

/// A policy's answer.
#[derive(Debug)]
pub(crate) enum Answer<P> {
    /// A plan, checked against what was shown.
    Plan(P),
    /// It refused, and said why.
    Refused(String),
    /// It named something that does not exist.
    Unusable(String),
}

impl<P> Answer<P> {
    fn of<W>(answer: Result<W, String>, checked: impl FnOnce(W) -> Result<P, String>) -> Self {
        match answer.map(checked) {
            Ok(Ok(plan)) => Self::Plan(plan),
            Ok(Err(problem)) => Self::Unusable(problem),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

/// A component of some version. Every call instantiates it in the store that it is given.
///
/// # Errors
/// All of them: the call trapped, or its answer could not be read.
pub(crate) trait Contract: Send + Sync {
    /// The engine that it was compiled for.
    fn engine(&self) -> &Engine;

    /// Brings it to life, and asks it nothing.
    fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<()>;

    /// Asks who it is.
    fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Description>;

    /// Asks whether it accepts settings.
    fn validate_settings(
        &self,
        store: &mut Store<Guest>,
        decision: Decision,
        settings: &str,
    ) -> wasmtime::Result<Result<Needs, Vec<Complaint>>>;

    /// Asks which runners to launch.
    fn scale_up(
        &self,
        store: &mut Store<Guest>,
        situation: &Situation,
        level: PolicyLevel,
        basis: &Basis,
    ) -> wasmtime::Result<Answer<Plan>>;

    /// Asks which runners to retire.
    fn scale_down(
        &self,
        store: &mut Store<Guest>,
        situation: &Situation,
        level: PolicyLevel,
        basis: &Basis,
    ) -> wasmtime::Result<Answer<ScaleDownPlan>>;

    /// Asks which versions of the runner to mirror and to offer.
    fn sync(
        &self,
        store: &mut Store<Guest>,
        distribution: &Distribution,
        basis: &Basis,
    ) -> wasmtime::Result<Answer<SyncPlan>>;
}

#[cfg(test)]
mod tests;
