//! The machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use stoker_core::ports::Clock;
use stoker_core::time::Timestamp;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a broken one; everything then happens at once, and nothing fails.
        Timestamp(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        )
    }
}
