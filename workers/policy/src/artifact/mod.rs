//! The stages of a policy before it decides, each a type that only the stage before can make:
//!
//! ```text
//! bytes → Uploaded → Admitted ──────────────────────────────→ Loaded → a decision
//!                        └→ Native → (stored, signed) → Trusted ─┘
//! ```
//!
//! [`Uploaded`] has a digest and an allowed size. [`Admitted`] is compiled, and what it imports and
//! exports is allowed. [`Native`] is its machine code, to be stored; it comes back as [`Trusted`] only
//! if a signed document names the SHA-256 of these very bytes. [`Loaded`] is linked and has said who it
//! is; it decides any number of times, each time in a fresh store.

mod admitted;
mod loaded;
mod native;
mod trust;

pub use admitted::{Admitted, Uploaded};
pub use loaded::Loaded;
pub(crate) use native::named;
pub use native::{Native, Trusted};
pub use trust::{PublicKeys, Statement};
