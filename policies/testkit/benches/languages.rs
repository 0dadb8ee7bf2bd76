//! What the example policies in other languages cost: `make bench-languages`. Times are of whatever machine
//! this runs on; fuel and memory are a component's own, and the same everywhere.

// A benchmark that can't go on says where.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use stoker_core::plan::{Basis, PolicyLevel};
use stoker_policy::SizeClass;
use stoker_policy::artifact::{Loaded, Native, Uploaded};
use stoker_policy::engine::{Configuration, EngineId};
use stoker_policy::self_check::situation;

/// What is built by `scripts/build-examples`, and the class of policies that a host has to allow for it.
const EXAMPLES: [(&str, SizeClass); 4] = [
    ("rust-unknown", SizeClass::Small),
    ("rust-wasip2", SizeClass::Small),
    ("javascript", SizeClass::Large),
    ("python", SizeClass::Large),
];

/// Waiting jobs and runners.
const SIZES: [(usize, usize); 2] = [(50, 20), (1_000, 1_000)];

/// Enough for a median that is the same to a tenth the next time.
const SAMPLES: usize = 101;

fn main() {
    for (name, class) in EXAMPLES {
        let limits = class.limits();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
            PathBuf::from,
        );
        let file = target.join(format!("examples-policies/{name}/policy.wasm"));
        let bytes = std::fs::read(&file).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; scripts/build-examples makes it",
                file.display()
            )
        });
        let engine = Configuration::STANDARD.engine().unwrap();
        let begun = Instant::now();
        let admitted = Uploaded::new(&bytes, &limits)
            .unwrap()
            .admit(&engine)
            .unwrap();
        let compiled = begun.elapsed();
        let native = Native::of(&admitted, EngineId::standard()).unwrap();
        let policy = Loaded::new(admitted, &limits).unwrap();
        println!("{name}, {class:?}: {} bytes", bytes.len());
        println!(
            "  compiled in {compiled:.2?} to {} bytes",
            native.bytes().len()
        );
        let instantiated = median(|| policy.instantiate(&limits).unwrap());
        println!("  instantiated and dropped in {instantiated:.1?}");
        let basis = Basis {
            settings: "{}".to_owned(),
            ..Basis::default()
        };
        for (jobs, runners) in SIZES {
            let shown = situation(jobs, runners);
            let decide = || {
                policy
                    .scale_up(&shown, PolicyLevel::Default, &basis, &limits)
                    .unwrap()
            };
            let cost = decide().cost;
            let decided = median(decide);
            println!(
                "  {jobs} jobs, {runners} runners: {decided:.1?}, {} fuel of {}, {} KiB",
                cost.fuel,
                cost.fuel_limit,
                cost.memory >> 10
            );
        }
    }
}

fn median<T>(run: impl Fn() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..SAMPLES)
        .map(|_| {
            let begun = Instant::now();
            // Dropping what was made is a part of it.
            drop(run());
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[SAMPLES / 2]
}
