//! What GitHub says of a job.

use serde::Deserialize;
use stoker_core::ports::JobLookup;

use crate::error::{Error, Purpose};

pub(crate) const LOOKING_UP: Purpose = Purpose {
    permission: Some("actions: read"),
    not_found: "GitHub knows no such job",
};

/// The part of a job that is needed.
#[derive(Deserialize)]
pub(crate) struct Job {
    status: String,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    runner_name: Option<String>,
}

/// Only `queued` waits for a runner: `waiting` is held back by a deployment's gate, `pending` and
/// `requested` by a concurrency group or by GitHub itself, and are announced when they are queued.
pub(crate) fn lookup(answer: Result<Job, Error>) -> Result<JobLookup, Error> {
    match answer {
        Ok(job) if job.status == "queued" => Ok(JobLookup::Queued { labels: job.labels }),
        Ok(job) => Ok(JobLookup::NotQueued {
            status: job.status,
            runner_name: job.runner_name.filter(|name| !name.is_empty()),
        }),
        Err(error) if error.status() == Some(404) => Ok(JobLookup::Unknown),
        Err(error) => Err(error),
    }
}
