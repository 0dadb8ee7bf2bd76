//! Whom the App acts for: its installations, and a token for each while it is good.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use reqwest::{Method, Response, Url};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stoker_core::ports::{Clock, InstalledAccount, RegistrationTarget};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::InstallationId;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::credentials::KeyRing;
use crate::endpoints::Endpoints;
use crate::error::{Error, Purpose};
use crate::http::{self, Ask, Http, Repeat};
use crate::pages::{MOST_PAGES, PAGE};

/// A token is used until so long before its end, in seconds: an act that has it takes less.
const LEFT_ALONE: u64 = 300;

const LOOKING_UP: Purpose = Purpose {
    permission: None,
    not_found: "install the GitHub App there, for the repositories that are to have runners",
};

const LISTING: Purpose = Purpose {
    permission: None,
    not_found: "check GITHUB_API_URL",
};

const ASKING_FOR_A_TOKEN: Purpose = Purpose {
    permission: None,
    not_found: "the App's installation is gone: install the GitHub App there again",
};

/// An installation's token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) installation: InstallationId,
    pub(crate) secret: SecretString,
    expires_at: Timestamp,
}

type Coming = Shared<BoxFuture<'static, Result<Token, Error>>>;

enum Slot {
    Held(Token),
    /// Concurrent callers wait for the same answer, and share its failure.
    Coming(Coming),
}

#[derive(Default)]
struct Known {
    tokens: HashMap<InstallationId, Slot>,
    /// By the scope's name.
    installations: HashMap<String, InstallationId>,
}

/// The App's installations.
pub(crate) struct Installations {
    pub(crate) http: Http,
    pub(crate) endpoints: Endpoints,
    keys: KeyRing,
    pub(crate) clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Deserialize)]
struct Installation {
    id: InstallationId,
}

/// An installation, as GitHub lists them.
#[derive(Deserialize)]
struct Listed {
    id: InstallationId,
    /// None: its account is gone. One of an enterprise has no login.
    #[serde(default)]
    account: Option<Account>,
    #[serde(default)]
    suspended_at: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    login: Option<String>,
}

#[derive(Deserialize)]
struct AccessToken {
    token: SecretString,
    expires_at: String,
}

impl Installations {
    pub(crate) fn new(
        http: Http,
        endpoints: Endpoints,
        keys: KeyRing,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            http,
            endpoints,
            keys,
            clock,
            known: Mutex::default(),
        }
    }

    /// A token that may act for the target's owner. Its failure has no status: a missing installation is
    /// not to be taken for a missing job.
    pub(crate) async fn token(
        self: &Arc<Self>,
        target: &RegistrationTarget,
    ) -> Result<Token, Error> {
        self.find_token(target)
            .await
            .map_err(|cause| Error::NoToken {
                owner: target.scope.to_string(),
                cause: Box::new(cause),
            })
    }

    async fn find_token(self: &Arc<Self>, target: &RegistrationTarget) -> Result<Token, Error> {
        if let Some(installation) = target.installation {
            match self.token_of(installation).await {
                // The App was installed anew since that event.
                Err(error) if error.status() == Some(404) => {}
                answer => return answer,
            }
        }
        let name = target.scope.to_string();
        let known = self.known().installations.get(&name).copied();
        if let Some(installation) = known {
            match self.token_of(installation).await {
                Err(error) if error.status() == Some(404) => {
                    self.known().installations.remove(&name);
                }
                answer => return answer,
            }
        }
        let installation = self.look_up(&target.scope).await?;
        self.known().installations.insert(name, installation);
        self.token_of(installation).await
    }

    /// The accounts on which the App is installed, and not suspended.
    pub(crate) async fn accounts(&self) -> Result<Vec<InstalledAccount>, Error> {
        let mut accounts = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut url = self.endpoints.api(&["app", "installations"]);
            url.query_pairs_mut()
                .append_pair("per_page", &PAGE.to_string())
                .append_pair("page", &page.to_string());
            let listed: Vec<Listed> = self.as_app(Method::GET, url, LISTING).await?;
            let is_last = listed.len() < PAGE;
            let active = listed.into_iter().filter(|one| one.suspended_at.is_none());
            accounts.extend(active.filter_map(|one| {
                Some(InstalledAccount {
                    login: one.account?.login?,
                    installation: one.id,
                })
            }));
            if is_last {
                break;
            }
        }
        Ok(accounts)
    }

    /// Whether GitHub says that the App is not installed there.
    pub(crate) async fn is_missing(&self, scope: &ScopeName) -> bool {
        let found = self.look_up(scope).await;
        found.is_err_and(|error| error.status() == Some(404))
    }

    /// Forgets a token that GitHub has refused.
    pub(crate) fn refused(&self, token: &Token) {
        let mut known = self.known();
        if let Some(Slot::Held(held)) = known.tokens.get(&token.installation)
            && held.expires_at == token.expires_at
        {
            known.tokens.remove(&token.installation);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token_of(self: &Arc<Self>, installation: InstallationId) -> Result<Token, Error> {
        let coming = {
            let mut known = self.known();
            match known.tokens.get(&installation) {
                Some(Slot::Held(token)) if self.is_good(token) => return Ok(token.clone()),
                Some(Slot::Coming(coming)) => coming.clone(),
                _ => {
                    let coming = Arc::clone(self)
                        .fetch_and_keep(installation)
                        .boxed()
                        .shared();
                    known
                        .tokens
                        .insert(installation, Slot::Coming(coming.clone()));
                    coming
                }
            }
        };
        coming.await
    }

    fn is_good(&self, token: &Token) -> bool {
        token.expires_at.0 > self.clock.now().0 + LEFT_ALONE
    }

    async fn fetch_and_keep(self: Arc<Self>, installation: InstallationId) -> Result<Token, Error> {
        let fetched = self.fetch(installation).await;
        let mut known = self.known();
        match &fetched {
            Ok(token) => {
                known.tokens.insert(installation, Slot::Held(token.clone()));
            }
            Err(_) => {
                known.tokens.remove(&installation);
            }
        }
        fetched
    }

    async fn fetch(&self, installation: InstallationId) -> Result<Token, Error> {
        let id = installation.to_string();
        let url = self
            .endpoints
            .api(&["app", "installations", &id, "access_tokens"]);
        let answer: AccessToken = self.as_app(Method::POST, url, ASKING_FOR_A_TOKEN).await?;
        let expires_at =
            OffsetDateTime::parse(&answer.expires_at, &Rfc3339).map_err(|_| Error::Unreadable {
                problem: "the time at which the installation token ends is not RFC 3339".to_owned(),
            })?;
        Ok(Token {
            installation,
            secret: answer.token,
            expires_at: expires_at.into(),
        })
    }

    async fn look_up(&self, scope: &ScopeName) -> Result<InstallationId, Error> {
        let owner = scope.owner.as_str();
        let path = match &scope.repository {
            Some(repository) => vec!["repos", owner, repository, "installation"],
            None => vec!["orgs", owner, "installation"],
        };
        let url = self.endpoints.api(&path);
        let answer: Result<Installation, Error> = self.as_app(Method::GET, url, LOOKING_UP).await;
        match answer {
            // A name alone does not say whether it is a user's.
            Err(error) if error.status() == Some(404) && scope.repository.is_none() => {
                let url = self.endpoints.api(&["users", owner, "installation"]);
                let found: Installation = self.as_app(Method::GET, url, LOOKING_UP).await?;
                Ok(found.id)
            }
            answer => answer.map(|found| found.id),
        }
    }

    /// Asks as the App itself, and reads the answer.
    pub(crate) async fn as_app<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        purpose: Purpose,
    ) -> Result<T, Error> {
        http::read(self.answer_to_app(method, url, purpose).await?).await
    }

    /// Asks as the App itself. A key that GitHub refuses is read again once: it may have been rotated.
    pub(crate) async fn answer_to_app(
        &self,
        method: Method,
        url: Url,
        purpose: Purpose,
    ) -> Result<Response, Error> {
        let mut key = self.keys.key().await?;
        let mut again = true;
        loop {
            let token = key
                .sign(self.clock.now())
                .map_err(|error| Error::NoKey(error.into()))?;
            let answer = self
                .http
                .answered(&Ask {
                    method: method.clone(),
                    url: url.clone(),
                    body: None,
                    bearer: None,
                    token: Some(&token),
                    purpose,
                    // A second access token does no harm.
                    repeat: Repeat::Harmless,
                    unless: None,
                })
                .await;
            match answer {
                Err(error) if error.status() == Some(401) && again => {
                    again = false;
                    key = self.keys.after(&key).await?;
                }
                answer => return answer,
            }
        }
    }
}
