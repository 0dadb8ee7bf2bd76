//! The scale-up Lambda: messages of the intake queue are folded into the ledger, requests of the act
//! queue are acted on, and the schedule asks for acts on what is due.
//!
//! In reading order: [`settings`], what it is told; [`invocation`], what it does when it is invoked; [`queues`],
//! where its messages come from (what is done with them is `stoker-batch`). The rest it has in common with
//! scale-down: `stoker-deciders`.

mod invocation;
mod queues;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use stoker_batch::{Handler, Invocation};
use stoker_deciders::Deciding;

use crate::invocation::Function;
use crate::queues::SqsQueues;
use crate::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    stoker_lambda::run("scale-up", Box::pin(run())).await
}

async fn run() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let deciding = Deciding::start(settings.deciding).await?;
    let queues = deciding.messages(settings.handling.dead_letter_queue_url);
    let function = Function {
        handler: Handler::new(
            deciding.control,
            Arc::new(SqsQueues(queues)),
            deciding.reporter,
            deciding.clock,
            settings.handling.most_receives,
        ),
        records: deciding.records,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<Invocation>| {
        function.invoked(event)
    }))
    .await
    .map_err(anyhow::Error::from_boxed)
}
