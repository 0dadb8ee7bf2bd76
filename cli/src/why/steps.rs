//! A job's story in plain words, step by step.

use serde::Serialize;
use stoker_core::ids::JobKey;
use stoker_core::time::Timestamp;

use super::decided::{decided, launched};
use super::gather::{Happened, Known, is_job};
use super::runners;
use crate::tell::Tone;

/// What bound a job, where it was not a host's rule, which has its own word.
pub(super) const POLICY: &str = "policy";
/// The policy failed, and the operator wants nothing done then.
pub(super) const FALLBACK: &str = "fallback";
/// EC2 did not have it.
pub(super) const NO_CAPACITY: &str = "no-capacity";

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    /// A word for it.
    pub(super) what: &'static str,
    /// A sentence.
    pub(super) text: String,
    /// What kept the job from a runner of its own, as a word: a guardrail's name, or one of the above.
    pub(super) bound: Option<String>,
    pub(super) tone: Tone,
}

impl Step {
    pub(super) fn new(at: Timestamp, tone: Tone, what: &'static str, text: String) -> Self {
        Self {
            at,
            what,
            text,
            bound: None,
            tone,
        }
    }

    pub(super) fn bound_by(self, bound: impl Into<String>) -> Self {
        Self {
            bound: Some(bound.into()),
            ..self
        }
    }
}

/// The steps of a job.
pub(super) fn steps(known: &Known) -> Vec<Step> {
    let events = known.events.iter().flat_map(|event| step(known, event));
    let mut steps: Vec<Step> = events.chain(runners::steps(known)).collect();
    steps.sort_by_key(|step| step.at);
    steps
}

fn step(known: &Known, told: &Happened) -> Vec<Step> {
    let Happened { at, event, .. } = told;
    let key = known.job.key;
    let word = |name: &str| event[name].as_str().unwrap_or("?").to_owned();
    let one = |tone: Tone, what, text: String| vec![Step::new(*at, tone, what, text)];
    match event["happening"].as_str().unwrap_or_default() {
        "folded" => {
            let phase = match (word("phase").as_str(), &known.job.runner_name) {
                ("queued", _) => "it waits for a runner".to_owned(),
                ("in-progress", Some(runner)) => format!("it runs, on {runner}"),
                ("in-progress", None) => "it runs".to_owned(),
                ("ended", _) => "it has ended".to_owned(),
                (other, _) => other.to_owned(),
            };
            let told = format!(
                "webhook `{} {}` (delivery {}), folded into the ledger: {phase}",
                word("event"),
                word("action"),
                word("delivery")
            );
            one(Tone::Plain, "received", told)
        }
        "nothing-new" => {
            let told = format!(
                "a webhook (delivery {}) that told nothing new: one again, or one that came late",
                word("delivery")
            );
            one(Tone::Plain, "received", told)
        }
        "verified" => {
            let told = format!("was asked about it: {}", word("answer"));
            one(Tone::Plain, "GitHub", told)
        }
        "decided" => decided(told, key),
        "launched" => vec![launched(told)],
        "launch-unsettled" => one(Tone::Bad, "EC2", word("problem")),
        "configured" => {
            let told = format!("{} may register as {}", word("instance"), word("runner"));
            one(Tone::Good, "registered", told)
        }
        "configuration-failed" => {
            let told = format!(
                "{} could not be registered and is replaced: {}",
                word("instance"),
                word("problem")
            );
            one(Tone::Bad, "registered", told)
        }
        "runner-changed" => runner_changed(known, told, key).into_iter().collect(),
        "runner-lost" => {
            let why = if event["interrupted"] == true {
                "EC2 took it back (spot interruption)"
            } else {
                "it failed, or somebody terminated it"
            };
            let told = format!("its runner {} is gone: {why}", word("runner"));
            one(Tone::Bad, "lost", told)
        }
        _ => Vec::new(),
    }
}

fn runner_changed(known: &Known, told: &Happened, key: JobKey) -> Option<Step> {
    let Happened { at, event, .. } = told;
    let name = event["runner"].as_str().unwrap_or("?");
    let booted = runners::booted(known, told);
    let (tone, what, text) = match event["phase"].as_str().unwrap_or_default() {
        // What else is told says as much.
        "launching" | "booting" => return None,
        "idle" => match booted {
            Some(after) => {
                let told = format!("{name} is idle, {after} s after its launch");
                (Tone::Good, "booted", told)
            }
            None => (Tone::Plain, "runner", format!("{name} is idle")),
        },
        "busy" if is_job(&event["job"], key) => {
            let booted = booted.map_or_else(String::new, |after| {
                format!("; it was not heard of before, {after} s after its launch")
            });
            let told = format!("{name} is busy with it{booted}");
            (Tone::Good, "taken", told)
        }
        "busy" => {
            let told = format!(
                "{name} is busy with another job: GitHub gives a job to any runner that fits"
            );
            (Tone::Held, "runner", told)
        }
        "retiring" => (Tone::Plain, "runner", format!("{name} is to go")),
        "ended" => runners::ended(known, name)
            .unwrap_or_else(|| (Tone::Plain, "runner", format!("{name} is gone"))),
        other => (Tone::Plain, "runner", format!("{name} is {other}")),
    };
    Some(Step::new(*at, tone, what, text))
}

/// A step, as machines are told of it.
#[derive(Serialize)]
pub(super) struct Told {
    pub(super) at: Option<String>,
    pub(super) what: &'static str,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bound: Option<String>,
}

impl From<Step> for Told {
    fn from(step: Step) -> Self {
        Self {
            at: crate::tell::rfc3339(step.at),
            what: step.what,
            text: step.text,
            bound: step.bound,
        }
    }
}
