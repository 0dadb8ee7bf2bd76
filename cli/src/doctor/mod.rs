//! `stoker doctor`: what is wrong with a deployment, and how to mend it.
//!
//! [`deployment`] is what its scale-up Lambda is told. By that each check looks at one thing and yields
//! [`finding`]s: [`secrets`]; [`github`], with its judgements in [`app`], [`hook`] and [`groups`];
//! [`queues`], [`aws`] (ledger, classes) and [`policies`]. [`words`] tells them. Asking and judging are
//! apart: what a fact means is a function without a network.
//!
//! Nothing is changed, and no secret is shown: what is read of SSM is never part of a finding.

mod app;
mod aws;
mod deployment;
mod finding;
mod github;
mod groups;
mod hook;
mod policies;
mod queues;
mod secrets;
mod words;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use futures::future::{OptionFuture, join, join5};
use secrecy::SecretString;
use stoker_aws::{ClientSettings, Clients, Inspector, Parameters};
use stoker_github::{App, AppCredentials};
use stoker_lambda::SystemClock;

use crate::WrongArguments;
use crate::tell::Style;
use deployment::Deployment;
use finding::{Check, Finding, Verdict};
use secrets::Kept;
use words::Report;

/// What `stoker doctor` does, at length.
pub const DOCTOR: &str = "Check a deployment on AWS from this machine, and say what is wrong with it and how to mend \
    it: the settings of its scale-up Lambda, its secrets, the GitHub App with its webhook, installations and runner \
    groups, the queues, the ledger, the active policies, the launch templates, clocks and limits.\n\n\
    It reads the Lambda's environment (lambda:GetFunctionConfiguration) and goes by that, so it looks at what the \
    Lambda looks at. It changes nothing and shows no secret. What the credentials of this machine may not look at \
    is a warning that names the permission; docs/doctor.md lists all of them.";

/// Arguments of `stoker doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker doctor
  stoker doctor --function acme-stoker-scale-up
  stoker doctor --webhook-url https://hooks.acme.example/webhook
  stoker doctor --json | jq '.findings[] | select(.verdict == \"failure\")'

Exit status: 0 nothing failed (there may be warnings), 1 something failed, 2 wrong arguments.")]
pub struct DoctorArgs {
    /// The scale-up Lambda, by its name or ARN; credentials, region and endpoint are found as the AWS CLI
    /// finds them.
    #[arg(
        long,
        env = "SCALE_UP_FUNCTION",
        value_name = "NAME",
        default_value = "stoker-scale-up"
    )]
    function: String,
    /// The webhook Lambda, where that takes the webhooks instead of the Worker: its secret is checked too.
    #[arg(long, value_name = "NAME")]
    webhook_function: Option<String>,
    /// The URL that the App's webhook is to have.
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// Write what is found as JSON.
    #[arg(long)]
    json: bool,
}

/// Checks, and tells.
pub async fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    if let Some(url) = &args.webhook_url
        && !url.starts_with("https://")
    {
        let problem =
            format!("--webhook-url is `{url}`: give the https URL that the webhook is to have");
        return Err(WrongArguments(problem).into());
    }
    let report = match deployment::read(&args.function).await {
        Ok(deployment) => {
            let name = deployment.settings.operation.deployment.to_string();
            let findings = Box::pin(examine(args, &deployment)).await?;
            Report::new(Some(name), findings)
        }
        Err((name, findings)) => Report::new(name, findings),
    };
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{:#}", report.value())?;
    } else {
        report.write(&mut out, Style::stdout())?;
    }
    Ok(if report.count(Verdict::Failure) > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// All checks, at once.
async fn examine(args: &DoctorArgs, deployment: &Deployment) -> anyhow::Result<Vec<Finding>> {
    let clients = Clients::load(&ClientSettings::default()).await;
    let parameters = Parameters::new(clients.ssm.clone());
    let inspector = Inspector::new(clients.clone());
    let webhook: OptionFuture<_> = args
        .webhook_function
        .as_deref()
        .map(|function| secrets::webhook(&parameters, deployment, function))
        .into();
    let on_aws = join5(
        queues::all(&inspector, deployment),
        aws::ledger(&inspector, deployment),
        policies::all(&clients, deployment),
        aws::classes(&inspector, deployment),
        webhook,
    );
    let at_github = at_github(args, &parameters, deployment);
    let ((queues, ledger, policies, classes, webhook), at_github) =
        join(Box::pin(on_aws), Box::pin(at_github)).await;
    let mut findings = vec![Check::Settings.ok(format!(
        "the settings of the Lambda {} can be read",
        args.function
    ))];
    for some in [
        queues,
        ledger,
        policies,
        classes,
        webhook.unwrap_or_default(),
        at_github?,
    ] {
        findings.extend(some);
    }
    Ok(findings)
}

/// The App's secrets, and what GitHub says to whoever has them.
async fn at_github(
    args: &DoctorArgs,
    parameters: &Parameters,
    deployment: &Deployment,
) -> anyhow::Result<Vec<Finding>> {
    let (credentials, mut findings) = secrets::app(parameters, deployment).await;
    let is_known = credentials.is_some();
    // Without them only that is asked for which nobody has to sign.
    let credentials = credentials.unwrap_or_else(|| AppCredentials {
        app: String::new(),
        private_key: SecretString::from(""),
    });
    let endpoints = deployment.settings.github.clone();
    let app = App::new(
        endpoints,
        Arc::new(Kept(credentials)),
        Arc::new(SystemClock),
    )
    .context("GitHub can't be asked")?;
    if is_known {
        let webhook_url = args.webhook_url.as_deref();
        let (clock, rest) = join(
            github::clock(&app),
            github::all(&app, deployment, webhook_url),
        )
        .await;
        findings.push(clock);
        findings.extend(rest);
    } else {
        findings.push(github::clock(&app).await);
        findings.push(github::nothing_else());
    }
    Ok(findings)
}
