//! The machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stoker_core::ports::{Clock, Timer};
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

#[async_trait]
impl Timer for SystemClock {
    async fn wait_until(&self, then: Timestamp) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let wait = Duration::from_secs(then.0).saturating_sub(since.unwrap_or_default());
        tokio::time::sleep(wait).await;
    }
}
