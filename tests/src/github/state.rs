//! What the stand-in knows: preset by a test, changed by what it is asked, and read back.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Method;
use jsonwebtoken::DecodingKey;
use tokio::sync::watch;

use super::app::Setup;
use super::call::Call;
use super::deliveries::Delivered;
use super::exchange::{Answer, Exchange};
use super::fault::Fault;
use super::key::AppKey;
use super::level::Level;
use super::patience::Patience;
use super::releases::Published;
use super::runs::Listed;

/// Where the App is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The login.
    pub login: String,
    /// Whether it is an organisation; else a user.
    pub organization: bool,
}

/// A job, as a test presets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// `queued`, `in_progress`, `completed`, `waiting`, `requested` or `pending`.
    pub status: String,
    /// What it asks of a runner.
    pub labels: Vec<String>,
}

/// A runner that was given a just-in-time configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// GitHub's id of it.
    pub id: u64,
    /// Where.
    pub level: Level,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its group.
    pub group: u64,
    /// What the runner was to be started with.
    pub encoded_jit_config: String,
    /// Whether it is connected.
    pub online: bool,
    /// Whether it runs a job.
    pub busy: bool,
}

/// What one installation token is good for.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) login: String,
    pub(super) expires_at: i64,
}

#[derive(Default)]
struct Inner {
    installations: BTreeMap<u64, Account>,
    denied: BTreeSet<&'static str>,
    token_life: i64,
    tokens: HashMap<String, Grant>,
    registration_tokens: Vec<(Level, String)>,
    /// Runner groups besides the default one: of which organisation, number and name.
    groups: Vec<(String, u64, String)>,
    runners: Vec<Registered>,
    jobs: HashMap<(String, u64), Job>,
    calls: BTreeMap<Call, usize>,
    exchanges: Vec<Exchange>,
    faults: HashMap<Call, VecDeque<Fault>>,
    patience: Patience,
    unchanged: usize,
    deliveries: Vec<Delivered>,
    /// The attempts of which GitHub was asked to make another.
    delivered_again: Vec<u64>,
    made: u64,
}

/// What the stand-in knows.
pub struct State {
    app: String,
    key: Mutex<DecodingKey>,
    inner: Mutex<Inner>,
    /// What is listed besides: see [`super::runs`].
    pub(super) listed: Mutex<Listed>,
    /// How the App and its surroundings are set up: see [`super::app`].
    pub(super) setup: Mutex<Setup>,
    /// The runner's releases: see [`super::releases`].
    pub(super) published: Mutex<Published>,
    changed: watch::Sender<()>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// How long an installation token is good for, in seconds.
const TOKEN_LIFE: i64 = 3_600;

impl State {
    pub(super) fn new(app: &str, key: &AppKey) -> Self {
        Self {
            app: app.to_owned(),
            key: Mutex::new(DecodingKey::from_rsa_der(key.public())),
            inner: Mutex::new(Inner {
                token_life: TOKEN_LIFE,
                ..Inner::default()
            }),
            listed: Mutex::default(),
            setup: Mutex::default(),
            published: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    pub(super) fn key(&self) -> DecodingKey {
        self.key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Gives the App another key: what was signed with the old one is refused.
    pub fn rotate_key(&self, key: &AppKey) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) =
            DecodingKey::from_rsa_der(key.public());
    }

    /// Installs the App for an account.
    pub fn install(&self, id: u64, login: &str, organization: bool) {
        self.inner().installations.insert(
            id,
            Account {
                login: login.to_lowercase(),
                organization,
            },
        );
    }

    /// Takes an installation away, and all its tokens.
    pub fn uninstall(&self, id: u64) {
        let mut inner = self.inner();
        if let Some(account) = inner.installations.remove(&id) {
            inner.tokens.retain(|_, grant| grant.login != account.login);
        }
    }

    /// Takes a permission away from the App, such as `actions`.
    pub fn deny(&self, permission: &'static str) {
        self.inner().denied.insert(permission);
    }

    /// Lets installation tokens live for so many seconds from now on.
    pub fn token_life(&self, seconds: i64) {
        self.inner().token_life = seconds;
    }

    /// Forgets every installation token: who uses one is told 401.
    pub fn revoke_tokens(&self) {
        self.inner().tokens.clear();
    }

    /// Makes a runner group of an organisation.
    pub fn group(&self, login: &str, id: u64, name: &str) {
        let group = (login.to_lowercase(), id, name.to_owned());
        self.inner().groups.push(group);
    }

    /// Takes a runner group away.
    pub fn remove_group(&self, id: u64) {
        self.inner().groups.retain(|(_, group, _)| *group != id);
    }

    /// The numbers and names of an organisation's runner groups, the default one first.
    pub(super) fn groups(&self, login: &str) -> Vec<(u64, String)> {
        let inner = self.inner();
        let own = inner.groups.iter();
        let own = own.filter(|(owner, ..)| owner.eq_ignore_ascii_case(login));
        let own = own.map(|(_, id, name)| (*id, name.clone()));
        std::iter::once((1, "Default".to_owned()))
            .chain(own)
            .collect()
    }

    /// Presets a job of `owner/repository`.
    pub fn job(&self, repository: &str, id: u64, status: &str, labels: &[&str]) {
        self.inner().jobs.insert(
            (repository.to_lowercase(), id),
            Job {
                status: status.to_owned(),
                labels: labels.iter().map(|&label| label.to_owned()).collect(),
            },
        );
    }

    /// Lets the next request of a kind meet a fault; several are met in the order in which they were
    /// given.
    pub fn fail_next(&self, call: Call, fault: Fault) {
        self.inner()
            .faults
            .entry(call)
            .or_default()
            .push_back(fault);
    }

    /// Takes back all faults that were not met yet.
    pub fn mend(&self) {
        self.inner().faults.clear();
    }

    /// How often a kind of request was made.
    pub fn calls(&self, call: Call) -> usize {
        self.inner().calls.get(&call).copied().unwrap_or(0)
    }

    /// Waits until a kind of request was made so often.
    pub async fn called(&self, call: Call, times: usize) {
        let mut changed = self.changed.subscribe();
        while self.calls(call) < times {
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    /// The runners that were given a just-in-time configuration.
    pub fn runners(&self) -> Vec<Registered> {
        self.inner().runners.clone()
    }

    /// The registration tokens that were given out, and for where.
    pub fn registration_tokens(&self) -> Vec<(Level, String)> {
        self.inner().registration_tokens.clone()
    }

    /// All that was said so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.inner().exchanges.clone()
    }

    /// Notes a request: its number.
    pub(super) fn asked(&self, exchange: Exchange) -> usize {
        let mut inner = self.inner();
        inner.exchanges.push(exchange);
        inner.exchanges.len() - 1
    }

    pub(super) fn answered(&self, number: usize, answer: Answer) {
        if let Some(exchange) = self.inner().exchanges.get_mut(number) {
            exchange.answer = Some(answer);
        }
    }

    pub(super) fn count(&self, call: Call) -> usize {
        let total = {
            let mut inner = self.inner();
            *inner.calls.entry(call).or_default() += 1;
            inner.calls.values().sum()
        };
        self.changed.send_replace(());
        total
    }

    pub(super) fn next_fault(&self, call: Call) -> Option<Fault> {
        self.inner().faults.get_mut(&call)?.pop_front()
    }

    pub(super) fn installation(&self, id: u64) -> Option<Account> {
        self.inner().installations.get(&id).cloned()
    }

    pub(super) fn installation_of(&self, login: &str) -> Option<(u64, Account)> {
        self.inner()
            .installations
            .iter()
            .find(|(_, account)| account.login.eq_ignore_ascii_case(login))
            .map(|(id, account)| (*id, account.clone()))
    }

    pub(super) fn denies(&self, permission: &str) -> bool {
        self.inner().denied.contains(permission)
    }

    /// A new installation token.
    pub(super) fn grant(&self, login: &str, now: i64) -> (String, i64) {
        let mut inner = self.inner();
        inner.made += 1;
        let token = format!("ghs_standin{:025}", inner.made);
        let expires_at = now + inner.token_life;
        inner.tokens.insert(
            token.clone(),
            Grant {
                login: login.to_owned(),
                expires_at,
            },
        );
        (token, expires_at)
    }

    pub(super) fn granted(&self, token: &str) -> Option<Grant> {
        self.inner().tokens.get(token).cloned()
    }

    /// A new registration token.
    pub(super) fn registration_token(&self, level: Level) -> String {
        let mut inner = self.inner();
        inner.made += 1;
        let token = format!("AREGISTRATIONTOKEN{:011}", inner.made);
        inner.registration_tokens.push((level, token.clone()));
        token
    }

    /// Registers a runner; none if its level has one of that name.
    pub(super) fn register(
        &self,
        level: Level,
        name: String,
        labels: Vec<String>,
        group: u64,
        encode: impl FnOnce(u64) -> String,
    ) -> Option<Registered> {
        let mut inner = self.inner();
        let taken = inner
            .runners
            .iter()
            .any(|runner| runner.level == level && runner.name == name);
        if taken {
            return None;
        }
        inner.made += 1;
        let id = inner.made;
        let runner = Registered {
            id,
            level,
            name,
            labels,
            group,
            encoded_jit_config: encode(id),
            online: false,
            busy: false,
        };
        inner.runners.push(runner.clone());
        Some(runner)
    }

    /// A webhook was sent, and so answered; the id of that attempt.
    pub fn deliver(&self, guid: &str, event: &str, action: &str, status: u16, at: i64) -> u64 {
        let mut inner = self.inner();
        inner.made += 1;
        let id = inner.made;
        inner.deliveries.push(Delivered {
            id,
            guid: guid.to_owned(),
            at,
            status,
            event: event.to_owned(),
            action: action.to_owned(),
        });
        id
    }

    /// The attempts of which another one was asked for, in their order.
    pub fn delivered_again(&self) -> Vec<u64> {
        self.inner().delivered_again.clone()
    }

    pub(super) fn delivered(&self) -> Vec<Delivered> {
        self.inner().deliveries.clone()
    }

    /// Whether there is such an attempt.
    pub(super) fn deliver_again(&self, id: u64) -> bool {
        let mut inner = self.inner();
        let is_known = inner.deliveries.iter().any(|one| one.id == id);
        if is_known {
            inner.delivered_again.push(id);
        }
        is_known
    }

    /// Registers a runner as if it had been there for long; its id.
    pub fn runner(&self, level: Level, name: &str, online: bool, busy: bool) -> u64 {
        let mut inner = self.inner();
        inner.made += 1;
        let id = inner.made;
        inner.runners.push(Registered {
            id,
            level,
            name: name.to_owned(),
            labels: vec!["self-hosted".to_owned()],
            group: 1,
            encoded_jit_config: String::new(),
            online,
            busy,
        });
        id
    }

    /// From now on each answer takes that long, and so many points may be spent in a minute; none: any number.
    pub fn patience(&self, answers_in: Duration, points_a_minute: Option<u32>) {
        self.inner().patience = Patience::new(answers_in, points_a_minute);
    }

    /// How long an answer takes, and in how many seconds to ask again if it is refused for its rate.
    pub(super) fn spend(&self, method: &Method) -> (Duration, Option<u64>) {
        self.inner().patience.spend(method, Instant::now())
    }

    pub(super) fn told_unchanged(&self) {
        self.inner().unchanged += 1;
    }

    /// How often it was told that what is known still holds.
    pub fn unchanged(&self) -> usize {
        self.inner().unchanged
    }

    /// How many points were spent in the minute that had most.
    pub fn most_points_in_a_minute(&self) -> u32 {
        self.inner().patience.most()
    }

    /// A runner connects, or takes a job, as its instance does.
    pub fn connect(&self, name: &str, busy: bool) {
        for runner in &mut self.inner().runners {
            if runner.name == name {
                (runner.online, runner.busy) = (true, busy);
            }
        }
    }

    /// The runners that are registered there.
    pub(super) fn registered(&self, level: &Level) -> Vec<Registered> {
        let inner = self.inner();
        let all = inner.runners.iter();
        all.filter(|runner| runner.level == *level)
            .cloned()
            .collect()
    }

    /// Removes a runner: none, if there is no such one; false, if it runs a job.
    pub(super) fn remove(&self, level: &Level, id: u64) -> Option<bool> {
        let mut inner = self.inner();
        let place = inner
            .runners
            .iter()
            .position(|runner| runner.level == *level && runner.id == id)?;
        if inner.runners[place].busy {
            return Some(false);
        }
        inner.runners.remove(place);
        Some(true)
    }

    /// The jobs of a repository, by their ids.
    pub(super) fn jobs_of(&self, repository: &str) -> BTreeMap<u64, Job> {
        let inner = self.inner();
        let all = inner.jobs.iter();
        all.filter(|((full, _), _)| full.eq_ignore_ascii_case(repository))
            .map(|((_, id), job)| (*id, job.clone()))
            .collect()
    }

    /// Everywhere that the App is installed.
    pub(super) fn installations(&self) -> BTreeMap<u64, Account> {
        self.inner().installations.clone()
    }

    pub(super) fn find_job(&self, repository: &str, id: u64) -> Option<Job> {
        self.inner()
            .jobs
            .get(&(repository.to_lowercase(), id))
            .cloned()
    }
}
