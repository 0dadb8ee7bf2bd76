//! One history: what happens, in what order, who dies when, and what must hold all the while and at the end.

use std::fmt;
use std::sync::{Arc, Mutex};

use stoker_batch::Handler;
use stoker_core::budget::Rates;
use stoker_core::class::Classes;
use stoker_core::control::{self, Control};
use stoker_core::ids::{Deployment, RunnerNames};
use stoker_core::limits::{Guards, JOBS_SHOWN, Operation, RunnerLevel, RunnerMode, SPOT_FALLBACK};
use stoker_core::ports::GitHubFault;
use stoker_core::time::Timestamp;

use tokio::runtime::{Builder, Runtime};

use crate::outside::BOOT_TIME;
use crate::ports::Ports;
use crate::processes::{Memory, Process};
use crate::world::{Message, World};

/// How many scopes there are.
pub(crate) const SCOPES: u64 = 3;

/// The most runners of a scope.
pub(crate) const SCOPE_MAXIMUM: u32 = 6;

/// The most runners of all scopes together.
pub(crate) const DEPLOYMENT_MAXIMUM: u32 = 12;

/// How often a message may be delivered before it is put aside.
const MOST_RECEIVES: u32 = 5;

/// How often runners that nobody needs are looked for, in seconds.
const SCALED_DOWN_EVERY: u64 = 120;

/// For how long, in seconds, everything is given to settle once nothing fails any more: what broke may have
/// to be waited for twice, each time for the boot time and the time after which a launch is given up.
const SETTLES_IN: u64 = 3 * 3_600;

/// For how long, in seconds, what was reserved while there was disorder may be asked for late: no process lives
/// longer, and a minute looks back for one more.
const LATE_FOR: u64 = 400;

/// Within how many seconds a job is found whose webhook was never sent: repositories are asked every five minutes,
/// by a tick that comes each minute, and the clock goes in steps.
const FOUND_WITHIN: u64 = 300 + 60 + 30;

/// What GitHub may be asked for in a minute, in points.
pub(crate) const POINTS_A_MINUTE: u32 = 60;

/// After how many steps without an end a settled world is one that goes round in circles.
const MOST_STEPS: u64 = 3_000_000;

/// What did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The seed that shows it.
    pub seed: u64,
    /// How many steps of disorder it takes.
    pub steps: u64,
    /// What did not hold.
    pub what: String,
    /// What happened last, line by line.
    pub told: Vec<String>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed, steps, what, ..
        } = self;
        write!(
            f,
            "{what} (seed {seed}, {steps} steps; `make sim SEED={seed} STEPS={steps}` tells its history)"
        )
    }
}

pub(crate) struct History {
    pub(crate) ports: Ports,
    operation: Operation,
    /// What processes that are done leave to the next ones.
    pub(crate) warm: Vec<Arc<Memory>>,
    born: u64,
    pub(crate) processes: Vec<Process>,
    /// The clock of the Lambda's own deadlines, which stands still: processes end by dying.
    pub(crate) timers: Runtime,
    jobs: u64,
    next_tick: Timestamp,
    next_scale_down: Timestamp,
}

/// Runs the history of a seed, with that many steps of disorder before everything is given to settle.
///
/// # Errors
/// What did not hold.
pub fn run(seed: u64, steps: u64) -> Result<(), Breach> {
    let mut history = History::new(seed);
    history.go_on(steps).map_err(|what| Breach {
        seed,
        steps,
        what,
        told: history.told(),
    })
}

/// The shortest history of a seed that shows a breach, and what it shows.
pub fn shrunk(breach: Breach) -> Breach {
    let mut best = breach;
    let mut least = 0;
    while least < best.steps {
        let steps = least + (best.steps - least) / 2;
        match run(best.seed, steps) {
            Err(shorter) => best = shorter,
            Ok(()) => least = steps + 1,
        }
    }
    best
}

fn operation(labels: &[String]) -> Option<Operation> {
    let deployment: Deployment = "sim".parse().ok()?;
    let classes = serde_json::json!([{
        "name": "any", "labels": labels, "launch_template": "runners", "maximum": SCOPE_MAXIMUM,
        "spot_price": 0.03, "on_demand_price": 0.1,
    }]);
    Some(Operation {
        names: RunnerNames::new("stoker", &deployment).ok()?,
        deployment,
        level: RunnerLevel::Organization,
        mode: RunnerMode::Ephemeral,
        runner_group: None,
        classes: Classes::from_json(&classes.to_string()).ok()?,
        scope_maximum: SCOPE_MAXIMUM,
        boot_time: BOOT_TIME,
        minimum_running_time: stoker_core::limits::MINIMUM_RUNNING_TIME,
        jobs_shown: JOBS_SHOWN,
        guards: Guards::default(),
        rates: Rates {
            points_a_minute: Some(POINTS_A_MINUTE),
            registrations_an_hour: Some(1_000),
        },
        deployment_maximum: Some(DEPLOYMENT_MAXIMUM),
        spot_fallback: SPOT_FALLBACK.map(str::to_owned).to_vec(),
    })
}

impl History {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let labels = world.labels.clone();
        let ports = Ports(Arc::new(Mutex::new(world)));
        // The constants are such that it can be made.
        let operation = operation(&labels).unwrap_or_else(|| unreachable!("it is well-formed"));
        let timers = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap_or_else(|error| unreachable!("it needs nothing of the machine: {error}"));
        Self {
            operation,
            warm: Vec::new(),
            born: 0,
            timers,
            ports,
            processes: Vec::new(),
            jobs: 0,
            next_tick: crate::world::START,
            next_scale_down: crate::world::START,
        }
    }

    /// The memory of a process: that of one that is done, or a new one.
    pub(crate) fn process(&mut self) -> Arc<Memory> {
        if let Some(warm) = self.warm.pop() {
            return warm;
        }
        self.born += 1;
        let ports = &self.ports;
        let control = Control::new(
            self.operation.clone(),
            control::Ports {
                ledger: Arc::new(ports.clone()),
                fleet: Arc::new(ports.clone()),
                github: Arc::new(ports.clone()),
                configurations: Arc::new(ports.clone()),
                acts: Arc::new(ports.clone()),
                decider: Arc::new(ports.clone()),
                clock: Arc::new(ports.clone()),
                timer: Arc::new(ports.clone()),
                reporter: Arc::new(ports.clone()),
            },
        )
        .acting_as(self.born);
        let shared = || Arc::new(ports.clone());
        let handler = Handler::new(control.clone(), shared(), shared(), shared(), MOST_RECEIVES);
        Arc::new(Memory { handler, control })
    }

    /// What was told, and what is still in the queues.
    fn told(&self) -> Vec<String> {
        let world = self.ports.world();
        let left = world.queue.iter().map(|queued| {
            let line = format!("in its queue: {queued:?}");
            line.chars().take(300).collect()
        });
        world.told().cloned().chain(left).collect()
    }

    fn go_on(&mut self, steps: u64) -> Result<(), String> {
        {
            let mut world = self.ports.world();
            let faults = [0, 60, 20, 8];
            let place = world.draw.place(faults.len());
            world.faults = faults[place];
        }
        for _ in 0..steps {
            self.something_happens();
            self.check()?;
        }
        {
            let mut world = self.ports.world();
            world.faults = 0;
            world.disorder = false;
            let now = world.now.0;
            world.tell(format!("{now} nothing fails any more"));
        }
        let end = self.ports.world().now.0 + SETTLES_IN;
        let mut untold = None;
        let mut steps = 0;
        while self.ports.world().now.0 < end {
            if self.ports.world().now.0 < end - SETTLES_IN + LATE_FOR {
                // Who was slow or died may have asked late for what it had reserved.
                self.ports.world().outside.most_spent = 0;
            }
            let now = self.ports.world().now.0;
            if now >= end - SETTLES_IN / 2 && untold.is_none() {
                // All is at rest, and GitHub forgets to send a webhook.
                let scope = 1 + self.ports.world().draw.below(SCOPES);
                self.jobs += 1;
                untold = Some((self.ports.world().queue_untold(scope, self.jobs), now));
            }
            if let Some((job, at)) = untold
                && now > at + FOUND_WITHIN
                && !self.ports.world().books.jobs.contains_key(&job)
            {
                return Err(format!(
                    "job {job} was not found within {FOUND_WITHIN} seconds"
                ));
            }
            self.settles();
            self.check()?;
            steps += 1;
            if steps > MOST_STEPS {
                return Err("it never comes to rest".to_owned());
            }
        }
        self.check_the_end()
    }

    /// One step of disorder.
    fn something_happens(&mut self) {
        let what = self.ports.world().draw.below(100);
        match what {
            0..3 if self.jobs < 60 => {
                let scope = 1 + self.ports.world().draw.below(SCOPES);
                self.jobs += 1;
                let number = self.jobs;
                self.ports.world().queue_job(scope, number);
            }
            3 => {
                let mut world = self.ports.world();
                if world.draw.one_in(4) {
                    world.cancel_job();
                }
            }
            4..14 => self.time_passes(),
            14..34 => self.receive(),
            34 => self.somebody_dies(),
            35 => self.somebody_is_slow(),
            36 => self.the_ledger_is_lost(),
            37 => self.the_schedule_changes(),
            38 => self.github_shuts(),
            _ => self.somebody_goes_on(),
        }
    }

    /// The App's key is rotated, and processes learn of it late; or the App is uninstalled, and installed again.
    fn github_shuts(&mut self) {
        let mut world = self.ports.world();
        if !world.draw.one_in(60) {
            return;
        }
        let (fault, lasts) = if world.draw.one_in(2) {
            (GitHubFault::Refused, 300)
        } else {
            (GitHubFault::Closed, 1_500)
        };
        let until = Timestamp(world.now.0 + 30 + world.draw.below(lasts));
        let line = format!("{} GitHub answers {fault:?} until {}", world.now.0, until.0);
        world.tell(line);
        world.outside.shut = Some((until, fault));
    }

    /// Another number of idle runners is kept from now on.
    fn the_schedule_changes(&mut self) {
        let mut world = self.ports.world();
        if world.draw.one_in(8) {
            world.keeps = world.draw.place(3);
            let line = format!("{} {} idle runners are kept", world.now.0, world.keeps);
            world.tell(line);
        }
    }

    /// One step of a world in which nothing fails: whoever can go on does, and time passes when nobody can.
    fn settles(&mut self) {
        if self.processes.is_empty() {
            self.receive();
        }
        let waiting = self.ports.world().waiting;
        if self.processes.len() <= waiting {
            self.time_passes();
        }
        self.somebody_goes_on();
    }

    pub(crate) fn time_passes(&mut self) {
        let mut world = self.ports.world();
        let seconds = 1 + world.draw.below(4);
        world.now = Timestamp(world.now.0 + seconds);
        let (now, faults) = (world.now, world.disorder);
        let World { outside, draw, .. } = &mut *world;
        let events = outside.pass(now, draw, faults);
        world.announce(events);
        if now >= self.next_tick {
            self.next_tick = Timestamp(now.0 + 60);
            world.send(Message::Tick, 0);
        }
        if now >= self.next_scale_down {
            self.next_scale_down = Timestamp(now.0 + SCALED_DOWN_EVERY);
            world.send(Message::ScaleDown, 0);
        }
    }
}
