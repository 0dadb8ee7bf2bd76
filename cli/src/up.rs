//! `stoker up`: the whole control plane in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use stoker_intake::Settings;

use crate::operation::{OperationArgs, public_repositories};
use crate::plane::{Observer, Plane, PlaneSettings};
use crate::tell::{Teller, Times, Tone};

/// What `stoker up --help` begins with.
pub const UP: &str = "Run the whole control plane in this process: the webhook endpoint, the queues, the \
    ledger (SQLite), the policies of a folder, and simulated instances. No AWS, no GitHub, no credentials. \
    What it decides is what the deployment on AWS decides.";

/// Arguments of `stoker up`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Environment (the same as the edge Worker's):
  GITHUB_WEBHOOK_SECRET            required: what webhooks are signed with
  GITHUB_WEBHOOK_SECRET_PREVIOUS   the secret before it, while it is rotated
  REPOSITORY_ALLOW_LIST            owners and repositories that may bring work (default: *)
  ALLOW_PUBLIC_REPOSITORIES        true or false (default)
  CHECK_RUN_APPS                   Apps whose check runs are jobs (default: github-actions)
  DELAY_SECONDS                    how long work is held back, 0 to 900 (default: 0, persistent: 30)

Examples:
  GITHUB_WEBHOOK_SECRET=hush stoker up
  GITHUB_WEBHOOK_SECRET=hush stoker up --policies policies/ --max-runners 4 --boot-seconds 5
  GITHUB_WEBHOOK_SECRET=hush stoker up --data /var/lib/stoker --json")]
pub struct UpArgs {
    /// Where to listen for POST /webhook and GET /healthz.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Folder of the ledger; the next start goes on from there.
    #[arg(long, value_name = "DIR", default_value = "stoker-data")]
    data: PathBuf,
    #[command(flatten)]
    operation: OperationArgs,
    /// JSON lines instead of lines for people.
    #[arg(long)]
    json: bool,
}

/// An idle persistent runner may take a job first; for an ephemeral one there is nothing to wait for.
const PERSISTENT_DELAY: &str = "30";

/// Runs until Ctrl-C.
pub async fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    let persistent = args.operation.mode == crate::operation::Mode::Persistent;
    let intake = Settings::from_lookup(|name| {
        let set = std::env::var(name).ok();
        let default = (persistent && name == "DELAY_SECONDS").then(|| PERSISTENT_DELAY.to_owned());
        set.or(default)
    })
    .context("settings from the environment (see `stoker up --help`)")?;
    let teller = Arc::new(Teller::stdout(args.json, Times::Clock));
    let public = public_repositories(&intake);
    let settings = PlaneSettings {
        listen: args.listen,
        intake,
        embedded: args
            .operation
            .settings("local", Some(args.data.clone()), public)?,
        policies: args.operation.policies.clone(),
        on_failure: args.operation.on_policy_failure.into(),
        limits: args.operation.limits.limits(),
    };
    let observer: Arc<dyn Observer> = Arc::<Teller>::clone(&teller);
    let plane = Plane::start(settings, observer).await?;
    teller.say(
        Tone::Plain,
        "up",
        &format!(
            "webhooks go to {}; {}; ledger in {}; times are UTC; Ctrl-C stops",
            plane.webhook_url(),
            who_decides(&args.operation),
            args.data.display()
        ),
    );
    stopped().await?;
    teller.say(
        Tone::Plain,
        "stopping",
        "what was begun is finished; what waits is in the ledger",
    );
    plane.stop().await?;
    Ok(ExitCode::SUCCESS)
}

fn who_decides(operation: &OperationArgs) -> String {
    operation.policies.as_ref().map_or_else(
        || "the built-in rules decide (no --policies)".to_owned(),
        |folder| format!("policies from {}", folder.display()),
    )
}

/// Ctrl-C, or what a service manager sends.
async fn stopped() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = tokio::signal::ctrl_c() => done?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
