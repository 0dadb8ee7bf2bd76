//! `stoker webhook send`: a signed webhook from a file.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use stoker_intake::{DeliveryId, sign};

/// What to do with webhooks.
#[derive(Debug, Clone, Subcommand)]
pub enum WebhookCommand {
    /// Sign a payload as GitHub does, post it, and print the answer.
    Send(SendArgs),
}

/// Arguments of `stoker webhook send`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit code: 0 for a 2xx answer, 3 for 3xx, 4 for 4xx, 5 for 5xx, 1 without an \
    answer.

Examples:
  GITHUB_WEBHOOK_SECRET=hush stoker webhook send --url http://127.0.0.1:8080/webhook \\
      --event workflow_job --payload queued.json
  stoker webhook send --url https://stoker.example.com/webhook --event ping --payload ping.json \\
      --secret-env STAGING_SECRET"
)]
pub struct SendArgs {
    /// Where to.
    #[arg(long)]
    url: String,
    /// The event, as in X-GitHub-Event: ping, push, …
    #[arg(long)]
    event: String,
    /// File with the payload, sent to the byte; - reads standard input.
    #[arg(long, value_name = "FILE")]
    payload: PathBuf,
    /// Environment variable that holds the secret.
    #[arg(long, value_name = "NAME", default_value = "GITHUB_WEBHOOK_SECRET")]
    secret_env: String,
    /// X-GitHub-Delivery; without it one made of the payload and the time.
    #[arg(long)]
    delivery: Option<DeliveryId>,
    /// The answer as one JSON line.
    #[arg(long)]
    json: bool,
}

/// GitHub itself gives up after this long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Runs the command.
pub async fn run(command: WebhookCommand) -> anyhow::Result<ExitCode> {
    let WebhookCommand::Send(args) = command;
    let body = read(&args.payload)?;
    let secret: SecretString = match std::env::var(&args.secret_env) {
        Ok(secret) if !secret.is_empty() => secret.into(),
        _ => bail!(
            "{} is not set: put the webhook's secret there",
            args.secret_env
        ),
    };
    let delivery = match args.delivery {
        Some(delivery) => delivery,
        None => made_up_delivery(&body)?,
    };
    let client = client()?;
    let signature = sign(&secret, &body);
    let answer = post(&client, &args.url, &args.event, &delivery, &signature, body).await?;
    let mut out = std::io::stdout();
    if args.json {
        let line = serde_json::json!({
            "status": answer.status,
            "delivery": delivery,
            "body": serde_json::from_str::<serde_json::Value>(&answer.body).unwrap_or(answer.body.as_str().into()),
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "{} {}", answer.status, answer.body.trim_end())?;
    }
    Ok(exit_code(answer.status))
}

fn exit_code(status: u16) -> ExitCode {
    match status / 100 {
        2 => ExitCode::SUCCESS,
        class @ 3..=5 => ExitCode::from(u8::try_from(class).unwrap_or(1)),
        _ => ExitCode::FAILURE,
    }
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    if path == std::path::Path::new("-") {
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut body)?;
        return Ok(body);
    }
    std::fs::read(path).with_context(|| format!("the payload {} can't be read", path.display()))
}

/// In the form of GitHub's.
pub(crate) fn made_up_delivery(body: &[u8]) -> anyhow::Result<DeliveryId> {
    use sha2::{Digest as _, Sha256};
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut hash = Sha256::new();
    hash.update(since.as_nanos().to_be_bytes());
    hash.update(body);
    let digits = hex::encode(hash.finalize());
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    Ok(DeliveryId::new(parts.join("-"))?)
}

pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .user_agent(concat!("stoker/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("the HTTP client")
}

/// Posts a webhook with the headers that GitHub sends.
pub(crate) async fn post(
    client: &reqwest::Client,
    url: &str,
    event: &str,
    delivery: &DeliveryId,
    signature: &str,
    body: Vec<u8>,
) -> anyhow::Result<Answered> {
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", delivery.as_str())
        .header("x-hub-signature-256", signature)
        .body(body)
        .send()
        .await
        .with_context(|| format!("{url} did not answer"))?;
    Ok(Answered {
        status: answer.status().as_u16(),
        body: answer.text().await.context("the answer broke off")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_delivery_has_the_form_of_githubs() {
        let delivery = made_up_delivery(b"x").unwrap();
        let lengths: Vec<usize> = delivery.as_str().split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(delivery, made_up_delivery(b"y").unwrap());
    }

    #[test]
    fn the_exit_code_is_the_class_of_the_status() {
        for (status, code) in [(202, 0), (302, 3), (401, 4), (503, 5), (101, 1)] {
            let expected = format!("{:?}", ExitCode::from(code));
            assert_eq!(format!("{:?}", exit_code(status)), expected);
        }
    }
}
