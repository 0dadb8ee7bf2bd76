//! What every Lambda of Stoker does alike: it reads its settings from the environment ([`reader`];
//! [`policies`], those that all who have to do with policies share), logs lines of JSON ([`log`]), and
//! raises counters by such lines ([`metric`]). No AWS, no GitHub, no rules.

pub mod log;
pub mod metric;
#[cfg(feature = "policies")]
pub mod policies;
pub mod reader;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stoker_core::ports::{Clock, Timer};
use stoker_core::time::Timestamp;

/// Runs a Lambda with its log; what keeps it from running is told there.
pub async fn run(name: &str, lambda: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    log::start();
    match lambda.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{name} can't run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is no clock.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(since.map_or(0, |since| since.as_secs()))
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
