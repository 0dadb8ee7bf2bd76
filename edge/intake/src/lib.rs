//! What a GitHub webhook is to Stoker: its signature, whether it is admitted, what is kept of it, and
//! the answer that GitHub gets. Pure: no I/O, no clock, no randomness; native and wasm32. Whoever
//! listens (the Cloudflare Worker, the Lambda, the embedded process) does the listening and the
//! sending.

pub mod event;
pub mod ids;
pub mod message;
#[cfg(test)]
mod sample;

pub use event::{Action, EventKind, JobEvent, Owner, OwnerKind, Repository, Visibility};
pub use ids::{
    CheckRunId, DeliveryId, InstallationId, InvalidDeliveryId, JobId, OwnerId, RepositoryId, RunId,
    RunnerId,
};
pub use message::{JOB_EVENT_KIND, MessageError, MessageVersion};
