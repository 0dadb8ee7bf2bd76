//! `stoker policy publish` and `stoker policy settings publish`: to upload, to have it judged, and to wait
//! for the verdict.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use stoker_admission::{Problem, Task};
use stoker_core::ids::ArtifactDigest;
use stoker_core::policy_folder::PolicyFolder;

use super::before::{self, Looked};
use super::deployment::{Deployment, JudgeArgs, PlaceArgs};
use super::outcome::{self, Wanted};
use super::scope::Scope;
use super::told::Told;
use crate::tell::Tone;

/// The causes of refusals that other limits might not give.
const LIMITS: [&str; 3] = ["too-large", "out-of-fuel", "out-of-memory"];

/// What `stoker policy publish` does, at length.
pub(super) const PUBLISH: &str = "Publish a policy: check it here as admission will, upload it, have it judged and activated, \
    and show since when it decides.

What is refused changes nothing: what decided before goes on, and the reasons are shown. A policy is \
    judged together with the settings.json of its folder, and both are activated together or not at \
    all. With --settings the settings are uploaded first and the policy right after; should admission \
    look in between, it judges the new settings with the old policy, and both anew a moment later.";

/// Arguments of `stoker policy publish`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy publish policy.wasm --scope acme --policies policies/
  stoker policy publish policy.wasm --scope acme/app --settings settings.json --bucket acme-stoker-policies
  stoker policy publish policy.wasm --scope default --bucket acme-stoker-policies --by ci --json

Without this command: aws s3 cp policy.wasm s3://BUCKET/policies/orgs/acme/policy.wasm (docs/publishing.md).
To withdraw a policy, delete it (aws s3 rm, or rm) and run `stoker policy admit`.

Exit status: 0 it decides, 1 it is refused or something failed, 2 wrong arguments.")]
pub struct PublishArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose jobs it is to decide about: `default`, OWNER, or OWNER/REPO.
    #[arg(long)]
    scope: Scope,
    /// A settings.json to publish with it; without it, the one that is there stays.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
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

/// `stoker policy settings …`.
#[derive(Debug, Clone, Subcommand)]
pub enum SettingsCommand {
    /// Publish a settings.json alone.
    #[command(long_about = PUBLISH_SETTINGS)]
    Publish(PublishSettingsArgs),
}

/// What `stoker policy settings publish` does, at length.
pub(super) const PUBLISH_SETTINGS: &str = "Publish a settings.json: upload it, have it judged with the policy that decides there, and \
    show since when it applies. What is refused changes nothing.";

/// Arguments of `stoker policy settings publish`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy settings publish settings.json --scope acme --policies policies/
  stoker policy settings publish settings.json --scope acme/app --bucket acme-stoker-policies

`stoker policy show --scope acme/app` shows what comes of all levels' settings.

Exit status: 0 they apply, 1 they are refused or something failed, 2 wrong arguments.")]
pub struct PublishSettingsArgs {
    /// The settings: JSON with `scale-up`, `scale-down` or `sync` in it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose they are: `default`, OWNER, or OWNER/REPO.
    #[arg(long)]
    scope: Scope,
    #[command(flatten)]
    by: ByArgs,
    /// Write what became of them as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    judge: JudgeArgs,
}

/// Who does this.
#[derive(Debug, Clone, Args)]
pub(super) struct ByArgs {
    /// Who does this, for whoever looks later; without it your login name. (What S3 says of who uploaded is
    /// shown instead, where admission hears of it.)
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
}

impl ByArgs {
    pub(super) fn name(&self) -> String {
        let login = ["USER", "LOGNAME", "USERNAME"];
        let mut names = login.iter().filter_map(|name| std::env::var(name).ok());
        let name = self
            .by
            .clone()
            .or_else(|| names.find(|name| !name.is_empty()));
        name.unwrap_or_else(|| "unknown".to_owned())
    }
}

/// What is to be published.
struct Publication<'a> {
    folder: &'a PolicyFolder,
    policy: Option<Vec<u8>>,
    settings: Option<Vec<u8>>,
    by: String,
}

pub(super) async fn run(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    let Scope(folder) = &args.scope;
    let publication = Publication {
        folder,
        policy: Some(read(&args.file)?),
        settings: args.settings.as_deref().map(read).transpose()?,
        by: args.by.name(),
    };
    let deployment = args.place.open().await?;
    publish(
        &publication,
        &deployment,
        &args.judge,
        &Told::new(args.json),
    )
    .await
}

pub(super) async fn run_settings(command: &SettingsCommand) -> anyhow::Result<ExitCode> {
    let SettingsCommand::Publish(args) = command;
    let Scope(folder) = &args.scope;
    let publication = Publication {
        folder,
        policy: None,
        settings: Some(read(&args.file)?),
        by: args.by.name(),
    };
    let deployment = args.place.open().await?;
    publish(
        &publication,
        &deployment,
        &args.judge,
        &Told::new(args.json),
    )
    .await
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))
}

async fn publish(
    publication: &Publication<'_>,
    deployment: &Deployment,
    judge: &JudgeArgs,
    told: &Told,
) -> anyhow::Result<ExitCode> {
    let Publication {
        folder,
        policy,
        settings,
        by,
    } = publication;
    let Refusal { problems, advice } = look(publication, deployment, judge, told).await?;
    if !problems.is_empty() {
        told.say(Tone::Bad, "refused", "nothing was uploaded:")?;
        told.problems(&problems)?;
        advice.iter().try_for_each(|advice| told.more(advice))?;
        told.value(&json!({
            "folder": folder,
            "uploaded": false,
            "outcome": "refused",
            "problems": problems,
        }))?;
        return Ok(ExitCode::FAILURE);
    }
    // The settings first: what is judged in between is the policy that is there, with them.
    let uploads = [("settings.json", settings), ("policy.wasm", policy)];
    for (name, bytes) in uploads {
        let Some(bytes) = bytes else { continue };
        let path = format!("{folder}/{name}");
        deployment.uploads().put(&path, bytes, by).await?;
        let text = format!(
            "{} ({})",
            deployment.place_of(&path),
            ArtifactDigest::of(bytes).short()
        );
        told.say(Tone::Plain, "uploaded", &text)?;
    }
    let report = deployment.admit(&Task::Sweep, judge).await.context(
        "it is uploaded, and whether it was judged is not known; admission looks at it within five minutes, \
         and `stoker policy list` shows what it says",
    )?;
    let digest = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(ArtifactDigest::of);
    let wanted = Wanted::Upload {
        policy: digest(policy),
        settings: digest(settings),
    };
    outcome::tell(told, deployment, folder, &report, &wanted).await
}

/// What is wrong with something before it is uploaded, and what is to be said of that.
#[derive(Default)]
struct Refusal {
    problems: Vec<Problem>,
    advice: Vec<String>,
}

/// Looks at it here, before anything is uploaded.
async fn look(
    publication: &Publication<'_>,
    deployment: &Deployment,
    judge: &JudgeArgs,
    told: &Told,
) -> anyhow::Result<Refusal> {
    let folder = publication.folder;
    if let Some(settings) = &publication.settings {
        let problems = before::settings(folder, settings);
        if !problems.is_empty() {
            return Ok(Refusal {
                problems,
                ..Refusal::default()
            });
        }
    }
    let Some(policy) = &publication.policy else {
        return Ok(Refusal::default());
    };
    let settings = match &publication.settings {
        Some(settings) => Ok(Some(settings.clone())),
        None => before::settings_there(deployment, folder).await,
    };
    let tried = settings.is_ok();
    if let Err(error) = &settings {
        let text = format!(
            "the settings that are there can't be read, so admission alone tries the policy: {error}"
        );
        told.say(Tone::Held, "not tried", &text)?;
    }
    let theirs = publication.settings.is_none() && matches!(settings, Ok(Some(_)));
    let policy = Arc::new(policy.clone());
    match before::policy(folder, policy, &settings, judge.limits()).await? {
        Looked::Good(about) => {
            let how = if tried {
                "it decides within the limits"
            } else {
                "its form is right"
            };
            let text = format!("{} {}: {how}", about.name, about.version);
            told.say(Tone::Good, "checked", &text)?;
            Ok(Refusal::default())
        }
        Looked::Refused(problems) => {
            let is_of = |causes: &[&str]| {
                let mut all = problems.iter().map(|problem| problem.cause.as_str());
                all.any(|cause| causes.contains(&cause))
            };
            let mut advice = Vec::new();
            if theirs && is_of(&["settings-refused", "settings"]) {
                advice.push(format!(
                    "these settings are in {folder} now; --settings puts others in their place"
                ));
            }
            if is_of(&LIMITS) {
                advice.push(
                    "if the deployment has other limits, name them here too (--size-class and so on)"
                        .to_owned(),
                );
            }
            Ok(Refusal { problems, advice })
        }
    }
}
