//! The runner's distribution is mirrored and offered: the real Lambda over moto and the stand-in.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stoker_core::contract::check_releases;
use stoker_core::distribution::version::archive_name;
use stoker_core::ports::Releases as _;
use stoker_core::time::Timestamp;
use stoker_github::{Endpoints, RunnerReleases};
use stoker_tests::github::{AppKey, Archive, Call, Fault, GitHub, Release, Trouble};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::openapi;
use crate::parts::aws::{Aws, BUCKET, DEPLOYMENT, SigningKey};
use crate::parts::lambda::{Environment, Lambda};
use crate::parts::moto::Moto;
use crate::parts::proxy::Proxy;
use crate::parts::runtime_api::Invoked;
use crate::parts::stack::{CONFIRMED, admitting};

/// Where in the bucket the distribution lies.
const PREFIX: &str = "runner/";

/// An archive of several parts: two of eight megabytes, and what is left.
const LARGE: usize = (16 << 20) + 12_345;

/// More effects than one round has.
const MOST_EFFECTS: usize = 20;

/// For what does not come to hang no test for ever.
const SOON: Duration = Duration::from_mins(1);

/// A deployment of which only the syncer runs.
struct Mirror {
    github: GitHub,
    aws: Aws,
    wire: Proxy,
    syncer: Lambda,
    key: SigningKey,
    moto: Moto,
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // A test that has failed already says why itself.
        if !std::thread::panicking() {
            openapi::hold(&self.github);
        }
    }
}

impl Mirror {
    /// One that mirrors these platforms, where the built-in rules decide.
    async fn start(platforms: &str) -> Self {
        let key = AppKey::generate().unwrap();
        let github = GitHub::start("1", &key).await.unwrap();
        let moto = Moto::start().await;
        let wire = Proxy::start(&moto.url).await;
        let aws = Aws::set_up(&moto.url, "1", "no key").await;
        let key = aws.signing_key().await;
        let environment = environment(&wire.url, &github.url(), platforms, &key);
        let syncer = Lambda::start("syncer", environment).await;
        Self {
            github,
            aws,
            wire,
            syncer,
            key,
            moto,
        }
    }

    /// GitHub publishes a release, so many days ago, whose archive for Linux has so many bytes.
    fn publish(&self, version: &str, days: u64, bytes: usize) -> Release {
        let release = release(version, days, bytes);
        self.github.state().release(release.clone());
        release
    }

    async fn sync(&self) -> Value {
        self.syncer.asked(&json!({})).await
    }

    async fn fails(&self) -> String {
        match self.syncer.invoke(&json!({})).await {
            Invoked::Failed(problem) => problem,
            other => panic!("{other:?}; the log: {:#?}", self.syncer.log()),
        }
    }

    /// Somebody uploads settings of the default level, and admission takes them.
    async fn settings(&self, sync: Value) {
        let admission = Lambda::start("policy-admission", admitting(&self.moto.url, &self.key));
        let admission = admission.await;
        let settings = json!({ "sync": sync }).to_string();
        self.aws
            .put("policies/default/settings.json", settings)
            .await;
        let report = admission.asked(&json!({ "task": "sweep" })).await;
        assert_eq!(report["published"], true, "{report}");
        // What is active is confirmed every second here.
        tokio::time::sleep(CONFIRMED).await;
    }

    /// What an instance reads: the pointer, and the archive of its platform.
    async fn instance_gets(&self, platform: &str) -> Option<(String, Vec<u8>)> {
        let pointer = self.aws.object(&format!("{PREFIX}offered.json")).await?;
        let pointer: Value = serde_json::from_slice(&pointer).unwrap();
        assert_eq!(pointer["version"], 1);
        let archive = &pointer["platforms"][platform];
        let key = format!("{PREFIX}{}", archive["key"].as_str().unwrap());
        let bytes = self.aws.object(&key).await.unwrap();
        assert_eq!(archive["bytes"], bytes.len(), "{key}");
        assert_eq!(archive["sha256"], sha256(&bytes), "{key}");
        Some((pointer["release"].as_str().unwrap().to_owned(), bytes))
    }

    async fn offered(&self) -> Option<String> {
        Some(self.instance_gets("linux-x64").await?.0)
    }
}

fn environment(aws: &str, github: &str, platforms: &str, key: &SigningKey) -> Environment {
    [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", aws),
        ("DEPLOYMENT", DEPLOYMENT),
        ("DISTRIBUTION_BUCKET", BUCKET),
        ("DISTRIBUTION_PREFIX", PREFIX),
        ("RUNNER_PLATFORMS", platforms),
        ("JOURNAL_BUCKET", BUCKET),
        ("POLICIES_BUCKET", BUCKET),
        ("POLICY_PUBLIC_KEYS", &key.public),
        ("POLICY_REVALIDATE_SECONDS", "1"),
        ("GITHUB_RELEASES_URL", github),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    stoker_core::ids::ArtifactDigest::of(bytes).to_string()
}

fn release(version: &str, days: u64, bytes: usize) -> Release {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = i64::try_from(now.as_secs() - days * 86_400).unwrap();
    let published_at = OffsetDateTime::from_unix_timestamp(at).unwrap();
    let sizes = [
        ("linux-x64", bytes),
        ("linux-arm64", 1_000),
        ("win-x64", 100_000),
    ];
    let archives = sizes.map(|(platform, size)| {
        let seed = format!("{version} for {platform};");
        let bytes: Vec<u8> = seed.bytes().cycle().take(size).collect();
        let archive = Archive {
            digest: Some(format!("sha256:{}", sha256(&bytes))),
            size,
            bytes: bytes.into(),
        };
        (archive_name(platform, version), archive)
    });
    Release {
        version: version.to_owned(),
        published_at: published_at.format(&Rfc3339).unwrap(),
        prerelease: false,
        archives: BTreeMap::from(archives),
    }
}

/// The most memory that a process has had, in kilobytes.
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_mirrored_verified_and_offered_and_asked_for_once_while_it_is_the_newest() {
    let mirror = Mirror::start("linux-x64,linux-arm64,win-x64").await;
    let published = mirror.publish("2.330.0", 5, LARGE);
    let came = mirror.sync().await;
    assert_eq!(came["offered"], "2.330.0", "{came}");
    assert_eq!(came["mirrored"], json!(["2.330.0"]));
    for platform in ["linux-x64", "linux-arm64", "win-x64"] {
        let (version, bytes) = mirror.instance_gets(platform).await.unwrap();
        let name = archive_name(platform, &version);
        assert_eq!(bytes, published.archives[&name].bytes, "{platform}");
    }
    let github = mirror.github.state();
    assert_eq!(github.downloads().len(), 3);
    assert_eq!(github.calls(Call::Releases), 1);

    // Nothing has changed: one request, of which the answer is that.
    let keys = mirror.aws.keys(PREFIX).await;
    let came = mirror.sync().await;
    assert_eq!(
        (&came["unchanged"], &came["mirrored"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(github.calls(Call::Releases), 2);
    assert_eq!(github.unchanged(), 1);
    assert_eq!(github.downloads().len(), 3);
    assert_eq!(mirror.aws.keys(PREFIX).await, keys);
    assert_eq!(keys.len(), 6, "{keys:?}");

    // What was decided, why, and what came of it is told, counted, and in the journal with its situation.
    let decided = mirror.syncer.happened("decided-sync");
    assert_eq!(decided.len(), 2);
    let reason = decided[0]["offer"]["reason"].as_str().unwrap();
    assert!(reason.contains("out for 3 days"), "{reason}");
    assert_eq!(mirror.syncer.happened("mirrored").len(), 3);
    assert_eq!(mirror.syncer.happened("runner-offered").len(), 1);
    assert_eq!(mirror.syncer.counted("RunnerVersionsMirrored"), 1);
    // Of what was offered when it was decided: nothing at first.
    assert_eq!(mirror.syncer.counted("OfferedRunnerAge"), 5);
    assert_eq!(mirror.syncer.counted("SyncFailures"), 0);
    let journal = mirror.aws.everything_below("journal/").await.concat();
    for part in [
        r#""happening":"decided-sync""#,
        r#""releases":[{"version":"2.330.0""#,
        r#""plan":{"mirror":[{"version":"2.330.0""#,
        r#""happening":"runner-offered""#,
    ] {
        assert!(journal.contains(part), "no {part} in {journal}");
    }
    let memory = most_memory(mirror.syncer.process_id());
    assert!(memory < 64 << 10, "it took {memory} KB");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_corrupt_or_has_no_digest_is_refused_and_the_next_run_recovers() {
    let mirror = Mirror::start("linux-x64").await;
    let mut published = mirror.publish("2.330.0", 5, 1_000_000);
    let github = mirror.github.state();
    github.downloads_go_wrong(Some(Trouble::Corrupts));
    let told = mirror.fails().await;
    assert!(told.contains("GitHub published"), "{told}");
    github.downloads_go_wrong(Some(Trouble::Breaks));
    let told = mirror.fails().await;
    assert!(told.contains("broke off"), "{told}");
    assert_eq!(mirror.offered().await, None);
    assert_eq!(
        mirror.aws.keys(&format!("{PREFIX}releases/")).await.len(),
        0
    );
    assert_eq!(mirror.syncer.counted("SyncFailures"), 2);
    github.downloads_go_wrong(None);
    mirror.sync().await;
    assert_eq!(mirror.offered().await.as_deref(), Some("2.330.0"));

    // A later one without a digest is left out, and it is said why.
    published.version = "2.331.0".to_owned();
    published.archives = release("2.331.0", 5, 2_000).archives;
    for archive in published.archives.values_mut() {
        archive.digest = None;
    }
    github.release(published);
    mirror.sync().await;
    assert_eq!(mirror.offered().await.as_deref(), Some("2.330.0"));
    let decided = mirror.syncer.happened("decided-sync").pop().unwrap();
    let left_out = decided["left_out"].to_string();
    assert!(left_out.contains("no digest for linux-x64"), "{left_out}");
    mirror.syncer.set("ALLOW_MISSING_DIGEST", "true");
    mirror.syncer.replace();
    mirror.sync().await;
    assert_eq!(mirror.offered().await.as_deref(), Some("2.331.0"));

    // GitHub is down: what is offered stays.
    for _ in 0..2 {
        github.fail_next(Call::Releases, Fault::refuse(502, "Bad Gateway"));
    }
    let told = mirror.fails().await;
    assert!(told.contains("502"), "{told}");
    assert_eq!(mirror.offered().await.as_deref(), Some("2.331.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_soaks_as_settings_say_and_a_pin_goes_back_without_a_download() {
    let mirror = Mirror::start("linux-x64").await;
    mirror.publish("2.330.0", 20, 10_000);
    mirror.publish("2.331.0", 5, 10_000);
    mirror.settings(json!({ "soak_days": 7 })).await;
    mirror.sync().await;
    assert_eq!(mirror.offered().await.as_deref(), Some("2.330.0"));
    mirror.settings(json!({ "soak_days": 4 })).await;
    mirror.sync().await;
    assert_eq!(mirror.offered().await.as_deref(), Some("2.331.0"));
    let downloads = mirror.github.state().downloads().len();
    assert_eq!(downloads, 2);
    mirror.settings(json!({ "pin": "2.330.0" })).await;
    let came = mirror.sync().await;
    assert_eq!(came["unchanged"], true, "{came}");
    assert_eq!(mirror.offered().await.as_deref(), Some("2.330.0"));
    assert_eq!(mirror.github.state().downloads().len(), downloads);
    let decided = mirror.syncer.happened("decided-sync").pop().unwrap();
    assert_eq!(decided["offer"]["reason"], "it is pinned");
    assert!(decided["by"]["generation"].as_u64().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_syncer_is_killed_instances_get_a_whole_runner_and_the_next_run_goes_on() {
    let mirror = Mirror::start("linux-x64").await;
    mirror.settings(json!({ "soak_days": 0, "keep": 1 })).await;
    mirror.publish("2.400.0", 9, 10_000);
    mirror.sync().await;
    let (mut killed, mut before) = (0, "2.400.0".to_owned());
    let mut number = 400;
    for effect in 0..MOST_EFFECTS {
        let mut hit = false;
        for served in [false, true] {
            number += 1;
            let version = format!("2.{number}.0");
            mirror.publish(&version, 5, 10_000);
            mirror.wire.lose_an_effect_on_s3(effect, served);
            let event = json!({});
            let run = mirror.syncer.invoke(&event);
            tokio::pin!(run);
            let lost = tokio::time::timeout(SOON, mirror.wire.lost());
            tokio::select! {
                _ended = &mut run => {}
                lost = lost => {
                    assert!(lost.is_ok(), "{:#?}", mirror.syncer.log());
                    mirror.syncer.replace();
                    run.await;
                }
            }
            hit |= !mirror.wire.mend();
            let now = mirror.offered().await.unwrap();
            assert!(now == before || now == version, "{now} is offered");
            mirror.sync().await;
            before = mirror.offered().await.unwrap();
            assert_eq!(before, version, "effect {effect}");
            killed += 1;
        }
        if !hit {
            break;
        }
    }
    assert!(killed >= 14, "it was killed {killed} times");
    // What nobody needs is gone, and what is kept is whole.
    mirror.sync().await;
    let keys = mirror.aws.keys(&format!("{PREFIX}releases/")).await;
    assert_eq!(keys.len(), 4, "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn github_s_releases_keep_the_contract_of_all() {
    let key = AppKey::generate().unwrap();
    let github = GitHub::start("1", &key).await.unwrap();
    for version in ["2.330.0", "2.331.0"] {
        github.state().release(release(version, 5, 300_000));
    }
    let endpoints = Endpoints::new(&github.url(), None).unwrap();
    let releases = RunnerReleases::new(endpoints, std::sync::Arc::new(Now)).unwrap();
    if let Err(breaches) = check_releases(&releases).await {
        panic!("{breaches}");
    }
    let refused = Fault::Refuse {
        status: 403,
        message: "API rate limit exceeded for 192.0.2.1.".to_owned(),
        headers: vec![("x-ratelimit-remaining", "0".to_owned())],
    };
    github.state().fail_next(Call::Releases, refused);
    let told = releases.newest(None).await.unwrap_err().to_string();
    assert!(told.contains("60 requests an hour"), "{told}");
    openapi::hold(&github);
}

struct Now;

impl stoker_core::ports::Clock for Now {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(now.as_secs())
    }
}
