//! `stoker policy run`: one decision, by the real host.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use stoker_core::distribution::Distribution;
use stoker_core::guardrails::{clamp, retire};
use stoker_core::limits::Guards;
use stoker_core::plan::PolicyLevel;
use stoker_core::situation::Situation;
use stoker_policy::{Cost, Decided, Decision};

use super::words::{self, thousands};
use super::{SettingsFile, component};
use crate::limits::LimitsArgs;

/// Arguments of `stoker policy run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy run policy.wasm --situation s.json
  stoker policy run policy.wasm --situation s.json --settings settings.json --json
  stoker policy run policy.wasm --decision scale-down --example > s.json    an example to begin with

The situation is JSON as decisions are recorded; `-` reads standard input.")]
pub struct RunArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The situation to decide.
    #[arg(long, value_name = "S.json", required_unless_present = "example")]
    situation: Option<PathBuf>,
    /// Write an example of a situation instead of deciding one.
    #[arg(long, conflicts_with = "situation")]
    example: bool,
    /// Which decision; without it the first that the policy takes.
    #[arg(long, value_enum)]
    decision: Option<Which>,
    /// A settings.json, whose object for this decision the policy is shown.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitsArgs,
    /// Write the plan as JSON.
    #[arg(long)]
    json: bool,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Which runners to launch.
    ScaleUp,
    /// Which runners to retire.
    ScaleDown,
    /// Which versions of the runner to mirror and to offer.
    Sync,
}

impl From<Which> for Decision {
    fn from(which: Which) -> Self {
        match which {
            Which::ScaleUp => Self::ScaleUp,
            Which::ScaleDown => Self::ScaleDown,
            Which::Sync => Self::Sync,
        }
    }
}

/// An example has so many jobs and runners: enough for a plan to have something to say.
const EXAMPLE: (usize, usize) = (6, 4);

pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let policy = component(&args.file, args.limits.limits())?;
    let taken = &policy.loaded().spoken().decisions;
    let Some(decision) = args.decision.map(Decision::from).or(taken.first().copied()) else {
        bail!("{} takes no decision at all", args.file.display());
    };
    let Some(path) = args.situation.as_deref() else {
        return example(decision);
    };
    let settings = SettingsFile::read(args.settings.as_deref())?.of(decision);
    let (loaded, limits) = (policy.loaded(), policy.limits());
    if decision == Decision::Sync {
        let shown: Distribution = read(path)?;
        let basis = loaded.basis(decision, &settings, shown.now, limits)?;
        let decided = loaded.sync(&shown, &basis, limits)?;
        let told = words::sync(&decided.plan);
        return tell(args.json, &told, &decided, &[]);
    }
    let shown: Situation = read(path)?;
    consistent(&shown)?;
    let basis = loaded.basis(decision, &settings, shown.now, limits)?;
    let level = PolicyLevel::Default;
    if decision == Decision::ScaleDown {
        let decided = loaded.scale_down(&shown, level, &basis, limits)?;
        let told = words::verdicts(&decided.plan, &shown);
        // The minimum running time is the operator's, who is not here.
        let kept = words::kept(retire(&decided.plan, &shown, 0, u32::MAX).kept());
        return tell(args.json, &told, &decided, &kept);
    }
    let decided = loaded.scale_up(&shown, level, &basis, limits)?;
    let told = words::plan(&decided.plan, &shown);
    let granted = clamp(&decided.plan, &shown, &Guards::default());
    let edits: Vec<String> = granted.edits().iter().map(ToString::to_string).collect();
    tell(args.json, &told, &decided, &edits)
}

/// A file that a person wrote may name positions that do not exist.
fn consistent(shown: &Situation) -> anyhow::Result<()> {
    let inside = |place: usize, length: usize, what: &str, whose: &str| {
        if place < length {
            return Ok(());
        }
        bail!(
            "the situation's {whose} names {what} {place}, and there are {length} (0 is the first)"
        );
    };
    for job in &shown.pending {
        let whose = format!("job `{}`", job.name);
        inside(
            job.repository,
            shown.repositories.len(),
            "repository",
            &whose,
        )?;
        inside(job.labels, shown.label_sets.len(), "label set", &whose)?;
    }
    for set in &shown.label_sets {
        for &class in &set.fits {
            inside(class, shown.classes.len(), "class", "label set")?;
        }
    }
    for runner in &shown.runners {
        let whose = format!("runner `{}`", runner.name);
        inside(runner.class, shown.classes.len(), "class", &whose)?;
        for place in runner.launched_for.into_iter().chain(runner.serves) {
            inside(place, shown.repositories.len(), "repository", &whose)?;
        }
    }
    Ok(())
}

fn example(decision: Decision) -> anyhow::Result<ExitCode> {
    let text = if decision == Decision::Sync {
        serde_json::to_string_pretty(&stoker_policy::self_check::distribution(EXAMPLE.0))?
    } else {
        let situation = stoker_policy::self_check::situation(EXAMPLE.0, EXAMPLE.1);
        serde_json::to_string_pretty(&situation)?
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let shown = path.display();
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("{shown} can't be read"))?;
    }
    serde_json::from_str(&text).with_context(|| format!("{shown} is no such situation"))
}

fn tell<P: Serialize>(
    json: bool,
    told: &str,
    decided: &Decided<P>,
    edits: &[String],
) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let Cost {
        fuel,
        fuel_limit,
        memory,
        memory_limit,
    } = decided.cost;
    if json {
        let answer = json!({
            "plan": decided.plan,
            "logged": decided.logged,
            "edits": edits,
            "fuel": fuel,
            "fuel_limit": fuel_limit,
            "memory": memory,
            "memory_limit": memory_limit,
        });
        writeln!(out, "{answer:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    write!(out, "{told}")?;
    for line in &decided.logged {
        writeln!(out, "log     {line}")?;
    }
    for edit in edits {
        writeln!(out, "clamp   {edit}")?;
    }
    writeln!(
        out,
        "cost    {} fuel of {}, {} KB of memory of {}",
        thousands(fuel),
        thousands(fuel_limit),
        thousands(memory as u64 >> 10),
        thousands(memory_limit as u64 >> 10)
    )?;
    Ok(ExitCode::SUCCESS)
}
