//! The endpoint: `POST /webhook` as the edge Worker answers it, `GET /healthz`, and what `stoker why` asks.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use stoker_intake::{
    Answer, MAX_BODY_BYTES, Received, Reception, Settings, receive, refuse_early, refuse_too_large,
};
use stoker_local::Embedded;

use super::Observer;
use crate::why::{Named, gather};

/// What a request needs.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) settings: Arc<Settings>,
    pub(super) embedded: Arc<Embedded>,
    pub(super) observer: Arc<dyn Observer>,
}

/// The routes.
pub(super) fn router(door: Door) -> Router {
    Router::new()
        .route("/webhook", any(webhook))
        .route("/healthz", get(async || "ok\n"))
        .route("/why/{owner}/{repository}/{job}", get(why))
        .fallback(async || (StatusCode::NOT_FOUND, "webhooks go to POST /webhook\n"))
        .with_state(door)
}

/// What is known of a job, for `stoker why` on this machine and nobody else.
async fn why(
    State(door): State<Door>,
    ConnectInfo(asker): ConnectInfo<SocketAddr>,
    Path((owner, repository, job)): Path<(String, String, u64)>,
) -> Response {
    if !asker.ip().is_loopback() {
        return (StatusCode::FORBIDDEN, "only this machine is told\n").into_response();
    }
    let Some(journal) = door.embedded.journal() else {
        return (StatusCode::NOT_FOUND, "nothing is kept\n").into_response();
    };
    let named = Named {
        repository: format!("{owner}/{repository}").to_lowercase(),
        job,
    };
    match gather(door.embedded.ledger(), journal, &named).await {
        Ok(found) => Json(found).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

async fn webhook(State(door): State<Door>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let length = header(&head.headers, "content-length");
    if let Some(refusal) = refuse_early(head.method.as_str(), length.as_deref()) {
        return door.refuse(&refusal);
    }
    // A body that breaks off can't be answered anyhow, so what is left is one that is too large.
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return door.refuse(&refuse_too_large());
    };
    let reception = receive(
        head.method.as_str(),
        |name| header(&head.headers, name),
        &body,
        &door.settings,
    );
    let answer = match &reception.received {
        Received::Answer(answer) => {
            door.observer.webhook(&reception, answer);
            answer.clone()
        }
        Received::Enqueue(admitted) => {
            let answer = admitted.accepted();
            let accepted = || door.observer.webhook(&reception, &answer);
            if door.embedded.enqueue(admitted, accepted).await.is_ok() {
                answer
            } else {
                let answer = admitted.unavailable();
                door.observer.webhook(&reception, &answer);
                answer
            }
        }
    };
    response(&answer)
}

impl Door {
    /// Answers a request whose body was not even read.
    fn refuse(&self, answer: &Answer) -> Response {
        let response = response(answer);
        let reception = Reception {
            received: Received::Answer(answer.clone()),
            event: None,
            delivery: None,
            signed_with: None,
        };
        self.observer.webhook(&reception, answer);
        response
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn response(answer: &Answer) -> Response {
    let status =
        StatusCode::from_u16(answer.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::builder().status(status);
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    response
        .body(Body::from(answer.body().to_owned()))
        .unwrap_or_else(|_| (status, [(CONTENT_TYPE, "application/json")]).into_response())
}
