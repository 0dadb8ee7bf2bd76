//! The scale-up Lambda: messages of the intake queue are folded into the ledger, requests of the act
//! queue are acted on, and the schedule asks for acts on what is due.
//!
//! In reading order: [`settings`], what it is told; [`adapters`], what stands behind `stoker-core`'s
//! ports; [`invocation`], one invocation with its record in the journal; [`queues`], where its messages come
//! from (what is done with them is `stoker-batch`); [`report`] and [`metric`], what is said about it.

mod adapters;
mod invocation;
mod metric;
mod queues;
mod report;
mod settings;

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use stoker_batch::Invocation;

use crate::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    stoker_lambda::log::start();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("scale-up can't run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let function = adapters::function(settings).await?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Invocation>| {
        function.invoked(event)
    }))
    .await
    .map_err(anyhow::Error::from_boxed)
}
