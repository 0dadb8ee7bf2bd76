//! Golden decisions: situation in, plan out, in words, each in a file of its policy's folder `golden/`.
//! `UPDATE_GOLDEN=1` writes them.

use std::fmt::Write as _;
use std::path::Path;

use stoker_policy_sdk::facts::{Capacity, RunnerPhase, Situation};
use stoker_policy_sdk::{scale_down, scale_up, sync};

use crate::cases::{self, Asked};
use crate::shipped;

/// By how much a decision's fuel may differ from the golden one, in percent: what the next compiler
/// makes of the same source.
const FUEL_TOLERANCE: u64 = 25;

#[test]
fn every_golden_decision_is_decided_so() {
    let mut differing = Vec::new();
    for case in cases::all() {
        let policy = shipped(case.policy);
        let mut told = format!("{}\n\n", case.about);
        let fuel = match &case.asked {
            Asked::ScaleUp(situation) => {
                let decided = policy.scale_up(situation).unwrap();
                told += &in_words(situation);
                told += &plan(situation, &decided.plan);
                decided.cost.fuel
            }
            Asked::ScaleDown(situation) => {
                let decided = policy.scale_down(situation).unwrap();
                told += &in_words(situation);
                told += &verdicts(situation, &decided.plan);
                decided.cost.fuel
            }
            Asked::Sync(situation) => {
                let decided = policy.sync(situation).unwrap();
                told += &distribution(situation);
                told += &choices(&decided.plan);
                decided.cost.fuel
            }
        };
        let file = format!("{}/golden/{}.txt", case.policy, case.file);
        if let Err(difference) = compare(&file, &told, fuel) {
            differing.push(difference);
        }
    }
    assert!(
        differing.is_empty(),
        "UPDATE_GOLDEN=1 writes what is decided now:\n{}",
        differing.join("\n")
    );
}

fn compare(file: &str, told: &str, fuel: u64) -> Result<(), String> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{told}\nfuel      {fuel}\n")).unwrap();
        return Ok(());
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let (decision, cost) = golden.rsplit_once("\nfuel      ").unwrap_or((&golden, ""));
    if decision != told {
        return Err(format!("{file} says\n{decision}\nand it is\n{told}"));
    }
    let before: u64 = cost.trim().parse().unwrap_or(0);
    if fuel.abs_diff(before) * 100 > before * FUEL_TOLERANCE {
        return Err(format!("{file}: {before} fuel before, {fuel} now"));
    }
    Ok(())
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap()
}

fn in_words(situation: &Situation) -> String {
    let mut told = String::new();
    let _ = writeln!(told, "settings  {}", situation.settings);
    for zone in &situation.zones {
        let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let _ = writeln!(
            told,
            "time      {} {}:{:02} {}",
            days[usize::from(zone.weekday) - 1],
            zone.hour,
            zone.minute,
            zone.zone
        );
    }
    let _ = writeln!(
        told,
        "room      {} of {} runners",
        situation.headroom.runners_left, situation.headroom.runners_maximum
    );
    if situation.spend.this_month > 0.0 {
        let _ = writeln!(
            told,
            "spent     ${:.2} this hour, ${:.2} today, ${:.2} this month",
            situation.spend.this_hour, situation.spend.today, situation.spend.this_month
        );
    }
    for class in &situation.classes {
        let _ = writeln!(
            told,
            "class     {} [{}] {} of {} left, ${:.2} spot, ${:.2} on demand",
            class.name,
            class.labels.join(" "),
            class.left,
            class.maximum,
            class.spot_price.unwrap(),
            class.on_demand_price.unwrap()
        );
    }
    // Jobs that are alike but for their name and a few seconds are told together.
    let mut alike: Vec<(String, usize)> = Vec::new();
    for job in &situation.pending {
        let line = format!(
            "{} {} [{}]{}{}",
            situation.repositories[index(job.repository)].name,
            job.branch,
            situation.label_sets[index(job.labels)].labels.join(" "),
            if job.waited >= 600 {
                " waited long"
            } else {
                ""
            },
            if job.interrupted { " interrupted" } else { "" }
        );
        match alike.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => alike.push((line, 1)),
        }
    }
    for (line, count) in alike {
        let _ = writeln!(told, "waiting   {count} × {line}");
    }
    for runner in &situation.runners {
        let _ = writeln!(
            told,
            "runner    {} {} {}, {} s old",
            runner.name,
            situation.classes[index(runner.runner_class)].name,
            phase(runner.phase),
            runner.age
        );
    }
    told.push('\n');
    told
}

fn phase(phase: RunnerPhase) -> &'static str {
    match phase {
        RunnerPhase::Launching => "launching",
        RunnerPhase::Booting => "booting",
        RunnerPhase::Idle => "idle",
        RunnerPhase::Busy => "busy",
        RunnerPhase::Retiring => "retiring",
        RunnerPhase::Unknown => "unknown",
    }
}

fn plan(situation: &Situation, plan: &scale_up::Plan) -> String {
    let mut told = String::new();
    for launch in &plan.launches {
        let whom = launch.launched_for.map_or_else(String::new, |place| {
            format!(" for {}", situation.repositories[index(place)].name)
        });
        let _ = writeln!(
            told,
            "launch    {} {} {}{whom}: {}",
            launch.count,
            situation.classes[index(launch.runner_class)].name,
            match launch.capacity {
                Capacity::Spot => "spot",
                Capacity::OnDemand => "on demand",
            },
            launch.reason
        );
        repositories(&mut told, situation, &launch.jobs);
    }
    for deferral in &plan.deferrals {
        let again = deferral
            .retry_after
            .map_or_else(String::new, |s| format!(" (again in {s} s)"));
        let jobs = deferral.jobs.len();
        let _ = writeln!(told, "wait      {jobs}: {}{again}", deferral.reason);
        repositories(&mut told, situation, &deferral.jobs);
    }
    for note in &plan.notes {
        let _ = writeln!(told, "note      {note}");
    }
    told
}

/// How many of the jobs are whose.
fn repositories(told: &mut String, situation: &Situation, jobs: &[u32]) {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for &job in jobs {
        let repository = index(situation.pending[index(job)].repository);
        let name = situation.repositories[repository].name.as_str();
        match counts.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts.sort_unstable();
    for (name, count) in counts {
        let _ = writeln!(told, "            {count} × {name}");
    }
}

fn verdicts(situation: &Situation, plan: &scale_down::Plan) -> String {
    let mut told = String::new();
    for verdict in &plan.verdicts {
        let names: Vec<&str> = verdict
            .runners
            .iter()
            .map(|&place| situation.runners[index(place)].name.as_str())
            .collect();
        let fate = match verdict.fate {
            scale_down::Fate::Keep => "keep     ",
            scale_down::Fate::Retire => "retire   ",
        };
        let _ = writeln!(told, "{fate} {}: {}", names.join(", "), verdict.reason);
    }
    told
}

fn distribution(situation: &sync::Situation) -> String {
    let mut told = format!("settings  {}\n", situation.settings);
    if let Some(minimum) = &situation.minimum_version {
        let _ = writeln!(told, "minimum   {minimum}");
    }
    for release in &situation.releases {
        let _ = writeln!(
            told,
            "release   {} {} days old{}{}{}",
            release.version,
            release.age / 86_400,
            if release.prerelease {
                ", pre-release"
            } else {
                ""
            },
            if release.mirrored.is_empty() {
                ""
            } else {
                ", mirrored"
            },
            if release.offered { ", offered" } else { "" }
        );
    }
    told.push('\n');
    told
}

fn choices(plan: &sync::Plan) -> String {
    let mut told = String::new();
    let mut tell = |what: &str, choices: &[sync::Choice]| {
        for choice in choices {
            let _ = writeln!(told, "{what}    {}: {}", choice.version, choice.reason);
        }
    };
    tell("mirror", &plan.mirror);
    tell("offer ", plan.offer.as_slice());
    tell("delete", &plan.delete);
    for note in &plan.notes {
        let _ = writeln!(told, "note      {note}");
    }
    told
}

#[test]
fn a_busy_morning_costs_less_than_a_hundred_thousand_fuel() {
    let trials = stoker_policy::self_check::self_check(
        shipped("default").loaded(),
        |_| "{}".to_owned(),
        &[],
        shipped("default").limits(),
    );
    let busy = trials
        .iter()
        .find(|trial| trial.about == "50 jobs, 20 runners")
        .unwrap();
    let fuel = busy.outcome.as_ref().unwrap().fuel;
    assert!(fuel < 100_000, "{fuel}");
}
