//! A wire to AWS that can be cut: what is asked is done, or not, and the answer never comes.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The largest request: a policy with its machine code.
const LARGEST: usize = 256 << 20;

struct Wire {
    to: String,
    http: reqwest::Client,
    cut: Mutex<Option<Cut>>,
    lost: Notify,
}

/// Where the wire is cut.
struct Cut {
    at: fn(&Asked<'_>) -> bool,
    /// How many of these still pass.
    after: usize,
    /// Whether what is asked is done before.
    served: bool,
}

/// A request.
struct Asked<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
    body: &'a [u8],
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
            cut: Mutex::default(),
            lost: Notify::new(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(pass)
            .layer(axum::extract::DefaultBodyLimit::max(LARGEST))
            .with_state(Arc::clone(&wire));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { url, wire, server }
    }

    fn cut(&self, cut: Option<Cut>) {
        *self.wire.cut.lock().unwrap() = cut;
    }

    /// Loses the answer of the next `CreateFleet`.
    pub(crate) fn lose_the_next_launch(&self) {
        let at = |asked: &Asked<'_>| {
            asked
                .body
                .windows(18)
                .any(|part| part == b"Action=CreateFleet")
        };
        let (after, served) = (0, true);
        self.cut(Some(Cut { at, after, served }));
    }

    /// Loses the answer of an effect of admission, after so many that pass: an object that it writes, or a
    /// signature that it asks for.
    pub(crate) fn lose_an_effect(&self, after: usize, served: bool) {
        let at = |asked: &Asked<'_>| {
            let target = asked.headers.get("x-amz-target");
            asked.method == Method::PUT
                || target.is_some_and(|target| target == "TrentService.Sign")
        };
        self.cut(Some(Cut { at, after, served }));
    }

    /// Cuts nothing any more; whether there was something to be cut yet.
    pub(crate) fn mend(&self) -> bool {
        self.wire.cut.lock().unwrap().take().is_some()
    }

    /// Waits until an answer was lost.
    pub(crate) async fn lost(&self) {
        self.wire.lost.notified().await;
    }
}

impl Wire {
    /// Whether the wire is cut at this request, and if so whether it is served before.
    fn is_cut(&self, asked: &Asked<'_>) -> Option<bool> {
        let mut cut = self.cut.lock().unwrap();
        let here = cut.as_mut().filter(|cut| (cut.at)(asked))?;
        if here.after > 0 {
            here.after -= 1;
            return None;
        }
        cut.take().map(|cut| cut.served)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(
    State(wire): State<Arc<Wire>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let cut = wire.is_cut(&Asked {
        method: &method,
        headers: &headers,
        body: &body,
    });
    if cut == Some(false) {
        wire.lost.notify_one();
        std::future::pending::<()>().await;
    }
    // The connection's own, not the request's.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    let answer = wire
        .http
        .request(method, format!("{}{uri}", wire.to))
        .headers(headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let bytes = answer.bytes().await.unwrap();
    if cut.is_some() {
        wire.lost.notify_one();
        std::future::pending::<()>().await;
    }
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
