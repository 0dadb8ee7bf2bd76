//! Runs a policy's compiled component in the real host, with the real limits, and says what it used:
//! what an author's tests and `stoker policy check` run.
//!
//! ```no_run
//! use stoker_policy_sdk::testing::fleet;
//! use stoker_policy_testkit::Component;
//!
//! let policy = Component::open("policy.wasm")?;
//! let situation = fleet().class("small", &["linux"]).job("app", &["linux"]).build();
//! let decided = policy.scale_up(&situation)?;
//! assert_eq!(decided.plan.launches[0].count, 1);
//! assert!(decided.cost.fuel < 100_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Situations are the SDK's own ([`stoker_policy_sdk::testing::fleet`] makes them); what the host makes of
//! them is in [`convert`].

mod component;
pub mod convert;

pub use component::{Component, OpenError, undecided};
