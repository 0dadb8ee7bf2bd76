//! What decides where: the one document that admission publishes as `active.json`, signed.
//!
//! ```text
//! Document → (admission: statement → signature) → envelope → active.json
//! active.json → Activation::verify → Activation → which policy, which settings
//! ```
//!
//! In reading order: [`document`], what it says; [`envelope`], how it is signed and verified; [`paths`],
//! where the objects lie that it names.

pub mod document;
pub mod envelope;
pub mod paths;

pub use document::{
    Document, Entry, FolderRecord, NativeCode, Own, Pair, PassedOver, Piece, PolicyRecord,
    SettingsRef,
};
pub use envelope::{Activation, Unsigned, Unverified};
