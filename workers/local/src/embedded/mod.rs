//! A whole control plane in one process, but for the listening: what the Lambdas do when SQS, EventBridge
//! and EC2 call them, done by a few tasks.
//!
//! Whoever listens hands over what intake admitted by [`Embedded::enqueue`]. Everything that happens
//! goes to the reporter.

mod tasks;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stoker_core::control::{Control, Ports};
use stoker_core::ids::ScopeKey;
use stoker_core::job::TOMBSTONE_KEPT;
use stoker_core::journal::Recorder;
use stoker_core::limits::Operation;
use stoker_core::ports::{
    ActQueue as _, ActRequest, Clock, Decider, Ledger as _, LedgerError, Reporter, ScopeState,
};
use stoker_core::situation::Trigger;
use stoker_core::time::Timestamp;
use stoker_intake::Enqueue;
use thiserror::Error;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::clock::SystemClock;
use crate::configurations::MemoryConfigurations;
use crate::database::{Database, DatabaseError};
use crate::fleet::{SimulatedFleet, SimulatedFleetSettings};
use crate::github::{SimulatedGitHub, UnknownJobs};
use crate::journal::FolderJournal;
use crate::ledger::SqliteLedger;
use crate::queue::{ActsInProcess, IntakeQueue, QueueError, QueueSettings};

/// The ledger's file in the data folder.
pub const LEDGER_FILE: &str = "ledger.sqlite";

/// How an embedded control plane runs.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// The folder of the ledger, made if there is none; none: all is forgotten at the end.
    pub data: Option<PathBuf>,
    /// What the operator allows.
    pub operation: Operation,
    /// How simulated instances behave.
    pub fleet: SimulatedFleetSettings,
    /// What simulated GitHub says of jobs that were not announced to it.
    pub unknown_jobs: UnknownJobs,
    /// How the queues treat what fails.
    pub queues: QueueSettings,
    /// When to act again where an act could not do all that was decided.
    pub act_again: Duration,
    /// How often runners that nobody needs are looked for.
    pub scale_down_every: Duration,
}

/// The control plane could not be started.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// No data folder.
    #[error("the data folder {path} can't be made: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No ledger.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The queue can't be read.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What the tasks share.
#[derive(Clone)]
struct Parts {
    control: Control,
    ledger: SqliteLedger,
    intake: Arc<IntakeQueue>,
    acts: Arc<ActsInProcess>,
    clock: Arc<dyn Clock>,
    reporter: Arc<dyn Reporter>,
    act_again: Duration,
    scale_down_every: Duration,
    recorder: Arc<Recorder>,
    /// None: nothing is kept.
    journal: Option<FolderJournal>,
}

/// A control plane that runs until it is [stopped](Self::stop) or dropped.
pub struct Embedded {
    parts: Parts,
    fleet: SimulatedFleet,
    github: Arc<SimulatedGitHub>,
    stop: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

impl Embedded {
    /// Starts one, and takes up what an earlier one on the same data folder left.
    pub async fn start(
        settings: EmbeddedSettings,
        decider: Arc<dyn Decider>,
        reporter: Arc<dyn Reporter>,
    ) -> Result<Self, EmbeddedError> {
        let database = open(settings.data.as_deref())?;
        let ledger = SqliteLedger::new(database.clone());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let oldest = Timestamp(clock.now().0.saturating_sub(TOMBSTONE_KEPT));
        ledger.forget_ended_before(oldest).await?;
        let intake = Arc::new(IntakeQueue::open(database, settings.queues).await?);
        let acts = Arc::new(ActsInProcess::new(settings.queues));
        let configurations = Arc::new(MemoryConfigurations::default());
        let (fleet, events) = SimulatedFleet::new(settings.fleet, Arc::clone(&configurations));
        let github = Arc::new(SimulatedGitHub::new(settings.unknown_jobs));
        let journal = settings
            .data
            .as_deref()
            .map(|data| FolderJournal::new(data.join(JOURNAL_FOLDER)));
        let recorder = Arc::new(Recorder::new(reporter));
        if journal.is_some() {
            let _nothing = recorder.next(|| tasks::record_name(&*clock));
        }
        let reporter: Arc<dyn Reporter> = Arc::new(tasks::Consequences {
            fleet: fleet.clone(),
            github: Arc::clone(&github),
            told: Arc::<Recorder>::clone(&recorder),
        });
        let control = Control::new(
            settings.operation,
            Ports {
                ledger: Arc::new(ledger.clone()),
                fleet: Arc::new(fleet.clone()),
                github: Arc::<SimulatedGitHub>::clone(&github),
                configurations,
                acts: Arc::<ActsInProcess>::clone(&acts),
                decider,
                clock: Arc::clone(&clock),
                timer: Arc::new(SystemClock),
                reporter: Arc::clone(&reporter),
            },
        );
        let (stop, stopped) = watch::channel(false);
        let embedded = Self {
            parts: Parts {
                control,
                ledger,
                intake,
                acts,
                clock,
                reporter,
                act_again: settings.act_again,
                scale_down_every: settings.scale_down_every,
                recorder,
                journal,
            },
            fleet,
            github,
            stop,
            tasks: Mutex::default(),
        };
        embedded.take_up().await?;
        let mut running = embedded.tasks.lock().await;
        tasks::spawn(&mut running, &embedded.parts, events, &stopped);
        drop(running);
        Ok(embedded)
    }

    /// Takes over the instances that the ledger knows, and acts on whatever is alive.
    async fn take_up(&self) -> Result<(), EmbeddedError> {
        for scope in self.parts.ledger.live_scopes().await? {
            for runner in self.parts.ledger.scope(scope).await?.runners {
                self.fleet.adopt(&runner);
                let scope = runner.scope_name.as_ref();
                self.github.follow(scope, &runner.name, &runner.phase);
            }
            let request = ActRequest {
                scope,
                folded: "start".to_owned(),
                trigger: Trigger::Tick,
            };
            // A queue in this process takes everything.
            let _ = self.parts.acts.ask(&request).await;
        }
        Ok(())
    }

    /// Takes what intake admitted. GitHub is answered after this. `accepted` is called when that is
    /// certain, before anything can follow from it.
    pub async fn enqueue(
        &self,
        admitted: &Enqueue,
        accepted: impl FnOnce(),
    ) -> Result<(), QueueError> {
        let delay = Duration::from_secs(admitted.delay_seconds().into());
        let message = admitted.message();
        self.parts
            .intake
            .send_telling(message, delay, accepted)
            .await?;
        Ok(())
    }

    /// What the ledger holds of a scope.
    pub async fn scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError> {
        self.parts.ledger.scope(scope).await
    }

    /// The intake queue.
    pub fn intake(&self) -> &IntakeQueue {
        &self.parts.intake
    }

    /// The simulated instances.
    pub fn fleet(&self) -> &SimulatedFleet {
        &self.fleet
    }

    /// Simulated GitHub.
    pub fn github(&self) -> &SimulatedGitHub {
        &self.github
    }

    /// Whether every message is folded and every request acted on.
    pub fn is_quiet(&self) -> bool {
        self.parts.intake.is_empty() && self.parts.acts.is_empty()
    }

    /// Stops: what has been begun is finished, what waits stays in the ledger for the next start.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        let mut running = self.tasks.lock().await;
        while running.join_next().await.is_some() {}
        self.parts.write_down(self.parts.recorder.end()).await;
    }

    /// The ledger.
    pub fn ledger(&self) -> &SqliteLedger {
        &self.parts.ledger
    }

    /// The journal; none: nothing is kept.
    pub fn journal(&self) -> Option<&FolderJournal> {
        self.parts.journal.as_ref()
    }
}

/// The journal's folder in the data folder.
pub const JOURNAL_FOLDER: &str = "journal";

fn open(data: Option<&Path>) -> Result<Database, EmbeddedError> {
    let Some(folder) = data else {
        return Ok(Database::in_memory()?);
    };
    std::fs::create_dir_all(folder).map_err(|source| EmbeddedError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    Ok(Database::open(&folder.join(LEDGER_FILE))?)
}
