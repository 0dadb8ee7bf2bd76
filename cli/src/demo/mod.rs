//! `stoker demo`: the way of a job, played in under a minute.
//!
//! The control plane is the one of `stoker up`. The demo plays the rest of the world: it sends GitHub's
//! webhooks over HTTP, gives jobs to runners that are online, and ends them. `payloads` makes the
//! webhooks, `world` plays GitHub, `story` is what is played in which order, `summary` says how it went.

mod payloads;
mod story;
mod summary;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use stoker_core::ids::ArtifactDigest;
use stoker_core::limits::PublicRepositories;
use stoker_intake::Settings;
use tokio::sync::mpsc::unbounded_channel;

use crate::limits::LimitsArgs;
use crate::operation::{Mode, OnPolicyFailure, OperationArgs};
use crate::plane::{Observer, Plane, PlaneSettings};
use crate::tell::{Teller, Times};
use crate::webhook;

/// Arguments of `stoker demo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker demo                           # the built-in rules decide
  stoker demo --policies target/policies
  stoker demo --json | jq 'select(.happening == \"decided\")'")]
pub struct DemoArgs {
    /// Folder of policies; default/policy.wasm decides. Without one the built-in rules decide.
    #[arg(long, value_name = "DIR")]
    policies: Option<std::path::PathBuf>,
    /// Seconds from a simulated launch until the runner is online.
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    boot_seconds: f64,
    /// JSON lines instead of lines for people.
    #[arg(long)]
    json: bool,
}

/// The scope's maximum: so few that three jobs at once are one too many.
const MAXIMUM: u32 = 2;

/// Plays it. Exit code 0 only if everything went as it should.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let teller = Arc::new(Teller::stdout(args.json, Times::Since(start)));
    Ok(if play(args, teller).await? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Plays it to that teller. Whether everything went as it should.
async fn play(args: DemoArgs, teller: Arc<Teller>) -> anyhow::Result<bool> {
    let folder = tempfile::tempdir().context("a temporary folder for the ledger")?;
    let operation = OperationArgs {
        policies: args.policies,
        on_policy_failure: OnPolicyFailure::BuiltIn,
        limits: LimitsArgs::default(),
        classes: None,
        max_runners: MAXIMUM,
        max_runners_per_repository: None,
        max_spend_per_day: None,
        boot_seconds: args.boot_seconds,
        mode: Mode::Ephemeral,
    };
    let secret = made_up_secret()?;
    let policy = shipped(&operation)?;
    let (mouth, heard) = unbounded_channel();
    let settings = PlaneSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        intake: Settings::from_lookup(|name| {
            (name == "GITHUB_WEBHOOK_SECRET").then(|| secret.expose_secret().to_owned())
        })?,
        embedded: operation.settings(
            "demo",
            Some(folder.path().to_owned()),
            PublicRepositories::Refused,
        )?,
        policies: operation.policies.clone(),
        on_failure: operation.on_policy_failure.into(),
        limits: operation.limits.limits(),
    };
    let observer: Arc<dyn Observer> = Arc::new(world::Ears {
        teller: Arc::clone(&teller),
        seen: mouth,
    });
    let plane = Plane::start(settings, observer).await?;
    teller.block(
        &introduction(&operation, &plane, policy.as_ref()),
        || serde_json::json!({ "kind": "start", "url": plane.webhook_url(), "policy": policy }),
    );
    let mut world = world::World::new(
        &plane,
        Arc::clone(&teller),
        secret,
        heard,
        operation.classes()?,
    )?;
    let mut findings = story::play(&mut world, policy.as_ref()).await?;
    plane.stop().await?;
    findings.extend(world.untold());
    let lines = summary::lines(&world, policy.as_ref(), &findings);
    teller.block(&lines, || summary::json(&world, policy.as_ref(), &findings));
    Ok(findings.is_empty())
}

/// The digest of the policy that is to decide; none: there is none in the folder.
fn shipped(operation: &OperationArgs) -> anyhow::Result<Option<ArtifactDigest>> {
    let Some(folder) = &operation.policies else {
        return Ok(None);
    };
    let path = folder.join("default/policy.wasm");
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(ArtifactDigest::of(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}

fn made_up_secret() -> anyhow::Result<SecretString> {
    let seed = std::process::id().to_string();
    let made_up = webhook::made_up_delivery(seed.as_bytes())?;
    Ok(SecretString::from(made_up.as_str().to_owned()))
}

fn introduction(
    operation: &OperationArgs,
    plane: &Plane,
    policy: Option<&ArtifactDigest>,
) -> Vec<String> {
    let decides = match (policy, &operation.policies) {
        (Some(digest), Some(folder)) => format!(
            "the WebAssembly component {}/default/policy.wasm, sha256 {}",
            folder.display(),
            digest.short()
        ),
        (_, Some(folder)) => format!(
            "NO POLICY in {} (no default/policy.wasm): the built-in rules decide",
            folder.display()
        ),
        (_, None) => "NO POLICY given (--policies): the built-in rules decide".to_owned(),
    };
    vec![
        "Stoker, the whole control plane in one process. Real: HTTP, signatures, intake, queues, SQLite"
            .to_owned(),
        "ledger, policy host, decisions. Played: GitHub (its own example webhooks) and EC2 (boots in seconds)."
            .to_owned(),
        String::new(),
        format!("  webhooks   {}", plane.webhook_url()),
        format!("  decides    {decides}"),
        format!(
            "  runners    ephemeral (one job each), at most {} for the organisation, online {} s after their launch or a little later",
            operation.max_runners, operation.boot_seconds
        ),
    ]
}

#[cfg(test)]
mod tests;
