//! Points in time, as whole seconds. The clock itself is a port: [`crate::ports::Clock`].

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long ago this was, in seconds; 0 for a time that is still to come (clocks differ).
    #[must_use]
    pub fn age(self, now: Self) -> u32 {
        u32::try_from(now.0.saturating_sub(self.0)).unwrap_or(u32::MAX)
    }
}

impl From<::time::OffsetDateTime> for Timestamp {
    /// Times before 1970 become 0: GitHub has none, so such a value is a fault of its sender.
    fn from(at: ::time::OffsetDateTime) -> Self {
        Self(u64::try_from(at.unix_timestamp()).unwrap_or(0))
    }
}
