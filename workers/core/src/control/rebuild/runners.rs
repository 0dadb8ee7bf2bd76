//! Instances become runners again.

use std::collections::{BTreeSet, HashMap};

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use crate::control::{Control, ControlError};
use crate::ports::{LedgerError, OwnInstance, RegisteredRunner};
use crate::runner::{Runner, RunnerPhase};

/// How many are written at once.
const WRITTEN_AT_ONCE: usize = 20;

/// What became of a scope's instances.
#[derive(Default)]
pub(super) struct Written {
    pub(super) new: usize,
    pub(super) known: usize,
    pub(super) problems: Vec<String>,
}

impl Control {
    /// Writes the runners that the ledger does not know.
    pub(super) async fn write_runners(
        &self,
        instances: &[OwnInstance],
        registered: &[RegisteredRunner],
    ) -> Result<Written, ControlError> {
        let registered: HashMap<&str, &RegisteredRunner> = registered
            .iter()
            .map(|runner| (runner.name.as_str(), runner))
            .collect();
        let mut written = Written::default();
        let mut unpriced = BTreeSet::new();
        let mut writing = Vec::new();
        for instance in instances {
            let name = self.operation.names.name(&instance.id);
            let registered = registered.get(name.as_str()).copied();
            let class = self.operation.classes.named(&instance.class);
            let price = class.and_then(|class| class.price(instance.capacity));
            if price.is_none() {
                unpriced.insert((&instance.class, instance.capacity));
            }
            let runner = self.found(instance, name, registered, price.unwrap_or(0.0));
            writing.push(self.add(runner).boxed());
        }
        let mut writing = stream::iter(writing).buffer_unordered(WRITTEN_AT_ONCE);
        while let Some(is_new) = writing.next().await {
            if is_new? {
                written.new += 1;
            } else {
                written.known += 1;
            }
        }
        for (class, capacity) in unpriced {
            written.problems.push(format!(
                "there are instances of class {class} ({}), which RUNNER_CLASSES has no price for: they \
                 count as runners, and not in what is spent",
                capacity.as_str()
            ));
        }
        Ok(written)
    }

    /// Whether the ledger did not know it.
    async fn add(&self, runner: Runner) -> Result<bool, ControlError> {
        match self.ports.ledger.put_runner(&runner).await {
            Ok(()) => Ok(true),
            Err(LedgerError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The runner on an instance, as far as EC2 and GitHub tell. Only what GitHub says to wait is idle; one
    /// that has a job is given it by what is told of that job, and one of which nobody knows is no supply.
    fn found(
        &self,
        instance: &OwnInstance,
        name: String,
        registered: Option<&RegisteredRunner>,
        price: f64,
    ) -> Runner {
        let now = self.now();
        let is_up = registered.is_some_and(|runner| runner.online || runner.busy);
        let is_idle = registered.is_some_and(|runner| runner.online && !runner.busy);
        let (phase, phase_since) = if is_idle {
            (RunnerPhase::Idle, now)
        } else {
            (RunnerPhase::Booting, instance.launched_at)
        };
        Runner {
            instance: instance.id.clone(),
            name,
            scope: instance.scope,
            scope_name: instance.scope_name.clone(),
            class: instance.class.clone(),
            capacity: instance.capacity,
            instance_type: instance.instance_type.clone(),
            mode: self.operation.mode,
            phase,
            phase_since,
            launched_for: None,
            intent: instance.intent.clone(),
            launched_at: instance.launched_at,
            price,
            // When it came up nobody knows any more. Now would be taken for a boot of hours.
            booted_at: is_up.then_some(instance.launched_at),
            interrupted: false,
            last_job: None,
            // It may have its configuration, so nobody gives it another.
            configured: true,
            attempt: 0,
            retirement: None,
            revision: 0,
        }
    }
}
