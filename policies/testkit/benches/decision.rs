//! What a decision costs: `make bench-policy`. Times are of whatever machine this runs on; fuel and memory
//! are the same everywhere.

// A benchmark that can't go on says where.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use criterion::{Criterion, criterion_group, criterion_main};
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::plan::PolicyLevel;
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::activation::{
    Document, Entry, FolderRecord, Own, Pair, PolicyRecord, SettingsRef, Unsigned,
};
use stoker_policy::artifact::{Loaded, Native, Uploaded};
use stoker_policy::engine::{Configuration, EngineId};
use stoker_policy::{Decision, SizeClass};
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

/// A component that `make bench-policy` has built.
fn component(folder: &str) -> Vec<u8> {
    let path = target().join(folder).join("policy.wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const DEFAULT: &str = "shipped/default";

/// One rule without the SDK's building blocks and without settings.
const SMALL: &str = "test-policies/launches-one";

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
    let policy = Component::new(&component(DEFAULT), SizeClass::Small.limits()).unwrap();
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

/// What admission leaves for a deciding process: machine code, what names it, and who signed for that.
fn publish(bytes: &[u8], folder: &Path) {
    let limits = SizeClass::Small.limits();
    let engine = Configuration::STANDARD.engine().unwrap();
    let admitted = Uploaded::new(bytes, &limits)
        .unwrap()
        .admit(&engine)
        .unwrap();
    let native = Native::of(&admitted, EngineId::standard()).unwrap();
    let policy = Loaded::new(admitted, &limits).unwrap();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let key: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let document = active(&policy, &native, bytes.len());
    let unsigned = Unsigned::new(&"bench".parse().unwrap(), &document).unwrap();
    let statement = unsigned.statement();
    let signature = pair.sign(&SystemRandom::new(), statement.bytes()).unwrap();
    let active = unsigned.signed(signature.as_ref()).unwrap();
    println!(
        "{} bytes of WebAssembly are {} of machine code",
        bytes.len(),
        native.bytes().len()
    );
    for (name, bytes) in [
        ("key.der", key.as_ref()),
        ("active.json", &active),
        ("policy.native", native.bytes()),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The document that has that policy launch runners for everybody, without settings.
fn active(policy: &Loaded, native: &Native, bytes: usize) -> Document {
    let record = PolicyRecord {
        name: policy.description().name.clone(),
        version: policy.description().version.clone(),
        bytes: bytes as u64,
        exports: policy.spoken().clone(),
        natives: vec![native.code().clone()],
    };
    let entry = Entry {
        pair: Pair {
            policy: Some(policy.digest().clone()),
            level: PolicyLevel::Default,
            settings: SettingsRef {
                digest: ArtifactDigest::of(b"{}"),
                zones: Vec::new(),
                notes: Vec::new(),
            },
            inherited: None,
        },
        since: PolicyGeneration(1),
        previous: None,
    };
    let folder = FolderRecord {
        own: Own::default(),
        scope: BTreeMap::from([(Decision::ScaleUp, entry)]),
        tunes: BTreeMap::new(),
        changed: PolicyGeneration(1),
        passed_over: None,
    };
    Document {
        generation: PolicyGeneration(1),
        policies: BTreeMap::from([(policy.digest().clone(), record)]),
        folders: BTreeMap::from([(PolicyFolder::Default, folder)]),
        ..Document::empty()
    }
}

/// From before a process without a compiler is started to its first decision, which it tells the time of.
fn start(bench: &mut Criterion) {
    let program = target().join("release/first-decision");
    assert!(
        program.is_file(),
        "{} is missing: `make bench-policy` builds it",
        program.display()
    );
    let size = std::fs::metadata(&program).unwrap().len();
    println!("the deciding program is {size} bytes");
    let decided = |folder: &Path, what: &str| {
        let before = SystemTime::now();
        let output = Command::new(&program).arg(folder).arg(what).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        let (at, rest) = told.trim().split_once(' ').unwrap();
        let at = UNIX_EPOCH + Duration::from_nanos(at.parse().unwrap());
        (at.duration_since(before).unwrap(), rest.to_owned())
    };
    let mut group = bench.benchmark_group("a process, from its start");
    for (name, policy, what) in [
        ("to `main`", SMALL, "nothing"),
        ("to its first decision by a small policy", SMALL, "decide"),
        ("to its first decision by `default`", DEFAULT, "decide"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        publish(&component(policy), folder.path());
        println!("{}", decided(folder.path(), what).1);
        group.bench_function(name, |b| {
            b.iter_custom(|times| (0..times).map(|_| decided(folder.path(), what).0).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, decisions, start);
criterion_main!(benches);
