//! `stoker why`: what happened to a job.

mod gather;
mod steps;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use stoker_aws::{ClientSettings, Clients, DynamoLedger, S3Journal};
use stoker_core::ports::Clock as _;
use stoker_local::embedded::{JOURNAL_FOLDER, LEDGER_FILE};
use stoker_local::{Database, FolderJournal, SqliteLedger, SystemClock};

pub(crate) use gather::{Known, Named, gather};

use crate::WrongArguments;
use crate::policy::told::{rfc3339, time};
use crate::tell::{Style, visible};

/// What `stoker why` does, at length.
pub const WHY: &str = "Tell what happened to a job, step by step: received, decided by which policy and why, \
    launched as what, registered, taken; and what it waits for. It reads the job's item in the ledger and the few \
    records of the journal that this names, however large the journal is.";

/// Where `stoker up` listens unless it is told otherwise.
const UP: &str = "http://127.0.0.1:8080";

/// Arguments of `stoker why`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker why https://github.com/acme/app/actions/runs/71/job/4711
  stoker why acme/app 4711 --json
  stoker why acme/app 4711 --data stoker-data
  stoker why acme/app 4711 --table stoker-ledger --bucket acme-stoker-journal

Exit status: 0 it is known, 1 nothing is known of it or something failed, 2 wrong arguments.")]
pub struct WhyArgs {
    /// The job's page on GitHub; or OWNER/REPO and GitHub's id of the job.
    #[arg(value_name = "JOB", required = true, num_args = 1..=2)]
    job: Vec<String>,
    /// A `stoker up` that runs.
    #[arg(
        long,
        value_name = "URL",
        default_value = UP,
        help_heading = "Which deployment"
    )]
    up: String,
    /// The data folder of a `stoker up` that does not run.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "table",
        help_heading = "Which deployment"
    )]
    data: Option<PathBuf>,
    /// The ledger of a deployment on AWS; credentials, region and endpoint are found as the AWS CLI finds
    /// them.
    #[arg(
        long,
        value_name = "TABLE",
        requires = "bucket",
        help_heading = "Which deployment"
    )]
    table: Option<String>,
    /// The bucket of its journal.
    #[arg(
        long,
        value_name = "BUCKET",
        requires = "table",
        help_heading = "Which deployment"
    )]
    bucket: Option<String>,
    /// Where in the bucket, if not at its top.
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true,
        help_heading = "Which deployment"
    )]
    prefix: String,
    /// Write all that is known as JSON.
    #[arg(long)]
    json: bool,
}

/// Tells.
pub async fn run(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let named = named(&args.job)?;
    let known = match (&args.data, &args.table, &args.bucket) {
        (Some(data), ..) => of_folder(data, &named).await?,
        (None, Some(table), Some(bucket)) => {
            let clients = Clients::load(&ClientSettings::default()).await;
            let ledger = DynamoLedger::new(clients.dynamodb, table);
            let journal = S3Journal::new(clients.s3, bucket).prefix(&args.prefix);
            gather(&ledger, &journal, &named).await?
        }
        _ => of_process(&args.up, &named).await?,
    };
    let Some(known) = known else {
        return unknown(&named, args.json);
    };
    if args.json {
        tell_json(&known)?;
    } else {
        tell(&known)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn of_folder(data: &std::path::Path, named: &Named) -> anyhow::Result<Option<Known>> {
    let file = data.join(LEDGER_FILE);
    if !file.exists() {
        bail!(
            "there is no ledger in {}: is it the data folder of `stoker up`?",
            data.display()
        );
    }
    let database = Database::open(&file)
        .context("while `stoker up` runs, leave --data out (and name its address with --up)")?;
    let ledger = SqliteLedger::new(database);
    let journal = FolderJournal::new(data.join(JOURNAL_FOLDER));
    gather(&ledger, &journal, named).await
}

async fn of_process(up: &str, named: &Named) -> anyhow::Result<Option<Known>> {
    let url = format!(
        "{}/why/{}/{}",
        up.trim_end_matches('/'),
        named.repository,
        named.job
    );
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?;
    let answer = client.get(&url).send().await.with_context(|| {
        format!(
            "no `stoker up` answers at {up}: name its address with --up, its data folder with --data if it does \
             not run, or a deployment on AWS with --table and --bucket"
        )
    })?;
    match answer.status().as_u16() {
        200 => Ok(Some(
            answer.json().await.context("its answer can't be read")?,
        )),
        404 => Ok(None),
        status => bail!(
            "{url} answered {status}: {}",
            answer.text().await.unwrap_or_default()
        ),
    }
}

/// The job that is meant: by its page, or by its repository and id.
fn named(words: &[String]) -> anyhow::Result<Named> {
    let wrong = || {
        WrongArguments(format!(
            "`{}` names no job: give its page (https://github.com/OWNER/REPO/actions/runs/RUN/job/JOB), or OWNER/REPO \
             and the job's id",
            words.join(" ")
        ))
    };
    let parts: Vec<&str> = match words {
        [page] if page.contains("://") => {
            let path = page.split("://").nth(1).unwrap_or_default();
            let path = path.split(['?', '#']).next().unwrap_or_default();
            let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
            match parts.as_slice() {
                [
                    _host,
                    owner,
                    repo,
                    "actions",
                    "runs",
                    _run,
                    "job" | "jobs",
                    job,
                ] => {
                    vec![owner, repo, job]
                }
                [_host, owner, repo, "runs", job] => vec![owner, repo, job],
                _ => return Err(wrong().into()),
            }
        }
        [one] => one.split('/').collect(),
        [repository, job] => repository.split('/').chain([job.as_str()]).collect(),
        _ => return Err(wrong().into()),
    };
    match parts.as_slice() {
        [owner, repo, job] if !owner.is_empty() && !repo.is_empty() => Ok(Named {
            repository: format!("{owner}/{repo}").to_lowercase(),
            job: job.parse().map_err(|_| wrong())?,
        }),
        _ => Err(wrong().into()),
    }
}

fn unknown(named: &Named, json: bool) -> anyhow::Result<ExitCode> {
    let Named { repository, job } = named;
    let mut out = std::io::stdout();
    if json {
        writeln!(out, "{:#}", json!({ "job": null }))?;
    } else {
        writeln!(
            out,
            "Nothing is known of job {job} of {repository}. Its webhook did not arrive (look at the App's recent \
             deliveries), no runner class has its labels, its repository is not on the allow-list, or it ended more \
             than four days ago."
        )?;
    }
    Ok(ExitCode::FAILURE)
}

fn tell_json(known: &Known) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let (_, standing) = steps::standing(known, now);
    let steps: Vec<_> = steps::steps(known)
        .into_iter()
        .map(|step| {
            json!({
                "at": rfc3339(step.at), "what": step.what, "text": step.text,
            })
        })
        .collect();
    let value = json!({
        "job": known.job,
        "standing": standing,
        "steps": steps,
        "events": known.events,
        "runners": known.runners,
        "missing": known.missing,
    });
    writeln!(std::io::stdout(), "{value:#}")?;
    Ok(())
}

fn tell(known: &Known) -> anyhow::Result<()> {
    let style = Style::stdout();
    let mut out = std::io::stdout();
    let job = &known.job;
    let labels = job.labels.as_deref().unwrap_or_default().join(", ");
    let mut about = vec![format!("labels {labels}")];
    about.extend(job.workflow.iter().map(|name| format!("workflow {name}")));
    about.extend(job.branch.iter().map(|name| format!("branch {name}")));
    let title = format!("{} of {}", job.name, job.full_name());
    writeln!(
        out,
        "{}  {}",
        style.bold(&visible(&title)),
        style.dim(&visible(&about.join("; ")))
    )?;
    let (tone, standing) = steps::standing(known, SystemClock.now());
    writeln!(out, "{}", style.tone(tone, &visible(&standing)))?;
    writeln!(out, "queued {}", time(job.queued_at))?;
    for step in steps::steps(known) {
        let since = job.queued_at.age(step.at);
        writeln!(
            out,
            "{:>7} {} {}",
            style.dim(&format!("+{since}s")),
            style.tone(step.tone, &format!("{:<10}", step.what)),
            visible(&step.text)
        )?;
    }
    for missing in &known.missing {
        writeln!(out, "not told: {}", visible(missing))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Option<(String, u64)> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        named(&words)
            .ok()
            .map(|named| (named.repository, named.job))
    }

    #[test]
    fn a_job_is_named_as_people_have_it_at_hand() {
        let meant = Some(("acme/app".to_owned(), 4711));
        for words in [
            &["https://github.com/Acme/App/actions/runs/71/job/4711"][..],
            &["https://github.com/acme/app/actions/runs/71/job/4711?pr=3#step:2:1"],
            &["https://ghes.example/acme/app/runs/4711"],
            &["acme/app", "4711"],
            &["acme/app/4711"],
        ] {
            assert_eq!(read(words), meant, "{words:?}");
        }
        for words in [
            &["https://github.com/acme/app/actions/runs/71"][..],
            &["acme/app"],
            &["acme", "4711"],
            &["acme/app", "build"],
        ] {
            assert_eq!(read(words), None, "{words:?}");
        }
    }
}
