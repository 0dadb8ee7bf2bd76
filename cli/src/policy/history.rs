//! `stoker policy history`: what was published when, and why.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::PolicyStoreError;
use stoker_policy::activation::{Document, FolderRecord, Own};

use super::deployment::{Deployment, PlaceArgs, Published, Signature};
use super::scope::Scope;
use super::told::{self, Told};
use super::views::{PolicyView, PublicationView};
use crate::tell::Tone;

/// Arguments of `stoker policy history`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy history --policies policies/
  stoker policy history --scope acme --limit 5 --bucket acme-stoker-policies
  stoker policy history --scope acme --bucket acme-stoker-policies --json

A generation's number is the UTC time of its publication in digits: 20261125031415. `stoker policy rollback
--to GENERATION` goes back to one.")]
pub struct HistoryArgs {
    /// Only what changed there: `default`, OWNER, or OWNER/REPO.
    #[arg(long)]
    scope: Option<Scope>,
    /// How many, the newest first.
    #[arg(long, value_name = "N", default_value = "20")]
    limit: NonZeroUsize,
    /// Write what is found as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What changed in a folder.
#[derive(Debug, Serialize)]
struct ChangeView {
    folder: PolicyFolder,
    /// What it is about.
    change: Change,
    /// What is accepted in the folder since then.
    policy: Option<PolicyView>,
    settings_sha256: Option<ArtifactDigest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    /// Something in it is new.
    Own,
    /// What is in it is as it was; a broader level changed what decides.
    Follows,
    /// Nothing is in it any more.
    Gone,
}

/// An archived publication, or what is wrong with it.
type Archived = Result<Published, String>;

pub(super) async fn run(args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    let deployment = args.place.open().await?;
    let told = Told::new(args.json);
    let scope = args.scope.as_ref().map(|Scope(folder)| folder);
    let mut left = deployment.generations().await?;
    let mut shown = Vec::new();
    let mut said = BTreeSet::new();
    let mut newer: Option<(PolicyGeneration, Archived)> = None;
    while shown.len() < args.limit.get() {
        let older = match left.pop() {
            Some(generation) => Some((generation, archived(&deployment, generation).await?)),
            None => None,
        };
        if let Some((generation, archived)) = &newer {
            let before = older.as_ref().and_then(|(_, older)| older.as_ref().ok());
            let before = before.map(|published| &published.document);
            match archived {
                Err(problem) => {
                    tell_broken(&told, *generation, problem)?;
                    shown.push(json!({ "generation": generation, "problem": problem }));
                }
                Ok(published) => {
                    let changes = changes(&published.document, before, scope);
                    if scope.is_none() || !changes.is_empty() {
                        tell(&told, published, &changes)?;
                        tell_unverified(&told, &published.signature, &mut said)?;
                        let mut value = json!(PublicationView::of(published));
                        value["changed"] = json!(changes);
                        shown.push(value);
                    }
                }
            }
        }
        newer = older;
        if newer.is_none() {
            break;
        }
    }
    if shown.is_empty() {
        let text = scope.map_or_else(
            || "nothing has been published".to_owned(),
            |folder| format!("nothing was ever published in {folder}"),
        );
        told.say(Tone::Held, "nothing", &text)?;
    }
    told.value(&json!({ "generations": shown }))?;
    Ok(ExitCode::SUCCESS)
}

async fn archived(
    deployment: &Deployment,
    generation: PolicyGeneration,
) -> anyhow::Result<Archived> {
    match deployment.archived(generation).await {
        Ok(Some(published)) => Ok(Ok(published)),
        Ok(None) => Ok(Err("it was deleted meanwhile".to_owned())),
        // A store that does not answer is no history; one file that was tampered with is a part of it.
        Err(error) if error.is::<PolicyStoreError>() => Err(error),
        Err(error) => Ok(Err(format!("{error:#}"))),
    }
}

/// What a publication changed.
fn changes(
    document: &Document,
    before: Option<&Document>,
    scope: Option<&PolicyFolder>,
) -> Vec<ChangeView> {
    let empty = Document::empty();
    let before = before.unwrap_or(&empty);
    let both = document.folders.keys().chain(before.folders.keys());
    let folders: BTreeSet<&PolicyFolder> = both
        .filter(|folder| scope.is_none_or(|scope| scope == *folder))
        .collect();
    let change = |folder: &PolicyFolder| {
        let (now, then) = (document.folders.get(folder), before.folders.get(folder));
        if now == then {
            return None;
        }
        let own = |record: Option<&FolderRecord>| record.map(|record| record.own.clone());
        let change = match now {
            None => Change::Gone,
            Some(_) if own(now) == own(then) => Change::Follows,
            Some(_) => Change::Own,
        };
        let Own { policy, settings } = own(now).unwrap_or_default();
        Some(ChangeView {
            folder: folder.clone(),
            change,
            policy: policy.map(|piece| PolicyView::of(document, &piece.digest)),
            settings_sha256: settings.map(|piece| piece.digest),
        })
    };
    folders.into_iter().filter_map(change).collect()
}

fn tell(told: &Told, published: &Published, changes: &[ChangeView]) -> std::io::Result<()> {
    let Document {
        generation,
        published: at,
        why,
        ..
    } = &published.document;
    told.heading(
        &generation.to_string(),
        &format!("{}  {why}", told::time(*at)),
    )?;
    for change in changes {
        told.more(&words(change))?;
    }
    Ok(())
}

/// Says that signatures were not verified, once for each reason.
fn tell_unverified(
    told: &Told,
    signature: &Signature,
    said: &mut BTreeSet<String>,
) -> std::io::Result<()> {
    match signature {
        Signature::NotVerified(why) if said.insert(why.clone()) => {
            told.more(&format!("signature not verified: {why}"))
        }
        Signature::NotVerified(_) | Signature::Verified => Ok(()),
    }
}

fn words(change: &ChangeView) -> String {
    let folder = &change.folder;
    let policy = change.policy.as_ref().map(PolicyView::words);
    let settings = change.settings_sha256.as_ref();
    let settings = settings.map(|digest| format!("settings {}", digest.short()));
    let both: Vec<String> = policy.into_iter().chain(settings).collect();
    let both = if both.is_empty() {
        "nothing of its own".to_owned()
    } else {
        both.join(", ")
    };
    match change.change {
        Change::Gone => format!("{folder}: nothing is in it any more"),
        Change::Own => format!("{folder}: {both}"),
        Change::Follows => format!("{folder}: {both}; it follows a broader level"),
    }
}

fn tell_broken(told: &Told, generation: PolicyGeneration, problem: &str) -> std::io::Result<()> {
    told.heading(&generation.to_string(), "")?;
    told.say(Tone::Bad, "", problem)
}
