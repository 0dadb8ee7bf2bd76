//! Sending one message to SQS, as often as it takes and the budget allows.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use stoker_intake::listener::schedule::{attempt_timeout, pause};
use worker::js_sys::Math;
use worker::{
    AbortController, AbortSignal, Delay, Fetch, Headers, Method, Request, RequestInit,
    RequestRedirect, Result,
};

use super::Clock;
use crate::settings::Queue;
use crate::sqs::{Attempt, Failure, SignedRequest, judge, send_message};

/// What became of a message.
pub(super) struct Delivered {
    /// Whether the queue has it.
    pub(super) sent: bool,
    /// How often the queue was asked.
    pub(super) attempts: u32,
    /// Why the latest failed attempt failed.
    pub(super) last_failure: Option<Failure>,
}

pub(super) async fn send(
    queue: &Queue,
    message: &str,
    delay_seconds: u16,
    clock: &Clock,
) -> Delivered {
    let mut delivered = Delivered {
        sent: false,
        attempts: 0,
        last_failure: None,
    };
    while let Some(timeout) = attempt_timeout(clock.elapsed()) {
        delivered.attempts += 1;
        let attempt = match send_message(queue, message, delay_seconds, Clock::now()) {
            Ok(request) => attempt(request, timeout).await,
            Err(_) => Attempt::GiveUp(Failure::Unsendable),
        };
        match attempt {
            Attempt::Sent => {
                delivered.sent = true;
                break;
            }
            Attempt::GiveUp(failure) => {
                delivered.last_failure = Some(failure);
                break;
            }
            Attempt::TryAgain(failure) => delivered.last_failure = Some(failure),
        }
        match pause(clock.elapsed(), delivered.attempts, Math::random()) {
            Some(pause) => Delay::from(pause).await,
            None => break,
        }
    }
    delivered
}

/// One attempt, its answer's body included. Whichever ends first stops the other: a timer that is
/// dropped is cleared, a request that is late is aborted.
async fn attempt(request: SignedRequest, timeout: Duration) -> Attempt {
    let abort = AbortController::default();
    let signal = abort.signal();
    let exchange = pin!(exchange(request, &signal));
    match select(exchange, Delay::from(timeout)).await {
        Either::Left((Ok((status, body)), _)) => judge(status, &body),
        Either::Left((Err(_), _)) => Attempt::TryAgain(Failure::Unreachable),
        Either::Right(((), _)) => {
            abort.abort();
            Attempt::TryAgain(Failure::TimedOut)
        }
    }
}

async fn exchange(request: SignedRequest, signal: &AbortSignal) -> Result<(u16, Vec<u8>)> {
    let headers = Headers::new();
    for (name, value) in &request.headers {
        headers.set(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        // A signature is for one host: it is not to be shown to another.
        .with_redirect(RequestRedirect::Manual)
        .with_body(Some(request.body.into()));
    let request = Request::new_with_init(&request.url, &init)?;
    let mut response = Fetch::Request(request).send_with_signal(signal).await?;
    let body = response.bytes().await?;
    Ok((response.status_code(), body))
}
