//! The world of one history: ports that yield at every request, so that whoever draws decides who goes
//! on; that fail before or after they did what was asked; and callers that die in between.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use stoker_admission::testing::{MemorySigner, MemoryStore, MemoryUploads, SetClock};
use stoker_admission::{
    Admission, AdmissionError, AdmissionPorts, AdmissionSettings, Hint, Report, Task,
};
use stoker_core::ports::{
    AdmissionStore, Fetched, PolicySigner, PolicyStore, PolicyStoreError, PolicyUploads, Replaced,
    SignerError, Upload, UploadBytes,
};
use stoker_core::time::Timestamp;
use stoker_policy::SizeClass;
use stoker_policy::artifact::PublicKeys;
use stoker_policy::engine::Configuration;

use crate::stand_in::StandIn;

/// Numbers from a seed (splitmix64).
#[derive(Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What the ports share.
pub(crate) struct Faults {
    draw: Mutex<Draw>,
    /// One request in so many fails; 0: none.
    pub(crate) one_in: Mutex<usize>,
    /// How many objects were written.
    pub(crate) writes: Mutex<usize>,
}

impl Faults {
    fn new(seed: u64) -> Self {
        Self {
            draw: Mutex::new(Draw::new(seed)),
            one_in: Mutex::new(0),
            writes: Mutex::new(0),
        }
    }

    fn fails(&self) -> bool {
        let one_in = *self.one_in.lock().unwrap();
        one_in > 0 && self.draw.lock().unwrap().one_in(one_in)
    }

    /// Lets others go on; then perhaps fails.
    async fn pass(&self, path: &str) -> Result<(), PolicyStoreError> {
        Yield(false).await;
        self.after(path)
    }

    /// Perhaps loses the answer.
    fn after(&self, path: &str) -> Result<(), PolicyStoreError> {
        if self.fails() {
            return Err(PolicyStoreError {
                path: path.to_owned(),
                problem: "drawn to fail".to_owned(),
            });
        }
        Ok(())
    }

    fn wrote(&self) {
        *self.writes.lock().unwrap() += 1;
    }
}

struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        // Requests that are made at once are asked again only if they say so.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Ports that yield and fail.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) faults: Arc<Faults>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) uploads: Arc<MemoryUploads>,
}

#[async_trait]
impl PolicyStore for Ports {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        self.faults.pass(path).await?;
        self.store.fetch(path, known).await
    }
}

#[async_trait]
impl AdmissionStore for Ports {
    async fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, PolicyStoreError> {
        self.faults.pass(path).await?;
        let created = self.store.create(path, bytes).await?;
        if created {
            self.faults.wrote();
        }
        self.faults.after(path)?;
        Ok(created)
    }

    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, PolicyStoreError> {
        self.faults.pass(path).await?;
        let replaced = self.store.replace(path, known, bytes).await?;
        self.faults.wrote();
        self.faults.after(path)?;
        Ok(replaced)
    }

    async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), PolicyStoreError> {
        self.faults.pass(path).await?;
        self.store.put(path, bytes).await?;
        self.faults.wrote();
        self.faults.after(path)
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, PolicyStoreError> {
        self.faults.pass(prefix).await?;
        self.store.list(prefix, after).await
    }
}

#[async_trait]
impl PolicyUploads for Ports {
    async fn list(&self) -> Result<Vec<Upload>, PolicyStoreError> {
        self.faults.pass("policies/").await?;
        self.uploads.list().await
    }

    async fn read(&self, upload: &Upload) -> Result<Option<UploadBytes>, PolicyStoreError> {
        self.faults.pass(&upload.path).await?;
        self.uploads.read(upload).await
    }

    async fn put(&self, _: &str, _: &[u8], _: &str) -> Result<(), PolicyStoreError> {
        unreachable!("admission uploads nothing")
    }
}

/// A key that yields and fails.
struct Key(Arc<MemorySigner>, Arc<Faults>);

#[async_trait]
impl PolicySigner for Key {
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignerError> {
        Yield(false).await;
        if self.1.fails() {
            return Err(SignerError {
                key: "drawn".to_owned(),
                what: "sign",
                problem: "drawn to fail".to_owned(),
            });
        }
        self.0.sign(statement).await
    }

    async fn public_key(&self) -> Result<Vec<u8>, SignerError> {
        self.0.public_key().await
    }
}

/// A run of admission that is under way.
pub(crate) type Run = Pin<Box<dyn Future<Output = Result<Report, AdmissionError>>>>;

/// A deployment.
pub(crate) struct World {
    pub(crate) ports: Ports,
    pub(crate) keys: [Arc<MemorySigner>; 2],
    /// Which of them signs now.
    pub(crate) signing: usize,
    /// How many of them are trusted.
    told: usize,
    pub(crate) configuration: Configuration,
    pub(crate) clock: Arc<SetClock>,
    /// What has been in each folder at once, by version.
    pub(crate) been: BTreeMap<String, BTreeSet<[Option<String>; 2]>>,
    pub(crate) now: BTreeMap<String, [Option<String>; 2]>,
    /// Every version's bytes.
    pub(crate) bytes: BTreeMap<String, Vec<u8>>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let world = Self {
            ports: Ports {
                faults: Arc::new(Faults::new(seed)),
                store: Arc::default(),
                uploads: Arc::default(),
            },
            keys: [Arc::default(), Arc::default()],
            signing: 0,
            told: 2,
            configuration: Configuration::STANDARD,
            clock: Arc::default(),
            been: BTreeMap::new(),
            now: BTreeMap::new(),
            bytes: BTreeMap::new(),
        };
        world.clock.set(Timestamp(1_700_000_000));
        world
    }

    pub(crate) fn trusted(&self) -> PublicKeys {
        PublicKeys::new(self.keys.iter().take(self.told).map(|key| key.key()))
    }

    /// Another key signs from now on, and nobody was told of it.
    pub(crate) fn rotate_untold(&mut self) {
        self.told = 1;
        self.signing = 1;
    }

    pub(crate) fn upload(&mut self, folder: &str, file: &str, bytes: &[u8]) {
        let upload = self
            .ports
            .uploads
            .upload(&format!("{folder}/{file}"), bytes);
        self.bytes.insert(upload.version.clone(), bytes.to_vec());
        self.is_in(folder, file, Some(upload.version));
    }

    pub(crate) fn delete(&mut self, folder: &str, file: &str) {
        if self.ports.uploads.delete(&format!("{folder}/{file}")) {
            self.is_in(folder, file, None);
        }
    }

    fn is_in(&mut self, folder: &str, file: &str, version: Option<String>) {
        let now = self.now.entry(folder.to_owned()).or_default();
        now[usize::from(file == "settings.json")] = version;
        self.been
            .entry(folder.to_owned())
            .or_default()
            .insert(now.clone());
    }

    pub(crate) fn judge(&self) -> Arc<StandIn> {
        Arc::new(StandIn::new(self.configuration))
    }

    fn admission(&self, judge: &Arc<StandIn>) -> Admission {
        Admission::new(
            AdmissionPorts {
                store: Arc::new(self.ports.clone()),
                uploads: Arc::new(self.ports.clone()),
                signer: Arc::new(Key(
                    Arc::clone(&self.keys[self.signing]),
                    Arc::clone(&self.ports.faults),
                )),
                judge: Arc::<StandIn>::clone(judge),
                clock: Arc::<SetClock>::clone(&self.clock),
            },
            AdmissionSettings {
                deployment: "sim".parse().unwrap(),
                keys: self.trusted(),
                limits: SizeClass::Small.limits(),
                configuration: self.configuration,
            },
        )
    }

    /// Begins a run.
    pub(crate) fn begin(&self, task: Task, hints: Vec<Hint>) -> Run {
        self.begin_with(task, hints, &self.judge())
    }

    fn begin_with(&self, task: Task, hints: Vec<Hint>, judge: &Arc<StandIn>) -> Run {
        let admission = self.admission(judge);
        Box::pin(async move { admission.run(&task, &hints).await })
    }

    /// Runs to the end, with nobody else about.
    pub(crate) fn run(&self, task: Task) -> Result<Report, AdmissionError> {
        to_its_end(self.begin(task, Vec::new()))
    }

    pub(crate) fn run_with(
        &self,
        task: Task,
        judge: &Arc<StandIn>,
    ) -> Result<Report, AdmissionError> {
        to_its_end(self.begin_with(task, Vec::new(), judge))
    }

    pub(crate) fn run_hinted(&self, hints: &[Hint]) -> Result<Report, AdmissionError> {
        to_its_end(self.begin_with(Task::Sweep, hints.to_vec(), &self.judge()))
    }

    pub(crate) fn sweep(&self) -> Report {
        self.run(Task::Sweep).unwrap()
    }
}

fn to_its_end(mut run: Run) -> Result<Report, AdmissionError> {
    loop {
        if let Poll::Ready(report) = step(&mut run) {
            return report;
        }
    }
}

/// Lets a run go on to its next request.
pub(crate) fn step(run: &mut Run) -> Poll<Result<Report, AdmissionError>> {
    run.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
