//! `stoker why`: what happened to a job.
//!
//! [`named`] says which job is meant, [`gather`] what is known of it; [`steps`], with [`decided`] and
//! [`runners`], puts that in plain words, and [`standing`] how it stands.

mod decided;
mod gather;
mod named;
mod runners;
mod standing;
mod steps;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use stoker_aws::{ClientSettings, Clients, DynamoLedger, S3Journal};
use stoker_core::ports::Clock as _;
use stoker_core::time::Timestamp;
use stoker_local::embedded::{JOURNAL_FOLDER, LEDGER_FILE};
use stoker_local::{Database, FolderJournal, SqliteLedger, SystemClock};

pub(crate) use gather::{Found, Known, Named, gather};

use crate::tell::{Style, Tone, clock, day, time, visible};

/// What `stoker why` does, at length.
pub const WHY: &str = "Tell what happened to a job, step by step with times: received, decided by which policy and \
    why, what bound it, launched as what, booted or not, taken by which runner; and what it waits for. It reads \
    the job's item in the ledger and the few records of the journal that this names, however large the journal \
    is.\n\n\
    A job is known by GitHub's id of it: the number at the end of its page's address, which is also the id of \
    the check run that stands for it on commits and pull requests. A run's id, or a check run's of another App, \
    names no job.";

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
    /// Write all that is known as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Where a deployment's ledger and journal are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which deployment")]
struct PlaceArgs {
    /// A `stoker up` that runs.
    #[arg(long, value_name = "URL", default_value = UP)]
    up: String,
    /// The data folder of a `stoker up` that does not run.
    #[arg(long, value_name = "DIR", conflicts_with = "table")]
    data: Option<PathBuf>,
    /// The ledger of a deployment on AWS; credentials, region and endpoint are found as the AWS CLI finds
    /// them.
    #[arg(long, value_name = "TABLE", requires = "bucket")]
    table: Option<String>,
    /// The bucket of its journal.
    #[arg(long, value_name = "BUCKET", requires = "table")]
    bucket: Option<String>,
    /// Where in the bucket, if not at its top.
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
}

impl PlaceArgs {
    async fn find(&self, named: &Named) -> anyhow::Result<Found> {
        match (&self.data, &self.table, &self.bucket) {
            (Some(data), ..) => of_folder(data, named).await,
            (None, Some(table), Some(bucket)) => {
                let clients = Clients::load(&ClientSettings::default()).await;
                let ledger = DynamoLedger::new(clients.dynamodb, table);
                let journal = S3Journal::new(clients.s3, bucket).prefix(&self.prefix);
                gather(&ledger, &journal, named).await
            }
            _ => of_process(&self.up, named).await,
        }
    }
}

/// Tells.
pub async fn run(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let named = named::named(&args.job)?;
    let found = args.place.find(&named).await?;
    let mut out = std::io::stdout();
    let Found::Job(known) = found else {
        let told = unknown(&named, &found);
        if args.json {
            let value = json!({ "job": null, "standing": told });
            writeln!(out, "{value:#}")?;
        } else {
            writeln!(out, "{}", visible(&told))?;
        }
        return Ok(ExitCode::FAILURE);
    };
    let now = SystemClock.now();
    if args.json {
        writeln!(out, "{:#}", value(&known, now))?;
    } else {
        for line in lines(&known, now, Style::stdout()) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn of_folder(data: &std::path::Path, named: &Named) -> anyhow::Result<Found> {
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

async fn of_process(up: &str, named: &Named) -> anyhow::Result<Found> {
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
        200 => answer.json().await.with_context(|| {
            format!("{url} answered what can't be read: is it a `stoker up`, and of this version?")
        }),
        status => {
            let told = answer.text().await.unwrap_or_default();
            bail!("{url} answered {status}: {}", visible(told.trim_end()))
        }
    }
}

/// What is said where nothing is known.
fn unknown(named: &Named, found: &Found) -> String {
    let Named { repository, job } = named;
    let why = match found {
        Found::NoRepository => format!(
            "No job of that repository was ever heard of: is the GitHub App installed for it, and does its webhook \
             arrive (look at the App's recent deliveries)? Is {repository} what it is called now?"
        ),
        _ => "Other jobs of that repository were heard of. Is it the id of the job, and not that of its run? If so, \
              its webhook did not arrive (look at the App's recent deliveries), no runner class has its labels, its \
              repository is not on the allow-list, or it ended more than four days ago."
            .to_owned(),
    };
    format!("Nothing is known of job {job} of {repository}. {why}")
}

/// What machines are told.
fn value(known: &Known, now: Timestamp) -> Value {
    let (_, standing) = standing::standing(known, now);
    let steps: Vec<steps::Told> = steps::steps(known).into_iter().map(Into::into).collect();
    json!({
        "job": known.job,
        "standing": standing,
        "steps": steps,
        "events": known.events,
        "runners": known.runners,
        "records_read": known.records_read,
        "missing": known.missing,
    })
}

/// What people are told.
fn lines(known: &Known, now: Timestamp, style: Style) -> Vec<String> {
    let job = &known.job;
    let labels = job.labels.as_ref().map(|labels| labels.join(", "));
    let mut about = vec![format!("labels {}", labels.unwrap_or("not known".into()))];
    about.extend(job.workflow.iter().map(|name| format!("workflow {name}")));
    about.extend(job.branch.iter().map(|name| format!("branch {name}")));
    about.extend((job.attempt > 1).then(|| format!("attempt {}", job.attempt)));
    let title = style.bold(&visible(&format!("{} of {}", job.name, job.full_name())));
    let (tone, standing) = standing::standing(known, now);
    let mut lines = vec![
        format!("{title}  {}", style.dim(&visible(&about.join("; ")))),
        style.tone(tone, &visible(&standing)),
        format!("queued {}", time(job.queued_at)),
    ];
    let mut today = day(job.queued_at);
    for step in steps::steps(known) {
        if day(step.at) != today {
            today = day(step.at);
            lines.push(today.clone());
        }
        // The padding is outside of the colours, whose codes have a width of their own.
        lines.push(format!(
            "{} {} {} {}",
            clock(step.at),
            style.dim(&format!("{:>7}", since(job.queued_at, step.at))),
            style.tone(step.tone, &format!("{:<10}", step.what)),
            visible(&step.text)
        ));
    }
    for missing in &known.missing {
        let told = format!("not told: {}", visible(missing));
        lines.push(style.tone(Tone::Held, &told));
    }
    lines
}

/// How long after a job was queued something happened.
fn since(queued: Timestamp, at: Timestamp) -> String {
    if at < queued {
        format!("-{}s", at.age(queued))
    } else {
        format!("+{}s", queued.age(at))
    }
}
