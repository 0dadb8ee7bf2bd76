//! Releases of the runner, and their archives: listed by the API, given out by the pages, which send whoever asks to
//! a third host. That one refuses whoever brings credentials, as GitHub's does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::installations::{Paging, shown};
use super::state::{Account, State};
use super::{answer, auth};

/// How much of an archive comes at once.
const PIECE: usize = 64 << 10;

/// A release, as a test presets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Such as `2.330.0`.
    pub version: String,
    /// When it was published, in RFC 3339.
    pub published_at: String,
    /// Whether it is a pre-release.
    pub prerelease: bool,
    /// Its archives, by their names.
    pub archives: BTreeMap<String, Archive>,
}

/// An archive of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// What it is said to be: `sha256:` and digits.
    pub digest: Option<String>,
    /// How large it is said to be.
    pub size: usize,
    /// What it is.
    pub bytes: Bytes,
}

/// What goes wrong with the next downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection breaks half-way.
    Breaks,
    /// One byte is another.
    Corrupts,
    /// Nothing comes any more half-way.
    Stalls,
}

/// What is published.
#[derive(Debug, Default)]
pub struct Published {
    releases: BTreeMap<String, Release>,
    trouble: Option<Trouble>,
    /// The names of archives that were asked for.
    downloads: Vec<String>,
    /// Where the pages and the archives are.
    hosts: Option<[SocketAddr; 2]>,
}

impl State {
    fn published(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a release, or changes one.
    pub fn release(&self, release: Release) {
        let version = release.version.clone();
        self.published().releases.insert(version, release);
    }

    /// From now on something goes wrong with every download, or nothing any more.
    pub fn downloads_go_wrong(&self, trouble: Option<Trouble>) {
        self.published().trouble = trouble;
    }

    /// The names of the archives that were downloaded.
    pub fn downloads(&self) -> Vec<String> {
        self.published().downloads.clone()
    }
}

/// The hosts beside the API.
#[derive(Debug)]
pub(super) struct Hosts(Vec<JoinHandle<()>>);

impl Hosts {
    pub(super) async fn start(state: &Arc<State>) -> anyhow::Result<Self> {
        let mut servers = Vec::new();
        let mut addresses = Vec::new();
        let pages = "/actions/runner/releases/download/{tag}/{name}";
        let routers = [
            Router::new().route(pages, get(page)),
            Router::new().route("/archives/{version}/{name}", get(archive)),
        ];
        for router in routers {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await;
            let listener = listener.context("the GitHub stand-in found no free port")?;
            addresses.push(listener.local_addr()?);
            let router = router.with_state(Arc::clone(state));
            servers.push(tokio::spawn(async move {
                // It ends when the test ends; nobody is left to tell.
                let _ended = axum::serve(listener, router).await;
            }));
        }
        state.published().hosts = addresses.try_into().ok();
        Ok(Self(servers))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for server in &self.0 {
            server.abort();
        }
    }
}

fn host(state: &State, place: usize) -> String {
    let hosts = state.published().hosts;
    hosts.map_or_else(String::new, |hosts| format!("http://{}", hosts[place]))
}

/// The list, newest first; anybody may ask for it.
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    Path((owner, repository)): Path<(String, String)>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Response {
    if headers.contains_key(header::AUTHORIZATION)
        && let Err(refused) = auth::account(&state, &headers)
    {
        return *refused;
    }
    if (owner.as_str(), repository.as_str()) != ("actions", "runner") {
        return answer::not_found();
    }
    let pages = host(&state, 0);
    let mut all: Vec<Release> = state.published().releases.values().cloned().collect();
    all.sort_by(|one, other| other.published_at.cmp(&one.published_at));
    let listed = paging.of(all).into_iter().enumerate();
    let listed = listed.map(|(id, release)| described(&release, id, &pages));
    answer::done(200, Value::Array(listed.collect()))
}

fn described(release: &Release, id: usize, pages: &str) -> Value {
    let Release {
        version,
        published_at,
        prerelease,
        ..
    } = release;
    let tag = format!("v{version}");
    let api = "https://api.github.com/repos/actions/runner";
    let author = Account {
        login: "github-actions".to_owned(),
        organization: false,
    };
    let assets = release.archives.iter().map(|(name, archive)| {
        json!({
            "url": format!("{api}/releases/assets/1"),
            "browser_download_url": format!("{pages}/actions/runner/releases/download/{tag}/{name}"),
            "id": 1,
            "node_id": "MDEyOlJlbGVhc2VBc3NldDE=",
            "name": name,
            "label": "",
            "state": "uploaded",
            "content_type": "application/octet-stream",
            "size": archive.size,
            "digest": archive.digest,
            "download_count": 7,
            "created_at": published_at,
            "updated_at": published_at,
            "uploader": shown(&author, 1),
        })
    });
    json!({
        "url": format!("{api}/releases/{id}"),
        "html_url": format!("https://github.com/actions/runner/releases/tag/{tag}"),
        "assets_url": format!("{api}/releases/{id}/assets"),
        "upload_url": format!("{api}/releases/{id}/assets{{?name,label}}"),
        "tarball_url": format!("{api}/tarball/{tag}"),
        "zipball_url": format!("{api}/zipball/{tag}"),
        "id": id,
        "node_id": "MDc6UmVsZWFzZTE=",
        "tag_name": tag,
        "target_commitish": "main",
        "name": tag,
        "body": "What's changed",
        "draft": false,
        "prerelease": prerelease,
        "created_at": published_at,
        "published_at": published_at,
        "author": shown(&author, 1),
        "assets": assets.collect::<Vec<_>>(),
    })
}

/// A page: it sends whoever asks to where the archive is.
async fn page(
    Shared(state): Shared<Arc<State>>,
    Path((tag, name)): Path<(String, String)>,
) -> Response {
    let version = tag.trim_start_matches('v');
    let there = format!(
        "{}/archives/{version}/{name}?sig=short-lived",
        host(&state, 1)
    );
    (StatusCode::FOUND, [(header::LOCATION, there)]).into_response()
}

async fn archive(
    Shared(state): Shared<Arc<State>>,
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        // It has its own, in the address.
        let words = "Only one auth mechanism allowed";
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let (found, trouble) = {
        let mut published = state.published();
        published.downloads.push(name.clone());
        let release = published.releases.get(&version);
        let found = release.and_then(|release| release.archives.get(&name).cloned());
        (found, published.trouble)
    };
    let Some(archive) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let length = archive.bytes.len();
    let response = Response::builder().header(header::CONTENT_LENGTH, length);
    let body = Body::from_stream(pieces(archive.bytes, trouble));
    response
        .body(body)
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// An archive, piece by piece.
fn pieces(
    bytes: Bytes,
    trouble: Option<Trouble>,
) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    let half = bytes.len() / 2;
    stream::unfold(0, move |from| {
        let bytes = bytes.clone();
        async move {
            if from >= bytes.len() {
                return None;
            }
            let to = bytes.len().min(from + PIECE);
            let passes_half = (from..to).contains(&half);
            let piece = bytes.slice(from..to);
            match trouble.filter(|_| passes_half) {
                Some(Trouble::Breaks) => Some((Err(std::io::Error::other("lost")), to)),
                Some(Trouble::Corrupts) => {
                    let mut piece = piece.to_vec();
                    piece[half - from] ^= 1;
                    Some((Ok(Bytes::from(piece)), to))
                }
                Some(Trouble::Stalls) => {
                    tokio::time::sleep(Duration::from_mins(5)).await;
                    None
                }
                None => Some((Ok(piece), to)),
            }
        }
    })
}
