//! `make sim`: draws histories, as many as it is told, and tells the first that breaks.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use stoker_simulation::{STEPS, run, shrunk};

/// Runs the control plane through drawn histories of faults.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  sim --seeds 10000
  sim --seed 4711             tells that seed's history, and how it ends
  sim --seed 4711 --steps 90  the same, cut short

Exit status: 0 all that must hold holds, 1 something does not, 2 wrong arguments.")]
struct Arguments {
    /// How many seeds, from the first on.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this one, with its history.
    #[arg(long)]
    seed: Option<u64>,
    /// How many steps of disorder a history has.
    #[arg(long, default_value_t = STEPS)]
    steps: u64,
}

fn main() -> ExitCode {
    match simulate(&Arguments::parse()) {
        Ok(code) => code,
        // Nobody is left to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

fn simulate(arguments: &Arguments) -> std::io::Result<ExitCode> {
    let mut out = std::io::stdout();
    if let Some(seed) = arguments.seed {
        return match run(seed, arguments.steps) {
            Ok(()) => {
                writeln!(out, "seed {seed}: all that must hold holds")?;
                Ok(ExitCode::SUCCESS)
            }
            Err(breach) => {
                writeln!(out, "{}\n\n{breach}", breach.told.join("\n"))?;
                Ok(ExitCode::FAILURE)
            }
        };
    }
    let start = Instant::now();
    let mut err = std::io::stderr();
    let shows_progress = err.is_terminal();
    for place in 0..arguments.seeds {
        let seed = arguments.from + place;
        if let Err(breach) = run(seed, arguments.steps) {
            writeln!(
                out,
                "seed {seed} breaks; its history is cut as short as it shows that"
            )?;
            let breach = shrunk(breach);
            let last = breach.told.len().saturating_sub(200);
            writeln!(out, "{}\n\n{breach}", breach.told[last..].join("\n"))?;
            return Ok(ExitCode::FAILURE);
        }
        let done = place + 1;
        if shows_progress && done.is_multiple_of(20) {
            write!(err, "\r{done} of {} seeds", arguments.seeds)?;
        } else if !shows_progress && done.is_multiple_of(1_000) {
            writeln!(err, "{done} of {} seeds", arguments.seeds)?;
        }
    }
    writeln!(
        out,
        "{} histories of {} steps: all that must hold holds ({:.1} s)",
        arguments.seeds,
        arguments.steps,
        start.elapsed().as_secs_f64()
    )?;
    Ok(ExitCode::SUCCESS)
}
