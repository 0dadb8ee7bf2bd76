//! What a GitHub webhook is to Stoker: its signature, whether it is admitted, what is kept of it, and
//! the answer that GitHub gets.
//!
//! Pure: no I/O, no clock, no randomness; native and wasm32. Whoever listens (the Cloudflare Worker, the
//! Lambda, the embedded process) does the listening and the sending, and calls [`receive()`] in between.
//!
//! In reading order: [`receive`](mod@receive), the way of a request; [`signature`], what comes before
//! parsing; `payload`, what is read (private); [`event`] and [`ids`], what is kept; [`admission`] and
//! [`allow_list`], what is passed on; [`listed`], the same of what was no webhook; [`answer`], what GitHub
//! is told; [`message`], the form in the queue; [`settings`], all that can be configured; [`listener`], what
//! whoever listens does alike.

pub mod admission;
pub mod allow_list;
pub mod answer;
pub mod event;
mod field;
pub mod ids;
pub mod listed;
pub mod listener;
pub mod message;
mod payload;
pub mod receive;
#[cfg(test)]
mod sample;
pub mod settings;
pub mod signature;

pub use admission::{Admission, CheckRunApps, CheckRunAppsError, DropReason, EventClass};
pub use allow_list::{AllowList, AllowListError};
pub use answer::{Answer, Enqueue, Fault, Outcome};
pub use event::{Action, EventKind, JobEvent, Owner, OwnerKind, Repository, Visibility};
pub use ids::{
    CheckRunId, DeliveryId, InstallationId, InvalidDeliveryId, JobId, OwnerId, RepositoryId, RunId,
    RunnerId,
};
pub use listed::{NotListed, listed_job};
pub use listener::Reply;
pub use listener::line::{WebhookLine, misconfigured};
pub use listener::route::{Route, route};
pub use message::{JOB_EVENT_KIND, MessageError, MessageVersion};
pub use receive::{MAX_BODY_BYTES, Received, Reception, receive, refuse_early, refuse_too_large};
pub use settings::{MAX_DELAY_SECONDS, SettingError, Settings, SettingsError, SettingsReader};
pub use signature::{Secrets, SignedWith, Verified, sign};
