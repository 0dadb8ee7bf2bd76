//! What an author implements: who the policy is, and a trait for each decision that it takes.

use crate::about::{Complaint, Needs};
use crate::facts::Situation;
use crate::settings::Settings;
use crate::{scale_down, scale_up, sync};

/// Who a policy is.
pub trait Policy {
    /// Lower case, digits and hyphens.
    const NAME: &'static str;
    /// The author's own version.
    const VERSION: &'static str;
    /// One sentence.
    const SUMMARY: &'static str;
    /// The JSON schema of `settings.json`, for a policy that keeps it as a file; without one it is generated
    /// from the settings' types whenever somebody asks. A file makes the component a third smaller, and
    /// [`testing::assert_schema_file`](crate::testing) keeps it true.
    const SETTINGS_SCHEMA: Option<&'static str> = None;
}

/// A policy that decides which runners to launch.
pub trait ScaleUp: Policy {
    /// What `settings.json` may say under `scale-up`. An empty object is to be understood.
    type Settings: Settings;

    /// Decides. Equal situations give equal plans: there is no clock and no chance in here but the
    /// situation's own.
    ///
    /// # Errors
    /// The policy's refusal, as a sentence: the host falls back to what decided before.
    fn decide(situation: &Situation, settings: &Self::Settings) -> Result<scale_up::Plan, String>;

    /// What it needs to be told to decide by these settings.
    fn needs(_settings: &Self::Settings) -> Needs {
        crate::no_needs()
    }

    /// What is wrong with settings beyond their types.
    fn complaints(_settings: &Self::Settings) -> Vec<Complaint> {
        Vec::new()
    }
}

/// A policy that decides which runners to retire.
pub trait ScaleDown: Policy {
    /// What `settings.json` may say under `scale-down`. An empty object is to be understood.
    type Settings: Settings;

    /// Decides; see [`ScaleUp::decide`].
    ///
    /// # Errors
    /// The policy's refusal, as a sentence.
    fn decide(situation: &Situation, settings: &Self::Settings)
    -> Result<scale_down::Plan, String>;

    /// What it needs to be told to decide by these settings.
    fn needs(_settings: &Self::Settings) -> Needs {
        crate::no_needs()
    }

    /// What is wrong with settings beyond their types.
    fn complaints(_settings: &Self::Settings) -> Vec<Complaint> {
        Vec::new()
    }
}

/// A policy that decides which versions of the runner to mirror and to offer (`sync`).
pub trait RunnerSync: Policy {
    /// What `settings.json` may say under `sync`. An empty object is to be understood.
    type Settings: Settings;

    /// Decides; see [`ScaleUp::decide`].
    ///
    /// # Errors
    /// The policy's refusal, as a sentence.
    fn decide(situation: &sync::Situation, settings: &Self::Settings)
    -> Result<sync::Plan, String>;

    /// What is wrong with settings beyond their types.
    fn complaints(_settings: &Self::Settings) -> Vec<Complaint> {
        Vec::new()
    }
}
