//! A job's story in plain words, step by step.

use serde::Serialize;
use serde_json::Value;
use stoker_core::ids::JobKey;
use stoker_core::job::{Job, JobPhase, Standing};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_core::time::Timestamp;

use super::gather::{Event, Known, is, list, names, text};
use crate::tell::Tone;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    /// A word for it.
    pub(super) what: &'static str,
    /// A sentence.
    pub(super) text: String,
    #[serde(skip)]
    pub(super) tone: Tone,
}

/// The steps of a job.
pub(super) fn steps(known: &Known) -> Vec<Step> {
    let key = known.job.key;
    let mut steps: Vec<Step> = Vec::new();
    for event in &known.events {
        steps.extend(step(event, key));
    }
    steps
}

fn step(Event { at, event }: &Event, key: JobKey) -> Vec<Step> {
    let word = |name: &str| event[name].as_str().unwrap_or("?").to_owned();
    let one = |tone: Tone, what: &'static str, text: String| {
        vec![Step {
            at: *at,
            what,
            text,
            tone,
        }]
    };
    let kind = event["happening"].as_str().unwrap_or_default();
    match kind {
        "folded" => {
            let phase = match word("phase").as_str() {
                "queued" => "it waits for a runner".to_owned(),
                "in-progress" => "it runs".to_owned(),
                "ended" => "it has ended".to_owned(),
                other => other.to_owned(),
            };
            let webhook = format!("{} {}", word("event"), word("action"));
            let told = format!(
                "webhook `{webhook}` (delivery {}): {phase}",
                word("delivery")
            );
            one(Tone::Plain, "received", told)
        }
        "nothing-new" => {
            let told = format!(
                "a webhook again (delivery {}): nothing new",
                word("delivery")
            );
            one(Tone::Plain, "received", told)
        }
        "verified" => one(
            Tone::Plain,
            "GitHub",
            format!("asked about it: {}", word("answer")),
        ),
        "decided" => decided(*at, event, key),
        "launched" => one(Tone::Plain, "EC2", launched(event)),
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
        "runner-changed" => {
            let told = format!("{} is {}", word("runner"), word("phase"));
            one(Tone::Plain, "runner", told)
        }
        "runner-lost" => {
            let why = if event["interrupted"] == true {
                "EC2 took it back (spot interruption)"
            } else {
                "it failed, or somebody terminated it"
            };
            one(
                Tone::Bad,
                "lost",
                format!("its runner {} is gone: {why}", word("runner")),
            )
        }
        _ => Vec::new(),
    }
}

fn decided(at: Timestamp, event: &Value, key: JobKey) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut say = |tone, what, text| {
        steps.push(Step {
            at,
            what,
            text,
            tone,
        });
    };
    let by = by(&event["by"]);
    for launch in list(&event["launches"]) {
        if names(&launch["jobs"], key) {
            let told = format!(
                "{by}: launch {} {} ({}): {}",
                launch["count"],
                launch["class"].as_str().unwrap_or("?"),
                launch["capacity"].as_str().unwrap_or("?"),
                launch["reason"].as_str().unwrap_or("(no reason)")
            );
            say(Tone::Good, "decided", told);
        }
    }
    for deferral in list(&event["deferrals"]) {
        if names(&deferral["jobs"], key) {
            let again = deferral["retry_after"]
                .as_u64()
                .map_or_else(String::new, |seconds| {
                    format!("; decided again in {seconds} s")
                });
            let reason = deferral["reason"].as_str().unwrap_or("(no reason)");
            say(Tone::Held, "waits", format!("{by}: {reason}{again}"));
        }
    }
    if let Some(fallback) = event["fallback"].as_object() {
        let why = fallback
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("?");
        let told = format!("the policy that should have decided did not: {why}");
        say(Tone::Bad, "fallback", told);
    }
    for edit in list(&event["edits"]) {
        let told = format!(
            "a guardrail granted {} of {} {} ({}): {}",
            edit["granted"],
            edit["asked"],
            edit["class"].as_str().unwrap_or("?"),
            edit["capacity"].as_str().unwrap_or("?"),
            edit["rule"].as_str().unwrap_or("?"),
        );
        say(Tone::Held, "guardrail", told);
    }
    steps
}

/// Who decided.
fn by(by: &Value) -> String {
    let policy = by["policy"].as_str().unwrap_or("?");
    let mut more = vec![format!("{} level", by["level"].as_str().unwrap_or("?"))];
    if let Some(digest) = by["digest"].as_str() {
        more.push(digest.chars().take(12).collect());
    }
    if let Some(generation) = by["generation"].as_u64() {
        more.push(format!("generation {generation}"));
    }
    format!("{policy} ({})", more.join(", "))
}

fn launched(event: &Value) -> String {
    let instances: Vec<String> = list(&event["instances"])
        .iter()
        .filter_map(|instance| text(&instance["id"]))
        .collect();
    let which = match instances.len() {
        // Of a launch for hundreds of jobs nobody reads all.
        1..=4 => format!(": {}", instances.join(", ")),
        _ => String::new(),
    };
    let gave = format!(
        "gave {} of {} {} ({}){which}",
        instances.len(),
        event["wanted"],
        event["class"].as_str().unwrap_or("?"),
        event["capacity"].as_str().unwrap_or("?")
    );
    let refusals = list(&event["refusals"]).iter().map(|refusal| {
        format!(
            "{}: {}",
            refusal["code"].as_str().unwrap_or("?"),
            refusal["message"].as_str().unwrap_or("?")
        )
    });
    let all: Vec<String> = std::iter::once(gave).chain(refusals).collect();
    all.join("; ")
}

/// How a job stands, in a sentence, and how good that is.
pub(super) fn standing(known: &Known, now: Timestamp) -> (Tone, String) {
    let job = &known.job;
    let waited = job.queued_at.age(now);
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
            let runner = job
                .runner_name
                .as_deref()
                .unwrap_or("a runner that GitHub did not name");
            (Tone::Good, format!("runs on {}", whose(known, runner)))
        }
        JobPhase::Queued => (
            Tone::Held,
            format!("waits for {waited} s now: {}", waits(known)),
        ),
    }
}

/// A runner, and whether it is ours.
fn whose(known: &Known, runner: &str) -> String {
    if known.runners.iter().any(|known| known.name == runner) {
        runner.to_owned()
    } else {
        format!("{runner}, which is no runner of this deployment (or was forgotten)")
    }
}

/// Why it waits.
fn waits(known: &Known) -> String {
    let Job {
        standing,
        last_deferral,
        ..
    } = &known.job;
    match standing {
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
    let coming: Vec<&Runner> = known
        .runners
        .iter()
        .filter(|runner| matches!(runner.phase, RunnerPhase::Launching | RunnerPhase::Booting))
        .collect();
    let decided = known
        .events
        .iter()
        .rev()
        .find(|event| is(&event.event, "decided"));
    match (coming.as_slice(), last_deferral, decided) {
        ([], Some(reason), _) => reason.clone(),
        ([], None, None) => "it was not decided about yet".to_owned(),
        ([], None, Some(_)) => {
            "what was launched for it is gone or took another job; GitHub gives a job to any runner that fits"
                .to_owned()
        }
        ([runner], ..) => format!("{} is {} for it", runner.name, runner.phase.as_str()),
        (several, ..) => format!("{} runners are on their way", several.len()),
    }
}
