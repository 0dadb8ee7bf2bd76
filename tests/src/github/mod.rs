//! A stand-in for GitHub's REST API: what Stoker asks of it, in the shapes of GitHub's published
//! description.
//!
//! It checks what GitHub checks: the App's JWT is verified against the App's public key and GitHub's
//! limits, installation tokens must be ones that it gave out, bodies must have what they must have. It
//! counts what it is asked, does wrong what a test tells it to ([`Fault`]), and shows what was
//! registered and what was said. The tests hold every exchange against that description.
//!
//! In reading order: [`key`], the App's key pair; [`state`], what it knows and a test presets;
//! [`fault`], what it can be told to do wrong; [`exchange`], what was said; `auth`, [`app`], `installations`,
//! `runners`, `jobs`, [`runs`], [`releases`], the API; `answer`, how answers look.

mod answer;
pub mod app;
mod auth;
pub mod call;
pub mod deliveries;
pub mod exchange;
pub mod fault;
mod groups;
mod installations;
mod jobs;
pub mod key;
pub mod level;
mod patience;
pub mod releases;
mod runners;
pub mod runs;
pub mod state;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use releases::Hosts;

pub use app::Setup;
pub use call::Call;
pub use exchange::{Answer, Content, Exchange};
pub use fault::Fault;
pub use key::AppKey;
pub use level::Level;
pub use releases::{Archive, Release, Trouble};
pub use runs::Repository;
pub use state::{Account, Job, Registered, State};

/// GitHub, on a free port of this machine, until it is dropped.
#[derive(Debug)]
pub struct GitHub {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
    _hosts: Hosts,
}

impl GitHub {
    /// Starts it, knowing one App.
    pub async fn start(app: &str, key: &AppKey) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("the GitHub stand-in found no free port")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(app, key));
        let hosts = Hosts::start(&state).await?;
        let router = router(Arc::clone(&state));
        let server = tokio::spawn(async move {
            // It ends when the test ends; nobody is left to tell.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            state,
            server,
            _hosts: hosts,
        })
    }

    /// Where it is: what `GITHUB_API_URL` is to say.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same as [`Self::state`], for whoever outlives this borrow.
    pub fn shared(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// What it knows, to preset and to read.
    pub fn state(&self) -> &State {
        &self.state
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .route(
            "/orgs/{org}/installation",
            get(installations::of_organization),
        )
        .route("/users/{user}/installation", get(installations::of_user))
        .route(
            "/repos/{owner}/{repo}/installation",
            get(installations::of_repository),
        )
        .route(
            "/app/installations/{id}/access_tokens",
            post(installations::access_token),
        )
        .route(
            "/orgs/{org}/actions/runners/registration-token",
            post(runners::organization_token),
        )
        .route(
            "/repos/{owner}/{repo}/actions/runners/registration-token",
            post(runners::repository_token),
        )
        .route(
            "/orgs/{org}/actions/runners/generate-jitconfig",
            post(runners::organization_jit),
        )
        .route(
            "/repos/{owner}/{repo}/actions/runners/generate-jitconfig",
            post(runners::repository_jit),
        )
        .route(
            "/orgs/{org}/actions/runner-groups",
            get(groups::of_organization),
        )
        .route("/orgs/{org}/actions/runners", get(runners::of_organization))
        .route(
            "/repos/{owner}/{repo}/actions/runners",
            get(runners::of_repository),
        )
        .route(
            "/orgs/{org}/actions/runners/{id}",
            delete(runners::remove_from_organization),
        )
        .route(
            "/repos/{owner}/{repo}/actions/runners/{id}",
            delete(runners::remove_from_repository),
        )
        .route("/repos/{owner}/{repo}/actions/jobs/{job}", get(jobs::job))
        .route("/app", get(app::itself))
        .route("/app/hook/config", get(app::hook))
        .route("/rate_limit", get(app::limits))
        .route("/app/installations", get(installations::all))
        .route("/app/hook/deliveries", get(deliveries::list))
        .route(
            "/app/hook/deliveries/{id}/attempts",
            post(deliveries::again),
        )
        .route("/installation/repositories", get(runs::repositories))
        .route("/repos/{owner}/{repo}", get(runs::repository))
        .route("/repos/{owner}/{repo}/actions/runs", get(runs::runs))
        .route(
            "/repos/{owner}/{repo}/actions/runs/{run}/jobs",
            get(runs::jobs),
        )
        .route("/repos/{owner}/{repo}/releases", get(releases::list))
        .fallback(|| async { answer::not_found() })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            at_the_door,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            exchange::tag,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            exchange::note,
        ))
        .with_state(state)
}

/// What happens to every request: it is counted, meets the fault that waits for its kind, and gets the
/// headers that every answer of GitHub has.
async fn at_the_door(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    if !request.headers().contains_key(header::USER_AGENT) {
        return answer::refusal(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
        );
    }
    let number = match Call::of(request.method(), request.uri().path()) {
        Some(call) => {
            let number = state.count(call);
            let (takes, refused) = state.spend(request.method());
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            if let Some(seconds) = refused {
                return named(answer::limited(seconds), number);
            }
            match state.next_fault(call) {
                Some(fault) => {
                    return named(fault.befall(request, next).await, number);
                }
                None => number,
            }
        }
        None => 0,
    };
    named(next.run(request).await.into_response(), number)
}

fn named(mut response: Response, number: usize) -> Response {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&format!("STND:{number:04X}")) {
        headers.insert("x-github-request-id", id);
    }
    for (name, value) in answer::rate_limit_headers() {
        headers.entry(name).or_insert(value);
    }
    response
}
