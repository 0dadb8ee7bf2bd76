//! What acts: small, with no rules of its own. Its entries: [`Control::fold`] for an event of a job and
//! [`Control::fold_instance`] for one of an instance, [`Control::act`] for a scope, [`Control::tick`]
//! for all that is due, [`Control::scale_down`] for runners that are to go, and [`Control::rebuild`] for a ledger that was lost.

mod act;
mod book;
mod check;
mod configure;
mod decision;
mod fold;
mod launching;
mod overlooked;
mod reasons;
mod rebuild;
mod registering;
mod retire;
mod sharing;
mod tick;
mod verify;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoker_intake::{AllowList, RepositoryId};
use thiserror::Error;

pub use act::Acted;
pub use fold::{Folded, Heard};
pub use overlooked::Polling;
pub use rebuild::{Origin, Rebuilt, RebuiltScope};
pub use retire::ScaledDown;
pub use tick::Ticked;

use crate::happening::Happening;
use crate::ids::ScopeKey;
use crate::limits::Operation;
use crate::ports::{
    ActQueue, ActQueueError, Clock, Configurations, Decider, Fleet, FleetError, GitHub, Ledger,
    LedgerError, Reporter, Timer,
};
use crate::time::Timestamp;

/// Everything that folding and acting need of the outside.
#[derive(Clone)]
pub struct Ports {
    /// The state.
    pub ledger: Arc<dyn Ledger>,
    /// Instances.
    pub fleet: Arc<dyn Fleet>,
    /// Jobs and registrations.
    pub github: Arc<dyn GitHub>,
    /// What instances read.
    pub configurations: Arc<dyn Configurations>,
    /// Requests to act.
    pub acts: Arc<dyn ActQueue>,
    /// Who decides.
    pub decider: Arc<dyn Decider>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who waits until a registration may be made.
    pub timer: Arc<dyn Timer>,
    /// Who is told.
    pub reporter: Arc<dyn Reporter>,
}

/// Why an event or an act is to be tried again.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The ledger did not do it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The act could not be asked for.
    #[error(transparent)]
    ActQueue(#[from] ActQueueError),
    /// EC2 did not say which instances there are.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

/// The control plane of one deployment.
#[derive(Clone)]
pub struct Control {
    operation: Arc<Operation>,
    ports: Ports,
    actor: u64,
    turns: Arc<AtomicU64>,
    /// The repositories whose names this process has noted.
    named: Arc<Mutex<HashMap<String, RepositoryId>>>,
    /// When this process has noted last that a scope is due: to note that again would be a write for nothing.
    noted: Arc<Mutex<HashMap<ScopeKey, Timestamp>>>,
    /// What EC2 has shown to this process.
    shown: Arc<Mutex<overlooked::Shown>>,
    /// Whose jobs are taken up by a rebuild: the edge's list, which no webhook passes that is not on it.
    allow_list: Arc<AllowList>,
}

/// How often a write that met another writer is tried again before the message goes back to its
/// queue: writers of one item are few, so more would only hide a fault.
const CONFLICTS_BORNE: usize = 5;

impl Control {
    /// A control plane that runs as `operation` says.
    pub fn new(operation: Operation, ports: Ports) -> Self {
        Self {
            operation: Arc::new(operation),
            ports,
            actor: 0,
            turns: Arc::default(),
            named: Arc::default(),
            noted: Arc::default(),
            shown: Arc::default(),
            allow_list: Arc::new(AllowList::all()),
        }
    }

    /// Takes up only jobs of these repositories when a lost ledger is rebuilt: the list that the edge has.
    #[must_use]
    pub fn admitting(self, allow_list: AllowList) -> Self {
        Self {
            allow_list: Arc::new(allow_list),
            ..self
        }
    }

    /// Tells this process's decisions from those of every other: a number drawn at its start.
    #[must_use]
    pub fn acting_as(self, actor: u64) -> Self {
        Self { actor, ..self }
    }

    fn next_turn(&self) -> (u64, u64) {
        (self.actor, self.turns.fetch_add(1, Ordering::Relaxed))
    }

    fn shown(&self) -> MutexGuard<'_, overlooked::Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    fn report(&self, happening: &Happening) {
        self.ports.reporter.report(self.now(), happening);
    }
}
