//! `stoker policy rollback` and `stoker policy promote`: what was admitted before is published again.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use stoker_admission::{Source, Task};
use stoker_core::ids::PolicyGeneration;
use stoker_core::policy_folder::PolicyFolder;

use super::deployment::{JudgeArgs, PlaceArgs};
use super::outcome::{self, Wanted};
use super::publish::ByArgs;
use super::scope::Scope;
use super::told::Told;

/// What `stoker policy rollback` does, at length.
pub(super) const ROLLBACK: &str = "Go back in one folder: publish again, as a new generation, what was in it before (its policy \
    and its settings), or what was in it in an earlier generation. Going back once more goes forward again.

What is uploaded there is passed over from then on, until something else is put in its place: publishing the \
    same file again counts.";

/// Arguments of `stoker policy rollback`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy rollback --scope acme --policies policies/
  stoker policy rollback --scope acme --to 20261125031415 --bucket acme-stoker-policies

`stoker policy history --scope acme` lists the generations.

Exit status: 0 it decides, 1 it is refused or something failed, 2 wrong arguments.")]
pub struct RollbackArgs {
    /// Where: `default`, OWNER, or OWNER/REPO.
    #[arg(long)]
    scope: Scope,
    /// To which generation; without it, to what was there before what is there now.
    #[arg(long, value_name = "GENERATION")]
    to: Option<u64>,
    #[command(flatten)]
    by: ByArgs,
    /// Write what became of it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    judge: JudgeArgs,
}

/// What `stoker policy promote` does, at length.
pub(super) const PROMOTE: &str = "Promote a policy: have the one that is active in one folder decide in another, with the \
    settings that are there. The very bytes that were admitted are published again; nothing is uploaded.

What is uploaded in the other folder is passed over from then on, until something else is put in its place.";

/// Arguments of `stoker policy promote`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy promote --from acme/app --to acme --policies policies/
  stoker policy promote --from acme --to default --bucket acme-stoker-policies --by julia

Exit status: 0 it decides, 1 it is refused or something failed, 2 wrong arguments.")]
pub struct PromoteArgs {
    /// Where the policy is: `default`, OWNER, or OWNER/REPO.
    #[arg(long, value_name = "SCOPE")]
    from: Scope,
    /// Where it is to decide as well.
    #[arg(long, value_name = "SCOPE")]
    to: Scope,
    #[command(flatten)]
    by: ByArgs,
    /// Write what became of it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    judge: JudgeArgs,
}

pub(super) async fn rollback(args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let source = args.to.map_or(Source::Before, |generation| {
        Source::Generation(PolicyGeneration(generation))
    });
    let Scope(folder) = &args.scope;
    let told = Told::new(args.json);
    republish(folder, source, &args.by, &args.place, &args.judge, &told).await
}

pub(super) async fn promote(args: &PromoteArgs) -> anyhow::Result<ExitCode> {
    let (Scope(from), Scope(to)) = (&args.from, &args.to);
    let source = Source::Folder(from.clone());
    let told = Told::new(args.json);
    republish(to, source, &args.by, &args.place, &args.judge, &told).await
}

async fn republish(
    folder: &PolicyFolder,
    source: Source,
    by: &ByArgs,
    place: &PlaceArgs,
    judge: &JudgeArgs,
    told: &Told,
) -> anyhow::Result<ExitCode> {
    let deployment = place.open().await?;
    let task = Task::Republish {
        folder: folder.clone(),
        source,
        by: by.name(),
    };
    let report = deployment.admit(&task, judge).await;
    let report = report.with_context(|| format!("{folder} stays as it is"))?;
    outcome::tell(told, &deployment, folder, &report, &Wanted::Republished).await
}
