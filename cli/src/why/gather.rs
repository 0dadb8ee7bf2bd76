//! What is known of a job: its item in the ledger, the records of the journal that tell of it, and the
//! runners that were launched for it or took it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use futures::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoker_core::ids::{InstanceId, JobKey};
use stoker_core::job::Job;
use stoker_core::journal::{self, Line, RecordName, Story};
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
pub(crate) struct Happened {
    pub(crate) at: Timestamp,
    pub(crate) event: Value,
    /// Of a decision: the runner that the policy wanted for the job, before the guardrails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<Wanted>,
    /// Of EC2's answer to a launch that was decided for the job: the job's place in it, which is that of
    /// its instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<usize>,
}

/// A runner that a policy wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) class: String,
    pub(crate) capacity: String,
    /// The policy's reason.
    pub(crate) reason: String,
}

/// What is known of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) job: Job,
    /// What tells of it, in the order in which it happened.
    pub(crate) events: Vec<Happened>,
    /// The runners that were launched in its place, and the one that took it.
    pub(crate) runners: Vec<Runner>,
    /// How many records of the journal were read for that.
    pub(crate) records_read: usize,
    /// What can't be told, and why.
    pub(crate) missing: Vec<String>,
}

/// What a look for a job comes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Found {
    /// It is known.
    Job(Box<Known>),
    /// Jobs of its repository were heard of, and it was not, or it is forgotten.
    NoJob,
    /// No job of its repository was ever heard of.
    NoRepository,
}

/// Gathers what is known of a job.
pub(crate) async fn gather(
    ledger: &dyn Ledger,
    journal: &dyn JournalStore,
    named: &Named,
) -> anyhow::Result<Found> {
    let Some(repository) = ledger.repository(&named.repository).await? else {
        return Ok(Found::NoRepository);
    };
    let key = JobKey {
        repository,
        // The check run that stands for a job on GitHub's pages has the job's own id.
        check_run: CheckRunId::new(named.job),
    };
    let Some(job) = ledger.job(key).await? else {
        return Ok(Found::NoJob);
    };
    let records = job.story.records();
    let mut missing = Vec::new();
    if records.len() == Story::MOST {
        missing.push(format!(
            "what may have happened between its first records and its last ones: a job's item names {} at most",
            Story::MOST
        ));
    }
    let mut all = Vec::new();
    let mut records_read = 0;
    for (name, read) in records.iter().zip(read_all(journal, records, key).await) {
        match read {
            Ok(events) => {
                records_read += 1;
                all.extend(events);
            }
            Err(problem) => missing.push(format!("record {name}: {problem}")),
        }
    }
    all.sort_by_key(|event| event.at);
    let taker = job.runner_name.as_deref().and_then(instance_in);
    let told = Told::of(key, &all, taker);
    let mut events: Vec<Happened> = Vec::new();
    for mut event in all.into_iter().filter(|event| told.tells(key, event)) {
        event.place = told.place(&event.event);
        // What happened as one record followed another is in both.
        if !events.contains(&event) {
            events.push(event);
        }
    }
    let runners = try_join_all(told.instances.iter().map(|one| ledger.runner(one)));
    let runners = runners.await.context("the runners can't be read")?;
    Ok(Found::Job(Box::new(Known {
        job,
        events,
        runners: runners.into_iter().flatten().collect(),
        records_read,
        missing,
    })))
}

async fn read_all(
    journal: &dyn JournalStore,
    records: &[RecordName],
    key: JobKey,
) -> Vec<Result<Vec<Happened>, String>> {
    join_all(records.iter().map(|name| async move {
        let bytes = journal
            .read(name)
            .await
            .map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or(
            "it was not written (the process died, or is about to write it), or has expired",
        )?;
        // Records of busy hours have megabytes: `stoker up` has other things to do meanwhile.
        let unpacked = tokio::task::spawn_blocking(move || {
            let lines = journal::unpacked(&bytes)?;
            Ok(lines.into_iter().map(|line| event_of(line, key)).collect())
        });
        unpacked.await.map_err(|error| error.to_string())?
    }))
    .await
}

fn event_of(line: Line, key: JobKey) -> Happened {
    let plan = line.plan.as_ref();
    Happened {
        wanted: plan
            .zip(line.situation.as_ref())
            .and_then(|(plan, situation)| wanted(plan, situation, key)),
        at: line.at,
        event: line.event,
        place: None,
    }
}

/// What a plan, in the positions of its situation, wants for a job.
fn wanted(plan: &Value, situation: &Value, key: JobKey) -> Option<Wanted> {
    let pending = list(&situation["pending"]);
    let place = pending.iter().position(|job| is_job(&job["key"], key))?;
    let launch = list(&plan["launches"]).iter().find(|launch| {
        let mut places = list(&launch["jobs"]).iter().filter_map(Value::as_u64);
        places.any(|one| usize::try_from(one) == Ok(place))
    })?;
    let class = usize::try_from(launch["class"].as_u64()?).ok()?;
    Some(Wanted {
        class: text(&situation["classes"][class]["class"]["name"])?,
        capacity: text(&launch["capacity"])?,
        reason: text(&launch["reason"])?,
    })
}

/// The instance that a runner's name ends with.
fn instance_in(runner: &str) -> Option<InstanceId> {
    runner[runner.rfind("i-")?..].parse().ok()
}

/// Which launches and instances have to do with a job. Of a launch for many jobs only the instance in this
/// one's place: GitHub may give the job to any, but nobody wants to read of hundreds.
struct Told {
    /// The job's place in each launch.
    launches: BTreeMap<String, usize>,
    instances: BTreeSet<InstanceId>,
}

impl Told {
    fn of(key: JobKey, events: &[Happened], taker: Option<InstanceId>) -> Self {
        let mut told = Self {
            launches: BTreeMap::new(),
            instances: taker.into_iter().collect(),
        };
        for launch in events
            .iter()
            .flat_map(|event| list(&event.event["launches"]))
        {
            let place = list(&launch["jobs"])
                .iter()
                .position(|job| is_job(job, key));
            told.launches.extend(text(&launch["intent"]).zip(place));
        }
        for Happened { event, .. } in events {
            let its = told
                .place(event)
                .and_then(|place| event["instances"][place]["id"].as_str());
            told.instances.extend(its.and_then(|id| id.parse().ok()));
        }
        told
    }

    /// The job's place in the launch that EC2's answer is to; none: it is something else, or of no launch
    /// for the job.
    fn place(&self, event: &Value) -> Option<usize> {
        let intent = event["intent"].as_str().filter(|_| is(event, "launched"))?;
        self.launches.get(intent).copied()
    }

    fn tells(&self, key: JobKey, event: &Happened) -> bool {
        let event = &event.event;
        let is_of_launch = text(&event["intent"]).is_some_and(|i| self.launches.contains_key(&i));
        let instance = event["instance"].as_str().and_then(|id| id.parse().ok());
        let is_of_instance = instance.is_some_and(|id: InstanceId| self.instances.contains(&id));
        let is_decided = list(&event["launches"])
            .iter()
            .chain(list(&event["deferrals"]))
            .any(|part| names(&part["jobs"], key));
        is_job(&event["job"], key) || is_of_launch || is_of_instance || is_decided
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

pub(super) fn is_job(value: &Value, key: JobKey) -> bool {
    serde_json::from_value::<JobKey>(value.clone()).is_ok_and(|found| found == key)
}

/// Whether a list of jobs has that one.
pub(super) fn names(jobs: &Value, key: JobKey) -> bool {
    list(jobs).iter().any(|job| is_job(job, key))
}
