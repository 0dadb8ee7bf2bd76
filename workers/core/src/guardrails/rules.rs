//! The host's rules, and what is written down when one clamps.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::class::Capacity;
use crate::ids::ClassName;

/// A host rule that clamps a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The class is not offered with that capacity: it has no price for it.
    CapacityNotOffered,
    /// Jobs of public repositories are not admitted.
    PrivateOnly,
    /// A repository's maximum.
    RepositoryMaximum,
    /// The class's maximum.
    ClassMaximum,
    /// The scope's maximum.
    ScopeMaximum,
    /// The maximum of all scopes together.
    DeploymentMaximum,
    /// EC2 had no room for the class a moment ago.
    NoRoom,
    /// The class's last runner could not be registered with GitHub.
    RegistrationRefused,
    /// EC2 had no spot capacity for the class several times in a row: it is asked for on-demand instances.
    SpotPaused,
    /// How many runners one decision may launch.
    LaunchBudget,
    /// How many runners may register with GitHub now.
    RegistrationBudget,
    /// The operator's spend limits.
    SpendLimit,
    /// More launches in one plan than a decision may save.
    LaunchesPerDecision,
}

impl Rule {
    /// Whether a decision a minute later may grant what this one did not, with nothing else changed: a
    /// budget fills, an hour ends, a launch's hour is paid.
    pub fn passes(self) -> bool {
        matches!(
            self,
            Self::DeploymentMaximum
                | Self::NoRoom
                | Self::RegistrationRefused
                | Self::LaunchBudget
                | Self::RegistrationBudget
                | Self::LaunchesPerDecision
                | Self::SpendLimit
        )
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CapacityNotOffered => "the class has no price for that capacity",
            Self::PrivateOnly => {
                "its repository is public, and ALLOW_PUBLIC_REPOSITORIES is not true"
            }
            Self::RepositoryMaximum => "its repository's maximum of runners is reached",
            Self::ClassMaximum => "the class's maximum of runners is reached",
            Self::ScopeMaximum => "the scope's maximum of runners is reached",
            Self::DeploymentMaximum => "the deployment's maximum of runners is reached",
            Self::NoRoom => "EC2 had no capacity for that class, and is asked again after a pause",
            Self::RegistrationRefused => {
                "the last runner of its class could not be registered with GitHub, and it is tried again after a \
                 pause"
            }
            Self::SpotPaused => {
                "EC2 had no spot capacity several times in a row: on-demand instances instead"
            }
            Self::LaunchBudget => "one decision launches no more runners",
            Self::RegistrationBudget => "GitHub lets no more runners register now",
            Self::SpendLimit => "the operator's spend limit is reached",
            Self::LaunchesPerDecision => "one decision has no more launches",
        })
    }
}

/// What one rule took away from launches of one kind in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Which rule.
    pub rule: Rule,
    /// For which class.
    pub class: ClassName,
    /// With which capacity.
    pub capacity: Capacity,
    /// What the policy wanted, or another rule had left of it; of several launches, all together.
    pub asked: u32,
    /// What it gets.
    pub granted: u32,
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            class,
            asked,
            granted,
            ..
        } = self;
        let capacity = self.capacity.as_str();
        write!(
            f,
            "{granted} of {asked} {class} ({capacity}) granted: {rule}"
        )
    }
}
