//! One request to GitHub: sent, timed, and its answer told apart.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, DATE, HeaderMap, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stoker_core::ports::Clock;
use stoker_intake::InstallationId;

use crate::endpoints::Endpoints;
use crate::error::{Error, Purpose, Refusal};
use crate::limits::{self, Gate, Kind};

/// GitHub gives up on a request after ten seconds itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection takes milliseconds; one that takes longer than this goes nowhere.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);

/// What a Lambda may sleep when GitHub asks for patience; beyond it the message goes back to its queue,
/// which waits for nothing.
const SLEEPS: u64 = 2;

/// Between a failed attempt and the second one, where there is a second one.
const PAUSE: Duration = Duration::from_millis(300);

/// A repository that was renamed is one redirection away, and one more if its owner was too.
const REDIRECTIONS: usize = 2;

/// Longer messages are cut: they end up in log lines.
const LONGEST_MESSAGE: usize = 500;

/// Whether asking twice does harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It does no harm.
    Harmless,
    /// It does: what was perhaps done is not asked for again.
    Never,
}

/// What is asked.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<&'a Value>,
    /// The installation that asks; none: the App itself.
    pub(crate) bearer: Option<InstallationId>,
    /// None: nobody in particular asks.
    pub(crate) token: Option<&'a SecretString>,
    pub(crate) purpose: Purpose,
    pub(crate) repeat: Repeat,
    /// By what GitHub knows the answer that is known; it may say that it still holds (304).
    pub(crate) unless: Option<&'a str>,
}

impl Ask<'_> {
    fn kind(&self) -> Kind {
        (self.bearer, self.purpose.permission)
    }
}

/// The connections to GitHub.
pub(crate) struct Http {
    client: Client,
    clock: Arc<dyn Clock>,
    gate: Gate,
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
    #[serde(default)]
    errors: Option<Value>,
}

impl Http {
    pub(crate) fn new(endpoints: &Endpoints, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCEPT,
            reqwest::header::HeaderValue::from_static("application/vnd.github+json"),
        );
        headers.insert(
            "x-github-api-version",
            reqwest::header::HeaderValue::from_static("2022-11-28"),
        );
        let mut client = Client::builder()
            .user_agent(concat!("stoker/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .timeout(PATIENCE)
            .connect_timeout(CONNECT)
            // A library follows a POST by a GET.
            .redirect(redirect::Policy::none());
        if endpoints.is_local() {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| Error::Unreachable {
            problem: causes(&error),
        })?;
        Ok(Self {
            client,
            clock,
            gate: Gate::default(),
        })
    }

    /// Asks. At most two attempts: the second where the first did nothing, or may be repeated.
    pub(crate) async fn answered(&self, ask: &Ask<'_>) -> Result<Response, Error> {
        let error = match self.attempt(ask).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let pause = match &error {
            // A refusal for its rate did nothing, so even what must not be done twice may be repeated.
            Error::LeftAlone { until, now, .. } if until.0 - now.0 <= SLEEPS => {
                Duration::from_secs(until.0 - now.0)
            }
            Error::Unreachable { .. } => PAUSE,
            Error::AnswerLost { .. } if ask.repeat == Repeat::Harmless => PAUSE,
            Error::Refused { refusal, .. }
                if ask.repeat == Repeat::Harmless && refusal.status >= 500 =>
            {
                PAUSE
            }
            _ => return Err(error),
        };
        tracing::debug!(problem = %error, url = %ask.url, "GitHub is asked once more");
        tokio::time::sleep(pause).await;
        self.attempt(ask).await
    }

    /// The `Date` of whatever that address answers to nobody in particular.
    pub(crate) async fn date(&self, url: Url) -> Result<Option<String>, Error> {
        let answer = self.client.get(url).send().await;
        let response = answer.map_err(|error| lost(&error))?;
        let date = response.headers().get(DATE);
        Ok(date.and_then(|date| Some(date.to_str().ok()?.to_owned())))
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<Response, Error> {
        let now = self.clock.now();
        if let Some(until) = self.gate.closed(ask.kind(), now) {
            return Err(Error::LeftAlone {
                until,
                now,
                said: String::new(),
            });
        }
        let mut url = ask.url.clone();
        for _ in 0..REDIRECTIONS {
            let response = self.send(ask, url.clone()).await?;
            match moved_to(&url, &response) {
                Some(there) => url = there,
                None => return self.judge(ask, response).await,
            }
        }
        let response = self.send(ask, url).await?;
        self.judge(ask, response).await
    }

    async fn send(&self, ask: &Ask<'_>, url: Url) -> Result<Response, Error> {
        let mut request: RequestBuilder = self.client.request(ask.method.clone(), url);
        if let Some(token) = ask.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        if let Some(tag) = ask.unless {
            request = request.header(IF_NONE_MATCH, tag);
        }
        request.send().await.map_err(|error| lost(&error))
    }

    async fn judge(&self, ask: &Ask<'_>, response: Response) -> Result<Response, Error> {
        let now = self.clock.now();
        let status = response.status();
        let still_holds = status == StatusCode::NOT_MODIFIED && ask.unless.is_some();
        if status.is_success() || still_holds {
            if let Some(until) = limits::spent(response.headers(), now) {
                self.gate.close(ask.kind(), until);
            }
            return Ok(response);
        }
        let headers = response.headers().clone();
        let refusal = refusal(status, &headers, response).await;
        if let Some(until) = limits::until(status, &headers, &refusal.message, now) {
            self.gate.close(ask.kind(), until);
            return Err(Error::LeftAlone {
                until,
                now,
                said: format!("{refusal}; "),
            });
        }
        Err(Error::Refused {
            advice: ask.purpose.advice(&refusal),
            refusal,
        })
    }
}

/// Reads an answer.
pub(crate) async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Error> {
    parsed(&body(response).await?)
}

/// The bytes of an answer.
pub(crate) async fn body(response: Response) -> Result<Vec<u8>, Error> {
    let body = response.bytes().await.map_err(|error| Error::AnswerLost {
        problem: causes(&error),
    })?;
    Ok(body.into())
}

/// What an answer says.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    // serde's words tell line and column of the answer, never its text.
    serde_json::from_slice(body).map_err(|error| Error::Unreadable {
        problem: format!("{:?} error in line {}", error.classify(), error.line()),
    })
}

async fn refusal(status: StatusCode, headers: &HeaderMap, response: Response) -> Refusal {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let body = response.bytes().await.unwrap_or_default();
    let mut message = match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(ErrorBody { message, errors }) => match errors {
            Some(errors) => format!("{message} {errors}"),
            None => message,
        },
        // A proxy's page says less than its status.
        Err(_) => status.canonical_reason().unwrap_or("no reason").to_owned(),
    };
    if let Some((cut, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
        message.truncate(cut);
    }
    Refusal {
        status: status.as_u16(),
        message: message.split_whitespace().collect::<Vec<_>>().join(" "),
        request: text("x-github-request-id"),
        accepted_permissions: text("x-accepted-github-permissions"),
    }
}

/// Where an answer sends us. Never to another host: the token is only GitHub's.
fn moved_to(from: &Url, response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    let there = from
        .join(response.headers().get(LOCATION)?.to_str().ok()?)
        .ok()?;
    (there.origin() == from.origin()).then_some(there)
}

/// There is no answer.
fn lost(error: &reqwest::Error) -> Error {
    let problem = causes(error);
    if error.is_connect() || error.is_builder() {
        Error::Unreachable { problem }
    } else {
        Error::AnswerLost { problem }
    }
}

/// An error and what is behind it, without the URL.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", PATIENCE.as_secs());
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    if error.source().is_some() {
        deepest.to_string()
    } else {
        "the request could not be made".to_owned()
    }
}
