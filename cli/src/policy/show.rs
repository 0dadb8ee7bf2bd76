//! `stoker policy show`: what decides for one scope, with which settings, and where each of them was set.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use stoker_admission::Outcome;
use stoker_core::plan::PolicyLevel;
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::Decision;
use stoker_policy::activation::Document;

use super::deployment::{Deployment, PlaceArgs};
use super::list::tell_verdict;
use super::provenance::{SettingsView, Whose};
use super::scope::Scope;
use super::told::Told;
use super::views::{self, EntryView, FilesView, PublicationView, VerdictView};
use crate::tell::Tone;

/// Arguments of `stoker policy show`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy show --scope acme --policies policies/
  stoker policy show --scope acme/app --bucket acme-stoker-policies
  stoker policy show --scope acme/app --bucket acme-stoker-policies --json

A scope without a folder of its own is shown with what it inherits. Each value of the merged settings is
shown with the folder whose settings.json set it (in JSON: `origins`, by JSON pointer).")]
pub struct ShowArgs {
    /// `default`, OWNER, or OWNER/REPO.
    #[arg(long)]
    scope: Scope,
    /// Write what is found as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What decides, as it is shown.
#[derive(Debug, Serialize)]
struct DecidesView {
    #[serde(flatten)]
    entry: EntryView,
    /// The folder in which that is said: this one, or the broader one that it is inherited from.
    folder: PolicyFolder,
    #[serde(flatten)]
    settings: SettingsView,
}

pub(super) async fn run(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let Scope(folder) = &args.scope;
    let deployment = args.place.open().await?;
    let published = deployment.active().await?;
    let document = &published.document;
    let mut decides = BTreeMap::new();
    let mut tunes = BTreeMap::new();
    for decision in Decision::ALL {
        if let Some(view) = decided(&deployment, document, folder, decision).await? {
            decides.insert(decision, view);
        }
        if let Some(view) = tuned(&deployment, document, folder, decision).await? {
            tunes.insert(decision, view);
        }
    }
    let record = document.folders.get(folder);
    let verdict = deployment.verdict(folder).await?;

    let told = Told::new(args.json);
    let part = told.under();
    told.heading(&folder.to_string(), &PublicationView::words(&published))?;
    for decision in Decision::ALL {
        told.gap()?;
        told.heading(decision.as_str(), "")?;
        match decides.get(&decision) {
            None => part.say(
                Tone::Plain,
                "policy",
                "the built-in rules, without settings",
            )?,
            Some(view) => tell(&part, folder, decision, view)?,
        }
        if let Some(view) = tunes.get(&decision) {
            let text = "for its jobs, where its organisation has the runners:";
            part.say(Tone::Plain, "tunes", text)?;
            tell_settings(&part, view)?;
        }
    }
    let judged = verdict
        .as_ref()
        .filter(|verdict| verdict.outcome != Outcome::Withdrawn);
    if record.is_some() || judged.is_some() {
        told.gap()?;
        told.heading("files", "")?;
    }
    if let Some(record) = record {
        for file in views::files(&record.own) {
            part.say(Tone::Plain, "accepted", &file)?;
        }
    }
    if let Some(verdict) = judged {
        tell_verdict(&part, verdict)?;
    }
    let mut value = json!(PublicationView::of(&published));
    value["scope"] = json!(folder);
    value["decides"] = json!(decides);
    value["tunes"] = json!(tunes);
    value["files"] = json!(FilesView::of(record.map(|record| &record.own)));
    value["verdict"] = json!(verdict.as_ref().map(VerdictView::of));
    told.value(&value)?;
    Ok(ExitCode::SUCCESS)
}

async fn decided(
    deployment: &Deployment,
    document: &Document,
    folder: &PolicyFolder,
    decision: Decision,
) -> anyhow::Result<Option<DecidesView>> {
    let entries = |place: &PolicyFolder| document.folders.get(place)?.scope.get(&decision);
    let Some(place) = folder.chain().find(|place| entries(place).is_some()) else {
        return Ok(None);
    };
    let Some((entry, settings)) = document.entry(folder, decision) else {
        return Ok(None);
    };
    let whose = Whose {
        decision,
        folder: &place,
        level: entry.pair.level,
        own: place == *folder,
        tuned_by: None,
    };
    let since = Some(entry.since);
    Ok(Some(DecidesView {
        entry: EntryView::of(document, &place, entry, place == *folder),
        settings: deployment.merged(document, settings, whose, since).await?,
        folder: place,
    }))
}

/// What a repository without a policy of its own sets for its jobs.
async fn tuned(
    deployment: &Deployment,
    document: &Document,
    folder: &PolicyFolder,
    decision: Decision,
) -> anyhow::Result<Option<SettingsView>> {
    let record = document.folders.get(folder);
    let (Some(owner), Some(settings)) = (
        folder.broader(),
        record.and_then(|record| record.tunes.get(&decision)),
    ) else {
        return Ok(None);
    };
    let places = || {
        owner
            .chain()
            .filter(|place| document.folders.contains_key(place))
    };
    let place = places().next().unwrap_or_else(|| owner.clone());
    let entry = document.entry(&owner, decision);
    let whose = Whose {
        decision,
        own: place == owner,
        folder: &place,
        level: entry.map_or(PolicyLevel::BuiltIn, |(entry, _)| entry.pair.level),
        tuned_by: Some(folder),
    };
    Ok(Some(
        deployment.merged(document, settings, whose, None).await?,
    ))
}

fn tell(
    told: &Told,
    folder: &PolicyFolder,
    decision: Decision,
    view: &DecidesView,
) -> std::io::Result<()> {
    told.say(Tone::Good, "policy", &view.entry.words())?;
    if decision == Decision::Sync && *folder != PolicyFolder::Default {
        told.more("there is one distribution: what is in default decides")?;
    } else if view.folder != *folder {
        let text = format!("inherited from {}", view.folder);
        told.more(&text)?;
    }
    if let Some(previous) = &view.entry.previous {
        let text = format!(
            "{}, settings {}; decides again should that one fail",
            previous.words(),
            previous.settings_sha256.short()
        );
        told.say(Tone::Plain, "before", &text)?;
    }
    let settings = if view.settings.lines().is_empty() {
        "none"
    } else {
        view.entry.pair.settings_sha256.short()
    };
    told.say(Tone::Plain, "settings", settings)?;
    tell_settings(told, &view.settings)
}

fn tell_settings(told: &Told, view: &SettingsView) -> std::io::Result<()> {
    for line in view.lines() {
        told.more(&line)?;
    }
    for note in view.notes() {
        told.say(Tone::Held, "note", note)?;
    }
    Ok(())
}
