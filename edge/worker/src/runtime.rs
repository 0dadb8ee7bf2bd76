//! The glue to the Workers runtime: bindings in, `fetch` out, time and chance from JavaScript.
//!
//! A panic here would take every request of the isolate with it, so nothing from outside is unwrapped.
//! No state outlives a request: settings are read for each, and so a changed secret holds at once.

mod body;
mod queue;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoker_intake::{
    Answer, Received, Reply, Route, SettingsError, WebhookLine, misconfigured, receive,
    refuse_early, refuse_too_large, route,
};
use wasm_bindgen::JsValue;
use worker::js_sys::Reflect;
use worker::{
    Context, Date, Env, Request, Response, ResponseBuilder, Result, console_error, console_log,
    event,
};

use crate::settings::Settings;
use crate::sqs::Failure;

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    let clock = Clock::start();
    // The runtime's own word: the crate's `Method` takes every unknown one for GET.
    let method = request.inner().method();
    match route(&method, &request.path()) {
        Route::Webhook => webhook(&request, &method, &env, &clock).await,
        Route::Health => health(&method, &env),
        Route::MethodNotAllowed { allow } => respond(Reply::method_not_allowed(allow)),
        Route::NotFound => respond(Reply::not_found()),
    }
}

/// Reads, judges, sends, answers, and leaves one line in the log.
async fn webhook(request: &Request, method: &str, env: &Env, clock: &Clock) -> Result<Response> {
    let header = |name: &str| request.headers().get(name).ok().flatten();
    let content_length = header("content-length");
    if let Some(refusal) = refuse_early(method, content_length.as_deref()) {
        return answer(WebhookLine::default(), &refusal, clock);
    }
    let settings = match settings(env) {
        Ok(settings) => settings,
        Err(error) => return not_configured(&error, method),
    };
    let Some(body) = body::read(request, content_length.as_deref()).await else {
        return answer(WebhookLine::default(), &refuse_too_large(), clock);
    };
    let reception = receive(method, header, &body, &settings.intake);
    drop(body);
    let line = WebhookLine::of(&reception);
    let enqueue = match reception.received {
        Received::Answer(refusal) => return answer(line, &refusal, clock),
        Received::Enqueue(enqueue) => enqueue,
    };
    let delivered = queue::send(
        &settings.queue,
        enqueue.message(),
        enqueue.delay_seconds(),
        clock,
    )
    .await;
    let failed = delivered.last_failure.as_ref();
    let failed = failed.map(|failure| (failure.code(), Failure::status(failure)));
    let line = line.sent(Some(delivered.attempts), failed);
    let said = if delivered.sent {
        enqueue.accepted()
    } else {
        enqueue.unavailable()
    };
    answer(line, &said, clock)
}

/// Whether the Worker could accept a webhook: it says so, and nothing of its configuration.
fn health(method: &str, env: &Env) -> Result<Response> {
    match settings(env) {
        Ok(_) => respond(Reply::healthy(method)),
        Err(error) => not_configured(&error, method),
    }
}

fn not_configured(error: &SettingsError, method: &str) -> Result<Response> {
    console_error!("{}", misconfigured(error));
    respond(Reply::not_configured(method))
}

fn answer(line: WebhookLine, answer: &Answer, clock: &Clock) -> Result<Response> {
    let elapsed = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    let line = line.answered(answer, elapsed);
    if line.is_error() {
        console_error!("{}", line.to_json());
    } else {
        console_log!("{}", line.to_json());
    }
    respond(answer.into())
}

fn respond(reply: Reply) -> Result<Response> {
    let mut response = ResponseBuilder::new().with_status(reply.status);
    for (name, value) in reply.headers {
        response = response.with_header(name, value)?;
    }
    Ok(response.fixed(reply.body.into_bytes()))
}

fn settings(env: &Env) -> std::result::Result<Settings, SettingsError> {
    Settings::from_lookup(|name| binding(env, name))
}

/// A variable or a secret: both are properties of the environment. In `[vars]`, `30` and `true` without
/// quotes arrive as a number and a boolean; they mean what they say.
fn binding(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env, &JsValue::from_str(name)).ok()?;
    value
        .as_string()
        .or_else(|| value.as_f64().map(|number| number.to_string()))
        .or_else(|| value.as_bool().map(|flag| flag.to_string()))
}

/// The runtime's clock, which stands still between one I/O and the next. `std`'s clocks panic on this
/// target.
struct Clock {
    arrived_millis: u64,
}

impl Clock {
    fn start() -> Self {
        Self {
            arrived_millis: Date::now().as_millis(),
        }
    }

    /// The time since the request arrived.
    fn elapsed(&self) -> Duration {
        Duration::from_millis(Date::now().as_millis().saturating_sub(self.arrived_millis))
    }

    /// The time of day.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(Date::now().as_millis())
    }
}
