//! The arguments that `up` and `demo` share: what the operator allows, and how the simulation behaves.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use stoker_core::budget::Rates;
use stoker_core::class::Classes;
use stoker_core::ids::{Deployment, RunnerNames};
use stoker_core::limits::{
    BOOT_TIME, Guards, JOBS_SHOWN, Operation, PublicRepositories, RunnerLevel, RunnerMode,
    SPOT_FALLBACK, SpendLimits,
};
use stoker_intake::Settings;
use stoker_local::queue::QueueSettings;
use stoker_local::{EmbeddedSettings, SimulatedFleetSettings, UnknownJobs};
use stoker_policy::OnFailure;

use crate::limits::LimitsArgs;

/// The classes of a first try: what a job asks for decides which one it gets.
const CLASSES: &str = include_str!("classes.json");

/// How many simulated instances there may be at once: more than a laptop's demo needs, few enough that
/// a mistake is noticed.
const SIMULATED_CAPACITY: usize = 1_000;

/// How long runners serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// One job each.
    Ephemeral,
    /// Job after job.
    Persistent,
}

/// What happens when a policy fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnPolicyFailure {
    /// The built-in rules decide.
    BuiltIn,
    /// Nothing is launched or retired until the policy is mended.
    Hold,
}

impl From<OnPolicyFailure> for OnFailure {
    fn from(chosen: OnPolicyFailure) -> Self {
        match chosen {
            OnPolicyFailure::BuiltIn => Self::BuiltIn,
            OnPolicyFailure::Hold => Self::Hold,
        }
    }
}

/// What the operator allows, and how the simulation behaves.
#[derive(Debug, Clone, Args)]
pub struct OperationArgs {
    /// Folder of policies: default/, orgs/<owner>/ and repos/<owner>/<repository>/, each with
    /// policy.wasm and/or settings.json. Without one the built-in rules decide.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// What happens when a policy fails and nothing that was good before can decide.
    #[arg(long, value_enum, default_value_t = OnPolicyFailure::BuiltIn)]
    pub on_policy_failure: OnPolicyFailure,
    /// What policies may be and use.
    #[command(flatten)]
    pub limits: LimitsArgs,
    /// JSON list of runner classes; without it three small examples.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// Most runners that one organisation (or repository) may have.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub max_runners: u32,
    /// Most runners that one repository may have; without it as many as its organisation.
    #[arg(long, value_name = "N")]
    pub max_runners_per_repository: Option<u32>,
    /// US dollars that an organisation (or repository) may spend in a day (UTC); without it no limit.
    #[arg(long, value_name = "DOLLARS")]
    pub max_spend_per_day: Option<f64>,
    /// Seconds from a simulated launch until the runner is online.
    #[arg(long, value_name = "N", default_value_t = 20.0)]
    pub boot_seconds: f64,
    /// How long a runner serves.
    #[arg(long, value_enum, default_value_t = Mode::Ephemeral)]
    pub mode: Mode,
}

impl OperationArgs {
    /// What the control plane is started with.
    pub fn settings(
        &self,
        deployment: &str,
        data: Option<PathBuf>,
        public: PublicRepositories,
    ) -> anyhow::Result<EmbeddedSettings> {
        let classes = self.classes()?;
        let boot = Duration::try_from_secs_f64(self.boot_seconds)
            .ok()
            .filter(|boot| *boot <= Duration::from_hours(1))
            .context("--boot-seconds is a number from 0 to 3600")?;
        let deployment: Deployment = deployment.parse()?;
        let labels = classes
            .all()
            .first()
            .map(|class| class.labels.clone())
            .unwrap_or_default();
        Ok(EmbeddedSettings {
            data,
            operation: Operation {
                names: RunnerNames::new("stoker", &deployment)?,
                deployment,
                level: RunnerLevel::Organization,
                mode: match self.mode {
                    Mode::Ephemeral => RunnerMode::Ephemeral,
                    Mode::Persistent => RunnerMode::Persistent,
                },
                runner_group: None,
                classes,
                scope_maximum: self.max_runners,
                boot_time: BOOT_TIME,
                minimum_running_time: stoker_core::limits::MINIMUM_RUNNING_TIME,
                jobs_shown: JOBS_SHOWN,
                guards: Guards {
                    public_repositories: public,
                    repository_maximum: self.max_runners_per_repository,
                    spend: SpendLimits {
                        day: self.spend_per_day()?,
                        ..SpendLimits::default()
                    },
                    ..Guards::default()
                },
                // Nobody is asked but this process.
                rates: Rates::UNLIMITED,
                deployment_maximum: None,
                spot_fallback: SPOT_FALLBACK.map(str::to_owned).to_vec(),
            },
            fleet: SimulatedFleetSettings {
                boot,
                // Instances differ: a quarter more is what two of one launch differ by on EC2.
                spread: boot / 4,
                capacity: SIMULATED_CAPACITY,
            },
            unknown_jobs: UnknownJobs::Queued { labels },
            queues: QueueSettings::default(),
            act_again: Duration::from_secs(5),
            scale_down_every: Duration::from_secs(30),
        })
    }

    fn spend_per_day(&self) -> anyhow::Result<Option<f64>> {
        match self.max_spend_per_day {
            Some(dollars) if !dollars.is_finite() || dollars < 0.0 => {
                anyhow::bail!("--max-spend-per-day is a number of US dollars, 0 or more")
            }
            dollars => Ok(dollars),
        }
    }

    /// The configured classes, checked.
    pub fn classes(&self) -> anyhow::Result<Classes> {
        match &self.classes {
            None => Classes::from_json(CLASSES).context("the example classes"),
            Some(path) => {
                let json = std::fs::read_to_string(path)
                    .with_context(|| format!("the classes {} can't be read", path.display()))?;
                Classes::from_json(&json).with_context(|| format!("the classes {}", path.display()))
            }
        }
    }
}

/// Whether jobs of public repositories get runners, as the intake was told.
pub fn public_repositories(intake: &Settings) -> PublicRepositories {
    if intake.admission.allow_public {
        PublicRepositories::Admitted
    } else {
        PublicRepositories::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_classes_are_good() {
        assert_eq!(Classes::from_json(CLASSES).unwrap().all().len(), 3);
    }
}
