//! What became of a folder that an operator published something in, went back in, or promoted to.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use stoker_admission::{Outcome, Report, Verdict};
use stoker_core::ids::ArtifactDigest;
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::activation::{Document, Own, Piece};

use super::deployment::Deployment;
use super::told::{self, Told};
use super::views::{self, EntryView, FilesView};
use crate::tell::Tone;

/// What was wanted.
#[derive(Debug)]
pub(super) enum Wanted {
    /// That these uploads decide.
    Upload {
        policy: Option<ArtifactDigest>,
        settings: Option<ArtifactDigest>,
    },
    /// That something that was admitted before does.
    Republished,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    /// As it was wanted.
    Well,
    /// It was refused.
    Refused,
    /// Somebody else put something else there meanwhile.
    Overtaken,
}

impl Wanted {
    fn went(&self, verdict: &Verdict, own: Option<&Own>) -> Went {
        match (self, verdict.outcome) {
            (_, Outcome::Refused | Outcome::HeldBack) => Went::Refused,
            (Self::Republished, _) => Went::Well,
            // New settings may go with a policy that was gone back to: what is passed over is the other file.
            (Self::Upload { policy, settings }, Outcome::Active | Outcome::PassedOver) => {
                let is = |piece: Option<&Piece>, wanted: &Option<ArtifactDigest>| {
                    wanted.is_none() || piece.map(|piece| &piece.digest) == wanted.as_ref()
                };
                let ours = is(own.and_then(|own| own.policy.as_ref()), policy)
                    && is(own.and_then(|own| own.settings.as_ref()), settings);
                if ours { Went::Well } else { Went::Overtaken }
            }
            (Self::Upload { .. }, Outcome::Withdrawn) => Went::Overtaken,
        }
    }
}

/// Tells what became of it.
pub(super) async fn tell(
    told: &Told,
    deployment: &Deployment,
    folder: &PolicyFolder,
    report: &Report,
    wanted: &Wanted,
) -> anyhow::Result<ExitCode> {
    let verdict = match report.verdicts.get(folder) {
        Some(verdict) => Some(verdict.clone()),
        None if report.left_out > 0 => deployment.verdict(folder).await?,
        None => None,
    };
    let Some(verdict) = &verdict else {
        alarms(told, report)?;
        if report.published {
            bail!(
                "generation {} is published, and what became of {folder} could not be written down: \
                 `stoker policy show --scope {folder}` tells; do not repeat it before you have looked",
                report.generation
            );
        }
        bail!(
            "admission found nothing in {folder}: does it look into the same place? `stoker policy list` shows \
             what it knows of"
        );
    };
    let published = deployment
        .active()
        .await
        .context("admission has answered, and what is active can't be shown")?;
    let document = &published.document;
    let record = document.folders.get(folder);
    let went = wanted.went(verdict, record.map(|record| &record.own));
    match went {
        Went::Well => well(told, document, folder, report)?,
        Went::Refused => refused(told, deployment, document, verdict, wanted)?,
        Went::Overtaken => {
            let text = format!(
                "somebody put something else into {folder} meanwhile; `stoker policy show` tells what decides \
                 there, and publishing again puts this there"
            );
            told.say(Tone::Bad, "overtaken", &text)?;
        }
    }
    others(told, report, Some(folder))?;
    alarms(told, report)?;
    let outcome = match went {
        Went::Overtaken => json!("overtaken"),
        Went::Well | Went::Refused => json!(verdict.outcome),
    };
    told.value(&json!({
        "folder": folder,
        "uploaded": matches!(wanted, Wanted::Upload { .. }),
        "outcome": outcome,
        "published": report.published,
        "generation": report.generation,
        "decides": EntryView::all(document, folder),
        "tunes": record.map(|record| record.tunes.keys().copied().collect::<Vec<_>>()).unwrap_or_default(),
        "files": FilesView::of(record.map(|record| &record.own)),
        "problems": verdict.problems,
        "others": refusals(report, Some(folder)),
        "alarms": report.alarms,
    }))?;
    Ok(if went == Went::Well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn well(
    told: &Told,
    document: &Document,
    folder: &PolicyFolder,
    report: &Report,
) -> std::io::Result<()> {
    let since = document.folders.get(folder).map(|record| record.changed);
    let text = match since {
        None => format!(
            "nothing is in {folder} any more, as of generation {}; the next broader level decides",
            report.generation
        ),
        Some(since) if since < report.generation || !report.published => {
            format!("{folder} is so since generation {since}")
        }
        Some(since) => format!("{folder} as generation {since}"),
    };
    told.say(Tone::Good, "published", &text)?;
    tell_entries(told, document, folder)?;
    told.more("deciding processes take that up within seconds (POLICY_REVALIDATE_SECONDS)")
}

fn refused(
    told: &Told,
    deployment: &Deployment,
    document: &Document,
    verdict: &Verdict,
    wanted: &Wanted,
) -> std::io::Result<()> {
    let folder = &verdict.folder;
    told.say(Tone::Bad, verdict.outcome.words(), &format!("{folder}:"))?;
    told.problems(&verdict.problems)?;
    told.say(Tone::Held, "unchanged", "what decided before goes on:")?;
    tell_entries(told, document, folder)?;
    if let Wanted::Upload { policy, settings } = wanted {
        let names = [("policy.wasm", policy), ("settings.json", settings)];
        let there: Vec<String> = names
            .into_iter()
            .filter(|(_, uploaded)| uploaded.is_some())
            .map(|(name, _)| deployment.place_of(&format!("{folder}/{name}")))
            .collect();
        let text = format!(
            "what is refused stays in its place until something else is put there: {}",
            there.join(", ")
        );
        told.more(&text)?;
    }
    Ok(())
}

/// What decides for a folder's scope, by itself or by inheritance.
fn tell_entries(told: &Told, document: &Document, folder: &PolicyFolder) -> std::io::Result<()> {
    let place = folder
        .chain()
        .find(|place| document.folders.contains_key(place));
    let Some(place) = place else {
        return told.more("the built-in rules");
    };
    for (decision, entry) in EntryView::all(document, &place) {
        told.more(&format!("{decision}: {}", entry.words()))?;
    }
    let record = document.folders.get(folder);
    for decision in record.into_iter().flat_map(|record| record.tunes.keys()) {
        told.more(&format!(
            "{decision}: settings of its own for its jobs, where its organisation has the runners"
        ))?;
    }
    if let Some(record) = record {
        for file in views::files(&record.own) {
            told.more(&file)?;
        }
    }
    Ok(())
}

/// What admission newly refuses elsewhere: what is published on a broad level may not go with what is on a
/// narrower one.
fn refusals(report: &Report, but: Option<&PolicyFolder>) -> Vec<Value> {
    let refused = report.news.iter().filter(|folder| Some(*folder) != but);
    refused
        .filter_map(|folder| report.verdicts.get(folder))
        .filter(|verdict| verdict.outcome.is_refusal())
        .map(|verdict| {
            json!({
                "folder": verdict.folder,
                "outcome": verdict.outcome,
                "problems": verdict.problems,
            })
        })
        .collect()
}

/// See [`refusals`].
fn others(told: &Told, report: &Report, but: Option<&PolicyFolder>) -> std::io::Result<()> {
    let news = report.news.iter().filter(|folder| Some(*folder) != but);
    for verdict in news.filter_map(|folder| report.verdicts.get(folder)) {
        if verdict.outcome.is_refusal() {
            let text = format!("{}, where what decided before goes on:", verdict.folder);
            told.say(Tone::Bad, verdict.outcome.words(), &text)?;
            told.problems(&verdict.problems)?;
        }
    }
    Ok(())
}

/// What an operator is to look at.
pub(super) fn alarms(told: &Told, report: &Report) -> std::io::Result<()> {
    let mut alarms = report.alarms.iter();
    alarms.try_for_each(|alarm| told.say(Tone::Bad, "alarm", alarm))
}

/// A report's verdicts, each in a line, with what is wrong.
pub(super) fn verdicts(told: &Told, report: &Report) -> std::io::Result<()> {
    for (folder, verdict) in &report.verdicts {
        let news = if report.news.contains(folder) {
            ", which is news"
        } else {
            ""
        };
        let tone = match verdict.outcome {
            Outcome::Active => Tone::Good,
            Outcome::Refused | Outcome::HeldBack => Tone::Bad,
            Outcome::PassedOver | Outcome::Withdrawn => Tone::Held,
        };
        let text = format!("{folder} ({}){news}", told::time(verdict.at));
        told.say(tone, verdict.outcome.words(), &text)?;
        told.problems(&verdict.problems)?;
    }
    Ok(())
}
