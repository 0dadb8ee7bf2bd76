//! A wire to AWS that can be cut: what is asked is done, and the answer never comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

struct Wire {
    to: String,
    http: reqwest::Client,
    cut: AtomicBool,
    lost: Notify,
}

/// The wire, with an address of its own.
pub(crate) struct Proxy {
    pub(crate) url: String,
    wire: Arc<Wire>,
    server: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: &str) -> Self {
        let wire = Arc::new(Wire {
            to: to.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            cut: AtomicBool::new(false),
            lost: Notify::new(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&wire));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { url, wire, server }
    }

    /// Loses the answer of the next `CreateFleet`.
    pub(crate) fn lose_the_next_launch(&self) {
        self.wire.cut.store(true, Ordering::SeqCst);
    }

    /// Waits until an answer was lost.
    pub(crate) async fn lost(&self) {
        self.wire.lost.notified().await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(
    State(wire): State<Arc<Wire>>,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let launches = body.windows(18).any(|part| part == b"Action=CreateFleet");
    // The connection's own, not the request's.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    let answer = wire
        .http
        .post(format!("{}{uri}", wire.to))
        .headers(headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
    if launches && wire.cut.swap(false, Ordering::SeqCst) {
        wire.lost.notify_one();
        std::future::pending::<()>().await;
    }
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/xml")
        .body(Body::from(bytes))
        .unwrap()
}
