//! How a job stands, in a sentence.

use serde_json::Value;
use stoker_core::job::{JobPhase, Standing};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_core::time::Timestamp;

use super::decided::decided;
use super::gather::{Happened, Known, is, list, names};
use super::runners::{is_launched_for_it, kind};
use crate::tell::Tone;

/// How a job stands, and how good that is.
pub(super) fn standing(known: &Known, now: Timestamp) -> (Tone, String) {
    let job = &known.job;
    match job.phase {
        JobPhase::Ended => {
            let conclusion = job.conclusion.as_deref().unwrap_or("no conclusion");
            let told = match &job.runner_name {
                Some(runner) => format!("ended ({conclusion}) on {}", whose(known, runner)),
                None => format!("ended ({conclusion}) without a runner"),
            };
            (Tone::Plain, told)
        }
        JobPhase::InProgress => {
            let told = match &job.runner_name {
                Some(runner) => format!("runs on {}", whose(known, runner)),
                None => "runs on a runner that GitHub did not name".to_owned(),
            };
            (Tone::Good, told)
        }
        JobPhase::Queued => {
            let waited = job.queued_at.age(now);
            let told = format!("waits for {waited} s now: {}", waits(known, now));
            (Tone::Held, told)
        }
    }
}

/// A runner, and whether it is ours.
fn whose(known: &Known, name: &str) -> String {
    match known.runners.iter().find(|runner| runner.name == name) {
        Some(runner) => format!("{name} ({})", kind(runner)),
        None => format!("{name}, which is no runner of this deployment (or was forgotten)"),
    }
}

/// Why it waits.
fn waits(known: &Known, now: Timestamp) -> String {
    match known.job.standing {
        Standing::Unverified => {
            return "GitHub has not confirmed yet that it waits, so nothing is launched for it"
                .to_owned();
        }
        Standing::Denied => {
            return "GitHub said that it does not wait, does not know it, or that no runner class has its \
                    labels; nothing is launched for it until a webhook announces it again"
                .to_owned();
        }
        Standing::Announced | Standing::Verified => {}
    }
    let its: Vec<&Runner> = known
        .runners
        .iter()
        .filter(|runner| is_launched_for_it(known, runner))
        .collect();
    let coming: Vec<&Runner> = its
        .iter()
        .copied()
        .filter(|runner| {
            use RunnerPhase::{Booting, Idle, Launching};
            matches!(runner.phase, Launching | Booting | Idle)
        })
        .collect();
    match coming.as_slice() {
        [] => without_a_runner(known, its.last().copied()),
        [runner] if runner.phase == RunnerPhase::Idle => format!(
            "{}, launched for it, is idle for {} s: GitHub has not given it the job yet (where that stays so: do its \
             labels and its runner group fit?)",
            runner.name,
            runner.phase_since.age(now)
        ),
        [runner] => format!(
            "{} ({}) was launched for it {} s ago and has not registered yet",
            runner.name,
            kind(runner),
            runner.launched_at.age(now)
        ),
        several => format!("{} runners were launched for it", several.len()),
    }
}

/// Why it waits where no runner is on its way in its place: by the last thing that was decided about it.
fn without_a_runner(known: &Known, last: Option<&Runner>) -> String {
    let key = known.job.key;
    let about = |event: &&Happened| is(&event.event, "decided");
    let Some(decision) = known.events.iter().rev().find(about) else {
        return match &known.job.last_deferral {
            Some(reason) => reason.clone(),
            None if known.missing.is_empty() => "it was not decided about yet".to_owned(),
            None => "what was decided about it can't be read".to_owned(),
        };
    };
    let mut launches = list(&decision.event["launches"]).iter();
    let Some(launch) = launches.rfind(|launch| names(&launch["jobs"], key)) else {
        let mut bound = decided(decision, key).into_iter().rev();
        return bound.find(|step| step.bound.is_some()).map_or_else(
            || "it was decided about, and nothing was launched for it".to_owned(),
            |step| step.text,
        );
    };
    let is_answer = |event: &&Happened| {
        is(&event.event, "launched") && event.event["intent"] == launch["intent"]
    };
    let Some(answer) = known.events.iter().rev().find(is_answer) else {
        return "a runner was decided for it, and what EC2 answered is not on record yet: the next act looks for \
                it and asks again"
            .to_owned();
    };
    match last {
        _ if is_without(answer) => format!(
            "EC2 did not have what was decided for it{}; it is decided again after a pause",
            why(&answer.event)
        ),
        Some(runner) if runner.booted_at.is_none() => format!(
            "{}, launched for it, is gone and never booted{}",
            runner.name,
            if runner.interrupted {
                ": EC2 took it back"
            } else {
                ""
            }
        ),
        Some(runner) => format!(
            "{}, launched for it, {}; GitHub gives a job to any runner that fits",
            runner.name,
            match runner.phase {
                RunnerPhase::Busy { .. } => "took another job",
                _ => "took another job or is gone",
            }
        ),
        None => {
            "the runners that were launched for it and others took other jobs, or are on their way"
                .to_owned()
        }
    }
}

/// Whether EC2 did not have the instance in the job's place.
fn is_without(answer: &Happened) -> bool {
    let given = list(&answer.event["instances"]).len();
    let wanted = answer.event["wanted"].as_u64().unwrap_or_default();
    answer
        .place
        .is_some_and(|place| place >= given && u64::try_from(place).is_ok_and(|p| p < wanted))
}

fn why(answer: &Value) -> String {
    match answer["refusals"][0]["code"].as_str() {
        Some(code) => format!(" ({code})"),
        None => String::new(),
    }
}
