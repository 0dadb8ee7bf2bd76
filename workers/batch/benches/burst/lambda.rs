//! The scale-up Lambda: as many processes as are needed at once, each with a control plane of its own, under
//! the real handler. What it takes by the virtual clock is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stoker_batch::{Aside, Handler, Paced, Queues, Record, Redriven, SqsEvent, Steer};
use stoker_core::control::{Acted, Control, ControlError, Ports, Rebuilt};
use stoker_core::ids::{InstanceId, ScopeKey};
use stoker_core::journal::{RecordName, Recorder};
use stoker_core::limits::Operation;
use stoker_core::ports::{ActQueue, ActQueueError, ActRequest, Clock, Decider, Reporter};
use stoker_core::runner::RunnerNews;
use stoker_core::situation::Trigger;
use stoker_intake::JobEvent;
use tokio::time::{Instant, sleep};

use crate::ledger::Far;
use crate::outside::Services;
use crate::world::{Log, PURPOSE, Purpose, S3, What, World, locked};

/// What an invocation may take: the adapters' patience is made for a minute.
const TIMEOUT: Duration = Duration::from_mins(1);

/// As documented for `MAX_RECEIVES`.
const MOST_RECEIVES: u32 = 10;

/// What the Lambda is invoked with.
pub(crate) enum Work {
    Batch(SqsEvent),
    Tick,
}

/// A control plane that says for what it asks.
pub(crate) struct Purposed {
    control: Control,
    world: Arc<World>,
}

#[async_trait]
impl Steer for Purposed {
    async fn fold(&self, event: &JobEvent) -> Result<Option<ActRequest>, ControlError> {
        let purpose = if event.is_work() {
            Purpose::Queued
        } else {
            Purpose::News
        };
        let folding = async {
            self.world.count(What::Folds, 1);
            Steer::fold(&self.control, event).await
        };
        PURPOSE.scope(purpose, folding).await
    }

    async fn fold_instance(
        &self,
        instance: &InstanceId,
        news: &RunnerNews,
        event: &str,
    ) -> Result<Option<ActRequest>, ControlError> {
        let folding = Steer::fold_instance(&self.control, instance, news, event);
        PURPOSE.scope(Purpose::News, folding).await
    }

    async fn ask(&self, request: &ActRequest) -> Result<(), ControlError> {
        // For whatever its batch held.
        PURPOSE
            .scope(Purpose::Around, Steer::ask(&self.control, request))
            .await
    }

    async fn act(&self, scope: ScopeKey, trigger: Trigger) -> Result<Acted, ControlError> {
        let acting = async {
            self.world.count(What::Acts, 1);
            Steer::act(&self.control, scope, trigger).await
        };
        PURPOSE.scope(Purpose::Act, acting).await
    }

    async fn act_later(&self, scope: ScopeKey, seconds: u32) -> Result<(), ControlError> {
        let noting = Steer::act_later(&self.control, scope, seconds);
        PURPOSE.scope(Purpose::Act, noting).await
    }

    async fn tick(&self) -> Result<(), ControlError> {
        PURPOSE
            .scope(Purpose::Tick, Steer::tick(&self.control))
            .await
    }

    async fn rebuild(&self) -> Result<Rebuilt, ControlError> {
        PURPOSE
            .scope(Purpose::Tick, Steer::rebuild(&self.control))
            .await
    }
}

/// The act queue, as the control plane has it.
struct Acts(Arc<World>);

#[async_trait]
impl ActQueue for Acts {
    async fn ask(&self, request: &ActRequest) -> Result<(), ActQueueError> {
        let body = serde_json::to_string(request).unwrap_or_default();
        let id = format!("{}:{}", request.scope, request.folded);
        let at = Instant::now();
        self.0.acts.send(&self.0, body, Some(id), at).await;
        Ok(())
    }

    async fn ask_in(&self, request: &ActRequest, seconds: u32) -> Result<(), ActQueueError> {
        let body = serde_json::to_string(request).unwrap_or_default();
        let at = Instant::now() + Duration::from_secs(seconds.into());
        self.0.intake.send(&self.0, body, None, at).await;
        Ok(())
    }
}

/// Both queues, as the handler has them.
struct Back(Arc<World>);

#[async_trait]
impl Queues for Back {
    async fn delay(&self, record: &Record, seconds: u32) -> Result<(), String> {
        sleep(crate::world::SQS).await;
        let (queue, what) = if record.attributes.group.is_some() {
            (&self.0.acts, What::FifoRequests)
        } else {
            (&self.0.intake, What::StandardRequests)
        };
        self.0.count(what, 1);
        queue.delay(&record.receipt, seconds);
        Ok(())
    }

    async fn redrive(&self) -> Result<Redriven, String> {
        Ok(Redriven::default())
    }

    async fn put_aside(&self, _: &Record, _: Aside, _: &str) -> Result<(), String> {
        sleep(crate::world::SQS).await;
        self.0.count(What::StandardRequests, 1);
        Ok(())
    }
}

struct Process {
    handler: Handler<Purposed>,
    recorder: Arc<Recorder>,
}

/// The function.
pub(crate) struct Lambda {
    world: Arc<World>,
    operation: Operation,
    decider: Arc<dyn Decider>,
    idle: Mutex<Vec<Process>>,
    processes: AtomicU64,
    invocations: AtomicU64,
}

impl Lambda {
    pub(crate) fn new(
        world: Arc<World>,
        operation: Operation,
        decider: Arc<dyn Decider>,
    ) -> Arc<Self> {
        Arc::new(Self {
            world,
            operation,
            decider,
            idle: Mutex::default(),
            processes: AtomicU64::new(0),
            invocations: AtomicU64::new(0),
        })
    }

    /// How many processes there are.
    pub(crate) fn processes(&self) -> u64 {
        self.processes.load(Ordering::Relaxed)
    }

    fn process(&self) -> Process {
        let world = &self.world;
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        let recorder = Arc::new(Recorder::new(Arc::new(Log(Arc::clone(world)))));
        let reporter: Arc<dyn Reporter> = Arc::<Recorder>::clone(&recorder);
        let clock: Arc<dyn Clock> = Arc::<World>::clone(world);
        let services = Arc::new(Services::new(Arc::clone(world)));
        let control = Control::new(
            self.operation.clone(),
            Ports {
                ledger: Arc::new(Far(Arc::clone(world))),
                fleet: Arc::<Services>::clone(&services),
                github: services,
                configurations: Arc::new(Paced::new(
                    Services::new(Arc::clone(world)),
                    world.writes_a_second(),
                )),
                acts: Arc::new(Acts(Arc::clone(world))),
                decider: Arc::clone(&self.decider),
                clock: Arc::clone(&clock),
                timer: Arc::<World>::clone(world),
                reporter: Arc::clone(&reporter),
            },
        )
        .acting_as(number);
        let steer = Purposed {
            control,
            world: Arc::clone(world),
        };
        let queues = Arc::new(Back(Arc::clone(world)));
        Process {
            handler: Handler::new(steer, queues, reporter, clock, MOST_RECEIVES),
            recorder,
        }
    }

    /// An invocation, by an idle process if there is one. Which messages are to be delivered again.
    pub(crate) async fn invoked(&self, work: Work) -> Vec<String> {
        let idle = locked(&self.idle).pop();
        let process = idle.unwrap_or_else(|| self.process());
        let began = Instant::now();
        let part = self.invocations.fetch_add(1, Ordering::Relaxed);
        let name = || RecordName::new(self.world.now(), part);
        let _nothing = process.recorder.next(name);
        let failed = match work {
            Work::Batch(batch) => {
                let response = process.handler.invoked(batch, TIMEOUT).await;
                response.failures.into_iter().map(|one| one.id).collect()
            }
            Work::Tick => {
                // The next one does what this one could not.
                let _done = process.handler.tick().await;
                Vec::new()
            }
        };
        for writing in process.recorder.end() {
            let packed = writing.packed().map_or(0, |bytes| bytes.len());
            sleep(S3).await;
            self.world.count(What::JournalWrites, 1);
            self.world.count(What::JournalBytes, packed as u64);
        }
        let took = began.elapsed().as_micros();
        self.world.count(What::Invocations, 1);
        self.world
            .count(What::LambdaMicros, u64::try_from(took).unwrap_or(u64::MAX));
        locked(&self.idle).push(process);
        failed
    }
}
