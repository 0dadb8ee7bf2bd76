//! What admission costs, and how long a hot swap takes: `make bench-admission`.
//!
//! Admission: CPU time and peak memory of the real program as the child, read from `/proc` while it lives.
//! Hot swap: decisions at 50 a second by a real host while a policy is uploaded, admitted by the real
//! child, signed, published and taken up; every request to the store, the uploads and the key takes as
//! long as one to S3 or KMS does. What is told is the worst that any decision met.

// A benchmark that can't go on says where.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stoker_admission::child::InChild;
use stoker_admission::confine::ChildLimits;
use stoker_admission::judge::{Judge as _, Opened, Question};
use stoker_admission::testing::{MemorySigner, MemoryStore, MemoryUploads};
use stoker_admission::{Admission, AdmissionPorts, AdmissionSettings, Task};
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::ports::{
    AdmissionStore, Fetched, PolicySigner, PolicyStore, PolicyStoreError, PolicyUploads, Replaced,
    ScaleUpDecider as _, SignerError, Upload, UploadBytes,
};
use stoker_core::time::Timestamp;
use stoker_lambda::SystemClock;
use stoker_policy::artifact::PublicKeys;
use stoker_policy::engine::Configuration;
use stoker_policy::{
    Decision, HostSettings, OnFailure, PolicyHost, PolicyMode, SizeClass, Trust, self_check,
};

/// What S3 takes for a small object inside a region on an ordinary day, and KMS for a signature.
const LATENCY: Duration = Duration::from_millis(25);

/// As often as is promised.
const REVALIDATE: u32 = 15;

/// Fifty decisions a second.
const PACE: Duration = Duration::from_millis(20);

fn component(path: &str) -> Arc<Vec<u8>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    let path = target.join(path).join("policy.wasm");
    Arc::new(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn judge(size: SizeClass) -> InChild {
    InChild::new(
        env!("CARGO_BIN_EXE_policy-admission"),
        Configuration::STANDARD,
        size.limits(),
        ChildLimits::default(),
    )
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    println!("admission: CPU time of the child (10 ms steps), and the most memory it had");
    for (what, path, size) in [
        (
            "launches-one (Rust)",
            "test-policies/launches-one",
            SizeClass::Small,
        ),
        (
            "minds-its-settings (Rust)",
            "test-policies/minds-its-settings",
            SizeClass::Small,
        ),
        ("default (Rust)", "shipped/default", SizeClass::Small),
        (
            "javascript (QuickJS)",
            "examples-policies/javascript",
            SizeClass::Large,
        ),
        ("python", "examples-policies/python", SizeClass::Large),
    ] {
        admit(what, &component(path), size).await;
    }
    swap().await;
}

async fn admit(what: &str, component: &Arc<Vec<u8>>, size: SizeClass) {
    let began = Instant::now();
    let opened = judge(size).open(Arc::clone(component)).await.unwrap();
    let Opened::Open {
        mut policy, native, ..
    } = opened
    else {
        panic!("{what} is refused");
    };
    let (compiled, elapsed) = (cpu(), began.elapsed());
    let question = Question {
        decision: Decision::ScaleUp,
        settings: "{}".to_owned(),
        trial: true,
    };
    policy.ask(vec![question]).await.unwrap().remove(0).unwrap();
    println!(
        "  {what}, {} KB, {} KB of machine code: {} ms of CPU beyond the trials ({} ms by the clock), {} ms for the trials, {} MB",
        component.len() / 1_000,
        native.len() / 1_000,
        compiled,
        elapsed.as_millis(),
        cpu() - compiled,
        memory() / 1_000,
    );
}

fn child() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .find_map(|children| children.split_whitespace().next().map(ToOwned::to_owned))
        .unwrap()
}

/// Milliseconds of CPU time of the child.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // utime and stime, in hundredths of a second.
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

/// The most kilobytes of memory that the child had.
fn memory() -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// Ports that take their time.
struct Far {
    store: MemoryStore,
    uploads: MemoryUploads,
    signer: MemorySigner,
}

async fn far() {
    tokio::time::sleep(LATENCY).await;
}

#[async_trait]
impl PolicyStore for Far {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        far().await;
        self.store.fetch(path, known).await
    }
}

#[async_trait]
impl AdmissionStore for Far {
    async fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, PolicyStoreError> {
        far().await;
        self.store.create(path, bytes).await
    }

    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, PolicyStoreError> {
        far().await;
        self.store.replace(path, known, bytes).await
    }

    async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), PolicyStoreError> {
        far().await;
        self.store.put(path, bytes).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, PolicyStoreError> {
        far().await;
        self.store.list(prefix, after).await
    }
}

#[async_trait]
impl PolicyUploads for Far {
    async fn list(&self) -> Result<Vec<Upload>, PolicyStoreError> {
        far().await;
        self.uploads.list().await
    }

    async fn read(&self, upload: &Upload) -> Result<Option<UploadBytes>, PolicyStoreError> {
        far().await;
        self.uploads.read(upload).await
    }

    async fn put(&self, path: &str, bytes: &[u8], by: &str) -> Result<(), PolicyStoreError> {
        far().await;
        self.uploads.put(path, bytes, by).await
    }
}

#[async_trait]
impl PolicySigner for Far {
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignerError> {
        far().await;
        self.signer.sign(statement).await
    }

    async fn public_key(&self) -> Result<Vec<u8>, SignerError> {
        self.signer.public_key().await
    }
}

fn now() -> Timestamp {
    Timestamp(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
}

async fn swap() {
    println!(
        "hot swap: decisions about 50 jobs and 20 runners, 50 a second; requests take {} ms, what is active is confirmed every {REVALIDATE} s",
        LATENCY.as_millis()
    );
    let far = Arc::new(Far {
        store: MemoryStore::default(),
        uploads: MemoryUploads::default(),
        signer: MemorySigner::default(),
    });
    let limits = SizeClass::Small.limits();
    let (keys, deployment) = (
        PublicKeys::new([far.signer.key()]),
        "bench".parse().unwrap(),
    );
    let admission = Admission::new(
        AdmissionPorts {
            store: Arc::<Far>::clone(&far),
            uploads: Arc::<Far>::clone(&far),
            signer: Arc::<Far>::clone(&far),
            judge: Arc::new(judge(SizeClass::Small)),
            clock: Arc::new(SystemClock),
        },
        AdmissionSettings {
            deployment,
            keys: keys.clone(),
            limits,
            configuration: Configuration::STANDARD,
        },
    );
    let first = component("shipped/default");
    far.uploads.upload("default/policy.wasm", first.to_vec());
    admission.run(&Task::Sweep, &[]).await.unwrap();
    let host = PolicyHost::new(
        Arc::<Far>::clone(&far),
        Trust {
            deployment: "bench".parse().unwrap(),
            keys,
            revalidate: REVALIDATE,
        },
        HostSettings {
            mode: PolicyMode::Policies,
            limits,
            on_failure: OnFailure::BuiltIn,
        },
    )
    .unwrap();
    host.warm_up(now()).await;
    let second = component("shipped/fair-share");
    let wanted = ArtifactDigest::of(&second);
    let mut situation = self_check::situation(50, 20);
    situation.now = now();
    host.decide(&situation, PolicyGeneration(0)).await;

    let publish = tokio::spawn(async move {
        // Just after a look, so that the whole interval is waited for.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let uploaded = Instant::now();
        far.uploads.upload("default/policy.wasm", second.to_vec());
        admission.run(&Task::Sweep, &[]).await.unwrap();
        (uploaded, uploaded.elapsed())
    });
    let began = Instant::now();
    let mut pace = tokio::time::interval(PACE);
    let (mut times, mut swapped, mut failed) = (Vec::new(), None, 0);
    while began.elapsed() < Duration::from_secs(u64::from(REVALIDATE) + 8) {
        pace.tick().await;
        situation.now = now();
        let asked = Instant::now();
        let proposal = host.decide(&situation, PolicyGeneration(0)).await;
        times.push(asked.elapsed());
        failed += usize::from(proposal.fallback.is_some());
        if swapped.is_none() && proposal.by.digest.as_ref() == Some(&wanted) {
            swapped = Some(Instant::now());
        }
    }
    let (uploaded, admitted) = publish.await.unwrap();
    let took = swapped.unwrap().duration_since(uploaded);
    times.sort();
    let at = |share: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let nth = ((times.len() - 1) as f64 * share) as usize;
        times[nth].as_micros()
    };
    println!(
        "  {} ms from the upload to the first decision by it (of them {} ms until it was active)",
        took.as_millis(),
        admitted.as_millis()
    );
    println!(
        "  {} decisions: {failed} fell back; {} µs half of them, {} µs 99 in 100, {} µs the longest",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
