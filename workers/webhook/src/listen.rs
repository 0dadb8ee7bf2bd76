//! The way of a request.

use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use lambda_http::http::HeaderMap;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Error, Request, RequestExt as _, Response};
use stoker_aws::{Delivered, SqsIntake};
use stoker_intake::{
    Answer, Outcome, Received, Reception, Reply, Route, WebhookLine, misconfigured, receive,
    refuse_early, route,
};
use tokio::time::Instant;

use crate::configuration::{Configuration, Missing};

/// Where admitted events go.
#[async_trait]
pub(crate) trait IntakeQueue: Send + Sync {
    /// Sends a message whose webhook arrived then.
    async fn send(&self, message: &str, delay_seconds: u16, arrived: Instant) -> Delivered;
}

#[async_trait]
impl IntakeQueue for SqsIntake {
    async fn send(&self, message: &str, delay_seconds: u16, arrived: Instant) -> Delivered {
        SqsIntake::send(self, message, delay_seconds, arrived).await
    }
}

/// Answers requests.
pub(crate) struct Listener {
    configuration: Configuration,
    queue: Arc<dyn IntakeQueue>,
}

impl Listener {
    pub(crate) fn new(configuration: Configuration, queue: Arc<dyn IntakeQueue>) -> Self {
        Self {
            configuration,
            queue,
        }
    }

    /// Reads what there is to know, so that no webhook waits for it. What can't be read now is said when it is
    /// needed.
    pub(crate) async fn warm_up(&self) {
        let _known = self.configuration.settings().await;
    }

    /// Answers a request.
    pub(crate) async fn listen(&self, request: Request) -> Result<Response<Body>, Error> {
        let arrived = Instant::now();
        let method = request.method().as_str().to_owned();
        let reply = match route(&method, path(&request)) {
            Route::Webhook => self.webhook(&method, &request, arrived).await,
            Route::Health => match self.configuration.settings().await {
                Ok(_) => Reply::healthy(&method),
                Err(missing) => not_configured(&missing, &method),
            },
            Route::MethodNotAllowed { allow } => Reply::method_not_allowed(allow),
            Route::NotFound => Reply::not_found(),
        };
        respond(reply)
    }

    /// Reads, judges, sends, answers, and leaves one line in the log.
    async fn webhook(&self, method: &str, request: &Request, arrived: Instant) -> Reply {
        let headers = request.headers();
        if let Some(refusal) = refuse_early(method, header(headers, "content-length").as_deref()) {
            return said(WebhookLine::default(), &refusal, arrived);
        }
        let settings = match self.configuration.settings().await {
            Ok(settings) => settings,
            Err(missing) => return not_configured(&missing, method),
        };
        let body: &[u8] = match request.body() {
            Body::Text(text) => text.as_bytes(),
            Body::Binary(bytes) => bytes,
            // Empty, or of a kind that this Lambda does not know.
            _ => &[],
        };
        let judge = |settings| receive(method, |name| header(headers, name), body, settings);
        let mut reception = judge(&settings);
        // The secret may have been rotated since it was read.
        if is_unauthorized(&reception)
            && let Some(newer) = self.configuration.newer().await
        {
            reception = judge(&newer);
        }
        let line = WebhookLine::of(&reception);
        let enqueue = match reception.received {
            Received::Answer(refusal) => return said(line, &refusal, arrived),
            Received::Enqueue(enqueue) => enqueue,
        };
        let delivered = self
            .queue
            .send(enqueue.message(), enqueue.delay_seconds(), arrived)
            .await;
        let failed = delivered.failed.as_ref();
        if let Some(failed) = failed {
            tracing::warn!(
                problem = failed.problem,
                "SQS did not take a message at once"
            );
        }
        let failed = failed.map(|failed| (failed.code.as_str(), failed.status));
        let line = line.sent(Some(delivered.attempts), failed);
        let answer = if delivered.sent {
            enqueue.accepted()
        } else {
            enqueue.unavailable()
        };
        said(line, &answer, arrived)
    }
}

/// The path, without the stage of an HTTP API that is not its default one.
fn path(request: &Request) -> &str {
    let path = request.raw_http_path();
    let stage = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.as_deref(),
        _ => None,
    };
    stage
        .and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage))
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path)
}

fn is_unauthorized(reception: &Reception) -> bool {
    matches!(&reception.received, Received::Answer(answer) if answer.outcome() == Outcome::Unauthorized)
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn said(line: WebhookLine, answer: &Answer, arrived: Instant) -> Reply {
    let elapsed = u64::try_from(arrived.elapsed().as_millis()).unwrap_or(u64::MAX);
    tell(&line.answered(answer, elapsed).to_json());
    answer.into()
}

fn not_configured(missing: &Missing, method: &str) -> Reply {
    match missing {
        Missing::Settings(error) => tell(&misconfigured(error)),
        Missing::Secret(problem) => {
            tracing::error!(%problem, "the webhook's secret can't be read");
        }
        Missing::NoAnswer(problem) => {
            tracing::error!(problem, "the webhook's secret could not be read");
        }
    }
    Reply::not_configured(method)
}

fn tell(line: &str) {
    // Without standard output there is nobody left to tell.
    let _told = writeln!(std::io::stdout(), "{line}");
}

fn respond(reply: Reply) -> Result<Response<Body>, Error> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Body::Text(reply.body))?)
}

#[cfg(test)]
mod tests;
