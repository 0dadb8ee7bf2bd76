//! The Lambda Runtime API: what a Lambda's program talks to on AWS. Four routes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// The function's time-out.
const TIMEOUT: Duration = Duration::from_mins(1);

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
        let id = {
            let mut number = self.api.number.lock().unwrap();
            *number += 1;
            format!("request-{number}")
        };
        let (tell, hear) = oneshot::channel();
        self.api.answers.lock().unwrap().insert(id.clone(), tell);
        self.api
            .waiting
            .lock()
            .unwrap()
            .push_back((id, event.to_string()));
        self.api.more.notify_one();
        match tokio::time::timeout(TIMEOUT, hear).await {
            Ok(Ok(invoked)) => invoked,
            _ => Invoked::Died,
        }
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
