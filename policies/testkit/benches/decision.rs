//! What a decision costs: `make bench-policy`. Times are of whatever machine this runs on; fuel and memory
//! are the same everywhere.

// A benchmark that can't go on says where.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use criterion::{Criterion, criterion_group, criterion_main};
use stoker_core::plan::PolicyLevel;
use stoker_policy::SizeClass;
use stoker_policy::artifact::{Native, Statement, Uploaded};
use stoker_policy::engine::{Configuration, EngineId};
use stoker_policy_default::DefaultPolicy;
use stoker_policy_sdk::facts::{RunnerPhase, Situation};
use stoker_policy_sdk::run;
use stoker_policy_sdk::testing::fleet;
use stoker_policy_testkit::{Component, convert};

/// Pending jobs, jobs that wait unseen, and runners.
const SIZES: [(&str, usize, u32, usize); 3] = [
    ("50 jobs, 20 runners", 50, 0, 20),
    ("1,000 jobs, 1,000 runners", 1_000, 0, 1_000),
    (
        "10,000 jobs (2,000 shown), 2,000 runners",
        2_000,
        8_000,
        2_000,
    ),
];

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    )
}

fn default_policy() -> Vec<u8> {
    std::fs::read(target().join("shipped/default/policy.wasm")).unwrap()
}

/// Ten repositories, two classes, runners in every phase.
fn situation(jobs: usize, unseen: u32, runners: usize) -> Situation {
    let mut fleet = fleet()
        .class("small", &["self-hosted", "linux", "x64"])
        .class_maximum(3_000)
        .class("large", &["self-hosted", "linux", "x64", "large"])
        .class_maximum(3_000)
        .maximum(6_000)
        .unseen(unseen);
    for n in 0..jobs {
        let labels: &[&str] = match n % 4 {
            0 => &["self-hosted", "linux", "large"],
            _ => &["self-hosted", "linux"],
        };
        fleet = fleet.job(&format!("service-{}", n % 10), labels);
    }
    for n in 0..runners {
        let phase = match n % 4 {
            0 => RunnerPhase::Idle,
            1 => RunnerPhase::Booting,
            _ => RunnerPhase::Busy,
        };
        let age = u32::try_from(runners - n).unwrap();
        fleet = fleet
            .runner(if n % 3 == 0 { "large" } else { "small" }, phase, age)
            .for_repository(&format!("service-{}", n % 10));
    }
    fleet.build()
}

fn decisions(bench: &mut Criterion) {
    let policy = Component::new(&default_policy(), SizeClass::Small).unwrap();
    let (loaded, limits) = (policy.loaded(), policy.limits());
    let mut group = bench.benchmark_group("default, as a component");
    group.bench_function("instantiate and drop", |b| {
        b.iter(|| loaded.instantiate(limits).unwrap());
    });
    println!("`default` is {} bytes", policy.bytes());
    for (name, jobs, unseen, runners) in SIZES {
        let (shown, _, basis) = convert::situation(&situation(jobs, unseen, runners));
        let decide = || {
            loaded
                .scale_up(black_box(&shown), PolicyLevel::Default, &basis, limits)
                .unwrap()
        };
        let cost = decide().cost;
        println!(
            "{name}: {} fuel of {}, {} KiB of memory of {}",
            cost.fuel,
            cost.fuel_limit,
            cost.memory >> 10,
            cost.memory_limit >> 10
        );
        group.bench_function(name, |b| b.iter(decide));
    }
    group.finish();
    let mut group = bench.benchmark_group("default, the rule natively");
    for (name, jobs, unseen, runners) in SIZES {
        let shown = situation(jobs, unseen, runners);
        group.bench_function(name, |b| {
            b.iter(|| run::scale_up::<DefaultPolicy>(black_box(&shown)).unwrap());
        });
    }
    group.finish();
}

/// What admission leaves for a deciding process: machine code, its record, and who signed for it.
fn publish(folder: &Path) {
    let limits = SizeClass::Small.limits();
    let engine = Configuration::STANDARD.engine().unwrap();
    let bytes = default_policy();
    let admitted = Uploaded::new(&bytes, &limits).unwrap().admit(&engine);
    let native = Native::of(&admitted.unwrap(), EngineId::standard()).unwrap();
    let body = serde_json::to_vec(native.record()).unwrap();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let key: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let statement = Statement::new("bench", 1, &body);
    let signature = pair.sign(&SystemRandom::new(), statement.bytes()).unwrap();
    println!("its machine code is {} bytes", native.bytes().len());
    for (name, bytes) in [
        ("key.der", key.as_ref()),
        ("record.json", &body),
        ("signature", signature.as_ref()),
        ("policy.native", native.bytes()),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// From the start of a process that has no compiler to its end, which comes after its first decision.
fn start(bench: &mut Criterion) {
    let program = target().join("release/examples/first-decision");
    assert!(
        program.is_file(),
        "{} is missing: `make bench-policy` builds it",
        program.display()
    );
    let size = std::fs::metadata(&program).unwrap().len();
    println!("the deciding program is {size} bytes");
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path());
    let run = |program: &Path| {
        let output = Command::new(program).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    };
    println!("{}", String::from_utf8_lossy(&run(&program).stdout).trim());
    let mut group = bench.benchmark_group("a process");
    group.bench_function("that does nothing", |b| {
        b.iter(|| run(Path::new("/bin/true")))
    });
    group.bench_function("that makes its first decision", |b| {
        b.iter(|| run(&program))
    });
    group.finish();
}

criterion_group!(benches, decisions, start);
criterion_main!(benches);
