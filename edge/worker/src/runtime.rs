//! The glue to the Workers runtime: bindings in, `fetch` out, time and chance from JavaScript.
//!
//! A panic here would take every request of the isolate with it, so nothing from outside is unwrapped.
//! No state outlives a request: settings are read for each, and so a changed secret holds at once.

mod body;
mod queue;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoker_intake::{Answer, Received, SettingsError, receive, refuse_early, refuse_too_large};
use wasm_bindgen::JsValue;
use worker::js_sys::Reflect;
use worker::{
    Context, Date, Env, Request, Response, ResponseBuilder, Result, console_error, console_log,
    event,
};

use crate::log::{WebhookLine, misconfigured};
use crate::route::{Route, route};
use crate::settings::Settings;

const JSON: (&str, &str) = ("content-type", "application/json");
const METHOD_NOT_ALLOWED: &str = r#"{"status":"refused","reason":"method_not_allowed"}"#;
const NOT_FOUND: &str = r#"{"status":"not_found"}"#;
const NOT_CONFIGURED: &str =
    r#"{"status":"misconfigured","detail":"The Worker is not configured; its log says what."}"#;

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    let clock = Clock::start();
    // The runtime's own word: the crate's `Method` takes every unknown one for GET.
    let method = request.inner().method();
    match route(&method, &request.path()) {
        Route::Webhook => webhook(&request, &method, &env, &clock).await,
        Route::Health => health(&method, &env),
        Route::MethodNotAllowed { allow } => {
            respond(405, [JSON, ("allow", allow)], METHOD_NOT_ALLOWED)
        }
        Route::NotFound => respond(404, [JSON], NOT_FOUND),
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
        Err(error) => return not_configured(&error, NOT_CONFIGURED),
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
    let line = line.sent(delivered.attempts, delivered.last_failure.as_ref());
    let said = if delivered.sent {
        enqueue.accepted()
    } else {
        enqueue.unavailable()
    };
    answer(line, &said, clock)
}

/// Whether the Worker could accept a webhook: it says so, and nothing of its configuration.
fn health(method: &str, env: &Env) -> Result<Response> {
    let with_body = |body: &'static str| if method == "HEAD" { "" } else { body };
    match settings(env) {
        Ok(_) => respond(200, [JSON], with_body(r#"{"status":"ok"}"#)),
        Err(error) => not_configured(&error, with_body(NOT_CONFIGURED)),
    }
}

fn not_configured(error: &SettingsError, body: &str) -> Result<Response> {
    console_error!("{}", misconfigured(error));
    respond(500, [JSON], body)
}

fn answer(line: WebhookLine, answer: &Answer, clock: &Clock) -> Result<Response> {
    let elapsed = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    let line = line.answered(answer, elapsed);
    if line.is_error() {
        console_error!("{}", line.to_json());
    } else {
        console_log!("{}", line.to_json());
    }
    respond(answer.http_status(), answer.headers(), answer.body())
}

fn respond<'a>(
    status: u16,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &str,
) -> Result<Response> {
    let mut response = ResponseBuilder::new().with_status(status);
    for (name, value) in headers {
        response = response.with_header(name, value)?;
    }
    Ok(response.fixed(body.as_bytes().to_vec()))
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
