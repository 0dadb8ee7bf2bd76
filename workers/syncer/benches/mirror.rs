//! How much memory it takes to mirror an archive of 200 MB. A process of its own does all that the Lambda does when it
//! is invoked, over HTTP to stand-ins for GitHub and S3 in this one; the kernel says how much memory it had at most.
//!
//! `MEGABYTES` is the size of the archive.

// A benchmark that can't go on is to say where, and what it measures it prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use futures::stream;
use sha2::{Digest as _, Sha256};
use stoker_aws::{ClientSettings, Clients, S3Distribution, S3Policies};
use stoker_core::distribution::{SyncPorts, SyncRules, Syncer};
use stoker_core::happening::Happening;
use stoker_core::ports::{Clock as _, Reporter};
use stoker_core::time::Timestamp;
use stoker_github::{Endpoints, RunnerReleases};
use stoker_lambda::SystemClock;
use stoker_policy::artifact::PublicKeys;
use stoker_policy::{HostSettings, OnFailure, PolicyHost, PolicyMode, SizeClass, Trust};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Below it the process is to stay, in megabytes of 1,000,000 bytes.
const WANTED: u64 = 64;

/// How much of the archive comes at once.
const PIECE: usize = 1 << 20;

/// Where the child is told to find the stand-ins.
const ADDRESS: &str = "STOKER_BENCH_ADDRESS";

fn main() -> ExitCode {
    let threads = if std::env::var_os(ADDRESS).is_some() {
        // As the Lambda has it.
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    } else {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
    };
    let runtime = threads.unwrap();
    match std::env::var(ADDRESS) {
        Ok(address) => {
            runtime.block_on(mirror(&address));
            ExitCode::SUCCESS
        }
        Err(_) => runtime.block_on(measure()),
    }
}

/// What the stand-ins have and get.
#[derive(Default)]
struct Outside {
    address: String,
    bytes: usize,
    digest: String,
    /// What has come in parts.
    got: Mutex<(Sha256, usize, usize)>,
}

async fn measure() -> ExitCode {
    let megabytes = std::env::var("MEGABYTES").ok();
    let megabytes: usize =
        megabytes.map_or(200, |given| given.parse().expect("MEGABYTES is a number"));
    let bytes = megabytes * 1_000_000;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let outside = Arc::new(Outside {
        address: address.clone(),
        bytes,
        digest: digest(bytes),
        got: Mutex::default(),
    });
    let router = Router::new()
        .route("/repos/actions/runner/releases", get(releases))
        .route("/archive", get(archive))
        .route(
            "/bucket",
            get(|| async {
                xml("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
            }),
        )
        .route(
            "/bucket/",
            get(|| async {
                xml("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
            }),
        )
        .route("/bucket/{*key}", any(bucket))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(&outside));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let began = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.env(ADDRESS, &address);
    let output = tokio::task::spawn_blocking(move || child.output().unwrap());
    let output = output.await.unwrap();
    let took = began.elapsed();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<u64> = said
        .split_whitespace()
        .map(|one| one.parse().unwrap())
        .collect();
    let [before, most] = figures.as_slice() else {
        panic!("the child said {said}");
    };
    let (hash, parts, got) = outside.got.lock().unwrap().clone();
    assert_eq!(
        (got, hex::encode(hash.finalize())),
        (bytes, outside.digest.clone())
    );
    let in_megabytes = |kilobytes: u64| (kilobytes * 1024).div_ceil(1_000_000);
    println!(
        "an archive of {megabytes} MB was mirrored in {parts} parts in {:.1} s",
        took.as_secs_f64()
    );
    println!(
        "memory at most: {} MB (wanted: below {WANTED} MB); {} MB before it began",
        in_megabytes(*most),
        in_megabytes(*before)
    );
    if in_megabytes(*most) < WANTED {
        ExitCode::SUCCESS
    } else {
        println!("that is too much");
        ExitCode::FAILURE
    }
}

/// The archive, a piece at a time.
fn pieces(bytes: usize) -> impl Iterator<Item = Bytes> {
    let piece: Vec<u8> = (0..=u8::MAX).cycle().take(PIECE).collect();
    let piece = Bytes::from(piece);
    (0..bytes)
        .step_by(PIECE)
        .map(move |from| piece.slice(..PIECE.min(bytes - from)))
}

fn digest(bytes: usize) -> String {
    let mut hash = Sha256::new();
    pieces(bytes).for_each(|piece| hash.update(&piece));
    hex::encode(hash.finalize())
}

async fn releases(State(outside): State<Arc<Outside>>) -> Response {
    // Long enough to have soaked.
    let at = OffsetDateTime::now_utc() - Duration::from_hours(5 * 24);
    let Outside {
        address,
        bytes,
        digest,
        ..
    } = &*outside;
    let body = format!(
        r#"[{{"tag_name":"v2.330.0","draft":false,"prerelease":false,"published_at":"{}","assets":[{{
            "name":"actions-runner-linux-x64-2.330.0.tar.gz","size":{bytes},"digest":"sha256:{digest}",
            "browser_download_url":"{address}/archive"}}]}}]"#,
        at.format(&Rfc3339).unwrap()
    );
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn archive(State(outside): State<Arc<Outside>>) -> Response {
    let all = pieces(outside.bytes).map(Ok::<_, std::io::Error>);
    Response::builder()
        .header(header::CONTENT_LENGTH, outside.bytes)
        .body(Body::from_stream(stream::iter(all)))
        .unwrap()
}

fn xml(body: &str) -> Response {
    let body = format!(r#"<?xml version="1.0" encoding="UTF-8"?>{body}"#);
    ([(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

async fn bucket(
    State(outside): State<Arc<Outside>>,
    Path(_key): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    body: Bytes,
) -> Response {
    let query = query.unwrap_or_default();
    let etag = [(header::ETAG, "\"1\"")];
    if method == Method::GET {
        let mut response = xml("<Error><Code>NoSuchKey</Code><Message>none</Message></Error>");
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    } else if query.contains("partNumber=") {
        let mut got = outside.got.lock().unwrap();
        got.0.update(&body);
        got.1 += 1;
        got.2 += body.len();
        etag.into_response()
    } else if query.contains("uploadId=") {
        xml("<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>")
    } else if query.contains("uploads") {
        xml("<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
    } else {
        etag.into_response()
    }
}

/// Who hears of it and has nothing to say.
struct Silent;

impl Reporter for Silent {
    fn report(&self, _: Timestamp, happening: &Happening) {
        if let Happening::SyncFailed { problem } = happening {
            panic!("{problem}");
        }
    }
}

/// What the Lambda does when it is invoked.
async fn mirror(address: &str) {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "bench"))
        .endpoint_url(address)
        .load()
        .await;
    let s3 = Clients::new(&config, &ClientSettings::default()).s3;
    let clock = Arc::new(SystemClock);
    let trust = Trust {
        deployment: "bench".parse().unwrap(),
        keys: PublicKeys::default(),
        revalidate: 15,
    };
    let settings = HostSettings {
        mode: PolicyMode::BuiltIn,
        limits: SizeClass::Small.limits(),
        on_failure: OnFailure::BuiltIn,
    };
    let policies = Arc::new(S3Policies::new(s3.clone(), "bucket"));
    let endpoints = Endpoints::new(address, None).unwrap();
    let ports = SyncPorts {
        releases: Arc::new(RunnerReleases::new(endpoints, clock.clone()).unwrap()),
        store: Arc::new(S3Distribution::new(s3, "bucket")),
        decider: Arc::new(PolicyHost::new(policies, trust, settings).unwrap()),
        clock: clock.clone(),
        timer: clock.clone(),
        reporter: Arc::new(Silent),
    };
    let rules = SyncRules {
        platforms: "linux-x64".parse().unwrap(),
        allow_missing_digest: false,
        minimum_version: None,
    };
    let before = most_memory();
    let until = Timestamp(clock.now().0 + 900);
    let came = Syncer::new(rules, ports).sync(until).await.unwrap();
    assert_eq!(came.mirrored, ["2.330.0"]);
    println!("{before} {}", most_memory());
}

/// The most memory that this process has had, in kilobytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the benchmark needs Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
