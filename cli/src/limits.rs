//! What a policy may be and use, as arguments: the same settings, by the same names in the environment, as
//! the Lambda's.

use clap::{Args, ValueEnum};
use stoker_lambda::policies::LARGEST_COMPONENT;
use stoker_policy::{Limits, SizeClass};

/// What a policy may be and use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// Compiled languages, up to 1 MiB.
    Small,
    /// JavaScript and Python, up to 20 MiB.
    Large,
}

/// What policies may be and use.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Limits of policies (where the operator changed them)")]
pub struct LimitsArgs {
    /// The limits to begin with.
    #[arg(long, env = "POLICY_SIZE_CLASS", value_enum, default_value_t = Size::Small)]
    pub size_class: Size,
    /// Bytes of a component, 20971520 at most.
    #[arg(long, env = "POLICY_MAX_BYTES", value_name = "BYTES", value_parser = component_bytes)]
    pub max_bytes: Option<usize>,
    /// Fuel of a call, whatever it is given.
    #[arg(long, env = "POLICY_FUEL_BASE", value_name = "N")]
    pub fuel_base: Option<u64>,
    /// More fuel for each job and each runner that is shown.
    #[arg(long, env = "POLICY_FUEL_EACH", value_name = "N")]
    pub fuel_each: Option<u64>,
    /// Bytes of memory.
    #[arg(long, env = "POLICY_MAX_MEMORY_BYTES", value_name = "BYTES")]
    pub max_memory_bytes: Option<usize>,
    /// Bytes that a policy may hand back, and as many that it may log, in one call.
    #[arg(long, env = "POLICY_MAX_OUTPUT_BYTES", value_name = "BYTES")]
    pub max_output_bytes: Option<usize>,
}

/// What a component may be allowed to have.
fn component_bytes(given: &str) -> Result<usize, String> {
    let bytes = given.parse().ok();
    bytes
        .filter(|bytes| (1..=LARGEST_COMPONENT).contains(bytes))
        .ok_or_else(|| {
            format!(
                "give it the most bytes of a policy (a larger upload is not read), 1 to {LARGEST_COMPONENT}"
            )
        })
}

impl Default for LimitsArgs {
    fn default() -> Self {
        Self {
            size_class: Size::Small,
            max_bytes: None,
            fuel_base: None,
            fuel_each: None,
            max_memory_bytes: None,
            max_output_bytes: None,
        }
    }
}

impl LimitsArgs {
    /// The limits that are meant.
    pub fn limits(&self) -> Limits {
        let class = match self.size_class {
            Size::Small => SizeClass::Small,
            Size::Large => SizeClass::Large,
        };
        let limits = class.limits();
        Limits {
            component_bytes: self.max_bytes.unwrap_or(limits.component_bytes),
            fuel_base: self.fuel_base.unwrap_or(limits.fuel_base),
            fuel_each: self.fuel_each.unwrap_or(limits.fuel_each),
            memory_bytes: self.max_memory_bytes.unwrap_or(limits.memory_bytes),
            handed_back_bytes: self.max_output_bytes.unwrap_or(limits.handed_back_bytes),
            ..limits
        }
    }
}

#[cfg(test)]
mod tests {
    use stoker_aws::S3Uploads;
    use stoker_local::FolderUploads;

    use super::*;

    #[test]
    fn what_can_be_allowed_is_what_is_read_of_an_upload() {
        assert_eq!(S3Uploads::LARGEST, LARGEST_COMPONENT);
        assert_eq!(FolderUploads::LARGEST, LARGEST_COMPONENT as u64);
    }

    #[test]
    fn what_is_not_changed_is_the_size_class_s() {
        let args = LimitsArgs {
            fuel_each: Some(7),
            ..LimitsArgs::default()
        };
        let expected = Limits {
            fuel_each: 7,
            ..SizeClass::Small.limits()
        };
        assert_eq!(args.limits(), expected);
    }
}
