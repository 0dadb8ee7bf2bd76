//! The policy-admission Lambda: judges what is uploaded, and activates what passes. The only one with a
//! compiler, and with little else in its hands.
//!
//! In reading order: [`settings`], what it is told; [`event`], what it is invoked with; [`handler`], what
//! it does and says. Each component is compiled and tried by this very program, started once more as a
//! confined child.

mod event;
mod handler;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use stoker_admission::child::{self, InChild};
use stoker_admission::{Admission, AdmissionPorts, AdmissionSettings};
use stoker_aws::{ClientSettings, Clients, KmsSigner, S3Policies, S3Uploads};
use stoker_lambda::SystemClock;
use stoker_policy::engine::Configuration;

use crate::handler::Handler;
use crate::settings::Settings;

fn main() -> ExitCode {
    // Before anything else: the child has nothing but its pipes, and is to read nothing but them.
    if std::env::args().nth(1).as_deref() == Some(child::ARGUMENT) {
        return child::run();
    }
    stoker_lambda::log::start();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("policy-admission can't run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run() -> anyhow::Result<()> {
    child::protect_this_process().context("this process can't be kept from its children")?;
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let handler = Handler::new(
        admission(&settings).await?,
        &settings.deployment,
        &settings.prefix,
    );
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        handler.invoked(event.payload)
    }))
    .await
    .map_err(anyhow::Error::from_boxed)
}

async fn admission(settings: &Settings) -> anyhow::Result<Admission> {
    let clients = Clients::load(&ClientSettings::default()).await;
    let program = std::env::current_exe().context("where this program lies can't be found out")?;
    let configuration = Configuration::STANDARD;
    let (bucket, prefix) = (&settings.bucket, &settings.prefix);
    let ports = AdmissionPorts {
        store: Arc::new(S3Policies::new(clients.s3.clone(), bucket).prefix(prefix)),
        uploads: Arc::new(S3Uploads::new(clients.s3, bucket).prefix(prefix)),
        signer: Arc::new(KmsSigner::new(clients.kms, &settings.signing_key)),
        judge: Arc::new(InChild::new(
            program,
            configuration,
            settings.limits,
            settings.child,
        )),
        clock: Arc::new(SystemClock),
    };
    let settings = AdmissionSettings {
        deployment: settings.deployment.clone(),
        keys: settings.keys.clone(),
        limits: settings.limits,
        configuration,
    };
    Ok(Admission::new(ports, settings))
}
