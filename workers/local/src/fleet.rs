//! Simulated instances: EC2 as far as Stoker notices it.
//!
//! An instance that was launched reads its configuration once it has booted and is online from then on;
//! one that finds none waits for it, and is never online without. The same intent always gives the same
//! instances, in this process and in the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use stoker_core::ids::{InstanceId, IntentId, ScopeKey};
use stoker_core::intent::{Instance, Intent, Launched, Refusal};
use stoker_core::ports::{Clock as _, Fleet, FleetError, Ours, OwnInstance};
use stoker_core::runner::{Runner, RunnerPhase};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use crate::clock::SystemClock;
use crate::configurations::MemoryConfigurations;

/// How the fleet behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulatedFleetSettings {
    /// From the launch to the runner being online.
    pub boot: Duration,
    /// Up to this much more, differing by instance but always the same for one.
    pub spread: Duration,
    /// How many instances there may be at once; EC2 has not enough capacity for more.
    pub capacity: usize,
}

/// How often an instance that has booted looks for a configuration that is not there yet.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// What an instance does by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetEvent {
    /// Its runner has registered and waits for a job.
    Online {
        /// The instance.
        instance: InstanceId,
        /// For whom it was launched.
        scope: ScopeKey,
    },
    /// It is gone.
    Gone {
        /// The instance.
        instance: InstanceId,
        /// For whom it was launched.
        scope: ScopeKey,
    },
}

/// A [`Fleet`] of simulated instances.
#[derive(Debug, Clone)]
pub struct SimulatedFleet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: SimulatedFleetSettings,
    configurations: Arc<MemoryConfigurations>,
    events: UnboundedSender<FleetEvent>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The answer to each intent, given again when it is asked again.
    answers: HashMap<IntentId, Launched>,
    /// The instances that are not gone.
    running: HashMap<InstanceId, OwnInstance>,
}

impl SimulatedFleet {
    /// An empty fleet, and what its instances will do.
    pub fn new(
        settings: SimulatedFleetSettings,
        configurations: Arc<MemoryConfigurations>,
    ) -> (Self, UnboundedReceiver<FleetEvent>) {
        let (events, receiver) = unbounded_channel();
        let fleet = Self {
            inner: Arc::new(Inner {
                settings,
                configurations,
                events,
                state: Mutex::default(),
            }),
        };
        (fleet, receiver)
    }

    /// Takes over an instance of an earlier process: EC2's would have gone on. One whose configuration
    /// was lost with that process is gone.
    pub fn adopt(&self, runner: &Runner) {
        let instance = runner.instance.clone();
        if matches!(runner.phase, RunnerPhase::Launching | RunnerPhase::Booting) {
            self.tell(FleetEvent::Gone {
                instance,
                scope: runner.scope,
            });
        } else if runner.is_live() {
            let own = OwnInstance {
                id: instance.clone(),
                instance_type: runner.instance_type.clone(),
                capacity: runner.capacity,
                launched_at: runner.launched_at,
                scope: runner.scope,
                scope_name: runner.scope_name.clone(),
                class: runner.class.clone(),
                intent: runner.intent.clone(),
            };
            self.state().running.insert(instance, own);
        }
    }

    /// An instance shuts itself down, as an ephemeral runner's does after its job. Whether it was
    /// running.
    pub fn shut_down(&self, instance: &InstanceId) -> bool {
        let Some(own) = self.state().running.remove(instance) else {
            return false;
        };
        self.tell(FleetEvent::Gone {
            instance: own.id,
            scope: own.scope,
        });
        true
    }

    /// How many instances are not gone.
    pub fn running(&self) -> usize {
        self.state().running.len()
    }

    fn boot(&self, instance: InstanceId, scope: ScopeKey) {
        let fleet = self.clone();
        tokio::spawn(async move {
            sleep(fleet.boot_time(&instance)).await;
            while fleet.is_running(&instance) {
                if fleet.inner.configurations.take(&instance).is_some() {
                    fleet.tell(FleetEvent::Online { instance, scope });
                    return;
                }
                sleep(LOOKED_EVERY).await;
            }
        });
    }

    fn boot_time(&self, instance: &InstanceId) -> Duration {
        let part = u32::from(Sha256::digest(instance.as_str())[0]);
        self.inner.settings.boot + self.inner.settings.spread * part / 256
    }

    fn is_running(&self, instance: &InstanceId) -> bool {
        self.state().running.contains_key(instance)
    }

    fn tell(&self, event: FleetEvent) {
        // Whoever listened has stopped: then nobody wants to know.
        let _ = self.inner.events.send(event);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `place`th instance of an intent.
fn instance(intent: &Intent, place: u32) -> Result<Instance, FleetError> {
    let hash = Sha256::digest(format!("{} {place}", intent.id));
    let types = &intent.request.instance_types;
    let chosen = usize::from(hash[31]) % types.len().max(1);
    let id = format!("i-{}", &hex::encode(hash)[..17]);
    Ok(Instance {
        id: id.parse().map_err(|error| FleetError {
            what: "name an instance".to_owned(),
            problem: format!("{error}"),
        })?,
        instance_type: types
            .get(chosen)
            .map_or("simulated", String::as_str)
            .to_owned(),
        gone: false,
    })
}

#[async_trait]
impl Fleet for SimulatedFleet {
    async fn launch(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let mut state = self.state();
        if let Some(answer) = state.answers.get(&intent.id) {
            return Ok(answer.clone());
        }
        let capacity = self.inner.settings.capacity;
        let left = u32::try_from(capacity.saturating_sub(state.running.len())).unwrap_or(u32::MAX);
        let given = intent.request.count.min(left);
        let launched = Launched {
            instances: (0..given)
                .map(|place| instance(intent, place))
                .collect::<Result<_, _>>()?,
            refusals: (given < intent.request.count)
                .then(|| Refusal {
                    code: "InsufficientInstanceCapacity".to_owned(),
                    message: format!("the simulated fleet has {capacity} instances at most"),
                })
                .into_iter()
                .collect(),
        };
        state.answers.insert(intent.id.clone(), launched.clone());
        for instance in &launched.instances {
            let own = OwnInstance {
                id: instance.id.clone(),
                instance_type: instance.instance_type.clone(),
                capacity: intent.request.capacity,
                launched_at: SystemClock.now(),
                scope: intent.scope,
                scope_name: intent.scope_name.clone(),
                class: intent.request.class.clone(),
                intent: intent.id.clone(),
            };
            state.running.insert(instance.id.clone(), own);
        }
        drop(state);
        for instance in &launched.instances {
            self.boot(instance.id.clone(), intent.scope);
        }
        Ok(launched)
    }

    async fn find(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let answer = self.state().answers.get(&intent.id).cloned();
        Ok(Launched {
            instances: answer.unwrap_or_default().instances,
            refusals: Vec::new(),
        })
    }

    async fn ours(&self) -> Result<Ours, FleetError> {
        let mut instances: Vec<OwnInstance> = self.state().running.values().cloned().collect();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Ours {
            instances,
            unreadable: Vec::new(),
        })
    }

    async fn terminate(&self, instances: &[InstanceId]) -> Result<(), FleetError> {
        for instance in instances {
            self.shut_down(instance);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::boot::{InstanceConfiguration, Registration};
    use stoker_core::contract::Fixtures;
    use stoker_core::ports::Configurations as _;
    use stoker_core::time::Timestamp;
    use tokio::time::{Instant, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fleet(
        capacity: usize,
    ) -> (
        SimulatedFleet,
        UnboundedReceiver<FleetEvent>,
        Arc<MemoryConfigurations>,
    ) {
        let configurations = Arc::new(MemoryConfigurations::default());
        let settings = SimulatedFleetSettings {
            boot: 20 * SECOND,
            spread: Duration::ZERO,
            capacity,
        };
        let (fleet, events) = SimulatedFleet::new(settings, Arc::clone(&configurations));
        (fleet, events, configurations)
    }

    fn intent() -> Intent {
        Fixtures::new(Timestamp(1_000_000), 1).intent(0, 0, 0)
    }

    async fn configure(configurations: &MemoryConfigurations, instance: &InstanceId) {
        let configuration = InstanceConfiguration {
            name: "r".to_owned(),
            url: "https://github.com/acme".to_owned(),
            labels: Vec::new(),
            ephemeral: false,
            runner_group: None,
            registration: Registration::Persistent("token".to_owned().into()),
        };
        configurations.put(instance, &configuration).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeated_intent_gives_the_same_instances_here_and_in_the_next_process() {
        let (first, _events, _) = fleet(10);
        let launched = first.launch(&intent()).await.unwrap();
        assert_eq!(launched.instances.len(), 2);
        assert_eq!(first.launch(&intent()).await.unwrap(), launched);
        assert_eq!(
            first.find(&intent()).await.unwrap().instances,
            launched.instances
        );
        assert_eq!(first.running(), 2);
        let (second, _events, _) = fleet(10);
        assert!(second.find(&intent()).await.unwrap().instances.is_empty());
        assert_eq!(second.launch(&intent()).await.unwrap(), launched);
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_is_online_after_its_boot_time_and_has_read_its_configuration() {
        let (fleet, mut events, configurations) = fleet(1);
        let start = Instant::now();
        let launched = fleet.launch(&intent()).await.unwrap();
        let id = launched.instances[0].id.clone();
        configure(&configurations, &id).await;
        let event = events.recv().await.unwrap();
        assert!(matches!(event, FleetEvent::Online { instance, .. } if instance == id));
        assert_eq!(start.elapsed(), 20 * SECOND);
        assert!(configurations.take(&id).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_without_a_configuration_is_never_online() {
        let (fleet, mut events, configurations) = fleet(1);
        let launched = fleet.launch(&intent()).await.unwrap();
        assert!(timeout(3_600 * SECOND, events.recv()).await.is_err());
        configure(&configurations, &launched.instances[0].id).await;
        assert!(matches!(
            events.recv().await,
            Some(FleetEvent::Online { .. })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminated_instance_is_gone_once_and_never_online() {
        let (fleet, mut events, configurations) = fleet(1);
        let id = fleet.launch(&intent()).await.unwrap().instances[0]
            .id
            .clone();
        configure(&configurations, &id).await;
        for _ in 0..2 {
            fleet.terminate(std::slice::from_ref(&id)).await.unwrap();
        }
        assert!(matches!(events.recv().await, Some(FleetEvent::Gone { .. })));
        assert!(timeout(3_600 * SECOND, events.recv()).await.is_err());
        assert_eq!(fleet.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_there_is_capacity_for_is_refused_by_ec2s_own_code() {
        let (fleet, _events, _) = fleet(1);
        let launched = fleet.launch(&intent()).await.unwrap();
        assert_eq!(launched.instances.len(), 1);
        assert_eq!(launched.refusals[0].code, "InsufficientInstanceCapacity");
    }
}
