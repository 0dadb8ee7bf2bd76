//! A wire to AWS that can be cut: what is asked is done, or not, and the answer never comes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
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
    /// What was answered to each client token of `CreateFleet`: moto launches anew for the same one.
    fleets: Mutex<HashMap<String, Bytes>>,
    /// How many of the next `DescribeInstances` show nothing: EC2 shows new instances late.
    blind: AtomicUsize,
    watcher: Mutex<Option<Watcher>>,
}

/// Is shown the body of each request before it is passed on.
type Watcher = Box<dyn Fn(&[u8]) + Send + Sync>;

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
    /// Some time has passed: EC2 shows what was launched.
    pub(crate) fn sees_again(&self) {
        self.wire.blind.store(0, Ordering::Relaxed);
    }

    pub(crate) async fn start(to: &str) -> Self {
        let wire = Arc::new(Wire {
            to: to.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            cut: Mutex::default(),
            lost: Notify::new(),
            fleets: Mutex::default(),
            blind: AtomicUsize::new(0),
            watcher: Mutex::default(),
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

    /// Shows each request to `watcher` from now on, before it is passed on.
    pub(crate) fn watch(&self, watcher: impl Fn(&[u8]) + Send + Sync + 'static) {
        *self.wire.watcher.lock().unwrap() = Some(Box::new(watcher));
    }

    fn cut(&self, cut: Option<Cut>) {
        *self.wire.cut.lock().unwrap() = cut;
    }

    /// Loses the answer of the next `CreateFleet`.
    pub(crate) fn lose_the_next_launch(&self) {
        let at = |asked: &Asked<'_>| has(asked.body, "Action=CreateFleet");
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

    /// Loses the answer of an effect on S3, after so many that pass: whatever is written or deleted, or begun or
    /// completed of what is written in parts.
    pub(crate) fn lose_an_effect_on_s3(&self, after: usize, served: bool) {
        let at = |asked: &Asked<'_>| asked.method != Method::GET;
        self.cut(Some(Cut { at, after, served }));
    }

    /// Loses the answer of an effect of scale-up, after so many that pass: whatever it writes, sends,
    /// launches or terminates.
    pub(crate) fn lose_an_effect_of_scale_up(&self, after: usize, served: bool) {
        let at = |asked: &Asked<'_>| {
            let target = asked.headers.get("x-amz-target");
            let target = target.and_then(|target| target.to_str().ok());
            let writes = target.is_some_and(|target| {
                [
                    "TransactWriteItems",
                    "PutItem",
                    "DeleteItem",
                    "PutParameter",
                    "DeleteParameter",
                    "SendMessage",
                ]
                .iter()
                .any(|write| target.ends_with(write))
            });
            writes
                || asked.method == Method::PUT
                || has(asked.body, "Action=CreateFleet")
                || has(asked.body, "Action=TerminateInstances")
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

fn has(body: &[u8], words: &str) -> bool {
    body.windows(words.len())
        .any(|part| part == words.as_bytes())
}

/// The client token of a `CreateFleet`.
fn token(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    if !body.contains("Action=CreateFleet") {
        return None;
    }
    let (_, rest) = body.split_once("ClientToken=")?;
    Some(rest.split('&').next().unwrap_or_default().to_owned())
}

const NO_INSTANCES: &str = r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>blind</requestId><reservationSet/></DescribeInstancesResponse>"#;

fn xml(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let kind = HeaderValue::from_static("text/xml;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn pass(
    State(wire): State<Arc<Wire>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(watcher) = &*wire.watcher.lock().unwrap() {
        watcher(&body);
    }
    let cut = wire.is_cut(&Asked {
        method: &method,
        headers: &headers,
        body: &body,
    });
    if cut == Some(false) {
        wire.lost.notify_one();
        std::future::pending::<()>().await;
    }
    let token = token(&body);
    let known = token
        .as_ref()
        .and_then(|token| wire.fleets.lock().unwrap().get(token).cloned());
    if let Some(answer) = known {
        return xml(answer);
    }
    if has(&body, "Action=DescribeInstances") {
        let count = |blind: usize| blind.checked_sub(1);
        let is_blind = wire
            .blind
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        if is_blind.is_ok() {
            return xml(Bytes::from_static(NO_INSTANCES.as_bytes()));
        }
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
    if let Some(token) = token.filter(|_| status.is_success()) {
        wire.fleets.lock().unwrap().insert(token, bytes.clone());
        // The next look is too early.
        wire.blind.store(1, Ordering::Relaxed);
    }
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
