//! What a job's runners came to, by their own items: the records that tell of a job need not tell of the
//! boot of its runner.

use stoker_core::runner::{Runner, RunnerPhase};

use super::gather::{Happened, Known, is};
use super::steps::Step;
use crate::tell::Tone;

/// A runner's kind: `small, spot, c7i.large`.
pub(super) fn kind(runner: &Runner) -> String {
    let capacity = runner.capacity.as_str();
    format!("{}, {capacity}, {}", runner.class, runner.instance_type)
}

/// How many seconds after its launch a runner had booted, where that is what is told.
pub(super) fn booted(known: &Known, told: &Happened) -> Option<u32> {
    let mut runners = known.runners.iter();
    let runner = runners.find(|runner| told.event["instance"] == runner.instance.as_str())?;
    (runner.booted_at == Some(told.at)).then(|| runner.launched_at.age(told.at))
}

/// How a runner that is gone has ended.
pub(super) fn ended(known: &Known, name: &str) -> Option<(Tone, &'static str, String)> {
    let runner = known.runners.iter().find(|runner| runner.name == name)?;
    let why = if runner.interrupted {
        ": EC2 took it back (spot interruption)"
    } else {
        ""
    };
    let after = runner.launched_at.age(runner.phase_since);
    Some(match runner.booted_at {
        Some(_) if runner.interrupted => (Tone::Bad, "lost", format!("{name} is gone{why}")),
        Some(_) => (Tone::Plain, "runner", format!("{name} is gone")),
        None => {
            let told = format!("{name} never booted: it is gone, {after} s after its launch{why}");
            (Tone::Bad, "not booted", told)
        }
    })
}

/// What no event tells of them.
pub(super) fn steps(known: &Known) -> Vec<Step> {
    known
        .runners
        .iter()
        .flat_map(|runner| of(known, runner))
        .collect()
}

fn of(known: &Known, runner: &Runner) -> Vec<Step> {
    let name = &runner.name;
    let mut steps = Vec::new();
    if !is_launched_for_it(known, runner) {
        let told = format!(
            "{name} ({}) was launched for other jobs, or for none in particular",
            kind(runner)
        );
        steps.push(Step::new(runner.launched_at, Tone::Plain, "runner", told));
    }
    let tells = |event: &&Happened| {
        is(&event.event, "runner-changed") && event.event["instance"] == runner.instance.as_str()
    };
    let told: Vec<&Happened> = known.events.iter().filter(tells).collect();
    if let Some(booted) = runner.booted_at
        && told.iter().all(|event| event.at != booted)
    {
        let after = runner.launched_at.age(booted);
        let told = format!("{name} was up {after} s after its launch");
        steps.push(Step::new(booted, Tone::Good, "booted", told));
    }
    if runner.phase == RunnerPhase::Ended
        && told.iter().all(|event| event.event["phase"] != "ended")
        && let Some((tone, what, text)) = ended(known, name)
    {
        steps.push(Step::new(runner.phase_since, tone, what, text));
    }
    steps
}

/// Whether a runner was launched in the job's place.
pub(super) fn is_launched_for_it(known: &Known, runner: &Runner) -> bool {
    known.events.iter().any(|event| {
        event
            .place
            .is_some_and(|place| event.event["instances"][place]["id"] == runner.instance.as_str())
    })
}
