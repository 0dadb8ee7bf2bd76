//! `stoker policy admit`: to have what is uploaded judged now.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;
use stoker_admission::Task;

use super::deployment::{JudgeArgs, PlaceArgs};
use super::list::tell_misplaced;
use super::outcome;
use super::scope::Scope;
use super::told::{self, Told};
use crate::tell::Tone;

/// What `stoker policy admit` does, at length.
pub(super) const ADMIT: &str = "Have admission judge what is uploaded now, and show what it says of every folder. It does so \
    by itself when something is uploaded, and every five minutes; this is for who does not want to wait \
    after `aws s3 cp`, `aws s3 rm` or `cp`.";

/// Arguments of `stoker policy admit`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy admit --policies policies/
  aws s3 cp policy.wasm s3://acme-stoker-policies/policies/orgs/acme/policy.wasm &&
    stoker policy admit --scope acme --bucket acme-stoker-policies

Exit status: 0 nothing is refused (with --scope: there), 1 something is, or admission failed, 2 wrong
arguments.")]
pub struct AdmitArgs {
    /// Whose verdict counts for the exit status: `default`, OWNER, or OWNER/REPO; without it, everybody's.
    #[arg(long)]
    scope: Option<Scope>,
    /// Write what admission says as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    judge: JudgeArgs,
}

pub(super) async fn run(args: &AdmitArgs) -> anyhow::Result<ExitCode> {
    let deployment = args.place.open().await?;
    let report = deployment.admit(&Task::Sweep, &args.judge).await?;
    let told = Told::new(args.json);
    let what = if report.published {
        "was published"
    } else {
        "stays as it was"
    };
    let text = format!("{} {what}", told::generation(report.generation));
    told.say(Tone::Good, "judged", &text)?;
    outcome::verdicts(&told, &report)?;
    if report.left_out > 0 {
        let text = format!(
            "{} more folders stand as they did; `stoker policy list` has all",
            report.left_out
        );
        told.more(&text)?;
    }
    tell_misplaced(&told, &report.misplaced)?;
    outcome::alarms(&told, &report)?;
    let verdicts = report.verdicts.iter().map(|(folder, verdict)| {
        json!({
            "folder": folder,
            "outcome": verdict.outcome,
            "news": report.news.contains(folder),
            "problems": verdict.problems,
        })
    });
    told.value(&json!({
        "generation": report.generation,
        "published": report.published,
        "verdicts": verdicts.collect::<Vec<_>>(),
        "left_out": report.left_out,
        "misplaced": report.misplaced,
        "alarms": report.alarms,
    }))?;
    let refused = match &args.scope {
        None => report
            .verdicts
            .values()
            .any(|verdict| verdict.outcome.is_refusal()),
        Some(Scope(folder)) => match report.verdicts.get(folder) {
            Some(verdict) => verdict.outcome.is_refusal(),
            None => match deployment.verdict(folder).await? {
                Some(verdict) if report.left_out > 0 => verdict.outcome.is_refusal(),
                _ => bail!("nothing is in {folder}, and nothing was"),
            },
        },
    };
    Ok(if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
