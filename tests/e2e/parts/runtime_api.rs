//! The Lambda Runtime API: what a Lambda's program talks to on AWS. Four routes. And what of the service itself
//! an operator's commands talk to: two.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// The function's time-out.
const TIMEOUT: Duration = Duration::from_mins(3);

/// What became of an invocation.
#[derive(Debug)]
pub(crate) enum Invoked {
    /// The program answered.
    Answered(Value),
    /// The program says that it failed.
    Failed(String),
    /// The program died over it, or took too long.
    Died,
}

#[derive(Default)]
struct Api {
    waiting: Mutex<VecDeque<(String, String)>>,
    more: Notify,
    answers: Mutex<HashMap<String, oneshot::Sender<Invoked>>>,
    number: Mutex<u64>,
    environment: Mutex<HashMap<&'static str, String>>,
}

/// A running Runtime API.
pub(crate) struct RuntimeApi {
    pub(crate) address: String,
    api: Arc<Api>,
    server: JoinHandle<()>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Self {
        let api = Arc::<Api>::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failure))
            .route("/2018-06-01/runtime/init/error", post(init_failure))
            .with_state(Arc::clone(&api));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            api,
            server,
        }
    }

    /// Invokes the function.
    pub(crate) async fn invoke(&self, event: &Value) -> Invoked {
        invoke(&self.api, event.to_string()).await
    }

    /// The function's environment, as the service tells of it.
    pub(crate) fn configure(&self, environment: &[(&'static str, String)]) {
        *self.api.environment.lock().unwrap() = environment.iter().cloned().collect();
    }

    /// An address at which the service's own API serves this function, whatever it is called: it is invoked
    /// there, or asked how it is set up.
    pub(crate) async fn invoke_api(&self) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route(
                "/2015-03-31/functions/{name}/invocations",
                post(invoke_by_service),
            )
            .route(
                "/2015-03-31/functions/{name}/configuration",
                get(configuration),
            )
            .with_state(Arc::clone(&self.api));
        tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        url
    }

    /// The program has died: nobody will answer what it was asked.
    pub(crate) fn abandon(&self) {
        self.api.answers.lock().unwrap().clear();
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn invoke(api: &Api, event: String) -> Invoked {
    let id = {
        let mut number = api.number.lock().unwrap();
        *number += 1;
        format!("request-{number}")
    };
    let (tell, hear) = oneshot::channel();
    api.answers.lock().unwrap().insert(id.clone(), tell);
    api.waiting.lock().unwrap().push_back((id, event));
    api.more.notify_one();
    match tokio::time::timeout(TIMEOUT, hear).await {
        Ok(Ok(invoked)) => invoked,
        _ => Invoked::Died,
    }
}

async fn invoke_by_service(State(api): State<Arc<Api>>, body: String) -> Response {
    let (error, body) = match invoke(&api, body).await {
        Invoked::Answered(answer) => (None, answer.to_string()),
        Invoked::Failed(problem) => (Some("Unhandled"), problem),
        Invoked::Died => (
            Some("Unhandled"),
            r#"{"errorMessage":"it died"}"#.to_owned(),
        ),
    };
    let response = Response::builder().header("content-type", "application/json");
    let response = match error {
        Some(error) => response.header("x-amz-function-error", error),
        None => response,
    };
    response.body(Body::from(body)).unwrap()
}

/// What `GetFunctionConfiguration` answers. The time-out is such that the queues' visibility time-out does.
async fn configuration(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Response {
    let variables = api.environment.lock().unwrap().clone();
    let body = json!({
        "FunctionName": name,
        "Timeout": 20,
        "Environment": { "Variables": variables },
    });
    Response::builder()
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    loop {
        let waiting = api.waiting.lock().unwrap().pop_front();
        if let Some((id, event)) = waiting {
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + TIMEOUT;
            return Response::builder()
                .header("content-type", "application/json")
                .header("lambda-runtime-aws-request-id", id)
                .header(
                    "lambda-runtime-deadline-ms",
                    deadline.as_millis().to_string(),
                )
                .header(
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:us-east-1:123456789012:function:scale-up",
                )
                .header("lambda-runtime-trace-id", "Root=1-0-0;Sampled=0")
                .body(Body::from(event))
                .unwrap();
        }
        api.more.notified().await;
    }
}

fn tell(api: &Api, id: &str, invoked: Invoked) -> StatusCode {
    if let Some(hears) = api.answers.lock().unwrap().remove(id) {
        let _gave_up = hears.send(invoked);
    }
    StatusCode::ACCEPTED
}

async fn answer(State(api): State<Arc<Api>>, Path(id): Path<String>, body: String) -> StatusCode {
    match serde_json::from_str(&body) {
        Ok(value) => tell(&api, &id, Invoked::Answered(value)),
        Err(error) => tell(&api, &id, Invoked::Failed(format!("{error}: {body}"))),
    }
}

async fn failure(State(api): State<Arc<Api>>, Path(id): Path<String>, body: String) -> StatusCode {
    tell(&api, &id, Invoked::Failed(body))
}

async fn init_failure() -> StatusCode {
    StatusCode::ACCEPTED
}
