//! `stoker policy check`: what a host requires, what a policy costs, and what every policy keeps.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use stoker_core::ids::ArtifactDigest;
use stoker_core::time::Timestamp;
use stoker_policy::self_check::{Trial, self_check};
use stoker_policy::{Decision, Failure};
use stoker_policy_sdk::testing::properties::{self, Options};
use stoker_policy_testkit::{Component, convert, undecided};

use super::SettingsFile;
use super::words::thousands;
use crate::limits::LimitsArgs;

/// Arguments of `stoker policy check`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy check policy.wasm
  stoker policy check policy.wasm --settings settings.json
  stoker policy check budget.wasm --settings settings.json --alike --json

Exit status: 0 the policy may be published, 1 it is refused or breaks a property, 2 wrong arguments.")]
pub struct CheckArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A settings.json to check it with.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitsArgs,
    /// How many situations each property is tried on.
    #[arg(long, value_name = "N", default_value_t = 256)]
    cases: u32,
    /// How many idle runners the settings want without any job waiting; without it, as many as their `idle`
    /// entries say.
    #[arg(long, value_name = "N")]
    idle_stock: Option<u32>,
    /// The settings limit money, or what a repository may have: compare decisions on jobs that ask for the
    /// same, since where such a limit binds one job may displace several others.
    #[arg(long)]
    alike: bool,
    /// Write what was found as JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
struct Finding {
    /// The part of the check.
    part: &'static str,
    what: String,
    verdict: Verdict,
    /// The smallest situation in which a property of that decision does not hold, and the one that it is
    /// compared with.
    counterexample: Option<(Decision, Vec<Value>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Warning,
    Bad,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "FAILED",
        }
    }
}

/// From this share of a limit on there is a warning: a situation twice as dear is not far-fetched.
const NEAR_LIMIT: u64 = 2;

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("{} can't be read", args.file.display()))?;
    let settings = SettingsFile::read(args.settings.as_deref())?;
    let mut findings = Vec::new();
    match Component::new(&bytes, args.limits.limits()) {
        Err(failure) => findings.push(refused(&failure)),
        Ok(policy) => {
            described(&policy, &mut findings);
            trials(&policy, &settings, &mut findings);
            for decision in policy.loaded().spoken().decisions.clone() {
                kept(args, &policy, &settings, decision, &mut findings);
            }
        }
    }
    let bad = findings.iter().any(|f| f.verdict == Verdict::Bad);
    if args.json {
        tell_json(&bytes, &findings, !bad)?;
    } else {
        tell(args, &bytes, &findings, !bad)?;
    }
    Ok(if bad {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn good(part: &'static str, what: String) -> Finding {
    Finding {
        part,
        what,
        verdict: Verdict::Good,
        counterexample: None,
    }
}

fn refused(failure: &Failure) -> Finding {
    Finding {
        verdict: Verdict::Bad,
        ..good("host", failure.to_string())
    }
}

fn described(policy: &Component, findings: &mut Vec<Finding>) {
    let said = policy.loaded().description();
    let decisions = &policy.loaded().spoken().decisions;
    let names: Vec<&str> = decisions.iter().map(|d| d.as_str()).collect();
    let warning = |what: &str| Finding {
        verdict: Verdict::Warning,
        ..good("host", what.to_owned())
    };
    findings.push(good(
        "host",
        format!("{} {}: {}", said.name, said.version, said.summary),
    ));
    if names.is_empty() {
        findings.push(warning(
            "it takes no decision: every one is left to a broader level",
        ));
    } else {
        findings.push(good("host", format!("decides {}", names.join(", "))));
    }
    let schema = said
        .settings_schema
        .as_deref()
        .map(serde_json::from_str::<Value>);
    match schema {
        None => findings.push(warning(
            "it has no settings schema: editors and people can't see what may be set",
        )),
        Some(Err(error)) => findings.push(warning(&format!(
            "its settings schema is not JSON: {error}"
        ))),
        Some(Ok(_)) => findings.push(good("host", "has a settings schema".to_owned())),
    }
    let name_is_plain = said
        .name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if said.name.is_empty() || !name_is_plain {
        findings.push(warning(
            "its name is not of lower-case letters, digits and hyphens",
        ));
    }
    if !policy.stubs().is_empty() {
        findings.push(warning(&format!(
            "it imports {} of WASI, which trap if they are called: {}",
            policy.stubs().len(),
            policy.stubs().join(", ")
        )));
    }
}

fn trials(policy: &Component, settings: &SettingsFile, findings: &mut Vec<Finding>) {
    let limits = policy.limits();
    let classes = settings.classes();
    for trial in self_check(
        policy.loaded(),
        |decision| settings.of(decision),
        &classes,
        limits,
    ) {
        findings.push(tried(&trial));
    }
}

fn tried(trial: &Trial) -> Finding {
    let about = format!("{} of {}", trial.decision, trial.about);
    match &trial.outcome {
        // Its own refusal may be right about a fleet that is not its owner's.
        Err(failure @ Failure::Refused(_)) => Finding {
            verdict: Verdict::Warning,
            ..good("self-check", format!("{about}: {failure}"))
        },
        Err(failure) => Finding {
            verdict: Verdict::Bad,
            ..good("self-check", format!("{about}: {failure}"))
        },
        Ok(cost) => {
            let near = cost.fuel * NEAR_LIMIT > cost.fuel_limit
                || cost.memory as u64 * NEAR_LIMIT > cost.memory_limit as u64;
            Finding {
                verdict: if near {
                    Verdict::Warning
                } else {
                    Verdict::Good
                },
                ..good(
                    "self-check",
                    format!(
                        "{about}: {} fuel of {}, {} KB of {}",
                        thousands(cost.fuel),
                        thousands(cost.fuel_limit),
                        thousands(cost.memory as u64 >> 10),
                        thousands(cost.memory_limit as u64 >> 10)
                    ),
                )
            }
        }
    }
}

/// The time of the property checks' situations.
const NOW: Timestamp = Timestamp(1_800_000_000);

/// What every policy keeps.
fn kept(
    args: &CheckArgs,
    policy: &Component,
    settings: &SettingsFile,
    decision: Decision,
    findings: &mut Vec<Finding>,
) {
    let (classes, stock) = (settings.classes(), settings.stock(decision));
    let settings = settings.of(decision);
    let limits = policy.limits();
    let Ok(basis) = policy.loaded().basis(decision, &settings, NOW, limits) else {
        // The self-check has told why.
        return;
    };
    let options = Options {
        cases: args.cases,
        settings,
        zones: basis.zones.iter().map(convert::zone_facts).collect(),
        idle_stock: args.idle_stock.unwrap_or(stock),
        alike: args.alike,
        classes,
    };
    let mut broken: Vec<(&'static str, String, Vec<Value>)> = Vec::new();
    let all: &[&'static str] = match decision {
        Decision::ScaleUp => {
            let decide = |situation: &_| {
                policy
                    .scale_up(situation)
                    .map(|d| d.plan)
                    .map_err(undecided)
            };
            for found in properties::check_scale_up(&decide, &options) {
                let both = std::iter::once(&found.situation).chain(&found.compared);
                let shown = both.map(|situation| json!(convert::situation(situation).0));
                broken.push((found.property, found.seen, shown.collect()));
            }
            &properties::SCALE_UP
        }
        Decision::ScaleDown => {
            let decide = |situation: &_| {
                policy
                    .scale_down(situation)
                    .map(|d| d.plan)
                    .map_err(undecided)
            };
            for found in properties::check_scale_down(&decide, &options) {
                let both = std::iter::once(&found.situation).chain(&found.compared);
                let shown = both.map(|situation| json!(convert::situation(situation).0));
                broken.push((found.property, found.seen, shown.collect()));
            }
            &properties::SCALE_DOWN
        }
        Decision::Sync => {
            let decide = |situation: &_| policy.sync(situation).map(|d| d.plan).map_err(undecided);
            for found in properties::check_sync(&decide, &options) {
                let (shown, _) = convert::distribution(&found.situation);
                broken.push((found.property, found.seen, vec![json!(shown)]));
            }
            &properties::SYNC
        }
    };
    let undecided = broken
        .iter()
        .any(|(broken, ..)| Some(broken) == all.first());
    for property in all {
        let found = broken.iter().find(|(broken, ..)| broken == property);
        findings.push(match found {
            None if undecided => Finding {
                verdict: Verdict::Warning,
                ..good(
                    "properties",
                    format!("{decision}: {property} (where it decided)"),
                )
            },
            None => good(
                "properties",
                format!("{decision}: {property} ({} situations)", args.cases),
            ),
            Some((_, seen, situation)) => Finding {
                verdict: Verdict::Bad,
                counterexample: Some((decision, situation.clone())),
                ..good("properties", format!("{decision}: {property}: {seen}"))
            },
        });
    }
}

fn tell(args: &CheckArgs, bytes: &[u8], findings: &[Finding], held: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let limit = args.limits.limits().component_bytes;
    writeln!(
        out,
        "{}: {} KB of {} KB, sha256 {}",
        args.file.display(),
        bytes.len().div_ceil(1_000),
        thousands(limit as u64 / 1_000),
        ArtifactDigest::of(bytes)
    )?;
    let mut part = "";
    for finding in findings {
        if finding.part != part {
            part = finding.part;
            writeln!(out, "\n{part}")?;
        }
        writeln!(out, "  {:8} {}", finding.verdict.word(), finding.what)?;
    }
    for (number, finding) in (1..).zip(findings.iter().filter(|f| f.counterexample.is_some())) {
        counterexample(&mut out, args, number, finding)?;
    }
    writeln!(
        out,
        "\n{}",
        if held {
            "it may be published"
        } else {
            "it may not be published as it is"
        }
    )?;
    Ok(())
}

/// Writes the situations of a counterexample to files, and says how to see what is decided in them.
fn counterexample(
    out: &mut impl std::io::Write,
    args: &CheckArgs,
    number: usize,
    finding: &Finding,
) -> anyhow::Result<()> {
    let Some((decision, situations)) = &finding.counterexample else {
        return Ok(());
    };
    let settings = args.settings.as_ref();
    let settings = settings.map_or_else(String::new, |p| format!(" --settings {}", p.display()));
    writeln!(
        out,
        "\nthe smallest {} that was found for:\n  {}",
        if situations.len() == 1 {
            "situation"
        } else {
            "pair of situations"
        },
        finding.what
    )?;
    for (situation, part) in situations.iter().zip(["", "-b"]) {
        let path = args
            .file
            .with_extension(format!("counterexample-{number}{part}.json"));
        std::fs::write(&path, format!("{situation:#}\n"))
            .with_context(|| format!("{} can't be written", path.display()))?;
        writeln!(
            out,
            "  stoker policy run {} --decision {decision} --situation {}{settings}",
            args.file.display(),
            path.display()
        )?;
    }
    Ok(())
}

fn tell_json(bytes: &[u8], findings: &[Finding], held: bool) -> anyhow::Result<()> {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "part": finding.part,
                "what": finding.what,
                "verdict": finding.verdict.word().to_lowercase(),
                "counterexample": finding.counterexample.as_ref().map(|(_, situations)| situations),
            })
        })
        .collect();
    let told = json!({
        "sha256": ArtifactDigest::of(bytes),
        "bytes": bytes.len(),
        "good": held,
        "findings": findings,
    });
    writeln!(std::io::stdout(), "{told:#}")?;
    Ok(())
}
