//! What the listener knows, and for how long that is good: the webhook's secrets are read from SSM again every
//! few minutes, and when a signature does not verify, so that a rotated one holds without a deployment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use stoker_aws::{ParameterError, Parameters};
use stoker_intake::{Settings, SettingsError};
use stoker_lambda::reader::Reader;
use tokio::time::Instant;

/// For how long secrets are good.
const GOOD_FOR: Duration = Duration::from_mins(5);

/// How soon they are read again after that, be it that it failed or that a signature does not verify: anybody
/// may send one.
const NOT_BEFORE: Duration = Duration::from_secs(10);

/// How long they are waited for: GitHub waits for an answer, and SQS is still to be asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// The setting that `stoker-intake` reads the current secret from, and the one before it.
const SECRET: &str = "GITHUB_WEBHOOK_SECRET";
const PREVIOUS: &str = "GITHUB_WEBHOOK_SECRET_PREVIOUS";

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) queue_url: String,
    secret: String,
    previous: Option<String>,
}

impl Names {
    /// Reads them from the environment.
    pub(crate) fn read(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, stoker_lambda::reader::SettingsError> {
        let mut reader = Reader::new(lookup);
        let queue_url = reader.required("INTAKE_QUEUE_URL", "the URL of the queue of events");
        let secret = reader.required(
            "GITHUB_WEBHOOK_SECRET_PARAMETER",
            "the name of the SSM parameter (SecureString) with the webhook's secret",
        );
        let previous = reader.optional("GITHUB_WEBHOOK_SECRET_PREVIOUS_PARAMETER");
        let names = queue_url.zip(secret).map(|(queue_url, secret)| Self {
            queue_url,
            secret,
            previous,
        });
        reader.finish(names)
    }
}

/// Who reads secrets.
#[async_trait]
pub(crate) trait SecretStore: Send + Sync {
    /// Reads one.
    async fn secret(&self, name: &str) -> Result<SecretString, ParameterError>;
}

#[async_trait]
impl SecretStore for Parameters {
    async fn secret(&self, name: &str) -> Result<SecretString, ParameterError> {
        Parameters::secret(self, name).await
    }
}

/// Why there is no configuration.
#[derive(Debug, Clone)]
pub(crate) enum Missing {
    /// A setting is missing or wrong.
    Settings(SettingsError),
    /// A secret can't be read, and people have to do something about it.
    Secret(ParameterError),
    /// It could not be read now.
    NoAnswer(String),
}

/// A setting of the environment, by its name.
pub(crate) type Lookup = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What was read last, and when it was tried to.
#[derive(Default)]
struct Known {
    settings: Option<(Instant, Arc<Settings>)>,
    tried: Option<Instant>,
}

/// See the module.
pub(crate) struct Configuration {
    names: Names,
    store: Arc<dyn SecretStore>,
    lookup: Lookup,
    known: Mutex<Known>,
}

impl Configuration {
    pub(crate) fn new(names: Names, store: Arc<dyn SecretStore>, lookup: Lookup) -> Self {
        Self {
            names,
            store,
            lookup,
            known: Mutex::default(),
        }
    }

    /// The settings. Where SSM does not answer, those of before hold on, and it is asked again in some seconds.
    pub(crate) async fn settings(&self) -> Result<Arc<Settings>, Missing> {
        let (known, may_try) = {
            let known = self.known();
            let may_try = known.tried.is_none_or(|at| at.elapsed() >= NOT_BEFORE);
            (known.settings.clone(), may_try)
        };
        let Some((at, settings)) = known else {
            return self.read().await;
        };
        if at.elapsed() < GOOD_FOR || !may_try {
            return Ok(settings);
        }
        match self.read().await {
            Err(Missing::NoAnswer(problem)) => {
                tracing::warn!(
                    problem,
                    "the webhook's secret could not be read again: the one of before holds"
                );
                Ok(settings)
            }
            read => read,
        }
    }

    /// The settings anew, if they were not read a moment ago, and can be.
    pub(crate) async fn newer(&self) -> Option<Arc<Settings>> {
        let tried = self.known().tried;
        if tried.is_some_and(|at| at.elapsed() < NOT_BEFORE) {
            return None;
        }
        match self.read().await {
            Ok(settings) => Some(settings),
            Err(missing) => {
                tracing::warn!(?missing, "the webhook's secret could not be read again");
                None
            }
        }
    }

    async fn read(&self) -> Result<Arc<Settings>, Missing> {
        self.known().tried = Some(Instant::now());
        let secrets = tokio::time::timeout(PATIENCE, self.secrets());
        let secrets = secrets.await.unwrap_or_else(|_elapsed| {
            let waited = PATIENCE.as_secs();
            Err(Missing::NoAnswer(format!(
                "SSM did not answer within {waited} s"
            )))
        });
        let (current, previous) = secrets?;
        let settings = Settings::from_lookup(|name| match name {
            SECRET => Some(current.expose_secret().to_owned()),
            PREVIOUS => previous
                .as_ref()
                .map(|secret| secret.expose_secret().to_owned()),
            _ => (self.lookup)(name),
        });
        let settings = Arc::new(settings.map_err(Missing::Settings)?);
        self.known().settings = Some((Instant::now(), Arc::clone(&settings)));
        Ok(settings)
    }

    async fn secrets(&self) -> Result<(SecretString, Option<SecretString>), Missing> {
        let current = self.store.secret(&self.names.secret).await;
        let current = current.map_err(unread)?;
        let Some(name) = &self.names.previous else {
            return Ok((current, None));
        };
        match self.store.secret(name).await {
            Ok(previous) => Ok((current, Some(previous))),
            // It is over, or there was none yet.
            Err(ParameterError::Missing(_) | ParameterError::Placeholder(_)) => Ok((current, None)),
            Err(error) => Err(unread(error)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unread(error: ParameterError) -> Missing {
    match error {
        ParameterError::Unavailable { .. } => Missing::NoAnswer(error.to_string()),
        error => Missing::Secret(error),
    }
}
