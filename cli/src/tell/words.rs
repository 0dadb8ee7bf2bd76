//! The words for each thing that can happen.

use serde_json::{Value, json};
use stoker_admission::Report;
use stoker_core::control::Rebuilt;
use stoker_core::happening::{Decision, Happening, RetirementDecision};
use stoker_core::ids::JobKey;
use stoker_core::intent::{Instance, Refusal};
use stoker_core::job::JobPhase;
use stoker_core::plan::{DecidedBy, PolicyLevel};
use stoker_core::runner::RunnerPhase;
use stoker_intake::{Answer, EventClass, JobEvent, Outcome, Received, Reception};

use super::{Memory, Said, Tone, rebuilt};

fn said(tone: Tone, verb: &'static str, text: String) -> Said {
    Said {
        tone,
        verb,
        text,
        more: Vec::new(),
    }
}

/// `1 job`, `2 jobs`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// The first part of a delivery's GUID, as GitHub's own list of deliveries starts it.
fn short(delivery: &str) -> &str {
    delivery.split('-').next().unwrap_or(delivery)
}

fn called(event: &JobEvent) -> String {
    format!(
        "{} {}: {} \"{}\"",
        event.event,
        event.action,
        event.repository.full_name_lower(),
        event.name
    )
}

pub(super) fn of_webhook(reception: &Reception, answer: &Answer) -> Said {
    let status = answer.http_status();
    let event = reception.event.as_deref().unwrap_or("a request");
    let what = match &reception.received {
        Received::Enqueue(admitted) => called(admitted.event()),
        Received::Answer(_) => event.to_owned(),
    };
    let (tone, became) = match answer.outcome() {
        Outcome::Accepted(EventClass::Work) => {
            let delay = match &reception.received {
                Received::Enqueue(admitted) => admitted.delay_seconds(),
                Received::Answer(_) => 0,
            };
            (Tone::Good, format!("accepted as work, {}", hidden(delay)))
        }
        Outcome::Accepted(EventClass::News) => (Tone::Good, "accepted as news, queued".to_owned()),
        Outcome::Dropped(reason) => (Tone::Held, format!("dropped: {}", reason.as_str())),
        Outcome::Pong => (Tone::Good, "pong".to_owned()),
        Outcome::Unauthorized => (
            Tone::Bad,
            "refused: the signature does not verify, so the body was not looked at".to_owned(),
        ),
        other => (
            Tone::Bad,
            format!("{} ({})", other.status(), other.reason().unwrap_or("-")),
        ),
    };
    let delivery = reception
        .delivery
        .as_ref()
        .map_or_else(String::new, |id| format!("  [{}]", short(id.as_str())));
    let text = format!("{what} → {status} {became}{delivery}");
    let mut said = said(tone, "webhook", text);
    if let Outcome::Dropped(reason) = answer.outcome() {
        said.more.push(reason.detail().to_owned());
    }
    said
}

fn hidden(delay: u16) -> String {
    match delay {
        0 => "queued".to_owned(),
        seconds => format!("queued for {seconds} s, so that an idle runner can take the job first"),
    }
}

/// None: nothing that a person would miss.
pub(super) fn of_happening(memory: &mut Memory, happening: &Happening) -> Option<Said> {
    Some(match happening {
        Happening::MessagePutAside { message, problem } => said(
            Tone::Bad,
            "put aside",
            format!("message {message}: {problem}"),
        ),
        Happening::Folded {
            scope,
            job,
            repository,
            name,
            phase,
            ..
        } => {
            let name = format!("{repository} \"{name}\"");
            let now = match phase {
                JobPhase::Queued => format!("{name} waits for a runner (scope {scope})"),
                JobPhase::InProgress => format!("{name} runs"),
                JobPhase::Ended => format!("{name} has ended"),
            };
            memory.jobs.insert(*job, name);
            if *phase == JobPhase::InProgress && memory.taken.remove(job) {
                return None;
            }
            said(Tone::Plain, "ledger", now)
        }
        Happening::NothingNew { delivery, job, .. } => {
            let job = name(memory, *job);
            let delivery = short(delivery.as_str());
            said(
                Tone::Held,
                "ledger",
                format!("{job}: nothing new in delivery {delivery}"),
            )
        }
        Happening::NotOurs { job, reason, .. } => said(
            Tone::Held,
            "not ours",
            format!("{}: {reason}; it is not kept", name(memory, *job)),
        ),
        Happening::Verified {
            job,
            answer,
            demand,
            ..
        } => said(
            if *demand { Tone::Plain } else { Tone::Held },
            "verified",
            format!("GitHub was asked about {}: {answer}", name(memory, *job)),
        ),
        Happening::Decided(decision) => return decided(memory, decision),
        Happening::DecidedRetirement(decision) => return decided_retirement(decision),
        Happening::Launched {
            class,
            capacity,
            wanted,
            instances,
            refusals,
            ..
        } => launched(
            &format!("{wanted} × {class} as {}", capacity.as_str()),
            instances,
            refusals,
        ),
        Happening::LaunchUnsettled { problem, .. } => said(Tone::Bad, "unsettled", problem.clone()),
        Happening::Configured {
            instance, runner, ..
        } => said(
            Tone::Plain,
            "configured",
            format!("{instance} may register as {runner}; it reads that once, when it has booted"),
        ),
        Happening::ConfigurationFailed {
            instance, problem, ..
        } => said(
            Tone::Bad,
            "failed",
            format!("{instance} got no configuration and is terminated: {problem}"),
        ),
        Happening::RunnerChanged { runner, phase, .. } => {
            return runner_changed(memory, runner, phase);
        }
        Happening::RunnerLost {
            job,
            runner,
            interrupted,
            ..
        } => {
            let job = name(memory, *job);
            lost(&job, runner, *interrupted)
        }
        Happening::Rebuilt(came) => of_rebuild(came),
        Happening::Trouble { problem, .. } => said(Tone::Bad, "trouble", problem.clone()),
        other => return of_upkeep(other),
    })
}

/// What is done about what nobody told, and what nobody needs.
fn of_upkeep(happening: &Happening) -> Option<Said> {
    Some(match happening {
        Happening::Redriven { messages, .. } => said(
            Tone::Held,
            "once more",
            format!("{messages} messages that were put aside are handled again"),
        ),
        Happening::RunnerStays { runner, reason, .. } => {
            said(Tone::Held, "stays", format!("{runner} stays: {reason}"))
        }
        Happening::TakenAway {
            instance, reason, ..
        } => said(Tone::Plain, "cleaned", format!("{instance}: {reason}")),
        Happening::Redelivered { webhooks, left } => said(
            Tone::Held,
            "asked for",
            format!("GitHub is to deliver {webhooks} webhooks again that failed; {left} more wait"),
        ),
        Happening::FoundJobs { repository, jobs } => said(
            Tone::Held,
            "found",
            format!("{jobs} jobs of {repository} of which no webhook had come"),
        ),
        Happening::ScopeClosed {
            name,
            jobs,
            runners,
            problem,
            ..
        } => {
            let text = format!(
                "{name}: nothing is launched for its {jobs} waiting jobs any more, and its {runners} runners stay \
                 while they may have a job: {problem}"
            );
            said(Tone::Bad, "closed", text)
        }
        _ => return None,
    })
}

fn lost(job: &str, runner: &str, interrupted: bool) -> Said {
    let why = if interrupted {
        "EC2 took it back"
    } else {
        "it is gone"
    };
    let text = format!("{job} lost its runner {runner}: {why}");
    said(Tone::Bad, "lost", text)
}

fn of_rebuild(came: &Rebuilt) -> Said {
    let tone = if came.has_gaps() {
        Tone::Bad
    } else {
        Tone::Good
    };
    let mut said = said(tone, "rebuilt", rebuilt::summary(came));
    said.more.extend(rebuilt::scopes(came));
    said.more.extend(rebuilt::gaps(came));
    said
}

fn name(memory: &Memory, job: JobKey) -> String {
    let known = memory.jobs.get(&job).cloned();
    known.unwrap_or_else(|| format!("job {job}"))
}

fn launched(what: &str, instances: &[Instance], refusals: &[Refusal]) -> Said {
    let ids: Vec<String> = instances
        .iter()
        .map(|instance| format!("{} ({})", instance.id, instance.instance_type))
        .collect();
    let got = if ids.is_empty() {
        "nothing".to_owned()
    } else {
        ids.join(", ")
    };
    let tone = if refusals.is_empty() {
        Tone::Good
    } else {
        Tone::Bad
    };
    let mut said = said(tone, "launched", format!("{what}: {got}"));
    for refusal in refusals {
        said.more
            .push(format!("{}: {}", refusal.code, refusal.message));
    }
    said
}

fn runner_changed(memory: &mut Memory, runner: &str, phase: &RunnerPhase) -> Option<Said> {
    Some(match phase {
        // The configuration says as much.
        RunnerPhase::Launching | RunnerPhase::Booting => return None,
        RunnerPhase::Idle => said(
            Tone::Good,
            "online",
            format!("{runner} is registered and waits for a job"),
        ),
        RunnerPhase::Busy { job } => {
            memory.taken.insert(*job);
            let job = name(memory, *job);
            said(Tone::Good, "taken", format!("{runner} runs {job}"))
        }
        RunnerPhase::Occupied => said(
            Tone::Good,
            "taken",
            format!("{runner} runs a job, as GitHub says, of which no webhook has come"),
        ),
        RunnerPhase::Retiring => said(Tone::Plain, "retiring", format!("{runner} is to go")),
        RunnerPhase::Ended => said(
            Tone::Plain,
            "retired",
            format!("{runner} is gone, and its instance with it"),
        ),
    })
}

/// Who decided, as `policy default 0.1.0 (sha256 0123456789ab, from default/)`.
pub(crate) fn decider(by: &DecidedBy) -> String {
    let from = match by.level {
        PolicyLevel::BuiltIn => {
            let title = by.policy.trim_end_matches(" (built in)");
            return format!("the built-in rules ({title})");
        }
        PolicyLevel::Default => "default/",
        PolicyLevel::Organization => "orgs/<owner>/",
        PolicyLevel::Repository => "repos/<owner>/<repository>/",
    };
    let digest = by
        .digest
        .as_ref()
        .map_or("unknown", |digest| digest.short());
    format!("policy {} (sha256 {digest}, from {from})", by.policy)
}

/// None: nothing goes, and nothing that was to go stays.
fn decided_retirement(decision: &RetirementDecision) -> Option<Said> {
    if decision.retired.is_empty() && decision.kept.is_empty() && decision.fallback.is_none() {
        return None;
    }
    let count: usize = decision.retired.iter().map(|one| one.runners.len()).sum();
    let text = format!(
        "{} retires {} of {} runners",
        decider(&decision.by),
        count,
        decision.runners
    );
    let mut said = said(Tone::Plain, "decided", text);
    for retired in &decision.retired {
        let runners = retired.runners.join(", ");
        said.more.push(format!("{runners}: {}", retired.reason));
    }
    for kept in &decision.kept {
        said.more
            .push(format!("{} stays: {}", kept.runner, kept.rule));
    }
    if let Some(fallback) = &decision.fallback {
        said.more.push(format!("fallback: {}", fallback.message));
    }
    Some(said)
}

fn decided(memory: &mut Memory, decision: &Decision) -> Option<Said> {
    let mut more = Vec::new();
    for launch in &decision.launches {
        more.push(format!(
            "launch {} × {} ({}) for {}: \"{}\"",
            launch.count,
            launch.class,
            launch.capacity.as_str(),
            names(memory, &launch.jobs),
            launch.reason
        ));
        for job in &launch.jobs {
            memory.deferrals.remove(job);
        }
    }
    for deferral in &decision.deferrals {
        let is_news = |job: &&JobKey| memory.deferrals.get(*job) != Some(&deferral.reason);
        let news: Vec<JobKey> = deferral.jobs.iter().filter(is_news).copied().collect();
        if !news.is_empty() {
            let text = names(memory, &news);
            more.push(format!("no launch for {text}: \"{}\"", deferral.reason));
        }
        for job in news {
            memory.deferrals.insert(job, deferral.reason.clone());
        }
    }
    for edit in &decision.edits {
        let rule = serde_json::to_value(edit.rule).unwrap_or_default();
        more.push(format!(
            "guardrail {}: asked for {} × {}, granted {}",
            rule.as_str().unwrap_or_default(),
            edit.asked,
            edit.class,
            edit.granted
        ));
    }
    for note in &decision.notes {
        more.push(format!("note: \"{note}\""));
    }
    if let Some(fallback) = &decision.fallback {
        more.push(format!(
            "fallback ({}): {}",
            fallback.cause, fallback.message
        ));
    }
    if more.is_empty() {
        return None;
    }
    let tone = match (&decision.fallback, decision.launches.is_empty()) {
        (Some(_), _) => Tone::Bad,
        (None, true) => Tone::Held,
        (None, false) => Tone::Good,
    };
    let mut said = said(
        tone,
        "decided",
        format!(
            "{}: {} waiting, {} there; by {}",
            decision.scope_name,
            counted(decision.pending, "job"),
            counted(decision.runners, "runner"),
            decider(&decision.by),
        ),
    );
    said.more = more;
    Some(said)
}

fn names(memory: &Memory, jobs: &[JobKey]) -> String {
    let mut names: Vec<String> = jobs.iter().take(5).map(|job| name(memory, *job)).collect();
    if jobs.len() > names.len() {
        names.push(format!("{} more", jobs.len() - names.len()));
    }
    names.join(", ")
}

/// What became of policies that were looked at: news only. With each the value for machines.
pub(super) fn of_admission(came_to: &Result<&Report, String>) -> Vec<(Said, Value)> {
    let said = |tone, text: String, more| Said {
        tone,
        verb: "policy",
        text,
        more,
    };
    let report = match came_to {
        Ok(report) => report,
        Err(problem) => {
            let value = json!({ "kind": "policies-not-judged", "problem": problem });
            return vec![(said(Tone::Bad, problem.clone(), Vec::new()), value)];
        }
    };
    let mut all = Vec::new();
    for alarm in &report.alarms {
        let value = json!({ "kind": "policy-alarm", "problem": alarm });
        all.push((said(Tone::Bad, alarm.clone(), Vec::new()), value));
    }
    for verdict in report
        .news
        .iter()
        .filter_map(|folder| report.verdicts.get(folder))
    {
        let (tone, more) = if verdict.outcome.is_refusal() {
            (Tone::Bad, "; what decided before goes on")
        } else {
            (Tone::Good, "")
        };
        let problems = verdict
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.about, problem.message));
        let text = format!("{} is {}{more}", verdict.folder, verdict.outcome.words());
        let value = json!({ "kind": "policy-verdict", "verdict": verdict });
        all.push((said(tone, text, problems.collect()), value));
    }
    all
}

#[cfg(test)]
mod tests;
