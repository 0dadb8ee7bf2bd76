//! What is known of a job: its item in the ledger, the records of the journal that tell of it, and the
//! runners that were launched for it or took it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use futures::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoker_core::ids::{InstanceId, JobKey};
use stoker_core::job::Job;
use stoker_core::journal::{self, RecordName};
use stoker_core::ports::{JournalStore, Ledger};
use stoker_core::runner::Runner;
use stoker_core::time::Timestamp;
use stoker_intake::CheckRunId;

/// A job, as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// `owner/repository`, in lower case.
    pub(crate) repository: String,
    /// GitHub's id of the job.
    pub(crate) job: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) event: Value,
}

/// What is known of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) job: Job,
    /// What tells of it, in the order in which it happened.
    pub(crate) events: Vec<Event>,
    /// The runners that were launched with it in mind, and the one that took it.
    pub(crate) runners: Vec<Runner>,
    /// What could not be read, and why.
    pub(crate) missing: Vec<String>,
}

/// Gathers it; none: the ledger knows no such job.
pub(crate) async fn gather(
    ledger: &dyn Ledger,
    journal: &dyn JournalStore,
    named: &Named,
) -> anyhow::Result<Option<Known>> {
    let Some(repository) = ledger.repository(&named.repository).await? else {
        return Ok(None);
    };
    // The check run that stands for a job has the job's own id.
    let key = JobKey {
        repository,
        check_run: CheckRunId::new(named.job),
    };
    let Some(job) = ledger.job(key).await? else {
        return Ok(None);
    };
    let mut missing = Vec::new();
    let mut all = Vec::new();
    let records = job.story.records();
    for (name, read) in records.iter().zip(read_all(journal, records).await) {
        match read {
            Ok(events) => all.extend(events),
            Err(problem) => missing.push(format!("{name}: {problem}")),
        }
    }
    all.sort_by_key(|event| event.at);
    let told = Told::of(key, &all);
    let mut events: Vec<Event> = Vec::new();
    for event in all.into_iter().filter(|event| told.tells(key, event)) {
        // What happened as one record followed another is in both.
        if !events.contains(&event) {
            events.push(event);
        }
    }
    let taker = job.runner_name.as_deref().and_then(instance_in);
    let instances: BTreeSet<InstanceId> = told.instances.into_iter().chain(taker).collect();
    let runners = try_join_all(instances.iter().map(|instance| ledger.runner(instance)));
    let runners = runners.await.context("the runners can't be read")?;
    Ok(Some(Known {
        job,
        events,
        runners: runners.into_iter().flatten().collect(),
        missing,
    }))
}

async fn read_all(
    journal: &dyn JournalStore,
    records: &[RecordName],
) -> Vec<Result<Vec<Event>, String>> {
    join_all(records.iter().map(|name| async move {
        let bytes = journal
            .read(name)
            .await
            .map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or(
            "it was not written (the process died, or is about to write it), or has expired",
        )?;
        let lines = journal::unpacked(&bytes)?;
        let events = lines.into_iter().map(|line| Event {
            at: line.at,
            event: line.event,
        });
        Ok(events.collect())
    }))
    .await
}

/// The instance that a runner's name ends with.
fn instance_in(runner: &str) -> Option<InstanceId> {
    runner[runner.rfind("i-")?..].parse().ok()
}

/// Which launches and instances have to do with a job.
struct Told {
    intents: BTreeSet<String>,
    instances: BTreeSet<InstanceId>,
}

impl Told {
    fn of(key: JobKey, events: &[Event]) -> Self {
        let mut told = Self {
            intents: BTreeSet::new(),
            instances: BTreeSet::new(),
        };
        for Event { event, .. } in events {
            for launch in list(&event["launches"]) {
                if names(&launch["jobs"], key) {
                    told.intents.extend(text(&launch["intent"]));
                }
            }
        }
        for Event { event, .. } in events {
            if is(event, "launched")
                && text(&event["intent"]).is_some_and(|i| told.intents.contains(&i))
            {
                let ids = list(&event["instances"]).iter();
                let ids = ids.filter_map(|instance| instance["id"].as_str()?.parse().ok());
                told.instances.extend(ids);
            }
        }
        told
    }

    fn tells(&self, key: JobKey, event: &Event) -> bool {
        let event = &event.event;
        let is_of_job = is_job(&event["job"], key);
        let is_of_intent = text(&event["intent"]).is_some_and(|i| self.intents.contains(&i));
        let instance = event["instance"].as_str().and_then(|id| id.parse().ok());
        let is_of_instance = instance.is_some_and(|id: InstanceId| self.instances.contains(&id));
        let is_decided = list(&event["launches"])
            .iter()
            .chain(list(&event["deferrals"]))
            .any(|part| names(&part["jobs"], key));
        is_of_job || is_of_intent || is_of_instance || is_decided
    }
}

pub(super) fn is(event: &Value, happening: &str) -> bool {
    event["happening"] == happening
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn is_job(value: &Value, key: JobKey) -> bool {
    serde_json::from_value::<JobKey>(value.clone()).is_ok_and(|found| found == key)
}

/// Whether a list of jobs has that one.
pub(super) fn names(jobs: &Value, key: JobKey) -> bool {
    list(jobs).iter().any(|job| is_job(job, key))
}
