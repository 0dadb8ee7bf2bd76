//! The webhook Lambda: GitHub's webhooks, verified and posted to SQS, for those without Cloudflare. It listens
//! behind an API Gateway HTTP API or a function URL.
//!
//! What a webhook is, and what is answered, is `stoker-intake`'s to say, as in the Cloudflare Worker. In
//! reading order: [`listen`], the way of a request; [`configuration`], what it knows, secrets included, and for
//! how long that is good.

mod configuration;
mod listen;

use std::process::ExitCode;
use std::sync::Arc;

use lambda_http::{Request, service_fn};
use stoker_aws::{ClientSettings, Clients, Parameters, SqsIntake};

use crate::configuration::{Configuration, Names};
use crate::listen::Listener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    stoker_lambda::run("webhook", Box::pin(run())).await
}

async fn run() -> anyhow::Result<()> {
    let lookup = |name: &str| std::env::var(name).ok();
    let names = Names::read(lookup)?;
    let clients = Clients::load(&ClientSettings::default()).await;
    let queue = SqsIntake::new(&clients.sqs, names.queue_url.clone());
    let parameters = Arc::new(Parameters::new(clients.ssm));
    let listener = Listener::new(
        Configuration::new(names, parameters, Box::new(lookup)),
        Arc::new(queue),
    );
    // While the Lambda starts, so that the first webhook need not wait for it.
    listener.warm_up().await;
    let listener = &listener;
    lambda_http::run(service_fn(move |request: Request| async move {
        listener.listen(request).await
    }))
    .await
    .map_err(anyhow::Error::from_boxed)
}
