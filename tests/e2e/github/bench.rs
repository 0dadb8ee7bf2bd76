//! The adapter and the stand-in that it talks with. What they said is held against GitHub's description
//! when the bench is dropped, so that every test here is one of that too.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stoker_core::boot::Registration;
use stoker_core::limits::RunnerMode;
use stoker_core::ports::{
    Clock, GitHub as _, GitHubError, JobLookup, RegistrationTarget, RunnerSpec,
};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_github::{App, AppCredentials, Credentials, CredentialsError, Endpoints};
use stoker_intake::{InstallationId, JobId};
use stoker_tests::github::{AppKey, Call, GitHub, Repository, State};

use crate::openapi;

const APP: &str = "12345";
pub(super) const INSTALLATION: u64 = 77;

/// The machine's clock, set forward by a test.
#[derive(Default)]
pub(super) struct Ahead(pub(super) AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(now.as_secs() + self.0.load(Ordering::SeqCst))
    }
}

/// Credentials that a test replaces, and that count how often they are read.
pub(super) struct Kept {
    pub(super) pem: Mutex<Result<String, &'static str>>,
    pub(super) reads: AtomicUsize,
}

#[async_trait]
impl Credentials for Kept {
    async fn read(&self) -> Result<AppCredentials, CredentialsError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match &*self.pem.lock().unwrap() {
            Ok(pem) => Ok(AppCredentials {
                app: APP.to_owned(),
                private_key: pem.clone().into(),
            }),
            Err(problem) => Err(CredentialsError((*problem).to_owned())),
        }
    }
}

pub(super) struct Bench {
    pub(super) github: GitHub,
    pub(super) kept: Arc<Kept>,
    pub(super) clock: Arc<Ahead>,
    pub(super) app: App,
    pub(super) key: AppKey,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let key = AppKey::generate().unwrap();
        let github = GitHub::start(APP, &key).await.unwrap();
        github.state().install(INSTALLATION, "acme", true);
        github.state().group("acme", 3, "stoker");
        let kept = Arc::new(Kept {
            pem: Mutex::new(Ok(key.pem().unwrap())),
            reads: AtomicUsize::new(0),
        });
        let clock = Arc::new(Ahead::default());
        let app = App::new(
            Endpoints::new(&github.url(), Some("https://github.example")).unwrap(),
            Arc::clone(&kept) as Arc<dyn Credentials>,
            Arc::clone(&clock) as Arc<dyn Clock>,
        )
        .unwrap();
        Self {
            github,
            kept,
            clock,
            app,
            key,
        }
    }

    pub(super) fn calls(&self, call: Call) -> usize {
        self.github.state().calls(call)
    }

    pub(super) fn store(&self, pem: Result<String, &'static str>) {
        *self.kept.pem.lock().unwrap() = pem;
    }

    pub(super) async fn persistent(&self) -> Result<Registration, GitHubError> {
        let runner = runner("stoker-t-i-1", RunnerMode::Persistent);
        self.app.register(&organization(true), &runner).await
    }

    pub(super) async fn job(&self, id: u64) -> Result<JobLookup, GitHubError> {
        self.app
            .job(&organization(true), "acme", "site", JobId::new(id))
            .await
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that has failed already says why itself.
        if !std::thread::panicking() {
            openapi::hold(&self.github);
        }
    }
}

pub(super) fn organization(known: bool) -> RegistrationTarget {
    RegistrationTarget {
        scope: ScopeName {
            owner: "acme".to_owned(),
            repository: None,
        },
        installation: known.then_some(InstallationId::new(INSTALLATION)),
    }
}

pub(super) fn repository() -> RegistrationTarget {
    let organization = organization(false);
    RegistrationTarget {
        scope: ScopeName {
            repository: Some("site".to_owned()),
            ..organization.scope
        },
        ..organization
    }
}

pub(super) fn runner(name: &str, mode: RunnerMode) -> RunnerSpec {
    RunnerSpec {
        name: name.to_owned(),
        labels: vec!["self-hosted".to_owned(), "linux".to_owned()],
        runner_group: Some("stoker".to_owned()),
        mode,
    }
}

/// A repository of `acme`, pushed to the later the higher its id.
pub(super) fn preset(state: &State, id: u64, name: &str) -> Repository {
    let repository = Repository {
        id,
        owner: "acme".to_owned(),
        owner_id: 9,
        name: name.to_owned(),
        public: false,
        archived: false,
        pushed_at: format!("2026-01-01T00:{:02}:{:02}Z", id / 60, id % 60),
    };
    state.repository(repository.clone());
    repository
}
