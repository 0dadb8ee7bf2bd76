//! What a policy may use. Defaults that a sane policy never meets; the costs named below were measured
//! for one decision with its instantiation, about 1,000 jobs and 1,000 runners.

use serde::{Deserialize, Serialize};

/// How much a policy may be and use. Interpreted languages bring their interpreter along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeClass {
    /// Compiled languages: Rust, C, Zig.
    Small,
    /// JavaScript and Python, which the operator has to allow.
    Large,
}

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The component's bytes.
    pub component_bytes: usize,
    /// Fuel for a call whatever it is given.
    pub fuel_base: u64,
    /// More fuel for each job and each runner in the situation.
    pub fuel_each: u64,
    /// Bytes of all linear memories together.
    pub memory_bytes: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// Bytes that the policy may hand to the host in one call: bounds a plan of endless strings. As many
    /// again for all that it logs in one call.
    pub handed_back_bytes: usize,
}

impl SizeClass {
    /// The limits of this class.
    pub fn limits(self) -> Limits {
        match self {
            // A Rust policy is 20 to 200 kB and spends 1,500 fuel a job; this is ten times as much.
            Self::Small => Limits {
                component_bytes: 1 << 20,
                fuel_base: 10_000_000,
                fuel_each: 20_000,
                memory_bytes: 64 << 20,
                table_elements: 20_000,
                handed_back_bytes: 1 << 20,
            },
            // JavaScript is 12 MB and spends 220,000 fuel a job and runner, Python is 18 MB.
            Self::Large => Limits {
                component_bytes: 20 << 20,
                fuel_base: 500_000_000,
                fuel_each: 1_000_000,
                memory_bytes: 256 << 20,
                table_elements: 100_000,
                handed_back_bytes: 1 << 20,
            },
        }
    }
}

impl Limits {
    /// The fuel of a decision about so many jobs and runners.
    pub fn fuel(&self, jobs_and_runners: usize) -> u64 {
        let each = u64::try_from(jobs_and_runners)
            .unwrap_or(u64::MAX)
            .saturating_mul(self.fuel_each);
        self.fuel_base.saturating_add(each)
    }
}

/// Core instances, memories and tables of one component: adapters need a handful of each.
pub(crate) const CORE_ITEMS: usize = 50;

/// The longest string of a policy that is kept, in bytes.
pub(crate) const LONGEST_STRING: usize = 500;

/// The most launches that a plan may have. Ten classes, each as spot and on demand, for fifty
/// repositories; a decision saves fifty anyway.
pub(crate) const MOST_LAUNCHES: usize = 1_000;

/// What a logged line counts for besides its bytes: the host's own work for it.
pub(crate) const LOG_LINE: usize = 64;

/// Handles of resources. Policies have none; a toolchain's stubs ask for a handful.
pub(crate) const HANDLES: usize = 1_000;

/// The most notes of one decision that are kept.
pub(crate) const MOST_NOTES: usize = 50;

/// The most complaints about settings that are passed on.
pub(crate) const MOST_COMPLAINTS: usize = 10;

/// The most time zones that a policy is told the time of: a company's sites.
pub(crate) const MOST_ZONES: usize = 24;

/// The largest settings schema that is kept, in bytes: as much as the settings themselves.
pub(crate) const SCHEMA_BYTES: usize = 64 << 10;
