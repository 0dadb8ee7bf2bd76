//! The scale-down Lambda: on a schedule, or when it is invoked by hand, runners that nobody needs are retired, and
//! what is of no use is taken away. What that means is `stoker-core`'s `control::retire`; what it has in common
//! with scale-up is `stoker-deciders`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use stoker_core::ports::Clock as _;
use stoker_core::time::Timestamp;
use stoker_deciders::{Deciding, Settings};
use stoker_lambda::SystemClock;
use stoker_lambda::reader::Reader;

/// What is left of the Lambda's time when nothing new is begun any more: what was begun waits for GitHub and EC2,
/// which are given up on after that long.
const MARGIN: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    stoker_lambda::log::start();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("scale-down can't run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let mut reader = Reader::new(|name| std::env::var(name).ok());
    let settings = Settings::from_reader(&mut reader);
    let deciding = Deciding::start(reader.finish(settings)?).await?;
    let deciding = &deciding;
    // The schedule's event says nothing that matters.
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let request = event.context.request_id.clone();
        let until = until(event.context.deadline());
        deciding
            .records
            .during(request, scale_down(deciding, until))
            .await
    }))
    .await
    .map_err(anyhow::Error::from_boxed)
}

async fn scale_down(deciding: &Deciding, until: Timestamp) -> Result<Value, lambda_runtime::Error> {
    let came = deciding.control.scale_down(until).await?;
    Ok(serde_json::to_value(came)?)
}

/// Nothing new is begun from then on.
fn until(deadline: SystemTime) -> Timestamp {
    let left = deadline.duration_since(SystemTime::now());
    let left = left.unwrap_or_default().saturating_sub(MARGIN);
    Timestamp(SystemClock.now().0 + left.as_secs())
}
