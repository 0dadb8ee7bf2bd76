//! Stoker's domain and its decision engine.
//!
//! What it is: the types of everything Stoker knows (jobs, runners, classes, intents), the rules that
//! fold events into that knowledge, the situation that a policy is shown, the guardrails after it, and
//! the one round of *load → decide → save intents → act → save outcomes* that every deployment runs.
//!
//! What it is not: it names no AWS service, makes no request, reads no clock and draws no random
//! number. The outside is behind the traits of [`ports`]; tests and `stoker up` put embedded adapters
//! there, the Lambdas put AWS and GitHub there.
//!
//! Modules in reading order: [`ids`], [`time`], [`class`], [`job`], [`runner`], [`intent`], [`account`],
//! [`situation`], [`plan`], [`guardrails`], [`distribution`], [`policy_folder`], [`boot`], [`ports`], [`happening`],
//! [`control`].

pub mod account;
pub mod boot;
pub mod budget;
pub mod class;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod control;
pub mod distribution;
pub mod guardrails;
pub mod happening;
pub mod hook;
pub mod ids;
pub mod intent;
pub mod job;
pub mod journal;
pub mod limits;
pub mod plan;
pub mod policy_folder;
pub mod ports;
pub mod runner;
pub mod sightings;
pub mod situation;
pub mod time;

#[cfg(test)]
mod tests;
