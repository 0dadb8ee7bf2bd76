//! The round that mirrors the runner's distribution, over a folder and simulated releases: the way as it should be,
//! and whatever a policy wants and wherever it breaks off.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use stoker_core::distribution::layout::{Document as _, Offered, Seen};
use stoker_core::distribution::{
    Choice, Distribution, SyncError, SyncPlan, SyncPorts, SyncRules, Synced, Syncer,
};
use stoker_core::happening::Happening;
use stoker_core::ids::PolicyGeneration;
use stoker_core::plan::{Basis, DecidedBy, PolicyLevel, Proposal};
use stoker_core::ports::{
    ArchiveUpload, Clock, DistributionError, DistributionStore, Fetched, Replaced, Reporter,
    Stored, SyncDecider, Timer,
};
use stoker_core::time::Timestamp;
use stoker_local::{FolderDistribution, SimulatedReleases};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

/// What somebody else does, once.
type Meanwhile = Mutex<Option<Box<dyn FnOnce() + Send>>>;

fn happens(meanwhile: &Meanwhile) {
    if let Some(happen) = meanwhile.lock().unwrap().take() {
        happen();
    }
}

/// Everything but GitHub and the folder.
#[derive(Default)]
struct Outside {
    plan: Mutex<SyncPlan>,
    generation: AtomicU64,
    seen: Mutex<Vec<PolicyGeneration>>,
    shown: Mutex<Option<Distribution>>,
    told: Mutex<Vec<Happening>>,
    /// Seconds that each look at the clock takes.
    pace: AtomicU64,
    now: AtomicU64,
    is_over: AtomicBool,
    while_deciding: Meanwhile,
    while_copying: Meanwhile,
    /// The last step of an upload never ends; when it has begun, the time is over.
    never_completes: AtomicBool,
}

#[async_trait]
impl SyncDecider for Outside {
    async fn decide(
        &self,
        distribution: &Distribution,
        seen: PolicyGeneration,
    ) -> Proposal<SyncPlan> {
        self.seen.lock().unwrap().push(seen);
        *self.shown.lock().unwrap() = Some(distribution.clone());
        happens(&self.while_deciding);
        Proposal {
            plan: self.plan.lock().unwrap().clone(),
            by: DecidedBy {
                policy: "scripted".to_owned(),
                level: PolicyLevel::Default,
                digest: None,
                generation: Some(PolicyGeneration(self.generation.load(Ordering::SeqCst))),
                fuel: None,
            },
            basis: Basis::default(),
            fallback: None,
        }
    }
}

impl Clock for Outside {
    fn now(&self) -> Timestamp {
        let pace = self.pace.load(Ordering::SeqCst);
        Timestamp(NOW + self.now.fetch_add(pace, Ordering::SeqCst))
    }
}

#[async_trait]
impl Timer for Outside {
    /// What comes, comes before.
    async fn wait_until(&self, _: Timestamp) {
        while !self.is_over.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Reporter for Outside {
    fn report(&self, _: Timestamp, happening: &Happening) {
        self.told.lock().unwrap().push(happening.clone());
    }
}

/// A folder whose process dies after so many effects.
struct Dying {
    folder: FolderDistribution,
    effects_left: Arc<AtomicUsize>,
    outside: Arc<Outside>,
}

fn lives(left: &AtomicUsize) -> Result<(), DistributionError> {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .map(drop)
    .map_err(|_| DistributionError {
        what: "write",
        path: String::new(),
        problem: "it is dead".to_owned(),
    })
}

#[async_trait]
impl DistributionStore for Dying {
    async fn fetch(&self, path: &str) -> Result<Fetched, DistributionError> {
        self.folder.fetch(path).await
    }

    async fn replace(
        &self,
        path: &str,
        known: Option<&str>,
        bytes: &[u8],
    ) -> Result<Replaced, DistributionError> {
        lives(&self.effects_left)?;
        self.folder.replace(path, known, bytes).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Stored>, DistributionError> {
        self.folder.list(prefix).await
    }

    async fn delete(&self, path: &str) -> Result<(), DistributionError> {
        lives(&self.effects_left)?;
        self.folder.delete(path).await
    }

    async fn upload(&self, path: &str) -> Result<Box<dyn ArchiveUpload>, DistributionError> {
        lives(&self.effects_left)?;
        happens(&self.outside.while_copying);
        Ok(Box::new(DyingUpload {
            upload: self.folder.upload(path).await?,
            left: Arc::clone(&self.effects_left),
            outside: Arc::clone(&self.outside),
        }))
    }
}

struct DyingUpload {
    upload: Box<dyn ArchiveUpload>,
    left: Arc<AtomicUsize>,
    outside: Arc<Outside>,
}

#[async_trait]
impl ArchiveUpload for DyingUpload {
    async fn add(&mut self, bytes: Vec<u8>) -> Result<(), DistributionError> {
        lives(&self.left)?;
        self.upload.add(bytes).await
    }

    async fn complete(self: Box<Self>) -> Result<(), DistributionError> {
        lives(&self.left)?;
        if self.outside.never_completes.load(Ordering::SeqCst) {
            self.outside.is_over.store(true, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        self.upload.complete().await
    }

    async fn abort(self: Box<Self>) -> Result<(), DistributionError> {
        lives(&self.left)?;
        self.upload.abort().await
    }
}

struct World {
    folder: tempfile::TempDir,
    releases: SimulatedReleases,
    outside: Arc<Outside>,
    effects_left: Arc<AtomicUsize>,
    platforms: &'static str,
    allow_missing_digest: bool,
}

impl World {
    fn new(platforms: &'static str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            releases: SimulatedReleases::default(),
            outside: Arc::default(),
            effects_left: Arc::new(AtomicUsize::new(usize::MAX)),
            platforms,
            allow_missing_digest: false,
        }
    }

    fn publish(&self, version: &str, days: u64) {
        let bytes = |platform: &str| format!("{version} for {platform}").into_bytes();
        let [linux, win] = ["linux-x64", "win-x64"].map(bytes);
        let at = Timestamp(NOW - days * DAY);
        let archives: [(&str, &[u8]); 2] = [("linux-x64", &linux), ("win-x64", &win)];
        self.releases.publish(version, at, &archives);
    }

    /// GitHub has other archives of a release now, and says so by their digests, or publishes none.
    fn replace(&self, version: &str, with_digest: bool) {
        let again = |platform: &str| format!("{version} for {platform}, again").into_bytes();
        self.releases.change(version, |release| {
            for (platform, asset) in &mut release.assets {
                let bytes = again(platform);
                asset.bytes = bytes.len() as u64;
                asset.sha256 = with_digest.then(|| hex::encode(Sha256::digest(&bytes)));
            }
        });
        for platform in ["linux-x64", "win-x64"] {
            self.releases.corrupt(platform, version, &again(platform));
        }
    }

    /// Two versions are mirrored, and the newer one of them is offered. This is the pointer on the older one.
    async fn with_two(&self) -> Vec<u8> {
        let mut pointers = Vec::new();
        for (version, days) in [("2.330.0", 9), ("2.331.0", 5)] {
            self.publish(version, days);
            self.wants(version);
            self.sync().await.unwrap();
            pointers.push(std::fs::read(self.path("offered.json")).unwrap());
        }
        pointers.swap_remove(0)
    }

    fn plans(&self, plan: SyncPlan) {
        *self.outside.plan.lock().unwrap() = plan;
    }

    /// What there is of a version.
    fn files(&self, version: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.path(&format!("releases/{version}")));
        let files = files.into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }

    fn wants(&self, version: &str) {
        *self.outside.plan.lock().unwrap() = SyncPlan {
            mirror: vec![choice(version)],
            offer: Some(choice(version)),
            ..SyncPlan::default()
        };
    }

    async fn sync_within(&self, seconds: u64) -> Result<Synced, SyncError> {
        let rules = SyncRules {
            platforms: self.platforms.parse().unwrap(),
            allow_missing_digest: self.allow_missing_digest,
            minimum_version: None,
        };
        let outside = Arc::clone(&self.outside);
        let ports = SyncPorts {
            releases: Arc::new(self.releases.clone()),
            store: Arc::new(Dying {
                folder: FolderDistribution::new(self.folder.path()),
                effects_left: Arc::clone(&self.effects_left),
                outside: Arc::clone(&outside),
            }),
            decider: Arc::clone(&outside) as Arc<dyn SyncDecider>,
            clock: Arc::clone(&outside) as Arc<dyn Clock>,
            timer: Arc::clone(&outside) as Arc<dyn Timer>,
            reporter: outside,
        };
        let until = Timestamp(NOW + self.outside.now.load(Ordering::SeqCst) + seconds);
        Syncer::new(rules, ports).sync(until).await
    }

    async fn sync(&self) -> Result<Synced, SyncError> {
        self.sync_within(600).await
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn pointer(&self) -> Option<Offered> {
        let bytes = std::fs::read(self.path("offered.json")).ok()?;
        Some(Offered::from_bytes(&bytes).unwrap())
    }

    fn offered(&self) -> Option<String> {
        self.pointer().map(|one| one.release)
    }

    /// What an instance does: reads the pointer, and the archive that it names.
    fn what_instances_get_is_whole(&self) {
        let Some(pointer) = self.pointer() else {
            return;
        };
        let platforms: Vec<&str> = pointer.platforms.keys().map(String::as_str).collect();
        assert_eq!(platforms.join(","), self.platforms);
        for (platform, archive) in &pointer.platforms {
            let bytes = std::fs::read(self.path(&archive.key)).unwrap();
            assert_eq!(hex::encode(Sha256::digest(&bytes)), archive.sha256);
            assert_eq!(bytes.len() as u64, archive.bytes);
            let begin = format!("{} for {platform}", pointer.release);
            assert!(bytes.starts_with(begin.as_bytes()));
        }
    }

    fn told(&self, name: &str) -> usize {
        let told = self.outside.told.lock().unwrap();
        told.iter().filter(|one| kind(one) == name).count()
    }

    fn last(&self, name: &str) -> Option<Happening> {
        let told = self.outside.told.lock().unwrap();
        told.iter().rev().find(|one| kind(one) == name).cloned()
    }
}

fn kind(happening: &Happening) -> String {
    let written = serde_json::to_value(happening).unwrap();
    written["happening"].as_str().unwrap().to_owned()
}

fn choice(version: &str) -> Choice {
    Choice {
        version: version.to_owned(),
        reason: "because".to_owned(),
    }
}

#[tokio::test]
async fn a_release_is_mirrored_whole_and_then_offered() {
    let world = World::new("linux-x64,win-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    let came = world.sync().await.unwrap();
    assert_eq!(came.mirrored, ["2.330.0"]);
    assert_eq!(came.offered.as_deref(), Some("2.330.0"));
    assert_eq!(came.offered_age, Some(5 * 86_400));
    world.what_instances_get_is_whole();
    // Once more: GitHub is asked once, and nothing is written or read of it.
    let before = world.releases.downloads().len();
    world.effects_left.store(0, Ordering::SeqCst);
    let came = world.sync().await.unwrap();
    assert!(came.unchanged && came.mirrored.is_empty());
    assert_eq!(world.releases.lists(), 2);
    assert_eq!(world.releases.downloads().len(), before);
    assert_eq!(world.told("runner-offered"), 1);
}

#[tokio::test]
async fn time_goes_on_where_github_says_that_nothing_has_changed() {
    let world = World::new("linux-x64");
    world.publish("2.330.0", 5);
    world.sync().await.unwrap();
    world.outside.now.store(2 * DAY, Ordering::SeqCst);
    let came = world.sync().await.unwrap();
    assert!(came.unchanged);
    let shown = world.outside.shown.lock().unwrap().clone().unwrap();
    assert_eq!(u64::from(shown.releases[0].age), 7 * DAY);
    world.wants("2.330.0");
    assert_eq!(
        world.sync().await.unwrap().offered.as_deref(),
        Some("2.330.0")
    );
}

#[tokio::test]
async fn going_back_to_a_mirrored_version_downloads_nothing() {
    let world = World::new("linux-x64");
    for (version, days) in [("2.330.0", 9), ("2.331.0", 5)] {
        world.publish(version, days);
        world.wants(version);
        world.sync().await.unwrap();
    }
    assert_eq!(world.offered().as_deref(), Some("2.331.0"));
    // Even where GitHub has it no more.
    world.releases.withdraw("2.330.0");
    world.wants("2.330.0");
    let before = world.releases.downloads().len();
    world.sync().await.unwrap();
    assert_eq!(world.offered().as_deref(), Some("2.330.0"));
    assert_eq!(world.releases.downloads().len(), before);
    world.what_instances_get_is_whole();
}

#[tokio::test]
async fn what_is_corrupt_or_broken_off_is_refused_and_the_next_round_recovers() {
    let world = World::new("linux-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    // As long, and one byte is another.
    world
        .releases
        .corrupt("linux-x64", "2.330.0", b"2.330.0 for linux-x65");
    let told = world.sync().await.unwrap_err().to_string();
    assert!(told.contains("the digest"), "{told}");
    assert_eq!(world.offered(), None);
    assert_eq!(world.releases.downloads().len(), 2, "it was tried twice");
    for longer in [b"2.330.0 for linux-x64!".as_slice(), b"2.330"] {
        world.releases.corrupt("linux-x64", "2.330.0", longer);
        let told = world.sync().await.unwrap_err().to_string();
        assert!(told.contains("bytes were read of 21"), "{told}");
    }
    world
        .releases
        .corrupt("linux-x64", "2.330.0", b"2.330.0 for linux-x64");
    world.releases.break_next(2);
    world.sync().await.unwrap_err();
    // A connection that breaks once is begun again at once.
    world.releases.break_next(1);
    world.sync().await.unwrap();
    world.what_instances_get_is_whole();
    assert_eq!(world.told("mirror-failed"), 4);
}

#[tokio::test]
async fn where_github_can_not_be_asked_what_it_said_last_has_to_do() {
    let world = World::new("linux-x64");
    world.releases.unreachable(true);
    let told = world.sync().await.unwrap_err().to_string();
    assert!(
        told.contains("instances get what they got before"),
        "{told}"
    );
    world.releases.unreachable(false);
    world.with_two().await;
    world.releases.unreachable(true);
    // Going back needs no GitHub.
    world.wants("2.330.0");
    let told = world.sync().await.unwrap_err().to_string();
    assert!(told.contains("it is unreachable"), "{told}");
    assert_eq!(world.offered().as_deref(), Some("2.330.0"));
    world.what_instances_get_is_whole();
    assert_eq!(world.told("sync-failed"), 2);
    let Some(Happening::DecidedSync(decision)) = world.last("decided-sync") else {
        panic!("nothing was decided");
    };
    assert_eq!(decision.offered_age, Some(5 * 86_400));
    world.releases.unreachable(false);
    world.sync().await.unwrap();
}

#[tokio::test]
async fn what_somebody_offers_while_archives_are_copied_is_not_deleted() {
    let world = World::new("linux-x64");
    let older = world.with_two().await;
    world.publish("2.332.0", 1);
    world.plans(SyncPlan {
        mirror: vec![choice("2.332.0")],
        delete: vec![choice("2.330.0")],
        ..SyncPlan::default()
    });
    let pointer = world.path("offered.json");
    let goes_back = move || std::fs::write(pointer, older).unwrap();
    *world.outside.while_copying.lock().unwrap() = Some(Box::new(goes_back));
    let told = world.sync().await.unwrap_err();
    assert_eq!(told, SyncError::Rival("offered.json".to_owned()));
    assert_eq!(world.offered().as_deref(), Some("2.330.0"));
    world.what_instances_get_is_whole();
}

#[tokio::test]
async fn going_back_waits_for_nothing_that_is_mirrored_besides() {
    let world = World::new("linux-x64");
    world.with_two().await;
    world.publish("2.332.0", 1);
    let goes_back = |version: &str| SyncPlan {
        mirror: vec![choice("2.332.0"), choice(version)],
        offer: Some(choice(version)),
        delete: vec![choice("9.9.9")],
        ..SyncPlan::default()
    };
    // There is no time for the other one.
    world.plans(goes_back("2.330.0"));
    let told = world.sync_within(1).await.unwrap_err().to_string();
    assert!(told.contains("longer time-out"), "{told}");
    assert_eq!(world.offered().as_deref(), Some("2.330.0"));
    // Somebody else writes it down at the same time.
    world.plans(goes_back("2.331.0"));
    let note = world.path("releases/2.332.0/mirrored.json");
    let rival = move || {
        std::fs::create_dir_all(note.parent().unwrap()).unwrap();
        std::fs::write(note, b"{}").unwrap();
    };
    *world.outside.while_copying.lock().unwrap() = Some(Box::new(rival));
    let told = world.sync().await.unwrap_err().to_string();
    assert!(
        told.contains("2.332.0/mirrored.json` at the same time"),
        "{told}"
    );
    assert_eq!(world.offered().as_deref(), Some("2.331.0"));
    world.what_instances_get_is_whole();
}

#[tokio::test]
async fn a_platform_that_fails_keeps_no_other_one_from_being_mirrored() {
    let world = World::new("linux-x64,win-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    world.releases.corrupt("linux-x64", "2.330.0", b"x");
    world.sync().await.unwrap_err();
    assert_eq!(world.told("mirrored"), 1);
    world
        .releases
        .corrupt("linux-x64", "2.330.0", b"2.330.0 for linux-x64");
    world.sync().await.unwrap();
    assert_eq!(world.told("mirrored"), 2);
}

#[tokio::test]
async fn an_archive_is_not_begun_again_without_time_for_it() {
    let world = World::new("linux-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    world.outside.pace.store(1, Ordering::SeqCst);
    world.releases.break_next(1);
    let told = world.sync_within(8).await.unwrap_err().to_string();
    assert!(told.contains("the connection broke"), "{told}");
    assert_eq!(world.releases.downloads().len(), 1);
}

#[tokio::test]
async fn no_step_of_an_upload_is_waited_for_beyond_the_time() {
    let world = World::new("linux-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    world.outside.never_completes.store(true, Ordering::SeqCst);
    let told = world.sync().await.unwrap_err().to_string();
    assert!(told.contains("the time was over"), "{told}");
}

#[tokio::test]
async fn a_deletion_that_breaks_off_is_done_by_the_next_round() {
    for dies_after in 0..6 {
        let world = World::new("linux-x64,win-x64");
        world.with_two().await;
        world.plans(SyncPlan {
            delete: vec![choice("2.330.0")],
            ..SyncPlan::default()
        });
        world.effects_left.store(dies_after, Ordering::SeqCst);
        let died = world.sync().await.is_err();
        assert_eq!(died, dies_after < 4, "after {dies_after}");
        world.effects_left.store(usize::MAX, Ordering::SeqCst);
        // Where nothing is known of it any more, policies do not name it.
        if dies_after > 0 {
            world.plans(SyncPlan::default());
        }
        world.sync().await.unwrap();
        assert_eq!(world.files("2.330.0"), Vec::<PathBuf>::new());
        world.what_instances_get_is_whole();
    }
}

#[tokio::test]
async fn what_nothing_names_is_swept_and_what_is_nobody_s_is_left_alone() {
    let world = World::new("linux-x64");
    world.with_two().await;
    for path in [
        "releases/2.329.0/archive",
        "releases/2.328.0/mirrored.json",
        "releases/notes/x",
    ] {
        let path = world.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"{").unwrap();
    }
    // Nor does what instances get count as nobody's where its note is lost, nor what they got until now.
    std::fs::remove_file(world.path("releases/2.331.0/mirrored.json")).unwrap();
    world.wants("2.330.0");
    let came = world.sync().await.unwrap();
    assert_eq!(came.deleted, ["2.328.0", "2.329.0"]);
    assert_eq!(world.offered().as_deref(), Some("2.330.0"));
    assert_eq!(world.files("2.331.0").len(), 1);
    assert!(world.path("releases/notes/x").exists());
    assert_eq!(world.sync().await.unwrap().deleted, ["2.331.0"]);
    world.what_instances_get_is_whole();
}

#[tokio::test]
async fn what_a_newer_stoker_wrote_is_not_written_over() {
    let world = World::new("linux-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    world.sync().await.unwrap();
    for path in ["sync.json", "releases/2.330.0/mirrored.json"] {
        let path = world.path(path);
        let before = std::fs::read(&path).unwrap();
        let newer = br#"{"version": 2, "other": "words"}"#;
        std::fs::write(&path, newer).unwrap();
        let told = world.sync().await.unwrap_err().to_string();
        assert!(told.contains("a newer Stoker wrote it"), "{told}");
        assert_eq!(std::fs::read(&path).unwrap(), newer);
        std::fs::write(&path, before).unwrap();
    }
    world.sync().await.unwrap();
}

#[tokio::test]
async fn who_is_overtaken_while_deciding_does_nothing_of_it() {
    let world = World::new("linux-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    world.outside.generation.store(3, Ordering::SeqCst);
    let seen = world.path("sync.json");
    let newer = || Seen::new("simulated", None, Vec::new(), PolicyGeneration(7)).to_bytes();
    let written = newer();
    let overtakes = move || std::fs::write(seen, written).unwrap();
    *world.outside.while_deciding.lock().unwrap() = Some(Box::new(overtakes));
    let told = world.sync().await.unwrap_err();
    assert_eq!(told, SyncError::Rival("sync.json".to_owned()));
    assert_eq!(world.offered(), None);
    assert_eq!(std::fs::read(world.path("sync.json")).unwrap(), newer());
}

#[tokio::test]
async fn an_archive_that_instances_get_is_never_another_one() {
    let all = (0..12).map(|case| (case % 2 == 0, case / 2));
    for (with_digest, dies_after) in all {
        let mut world = World::new("linux-x64");
        world.allow_missing_digest = true;
        world.with_two().await;
        std::fs::remove_file(world.path("releases/2.331.0/mirrored.json")).unwrap();
        world.replace("2.331.0", with_digest);
        // Whether it is refused, or read and found to be another.
        world.effects_left.store(dies_after, Ordering::SeqCst);
        let _came = world.sync().await;
        world.what_instances_get_is_whole();
        world.effects_left.store(usize::MAX, Ordering::SeqCst);
        // When they get another one, it can be had.
        world.wants("2.330.0");
        world.sync().await.unwrap();
        world.wants("2.331.0");
        world.sync().await.unwrap();
        assert_eq!(world.offered().as_deref(), Some("2.331.0"));
        world.what_instances_get_is_whole();
    }
}

#[tokio::test]
async fn what_the_time_does_not_last_for_is_the_next_round_s() {
    let world = World::new("linux-x64,win-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    // Each look at the clock takes a second: there is time for one archive, with the five seconds that requests may take.
    world.outside.pace.store(1, Ordering::SeqCst);
    let mut rounds = 0;
    while world.offered().is_none() {
        let came = world.sync_within(10).await.unwrap();
        assert_eq!(came.unfinished.is_empty(), world.offered().is_some());
        rounds += 1;
        assert!(rounds < 4);
    }
    assert_eq!(rounds, 2);
    assert_eq!(
        world.releases.downloads().len(),
        2,
        "nothing was read twice"
    );
    world.what_instances_get_is_whole();
    let told = world.sync_within(1).await;
    assert!(told.is_ok(), "nothing was to be copied: {told:?}");
    world.publish("2.331.0", 1);
    world.wants("2.331.0");
    world.releases.silence_next(1);
    world.outside.is_over.store(true, Ordering::SeqCst);
    let told = world.sync().await.unwrap_err().to_string();
    assert!(told.contains("the time was over"), "{told}");
    let told = world.sync_within(1).await.unwrap_err().to_string();
    assert!(told.contains("longer time-out"), "{told}");
}

#[tokio::test]
async fn an_archive_that_somebody_deleted_is_copied_again() {
    let world = World::new("linux-x64");
    world.publish("2.330.0", 5);
    world.wants("2.330.0");
    world.sync().await.unwrap();
    let key = world.pointer().unwrap().platforms["linux-x64"].key.clone();
    std::fs::remove_file(world.path(&key)).unwrap();
    world.sync().await.unwrap();
    world.what_instances_get_is_whole();
    // Nor does it matter what became of the notes.
    for note in ["sync.json", "releases/2.330.0/mirrored.json"] {
        std::fs::write(world.path(note), b"{").unwrap();
    }
    world.sync().await.unwrap();
    assert_eq!(world.told("trouble"), 2);
    std::fs::write(world.path("offered.json"), b"{").unwrap();
    let told = world.sync().await.unwrap_err().to_string();
    assert!(
        told.contains("`offered.json` is not what Stoker wrote"),
        "{told}"
    );
}

#[tokio::test]
async fn no_older_generation_of_policies_decides_than_one_that_has_decided() {
    let world = World::new("linux-x64");
    world.publish("2.330.0", 5);
    for generation in [7, 3, 9] {
        world.outside.generation.store(generation, Ordering::SeqCst);
        world.sync().await.unwrap();
    }
    let seen = world.outside.seen.lock().unwrap().clone();
    assert_eq!(seen, [0, 7, 7].map(PolicyGeneration));
}

const VERSIONS: [&str; 4] = ["2.330.0", "2.331.0", "2.332.0", "9.9.9"];

fn some_plan() -> impl Strategy<Value = SyncPlan> {
    let version = || prop::sample::select(VERSIONS.to_vec()).prop_map(choice);
    let versions = || prop::collection::vec(version(), 0..4);
    (versions(), prop::option::of(version()), versions()).prop_map(|(mirror, offer, delete)| {
        SyncPlan {
            mirror,
            offer,
            delete,
            notes: Vec::new(),
        }
    })
}

/// What comes between two rounds.
#[derive(Debug, Clone)]
enum Incident {
    Nothing,
    /// GitHub can't be asked in the next one.
    Unreachable,
    /// Somebody deletes what is written down of a version.
    NoteLost(&'static str),
    /// GitHub has other archives of it.
    Replaced(&'static str, bool),
}

fn some_incident() -> impl Strategy<Value = Incident> {
    let version = || prop::sample::select(VERSIONS[..3].to_vec());
    prop_oneof![
        3 => Just(Incident::Nothing),
        1 => Just(Incident::Unreachable),
        1 => version().prop_map(Incident::NoteLost),
        1 => (version(), any::<bool>()).prop_map(|(version, digest)| Incident::Replaced(version, digest)),
    ]
}

impl World {
    fn comes(&self, incident: &Incident) {
        self.releases
            .unreachable(matches!(incident, Incident::Unreachable));
        match incident {
            Incident::NoteLost(version) => {
                let note = self.path(&format!("releases/{version}/mirrored.json"));
                let _absent = std::fs::remove_file(note);
            }
            Incident::Replaced(version, with_digest) => self.replace(version, *with_digest),
            Incident::Nothing | Incident::Unreachable => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever policies want, whatever comes between, and after whichever effect each round dies: what instances
    /// get is whole at every moment, and while all goes well a round does what is granted of its plan.
    #[test]
    fn what_instances_get_is_whole_whatever_happens(
        rounds in prop::collection::vec(
            (some_plan(), prop::option::of(0..16_usize), some_incident()),
            1..8,
        ),
        allow_missing_digest in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new("linux-x64,win-x64");
            world.allow_missing_digest = allow_missing_digest;
            let mut goes_well = true;
            for (version, days) in [("2.330.0", 20), ("2.331.0", 10), ("2.332.0", 1)] {
                world.publish(version, days);
            }
            for (plan, dies_after, incident) in rounds {
                world.comes(&incident);
                goes_well &= matches!(incident, Incident::Nothing);
                *world.outside.plan.lock().unwrap() = plan.clone();
                world.effects_left.store(dies_after.unwrap_or(usize::MAX), Ordering::SeqCst);
                let before = world.offered();
                let came = world.sync().await;
                world.what_instances_get_is_whole();
                if before.is_some() {
                    assert!(world.offered().is_some());
                }
                if dies_after.is_none() && goes_well {
                    let offered = came.unwrap().offered;
                    assert_eq!(offered, world.offered());
                    let wanted: BTreeSet<_> = plan.mirror.iter().map(|one| &one.version).collect();
                    if let Some(offer) = plan.offer.filter(|one| one.version != "9.9.9" && wanted.contains(&one.version)) {
                        assert_eq!(offered, Some(offer.version));
                    }
                }
            }
        });
    }
}
