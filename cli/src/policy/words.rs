//! How plans are told to people.

use std::fmt::Write as _;

use stoker_core::distribution::{Choice, SyncPlan};
use stoker_core::guardrails::Kept;
use stoker_core::plan::{Fate, Plan, ScaleDownPlan};
use stoker_core::situation::Situation;

/// How many names of a list are told before the rest is only counted.
const NAMED: usize = 3;

/// Which runners are launched, and why jobs wait.
pub(super) fn plan(plan: &Plan, situation: &Situation) -> String {
    let mut told = String::new();
    let job = |&place: &usize| {
        let job = &situation.pending[place];
        format!(
            "{}/{}",
            situation.repositories[job.repository].name, job.name
        )
    };
    for launch in &plan.launches {
        let whom = launch.launched_for.map_or_else(String::new, |place| {
            format!(" for {}", situation.repositories[place].name)
        });
        let _ = writeln!(
            told,
            "launch  {} {} ({}){whom}: {}",
            launch.count,
            situation.classes[launch.class].class.name,
            launch.capacity.as_str(),
            launch.reason
        );
        list(&mut told, launch.jobs.iter().map(job).collect());
    }
    for deferral in &plan.deferrals {
        let again = deferral
            .retry_after
            .map_or_else(String::new, |seconds| format!(" (again in {seconds} s)"));
        let _ = writeln!(
            told,
            "wait    {}: {}{again}",
            count(deferral.jobs.len(), "job"),
            deferral.reason
        );
        list(&mut told, deferral.jobs.iter().map(job).collect());
    }
    if plan.launches.is_empty() && plan.deferrals.is_empty() {
        told.push_str("nothing  no runner is launched, and no job was spoken of\n");
    }
    notes(&mut told, &plan.notes);
    told
}

/// Which runners are kept and retired.
pub(super) fn verdicts(plan: &ScaleDownPlan, situation: &Situation) -> String {
    let mut told = String::new();
    for verdict in &plan.verdicts {
        let fate = match verdict.fate {
            Fate::Keep => "keep    ",
            Fate::Retire => "retire  ",
        };
        let _ = writeln!(
            told,
            "{fate}{}: {}",
            count(verdict.runners.len(), "runner"),
            verdict.reason
        );
        let names = verdict.runners.iter();
        let names = names.map(|&place| situation.runners[place].name.clone());
        list(&mut told, names.collect());
    }
    if plan.verdicts.is_empty() {
        told.push_str("nothing  every runner is kept\n");
    }
    notes(&mut told, &plan.notes);
    told
}

/// Which runners the host keeps though a policy retires them.
pub(super) fn kept(kept: &[Kept]) -> Vec<String> {
    kept.iter()
        .map(|Kept { runner, rule }| format!("{runner} is kept: {rule}"))
        .collect()
}

/// Which versions are mirrored, offered and deleted.
pub(super) fn sync(plan: &SyncPlan) -> String {
    let mut told = String::new();
    let mut tell = |what: &str, choices: &[Choice]| {
        for choice in choices {
            let _ = writeln!(told, "{what}{}: {}", choice.version, choice.reason);
        }
    };
    tell("mirror  ", &plan.mirror);
    tell("offer   ", plan.offer.as_slice());
    tell("delete  ", &plan.delete);
    if plan.offer.is_none() {
        told.push_str("offer   what is offered now\n");
    }
    notes(&mut told, &plan.notes);
    told
}

fn list(told: &mut String, names: Vec<String>) {
    if names.is_empty() {
        return;
    }
    let more = names.len().saturating_sub(NAMED);
    let mut shown = names;
    shown.truncate(NAMED);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let _ = writeln!(told, "          {}{rest}", shown.join(", "));
}

fn notes(told: &mut String, notes: &[String]) {
    for note in notes {
        let _ = writeln!(told, "note    {note}");
    }
}

/// `1 job`, `2 jobs`.
pub(super) fn count(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

/// A number with its thousands apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

#[cfg(test)]
mod tests {
    use stoker_core::guardrails::retire;
    use stoker_core::plan::Verdict;
    use stoker_core::situation::PhaseFacts;
    use stoker_policy::self_check;

    use super::*;

    #[test]
    fn a_runner_that_the_host_keeps_is_told_with_the_rule() {
        let mut situation = self_check::situation(0, 4);
        let phases = [
            PhaseFacts::Idle,
            PhaseFacts::Busy,
            PhaseFacts::Unknown,
            PhaseFacts::Idle,
        ];
        for (runner, (number, phase)) in situation.runners.iter_mut().zip((0..).zip(phases)) {
            runner.name = format!("runner-{number}");
            runner.phase = phase;
        }
        let verdict = |fate, runners| Verdict {
            runners,
            fate,
            reason: "nobody needs it".to_owned(),
        };
        let plan = ScaleDownPlan {
            verdicts: vec![
                verdict(Fate::Retire, vec![0, 1, 2, 3]),
                verdict(Fate::Keep, vec![3]),
            ],
            notes: Vec::new(),
        };
        assert_eq!(
            kept(retire(&plan, &situation, 0, u32::MAX).kept()),
            [
                "runner-1 is kept: it runs a job",
                "runner-2 is kept: nobody knows whether it runs a job",
                "runner-3 is kept: the policy both keeps and retires it",
            ]
        );
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(12_345_678), "12,345,678");
    }
}
