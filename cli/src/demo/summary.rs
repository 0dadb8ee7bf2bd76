//! How it went: a table of the jobs, the counts, and the verdict.

use serde_json::{Value, json};
use stoker_core::ids::ArtifactDigest;

use super::world::{Job, Stage, World};
use crate::tell::{counted, decider};

const HEAD: [&str; 6] = ["job", "known by", "waited", "runner", "class", "outcome"];

/// For people.
pub(super) fn lines(
    world: &World,
    policy: Option<&ArtifactDigest>,
    findings: &[String],
) -> Vec<String> {
    let rows: Vec<[String; 6]> = world.jobs.iter().map(row).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEAD[column].len()]).max().unwrap_or(0)
        })
        .collect();
    let aligned = |cells: &[String]| {
        let cells = cells.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("  {}", padded.join("  ")).trim_end().to_owned()
    };
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let mut lines = vec![
        String::new(),
        aligned(&HEAD.map(str::to_owned)),
        aligned(&rules),
    ];
    lines.extend(rows.iter().map(|row| aligned(row)));
    lines.push(String::new());
    lines.push(format!("  webhooks   {}", webhooks(world)));
    lines.push(format!(
        "  decisions  {} by {}",
        world.counts.decisions,
        world
            .decided
            .as_ref()
            .map_or_else(|| "nobody".to_owned(), |decision| decider(&decision.by))
    ));
    lines.push(format!(
        "  runners    {} launched, {} retired, {} left",
        world.counts.launched,
        world.counts.retired,
        world.running_instances()
    ));
    if policy.is_none() {
        lines.push(
            "  policy     none was given, so the built-in rules decided; --policies DIR takes a folder with default/policy.wasm"
                .to_owned(),
        );
    }
    lines.push(String::new());
    if findings.is_empty() {
        lines.push("Everything went as it should.".to_owned());
    } else {
        lines.push(format!("{} went wrong:", counted(findings.len(), "thing")));
        lines.extend(findings.iter().map(|finding| format!("  - {finding}")));
    }
    lines
}

fn webhooks(world: &World) -> String {
    let counts = &world.counts;
    format!(
        "{} accepted, {} dropped with a reason, {} greeted, {} refused",
        counts.accepted, counts.dropped, counts.answered, counts.refused
    )
}

fn waited(job: &Job) -> Option<f64> {
    Some(job.taken?.duration_since(job.queued).as_secs_f64())
}

fn outcome(job: &Job) -> String {
    let ended = match job.stage {
        Stage::Done => "success",
        Stage::Runs { .. } => "still runs",
        Stage::Waits => "still waits",
    };
    let held = job.deferred.iter().any(|reason| reason.contains("maximum"));
    let after = if held { ", deferred at first" } else { "" };
    format!("{ended}{after}")
}

fn row(job: &Job) -> [String; 6] {
    let none = || "-".to_owned();
    [
        job.full_name(),
        job.announced_by.to_owned(),
        waited(job).map_or_else(none, |seconds| format!("{seconds:.1} s")),
        job.runner.clone().unwrap_or_else(none),
        job.class.as_ref().map_or_else(none, ToString::to_string),
        outcome(job),
    ]
}

/// For machines.
pub(super) fn json(world: &World, policy: Option<&ArtifactDigest>, findings: &[String]) -> Value {
    let jobs: Vec<Value> = world
        .jobs
        .iter()
        .map(|job| {
            json!({
                "job": job.name,
                "repository": job.repository.name,
                "known_by": job.announced_by,
                "waited_seconds": waited(job),
                "runner": job.runner,
                "class": job.class,
                "outcome": outcome(job),
                "deferred": job.deferred,
            })
        })
        .collect();
    json!({
        "kind": "summary",
        "jobs": jobs,
        "accepted": world.counts.accepted,
        "dropped": world.counts.dropped,
        "refused": world.counts.refused,
        "decisions": world.counts.decisions,
        "launched": world.counts.launched,
        "retired": world.counts.retired,
        "policy": policy,
        "wrong": findings,
    })
}
