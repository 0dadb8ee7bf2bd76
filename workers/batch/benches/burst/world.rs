//! What all parts of a scenario share: the virtual clock, what is counted, and how AWS and GitHub limit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use stoker_core::happening::Happening;
use stoker_core::ports::{Clock, Reporter, Timer};
use stoker_core::time::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dynamo::Table;
use crate::outside::Outside;
use crate::queue::Queue;

/// When every scenario begins: a full hour.
const START: u64 = 1_800_000_000;

/// How long a request takes, from when it is sent until its answer is there. The first four are given;
/// the others are what these services take inside a region.
pub(crate) const GITHUB: Duration = Duration::from_millis(100);
pub(crate) const CREATE_FLEET: Duration = Duration::from_millis(1_500);
pub(crate) const SSM: Duration = Duration::from_millis(20);
pub(crate) const DYNAMODB: Duration = Duration::from_millis(5);
pub(crate) const EC2: Duration = Duration::from_millis(100);
pub(crate) const SQS: Duration = Duration::from_millis(10);
pub(crate) const S3: Duration = Duration::from_millis(30);

/// GitHub's points a minute, of which a registration costs five.
const GITHUB_POINTS: u32 = 900;
/// `CreateFleet`: so many a second, and as many at once.
const FLEETS_A_SECOND: u32 = 2;
/// `PutParameter`: the same.
const PARAMETERS_A_SECOND: u32 = 40;

/// On whose behalf something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Folding that a job is queued.
    Queued,
    /// Acting on the scope, whatever asked for it.
    Act,
    /// Asking for acts on what is due.
    Tick,
    /// Folding that a job was taken or has ended, and what becomes of instances.
    News,
    /// The Lambda itself: its journal, its event source mappings.
    Around,
    /// The edge and EventBridge, who send messages.
    Edge,
}

impl Purpose {
    /// Those that a launch needs; the rest is what becomes of it later.
    pub(crate) const OF_LAUNCHES: [Self; 3] = [Self::Queued, Self::Act, Self::Tick];
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Registrations,
    GitHubOthers,
    GitHubRefused,
    Fleets,
    FleetsThrottled,
    Ec2Others,
    ParametersWritten,
    ParametersThrottled,
    ParametersFailed,
    ParametersDeleted,
    LedgerReads,
    ReadUnits,
    LedgerWrites,
    /// The same, by what the control plane asked for.
    Wrote(&'static str),
    ItemsWritten,
    WriteUnits,
    /// Writes that met another writer.
    LedgerConflicts,
    StandardRequests,
    FifoRequests,
    JournalWrites,
    JournalBytes,
    LogBytes,
    Decisions,
    DecisionsThatLaunch,
    Troubles,
    Acts,
    Folds,
    Invocations,
    LambdaMicros,
}

tokio::task_local! {
    /// For what the running task asks.
    pub(crate) static PURPOSE: Purpose;
}

/// A bucket of requests that fills steadily, and is full with a second's worth.
#[derive(Debug)]
pub(crate) struct Bucket {
    a_second: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn new(a_second: u32) -> Self {
        let a_second = f64::from(a_second);
        Self {
            a_second,
            left: a_second,
            at: Instant::now(),
        }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let filled = now.duration_since(self.at).as_secs_f64() * self.a_second;
        self.left = (self.left + filled).min(self.a_second);
        self.at = now;
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }
}

/// The limits of a scenario; none: there is no limit.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) github_points: Option<u32>,
    pub(crate) fleets: Option<Mutex<Bucket>>,
    pub(crate) parameters: Option<Mutex<Bucket>>,
}

impl Limits {
    pub(crate) fn of(limited: bool) -> Self {
        let bucket = |a_second| limited.then(|| Mutex::new(Bucket::new(a_second)));
        Self {
            github_points: limited.then_some(GITHUB_POINTS),
            fleets: bucket(FLEETS_A_SECOND),
            parameters: bucket(PARAMETERS_A_SECOND),
        }
    }
}

/// One process's client of one service, as the AWS SDK makes it (`aws-smithy-runtime` 1.16, the standard
/// strategy): a throttled request is repeated after a random part of 1, 2, 4, … at most 20 seconds, as long
/// as there are attempts left, and as long as the process's quota lasts. Nothing fills that but success.
#[derive(Debug)]
pub(crate) struct Client {
    attempts: u32,
    quota: Mutex<Quota>,
}

/// What a client may still repeat.
#[derive(Debug)]
struct Quota {
    left: u32,
    /// What the last repetition took, whichever request's that was, as long as no success has given it back:
    /// the requests of a client share one strategy, which keeps one permit.
    is_kept: bool,
}

impl Quota {
    const MOST: u32 = 500;
    const REPETITION: u32 = 5;

    fn succeeded(&mut self) {
        let back = if self.is_kept { Self::REPETITION } else { 1 };
        self.is_kept = false;
        self.left = (self.left + back).min(Self::MOST);
    }

    fn allows_another(&mut self) -> bool {
        if self.left < Self::REPETITION {
            return false;
        }
        self.left -= Self::REPETITION;
        self.is_kept = true;
        true
    }
}

impl Client {
    pub(crate) fn new(attempts: u32) -> Self {
        Self {
            attempts,
            quota: Mutex::new(Quota {
                left: Quota::MOST,
                is_kept: false,
            }),
        }
    }

    /// Asks a service that takes so long and limits so. Whether it was served, after how many refusals.
    pub(crate) async fn ask(
        &self,
        world: &World,
        latency: Duration,
        limit: Option<&Mutex<Bucket>>,
    ) -> (bool, u32) {
        let mut refused = 0;
        loop {
            sleep(latency / 2).await;
            let served = limit.is_none_or(|limit| locked(limit).take());
            sleep(latency / 2).await;
            if served {
                locked(&self.quota).succeeded();
                return (true, refused);
            }
            refused += 1;
            let may_repeat = refused < self.attempts && locked(&self.quota).allows_another();
            if !may_repeat {
                return (false, refused);
            }
            let longest = f64::from(1_u32 << (refused - 1).min(5)).min(20.0);
            sleep(Duration::from_secs_f64(longest * world.draw())).await;
        }
    }
}

/// The world of a scenario.
pub(crate) struct World {
    began: Instant,
    pub(crate) limits: Limits,
    counts: Mutex<BTreeMap<(Purpose, What), u64>>,
    drawn: Mutex<u64>,
    pub(crate) table: Mutex<Table>,
    pub(crate) outside: Mutex<Outside>,
    pub(crate) intake: Queue,
    pub(crate) acts: Queue,
}

impl World {
    /// What the Lambda is told of SSM's throughput.
    pub(crate) fn writes_a_second(&self) -> u32 {
        match self.limits.parameters {
            Some(_) => PARAMETERS_A_SECOND,
            None => u32::MAX,
        }
    }

    pub(crate) fn new(limited: bool) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            limits: Limits::of(limited),
            counts: Mutex::default(),
            drawn: Mutex::new(0x9e37_79b9_7f4a_7c15),
            table: Mutex::default(),
            outside: Mutex::default(),
            intake: Queue::standard(),
            acts: Queue::fifo(),
        })
    }

    /// Seconds since the scenario began.
    pub(crate) fn elapsed(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Counts something for whom it is done.
    pub(crate) fn count(&self, what: What, number: u64) {
        let purpose = PURPOSE.try_with(|purpose| *purpose);
        let key = (purpose.unwrap_or(Purpose::Around), what);
        *locked(&self.counts).entry(key).or_default() += number;
    }

    /// How much was counted for those.
    pub(crate) fn counted(&self, what: What, purposes: &[Purpose]) -> u64 {
        let counts = locked(&self.counts);
        let of = |purpose: &Purpose| counts.get(&(*purpose, what)).copied().unwrap_or(0);
        purposes.iter().map(of).sum()
    }

    /// How much was counted for all.
    pub(crate) fn total(&self, what: What) -> u64 {
        let counts = locked(&self.counts);
        let of_it = counts.iter().filter(|((_, known), _)| *known == what);
        of_it.map(|(_, number)| number).sum()
    }

    /// The next number of a fixed sequence, at least 0 and less than 1 (xorshift).
    pub(crate) fn draw(&self) -> f64 {
        let mut drawn = locked(&self.drawn);
        *drawn ^= *drawn << 13;
        *drawn ^= *drawn >> 7;
        *drawn ^= *drawn << 17;
        let high = u32::try_from(*drawn >> 32).unwrap_or(0);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(START + self.began.elapsed().as_secs())
    }
}

#[async_trait]
impl Timer for World {
    async fn wait_until(&self, then: Timestamp) {
        let wait = Duration::from_secs(then.0.saturating_sub(START));
        sleep_until(self.began + wait).await;
    }
}

/// What the Lambda writes to its log: a line of JSON for each happening, counted and dropped.
pub(crate) struct Log(pub(crate) Arc<World>);

impl Reporter for Log {
    fn report(&self, _: Timestamp, happening: &Happening) {
        let line = serde_json::to_vec(&happening.brief()).unwrap_or_default();
        // Timestamp, level, deployment and request id besides.
        self.0.count(What::LogBytes, line.len() as u64 + 130);
        match happening {
            Happening::Decided(decision) => {
                self.0.count(What::Decisions, 1);
                let launches = u64::from(!decision.launches.is_empty());
                self.0.count(What::DecisionsThatLaunch, launches);
            }
            Happening::Trouble { .. }
            | Happening::LaunchUnsettled { .. }
            | Happening::ConfigurationFailed { .. }
            | Happening::MessagePutAside { .. } => {
                self.0.count(What::Troubles, 1);
                if std::env::var_os("BURST_TELLS").is_some() {
                    eprintln!("{:.3} s: {happening:?}", self.0.elapsed());
                }
            }
            _ => {}
        }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
