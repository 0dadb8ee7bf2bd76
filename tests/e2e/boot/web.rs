//! What an instance asks by plain HTTP: its metadata service (version 2 alone), GitHub's releases, and, for
//! tests in which AWS refuses, AWS.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::account::asset;

const TOKEN: &str = "a-session-of-the-metadata-service";

/// A release as GitHub publishes it.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) version: &'static str,
    pub(crate) archive: Vec<u8>,
    /// What GitHub says of the archive; releases of before June 2025 have none.
    pub(crate) digest: Option<String>,
}

/// All of it, for one instance.
pub(crate) struct Web {
    pub(crate) url: String,
    knows: Arc<Knows>,
    server: JoinHandle<()>,
}

struct Knows {
    url: String,
    instance: String,
    /// The stand-in for AWS, which has the instance's credentials.
    aws: String,
    http: reqwest::Client,
    release: Option<Release>,
    refusals: Mutex<VecDeque<Refusal>>,
}

/// What AWS answers to the next request for an operation, such as `GetParameter`, instead of serving it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
}

impl Web {
    pub(crate) async fn start(instance: &str, aws: &str, release: Option<Release>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let knows = Arc::new(Knows {
            url: url.clone(),
            instance: instance.to_owned(),
            aws: aws.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            release,
            refusals: Mutex::default(),
        });
        let router = Router::new()
            .route("/latest/api/token", put(|| async { TOKEN }))
            .route("/latest/meta-data/{*item}", get(metadata))
            .route("/repos/actions/runner/releases/latest", get(latest))
            .route("/repos/actions/runner/releases/tags/{tag}", get(tagged))
            .route("/download/{name}", get(download))
            .fallback(pass_to_aws)
            .with_state(Arc::clone(&knows));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { url, knows, server }
    }

    /// Has AWS, where it is asked by way of this, refuse these requests first.
    pub(crate) fn refuse(&self, refusals: &[Refusal]) {
        self.knows.refusals.lock().unwrap().extend(refusals);
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn metadata(State(knows): State<Arc<Knows>>, uri: Uri, headers: HeaderMap) -> Response {
    let token = headers.get("x-aws-ec2-metadata-token");
    if token.is_none_or(|token| token != TOKEN) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if uri.path() == "/latest/meta-data/instance-id" {
        return knows.instance.clone().into_response();
    }
    let get = knows.http.get(format!("{}{uri}", knows.aws));
    get.send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
        .into_response()
}

async fn latest(State(knows): State<Arc<Knows>>) -> Response {
    describe(&knows, |_| true)
}

async fn tagged(State(knows): State<Arc<Knows>>, Path(tag): Path<String>) -> Response {
    describe(&knows, |release| tag == format!("v{}", release.version))
}

fn describe(knows: &Knows, fits: impl Fn(&Release) -> bool) -> Response {
    let Some(release) = knows.release.as_ref().filter(|release| fits(release)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let name = asset(release.version);
    let url = format!("{}/download/{name}", knows.url);
    let other = json!({"name": "actions-runner-win-x64.zip", "digest": null,
        "browser_download_url": format!("{}/download/other", knows.url)});
    let asset = json!({"name": name, "browser_download_url": url, "digest": release.digest});
    let tag = format!("v{}", release.version);
    axum::Json(json!({"tag_name": tag, "assets": [other, asset]})).into_response()
}

async fn download(State(knows): State<Arc<Knows>>) -> Response {
    let release = knows.release.as_ref().unwrap();
    Bytes::from(release.archive.clone()).into_response()
}

async fn pass_to_aws(
    State(knows): State<Arc<Knows>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    let refusal = {
        let mut refusals = knows.refusals.lock().unwrap();
        let is_next = |refusal: &mut Refusal| {
            target.is_some_and(|target| target.ends_with(&format!(".{}", refusal.operation)))
        };
        refusals.pop_front_if(is_next)
    };
    if let Some(Refusal { status, code, .. }) = refusal {
        let status = StatusCode::from_u16(status).unwrap();
        let words = json!({"__type": code, "message": "not now"});
        return (status, axum::Json(words)).into_response();
    }
    // The connection's own, not the request's.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    let request = knows.http.request(method, format!("{}{uri}", knows.aws));
    let answer = request.headers(headers).body(body).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap()).into_response()
}
