//! What an instance asks by plain HTTP: its metadata service (version 2 alone), and GitHub's releases.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
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

/// Both, for one instance.
pub(crate) struct Web {
    pub(crate) url: String,
    server: JoinHandle<()>,
}

struct Knows {
    url: String,
    instance: String,
    /// The stand-in for AWS, which has the instance's credentials.
    aws: String,
    http: reqwest::Client,
    release: Option<Release>,
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
        });
        let router = Router::new()
            .route("/latest/api/token", put(|| async { TOKEN }))
            .route("/latest/meta-data/{*item}", get(metadata))
            .route("/repos/actions/runner/releases/latest", get(latest))
            .route("/repos/actions/runner/releases/tags/{tag}", get(tagged))
            .route("/download/{name}", get(download))
            .with_state(knows);
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { url, server }
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
