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
    stoker_lambda::run("scale-down", Box::pin(run())).await
}

async fn run() -> anyhow::Result<()> {
    let mut reader = Reader::new(|name| std::env::var(name).ok());
    let settings = Settings::from_reader(&mut reader);
    let deciding = Deciding::start(reader.finish(settings)?).await?;
    let deciding = &deciding;
    // The schedule's event says nothing that matters.
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let request = event.context.request_id.clone();
        let until = until(event.context.deadline())?;
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
fn until(deadline: SystemTime) -> Result<Timestamp, lambda_runtime::Error> {
    let left = deadline.duration_since(SystemTime::now());
    match left.unwrap_or_default().checked_sub(MARGIN) {
        Some(left) if !left.is_zero() => Ok(Timestamp(SystemClock.now().0 + left.as_secs())),
        // It would begin nothing, and nobody would know.
        _ => Err(format!(
            "the Lambda's time-out is too short to begin anything: give it 5 minutes, and more than {} s at least",
            MARGIN.as_secs()
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_that_leaves_no_time_is_an_error_and_not_a_silent_success() {
        let told = until(SystemTime::now() + Duration::from_secs(15));
        assert!(
            told.unwrap_err()
                .to_string()
                .contains("time-out is too short")
        );
        let until = until(SystemTime::now() + Duration::from_mins(5)).unwrap();
        let left = until.0 - SystemClock.now().0;
        assert!((270..=280).contains(&left), "{left}");
    }
}
