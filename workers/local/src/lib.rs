//! The embedded adapters: everything that AWS and GitHub are to the Lambdas, in one process, behind the
//! same ports.
//!
//! `stoker up` and `stoker demo` run on them, and so do tests that want the whole way of a job without
//! a network. Nothing here decides: decisions are `stoker-core`'s and the policy host's.
//!
//! In reading order: [`ledger`] (SQLite), [`queue`] (the intake queue and the act queue, as far as SQS's
//! semantics matter), [`folder`] (policies: what people upload, and what is published; the mirror of the runner's
//! distribution), [`signer`], [`journal`], [`fleet`] (simulated instances), [`configurations`], [`github`] and
//! [`releases`] (simulated), [`clock`], and
//! [`embedded`], which wires them to one control plane.

pub mod clock;
pub mod configurations;
mod database;
pub mod embedded;
pub mod fleet;
pub mod folder;
pub mod github;
pub mod journal;
pub mod ledger;
pub mod queue;
pub mod releases;
pub mod signer;

pub use clock::SystemClock;
pub use configurations::MemoryConfigurations;
pub use database::{Database, DatabaseError};
pub use embedded::{Embedded, EmbeddedError, EmbeddedSettings};
pub use fleet::{FleetEvent, SimulatedFleet, SimulatedFleetSettings};
pub use folder::{FolderDistribution, FolderPolicies, FolderUploads};
pub use github::{SimulatedGitHub, UnknownJobs};
pub use journal::FolderJournal;
pub use ledger::SqliteLedger;
pub use queue::{ActsInProcess, IntakeQueue};
pub use releases::SimulatedReleases;
pub use signer::{LocalSigner, LocalSignerError};
