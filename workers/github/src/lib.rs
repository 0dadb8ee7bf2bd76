//! The GitHub adapter: what `stoker-core` asks of GitHub, over its REST API, as a GitHub App.
//!
//! What it is: App authentication (a JWT for each call of the App itself, installation tokens for the
//! rest), the registration of runners with an organisation or a repository, the look-up of a job, and
//! the lists that a lost ledger is rebuilt from.
//!
//! What it is not: it decides nothing, and remembers no failure. The two things that it does remember
//! are an installation token while it is good, and GitHub's own word that it is to be left alone until
//! a given time.
//!
//! Modules in reading order: [`endpoints`], where GitHub is; [`credentials`], who the App is;
//! [`error`], what can go wrong and what an operator is to do; `http`, one request; `limits`, when
//! GitHub wants to be left alone; `installations`, whom the App acts for; `runners`, `jobs` and `live`,
//! what Stoker wants of GitHub, the long lists by `pages`; [`app`], all of it behind the port; [`inspect`],
//! what an operator's look at a deployment asks besides; [`releases`], those of the runner, which are everybody's.

pub mod app;
pub mod credentials;
mod deliveries;
mod endpoints;
pub mod error;
mod groups;
mod http;
pub mod inspect;
mod installations;
mod jobs;
mod jwt;
mod kept;
mod limits;
mod live;
mod pages;
pub mod releases;
mod runners;
mod unchanged;

pub use app::App;
pub use credentials::{AppCredentials, Credentials, CredentialsError};
pub use endpoints::{Endpoints, InvalidEndpoint};
pub use error::Error;
pub use jwt::UnusableKey;
pub use releases::RunnerReleases;
