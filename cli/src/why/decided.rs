//! What was decided about a job, what bound it, and what EC2 answered.

use serde_json::Value;
use stoker_core::guardrails::Rule;
use stoker_core::ids::JobKey;

use super::gather::{Happened, Wanted, list, names, text};
use super::steps::{FALLBACK, NO_CAPACITY, POLICY, Step};
use crate::tell::{Tone, counted};

/// What a decision comes to for one job.
pub(super) fn decided(told: &Happened, key: JobKey) -> Vec<Step> {
    let event = &told.event;
    let step = |tone, what, text| Step::new(told.at, tone, what, text);
    let by = by(&event["by"]);
    let mut steps = Vec::new();
    if event["fallback"].is_object() {
        steps.push(step(Tone::Bad, "fallback", fallback(&event["fallback"])));
    }
    for launch in list(&event["launches"]) {
        let jobs = list(&launch["jobs"]).len();
        if !names(&launch["jobs"], key) {
            continue;
        }
        let whom = match jobs {
            1 => String::new(),
            jobs => format!(" for it and {}", counted(jobs - 1, "other job")),
        };
        let told_of = format!(
            "{by}: launch {} {}{whom}: {}",
            launch["count"],
            kind(launch),
            reason(launch)
        );
        steps.push(step(Tone::Good, "decided", told_of));
        if let Some(edit) = switched(told, launch) {
            let words = rule(edit).map_or_else(String::new, |rule| rule.to_string());
            steps.push(step(Tone::Held, "guardrail", words).bound_by(name_of(edit)));
        }
    }
    for deferral in list(&event["deferrals"]) {
        if !names(&deferral["jobs"], key) {
            continue;
        }
        let reason = reason(deferral);
        let again = again(deferral);
        if deferral["rule"].is_null() {
            let is_held = event["fallback"]["instead"] == "hold";
            let bound = if is_held { FALLBACK } else { POLICY };
            let words = format!("{by}: {reason}{again}");
            steps.push(step(Tone::Held, "waits", words).bound_by(bound));
            continue;
        }
        if let Some(Wanted {
            class,
            capacity,
            reason,
        }) = &told.wanted
        {
            let words = format!("{by}: wanted a {class} ({capacity}) for it: {reason}");
            steps.push(step(Tone::Plain, "decided", words));
        }
        let (bound, granted) = bound(event, deferral, told.wanted.as_ref());
        let words = format!("it got none: {reason}{granted}{again}");
        let step = step(Tone::Held, "guardrail", words);
        steps.push(match bound {
            Some(bound) => step.bound_by(bound),
            None => step,
        });
    }
    steps
}

/// Who decided.
fn by(by: &Value) -> String {
    let policy = by["policy"].as_str().unwrap_or("?");
    let level = by["level"].as_str().unwrap_or("?");
    let generation = by["generation"].as_u64();
    let generation = generation.map(|n| format!("generation {n}"));
    if level == "built-in" {
        let title = policy.trim_end_matches(" (built in)").to_owned();
        let more: Vec<String> = [title].into_iter().chain(generation).collect();
        return format!("the built-in rules ({})", more.join(", "));
    }
    let more: Vec<String> = [format!("{level} level")]
        .into_iter()
        .chain(by["digest"].as_str().map(short))
        .chain(generation)
        .collect();
    format!("{policy} ({})", more.join(", "))
}

fn short(digest: &str) -> String {
    let digits: String = digest.chars().take(12).collect();
    format!("sha256 {digits}")
}

fn fallback(fallback: &Value) -> String {
    let which: Vec<String> = fallback["level"]
        .as_str()
        .map(|level| format!("{level} level"))
        .into_iter()
        .chain(fallback["digest"].as_str().map(short))
        .collect();
    let which = match which.as_slice() {
        [] => String::new(),
        which => format!(" ({})", which.join(", ")),
    };
    format!(
        "the policy that should have decided{which} did not ({}): {}",
        fallback["cause"].as_str().unwrap_or("?"),
        fallback["message"].as_str().unwrap_or("?")
    )
}

/// `small (spot)`, of a launch or an edit.
fn kind(of: &Value) -> String {
    format!(
        "{} ({})",
        of["class"].as_str().unwrap_or("?"),
        of["capacity"].as_str().unwrap_or("?")
    )
}

fn reason(of: &Value) -> String {
    let reason = of["reason"].as_str().filter(|reason| !reason.is_empty());
    reason.unwrap_or("(no reason)").to_owned()
}

fn again(deferral: &Value) -> String {
    match deferral["retry_after"].as_u64() {
        Some(seconds) => format!("; decided again in {seconds} s"),
        None => String::new(),
    }
}

fn rule(edit: &Value) -> Option<Rule> {
    serde_json::from_value(edit["rule"].clone()).ok()
}

/// A rule's own word, such as `scope-maximum`.
fn name_of(edit: &Value) -> String {
    edit["rule"].as_str().unwrap_or("?").to_owned()
}

/// The edit that made an on-demand launch of a spot one.
fn switched<'a>(told: &'a Happened, launch: &Value) -> Option<&'a Value> {
    let wanted = told.wanted.as_ref()?;
    let is_other = launch["capacity"].as_str() != Some(&wanted.capacity);
    list(&told.event["edits"]).iter().find(|edit| {
        is_other && rule(edit) == Some(Rule::SpotPaused) && edit["class"] == launch["class"]
    })
}

/// The rule that a job lost its runner to, and what that left of what was asked.
fn bound(event: &Value, deferral: &Value, wanted: Option<&Wanted>) -> (Option<String>, String) {
    let rule = text(&deferral["rule"]);
    let edits = list(&event["edits"]).iter();
    let edit = edits
        .filter(|edit| rule.as_deref() == Some(name_of(edit).as_str()))
        .max_by_key(|edit| wanted.is_some_and(|wanted| edit["class"] == wanted.class.as_str()));
    // One that takes a job out of a launch without making it smaller leaves no edit.
    let granted = edit.map_or_else(String::new, |edit| {
        format!(
            " ({} of {} {} granted)",
            edit["granted"],
            edit["asked"],
            kind(edit)
        )
    });
    (rule, granted)
}

/// What EC2 answered to a launch for the job.
pub(super) fn launched(told: &Happened) -> Step {
    let Happened { at, event, .. } = told;
    let instances = list(&event["instances"]);
    let wanted = event["wanted"].as_u64().unwrap_or_default();
    let place = told.place.unwrap_or_default();
    let gave = format!("gave {} of {wanted} {}", instances.len(), kind(event));
    let refusals = list(&event["refusals"]).iter().map(|refusal| {
        format!(
            "{}: {}",
            refusal["code"].as_str().unwrap_or("?"),
            refusal["message"].as_str().unwrap_or("?")
        )
    });
    let why: Vec<String> = refusals.collect();
    let why = match why.as_slice() {
        [] => String::new(),
        why => format!("; {}", why.join("; ")),
    };
    if let Some(instance) = instances.get(place) {
        let whose = if wanted == 1 {
            ""
        } else {
            ", of them in this job's place"
        };
        let gone = if instance["gone"] == true {
            "; it is terminated since"
        } else {
            ""
        };
        let id = instance["id"].as_str().unwrap_or("?");
        let kind = instance["instance_type"].as_str().unwrap_or("?");
        let told = format!("{gave}{whose}: {id} ({kind}){gone}{why}");
        return Step::new(*at, Tone::Good, "EC2", told);
    }
    if usize::try_from(wanted).is_ok_and(|wanted| place >= wanted) {
        let told = format!("{gave} for this job and others that are more than that{why}");
        return Step::new(*at, Tone::Plain, "EC2", told);
    }
    let told = format!("{gave}, none in this job's place{why}");
    Step::new(*at, Tone::Bad, "EC2", told).bound_by(NO_CAPACITY)
}
