//! `stoker policy list`: what decides where.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use stoker_admission::{Outcome, Problem, Verdict};
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::Decision;
use stoker_policy::activation::Document;

use super::deployment::PlaceArgs;
use super::told::{self, Told};
use super::views::{self, EntryView, FilesView, PublicationView, VerdictView};
use crate::tell::Tone;

/// Arguments of `stoker policy list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy list --policies policies/
  stoker policy list --bucket acme-stoker-policies
  stoker policy list --bucket acme-stoker-policies --public-key signing-key.pem --json

It needs to read active.json and verdicts/ (and to list verdicts/), and nothing else.")]
pub struct ListArgs {
    /// Write what is found as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// A folder, as it is shown.
#[derive(Debug, Serialize)]
struct FolderView {
    folder: PolicyFolder,
    decides: BTreeMap<Decision, EntryView>,
    /// Decisions for which a repository has settings of its own for its jobs.
    tunes: Vec<Decision>,
    files: FilesView,
    verdict: Option<VerdictView>,
}

pub(super) async fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let deployment = args.place.open().await?;
    let published = deployment.active().await?;
    let document = &published.document;
    let verdicts = deployment.verdicts().await?;
    let misplaced = deployment.misplaced().await?;
    let folders = folders(document, &verdicts);

    let told = Told::new(args.json);
    told.heading(&PublicationView::words(&published), "")?;
    for folder in &folders {
        told.gap()?;
        told.heading(&folder.to_string(), "")?;
        tell(&told.under(), document, folder, verdicts.get(folder))?;
    }
    tell_misplaced(&told, &misplaced)?;
    let view = |folder: &PolicyFolder| {
        let record = document.folders.get(folder);
        let tunes = record.into_iter().flat_map(|record| record.tunes.keys());
        FolderView {
            folder: folder.clone(),
            decides: EntryView::all(document, folder),
            tunes: tunes.copied().collect(),
            files: FilesView::of(record.map(|record| &record.own)),
            verdict: verdicts.get(folder).map(VerdictView::of),
        }
    };
    let mut value = json!(PublicationView::of(&published));
    value["folders"] = folders.iter().map(|folder| json!(view(folder))).collect();
    value["misplaced"] = json!(misplaced);
    told.value(&value)?;
    Ok(ExitCode::SUCCESS)
}

/// Those in which something is, or was refused.
fn folders(
    document: &Document,
    verdicts: &BTreeMap<PolicyFolder, Verdict>,
) -> BTreeSet<PolicyFolder> {
    let judged = verdicts
        .iter()
        .filter(|(_, verdict)| verdict.outcome != Outcome::Withdrawn)
        .map(|(folder, _)| folder);
    document.folders.keys().chain(judged).cloned().collect()
}

fn tell(
    told: &Told,
    document: &Document,
    folder: &PolicyFolder,
    verdict: Option<&Verdict>,
) -> anyhow::Result<()> {
    for (decision, entry) in EntryView::all(document, folder) {
        told.say(Tone::Plain, decision.as_str(), &entry.words())?;
    }
    if let Some(record) = document.folders.get(folder) {
        if !record.tunes.is_empty() {
            let decisions: Vec<&str> = record.tunes.keys().map(|d| d.as_str()).collect();
            let text = format!(
                "{} for its jobs, where its organisation has the runners",
                decisions.join(", ")
            );
            told.say(Tone::Plain, "tunes", &text)?;
        }
        for file in views::files(&record.own) {
            told.say(Tone::Plain, "accepted", &file)?;
        }
    }
    verdict.map_or(Ok(()), |verdict| tell_verdict(told, verdict))?;
    Ok(())
}

/// What is the matter with what is uploaded.
pub(super) fn tell_verdict(told: &Told, verdict: &Verdict) -> std::io::Result<()> {
    let at = told::time(verdict.at);
    match verdict.outcome {
        Outcome::Active | Outcome::Withdrawn => {}
        Outcome::Refused => {
            let text = format!("what is uploaded, {at}; what decided before goes on:");
            told.say(Tone::Bad, "refused", &text)?;
            told.problems(&verdict.problems)?;
        }
        Outcome::HeldBack => {
            let text = format!(
                "since {at}: it had been accepted, and does not go with what is active on a broader level \
                 now; what decided before goes on:"
            );
            told.say(Tone::Bad, "held back", &text)?;
            told.problems(&verdict.problems)?;
        }
        Outcome::PassedOver => {
            let text = format!(
                "what is uploaded, since {at}: an operator went back or promoted; the next upload is looked \
                 at"
            );
            told.say(Tone::Held, "passed over", &text)?;
        }
    }
    if let (Some(last), false) = (&verdict.last_refusal, verdict.outcome.is_refusal()) {
        told.say(Tone::Held, "was refused", &told::time(last.at))?;
        let causes = last.problems.iter().map(told::problem_words);
        causes.into_iter().try_for_each(|cause| told.more(&cause))?;
    }
    Ok(())
}

/// Files that decide nothing.
pub(super) fn tell_misplaced(told: &Told, misplaced: &[Problem]) -> std::io::Result<()> {
    if misplaced.is_empty() {
        return Ok(());
    }
    told.gap()?;
    told.heading("misplaced", "")?;
    for problem in misplaced {
        told.under()
            .line(&format!("{}: {}", problem.about, problem.message))?;
    }
    Ok(())
}
