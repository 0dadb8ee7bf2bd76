//! What a burst of jobs costs, and how long it takes: `make bench-burst`.
//!
//! 1,000 and 10,000 jobs are queued within a second for one organisation. The real handler runs the real
//! control plane and the real policy host; queues, ledger, GitHub, EC2 and SSM are stand-ins that take as
//! long as those do and limit as they do, on a virtual clock that is always ahead of the work: an hour takes
//! a minute or so, and every run gives the same figures, but for CPU time and memory. What the program
//! computes takes no virtual time; it is measured by itself.
//!
//! In reading order: [`scenario`], what is run; [`report`], what is told of it, by which aims and prices;
//! `world`, latencies, limits and counts; `lambda` and `queue`, who calls the handler; `ledger` over `dynamo`;
//! `outside` and `life`, EC2, SSM and GitHub.

// A benchmark that can't go on says where.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]
// Counts are far below what a double holds exactly.
#![allow(clippy::cast_precision_loss)]

mod dynamo;
mod lambda;
mod ledger;
mod life;
mod outside;
mod process;
mod queue;
mod report;
mod scenario;
mod world;

use std::process::ExitCode;

use crate::scenario::{Scenario, scenarios};

fn main() -> ExitCode {
    // `cargo bench` passes an argument of its own.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if wanted.first().is_some_and(|first| first == process::CHILD) {
        return scenario::one_act();
    }
    if let Err(problem) = scenario::the_ledger_keeps_its_contract() {
        eprintln!("the ledger's stand-in is no ledger: {problem}");
        return ExitCode::FAILURE;
    }
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !scenarios().iter().any(|scenario| scenario.name == *name))
    {
        let names = scenarios().map(|scenario| scenario.name).join(", ");
        eprintln!("there is no scenario {unknown}; there are {names}");
        return ExitCode::FAILURE;
    }
    let all: Vec<Scenario> = scenarios()
        .into_iter()
        .filter(|scenario| wanted.is_empty() || wanted.iter().any(|name| name == scenario.name))
        .collect();
    let mut all_met = true;
    for scenario in all {
        all_met &= report::tell(&scenario, &scenario.run());
    }
    if all_met {
        ExitCode::SUCCESS
    } else {
        println!("\nNot every aim is met.");
        ExitCode::FAILURE
    }
}
