//! One history: what happens, in what order, who dies when, and what must hold all the while and at the end.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use stoker_core::budget::Rates;
use stoker_core::class::Classes;
use stoker_core::control::{self, Acted, Control};
use stoker_core::ids::{Deployment, RunnerNames, ScopeKey};
use stoker_core::job::JobPhase;
use stoker_core::limits::{Guards, JOBS_SHOWN, Operation, RunnerLevel, RunnerMode, SPOT_FALLBACK};
use stoker_core::runner::Runner;
use stoker_core::time::Timestamp;

use crate::outside::{BOOT_TIME, Stands, Work};
use crate::ports::Ports;
use crate::world::{Message, World};

/// How many scopes there are.
const SCOPES: u64 = 3;

/// The most runners of a scope.
const SCOPE_MAXIMUM: u32 = 6;

/// The most runners of all scopes together.
const DEPLOYMENT_MAXIMUM: u32 = 12;

/// How many processes run at once.
const PROCESSES: usize = 6;

/// How long a process lives at most, in seconds.
const LAMBDA_LIVES: u32 = 300;

/// For how long, in seconds, everything is given to settle once nothing fails any more: what broke may have
/// to be waited for twice, each time for the boot time and the time after which a launch is given up.
const SETTLES_IN: u64 = 3 * 3_600;

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

/// What became of a message's process.
enum Came {
    Done,
    Again(u32),
}

struct Process {
    work: Pin<Box<dyn Future<Output = Came> + Send>>,
    /// Of which message.
    number: u64,
    since: Timestamp,
    /// Acts on one scope follow each other.
    scope: Option<ScopeKey>,
}

struct History {
    seed: u64,
    ports: Ports,
    control: Control,
    processes: Vec<Process>,
    jobs: u64,
    next_tick: Timestamp,
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
        runner_group: 1,
        classes: Classes::from_json(&classes.to_string()).ok()?,
        scope_maximum: SCOPE_MAXIMUM,
        boot_time: BOOT_TIME,
        jobs_shown: JOBS_SHOWN,
        guards: Guards::default(),
        rates: Rates {
            points_a_minute: Some(60),
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
        let control = Control::new(
            operation,
            control::Ports {
                ledger: Arc::new(ports.clone()),
                fleet: Arc::new(ports.clone()),
                github: Arc::new(ports.clone()),
                configurations: Arc::new(ports.clone()),
                acts: Arc::new(ports.clone()),
                decider: Arc::new(ports.clone()),
                clock: Arc::new(ports.clone()),
                reporter: Arc::new(ports.clone()),
            },
        );
        Self {
            seed,
            ports,
            control,
            processes: Vec::new(),
            jobs: 0,
            next_tick: crate::world::START,
        }
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
        let mut steps = 0;
        while self.ports.world().now.0 < end {
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
            _ => self.somebody_goes_on(),
        }
    }

    /// One step of a world in which nothing fails: whoever can go on does, and time passes when nobody can.
    fn settles(&mut self) {
        if self.processes.is_empty() {
            self.receive();
        }
        if self.processes.is_empty() {
            self.time_passes();
        } else {
            self.somebody_goes_on();
        }
    }

    fn time_passes(&mut self) {
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
    }

    /// A process gets a message.
    fn receive(&mut self) {
        if self.processes.len() >= PROCESSES {
            return;
        }
        let busy: Vec<ScopeKey> = self.processes.iter().filter_map(|p| p.scope).collect();
        let (number, message) = {
            let mut world = self.ports.world();
            let now = world.now;
            // A group's messages come one after the other.
            let mut waiting: Vec<ScopeKey> = busy;
            let mut open = Vec::new();
            for (place, queued) in world.queue.iter().enumerate() {
                if let Message::Act(request) = &queued.message {
                    let is_blocked = waiting.contains(&request.scope);
                    waiting.push(request.scope);
                    if is_blocked {
                        continue;
                    }
                }
                if !queued.in_flight && queued.due <= now {
                    open.push(place);
                }
            }
            if open.is_empty() {
                return;
            }
            let place = open[world.draw.place(open.len())];
            let queued = &mut world.queue[place];
            queued.in_flight = true;
            queued.receives += 1;
            let (number, message) = (queued.number, queued.message.clone());
            let line = format!("{} process of message {number}: {message:?}", now.0);
            world.tell(line.chars().take(300).collect());
            (number, message)
        };
        let scope = match &message {
            Message::Act(request) => Some(request.scope),
            _ => None,
        };
        let work = Box::pin(work(self.control.clone(), message));
        let since = self.ports.world().now;
        self.processes.push(Process {
            work,
            number,
            since,
            scope,
        });
    }

    fn somebody_goes_on(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let place = self.ports.world().draw.place(self.processes.len());
        if self.processes[place].since.age(self.ports.world().now) > LAMBDA_LIVES {
            return self.dies(place);
        }
        let process = &mut self.processes[place];
        let came = process
            .work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(came) = came else {
            return;
        };
        let number = process.number;
        drop(self.processes.swap_remove(place));
        let mut world = self.ports.world();
        match came {
            Came::Done => world.queue.retain(|queued| queued.number != number),
            Came::Again(seconds) => Self::give_back(&mut world, number, seconds),
        }
    }

    /// A process dies; its message comes again.
    fn somebody_dies(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let place = self.ports.world().draw.place(self.processes.len());
        self.dies(place);
    }

    fn dies(&mut self, place: usize) {
        let mut world = self.ports.world();
        let number = self.processes[place].number;
        let now = world.now.0;
        world.tell(format!("{now} the process of message {number} dies"));
        let seconds = 5 + u32::try_from(world.draw.below(60)).unwrap_or(0);
        Self::give_back(&mut world, number, seconds);
        drop(world);
        drop(self.processes.swap_remove(place));
    }

    /// A process takes so long that its message is given to another one, too.
    fn somebody_is_slow(&mut self) {
        let mut world = self.ports.world();
        if self.processes.is_empty() || !world.draw.one_in(4) {
            return;
        }
        let place = world.draw.place(self.processes.len());
        let process = &mut self.processes[place];
        process.scope = None;
        let number = process.number;
        let now = world.now.0;
        world.tell(format!("{now} message {number} is delivered again"));
        Self::give_back(&mut world, number, 0);
    }

    fn give_back(world: &mut World, number: u64, seconds: u32) {
        let due = Timestamp(world.now.0 + u64::from(seconds));
        for queued in &mut world.queue {
            if queued.number == number {
                queued.in_flight = false;
                queued.due = due;
            }
        }
    }

    /// What holds at every step.
    fn check(&self) -> Result<(), String> {
        let world = self.ports.world();
        if let Some(breach) = world.outside.breaches.first() {
            return Err(breach.clone());
        }
        let mut all = 0;
        for scope in 1..=SCOPES {
            let usable = world.outside.usable(world.fixtures.scope(scope));
            if usable > usize::try_from(SCOPE_MAXIMUM).unwrap_or(0) {
                return Err(format!("scope {scope} has {usable} runners"));
            }
            all += usable;
        }
        if all > usize::try_from(DEPLOYMENT_MAXIMUM).unwrap_or(0) {
            return Err(format!("there are {all} runners in all"));
        }
        Ok(())
    }

    /// What holds once everything has settled.
    fn check_the_end(&self) -> Result<(), String> {
        let world = self.ports.world();
        for (key, (scope, work)) in &world.outside.jobs {
            if *work != Work::Ended {
                return Err(format!("job {key} of {scope} is {work:?} in the end"));
            }
        }
        for job in world.books.jobs.values() {
            if job.phase != JobPhase::Ended {
                return Err(format!(
                    "job {} is {:?} in the ledger in the end",
                    job.key, job.phase
                ));
            }
        }
        if let Some(((scope, intent), _)) = world.books.intents.first_key_value() {
            return Err(format!("intent {intent} of {scope} is open in the end"));
        }
        for (id, machine) in &world.outside.machines {
            let known = world.books.runners.get(id);
            let is_known = known.is_some_and(Runner::is_live);
            let is_gone = machine.stands == Stands::Gone;
            if !is_gone && !machine.is_done && !is_known {
                return Err(format!("instance {id} of {} is nobody's", machine.scope));
            }
            if is_gone && is_known {
                return Err(format!("runner {id} of {} is a ghost", machine.scope));
            }
        }
        let left = world.outside.left_registered();
        if self.seed == u64::MAX && !left.is_empty() {
            return Err(format!("{} are registered and gone", left.join(", ")));
        }
        let text = format!("{:?} {:?}", world.books.jobs, world.books.runners);
        if text.contains(crate::ports::SECRET) {
            return Err("a secret is in the ledger".to_owned());
        }
        Ok(())
    }
}

/// What a process does with its message.
async fn work(control: Control, message: Message) -> Came {
    const FAILED: u32 = 5;
    match message {
        Message::Job(event) => match control.fold(&event).await {
            Ok(_) => Came::Done,
            Err(_) => Came::Again(FAILED),
        },
        Message::Instance(instance, news, id) => {
            match control.fold_instance(&instance, &news, &id).await {
                Ok(_) => Came::Done,
                Err(_) => Came::Again(FAILED),
            }
        }
        Message::Act(request) => match control.act(request.scope, request.trigger).await {
            Ok(Acted::Done) => Came::Done,
            Ok(Acted::TryAgain { after }) => Came::Again(after),
            Err(_) => Came::Again(FAILED),
        },
        Message::Tick => {
            // The next minute does what this one could not.
            let _ticked = control.tick().await;
            Came::Done
        }
    }
}
