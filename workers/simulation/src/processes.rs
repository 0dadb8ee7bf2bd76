//! Processes: each has a batch of messages, goes on step by step, and may die before it is done.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use stoker_batch::{Handler, SqsEvent};
use stoker_core::control::Control;
use stoker_core::ids::ScopeKey;
use stoker_core::time::Timestamp;

use crate::history::History;
use crate::ledger::Books;
use crate::outside;
use crate::world::{Message, Queued};

/// How many processes run at once.
const PROCESSES: usize = 6;

/// After so many steps of time, of a second at least, EC2 shows each instance.
const SHOWN_AFTER: u32 = 20;

/// How long a process lives at most, in seconds.
const LAMBDA_LIVES: u64 = 300;

type Work = Pin<Box<dyn Future<Output = Vec<String>> + Send>>;

/// What a process remembers from one batch to the next.
pub(crate) struct Memory {
    pub(crate) handler: Handler<Control>,
    pub(crate) control: Control,
}

/// What a process is at work on.
pub(crate) struct Process {
    memory: Arc<Memory>,
    /// Gives the messages that are to come again.
    work: Work,
    /// Its messages.
    numbers: Vec<u64>,
    since: Timestamp,
    /// The scopes whose requests it has: others wait for it.
    scopes: Vec<ScopeKey>,
}

impl History {
    /// A process gets a batch of messages of one queue.
    pub(crate) fn receive(&mut self) {
        if self.processes.len() >= PROCESSES {
            return;
        }
        let held = self.processes.iter().flat_map(|process| &process.scopes);
        let held: Vec<ScopeKey> = held.copied().collect();
        let mut world = self.ports.world();
        let batch = world.receive(&held);
        if batch.is_empty() {
            return;
        }
        let now = world.now;
        let mut scopes = Vec::new();
        for queued in &batch {
            if let Message::Act(request) = &queued.message {
                scopes.push(request.scope);
            }
            let line = format!("{} process of {queued:?}", now.0);
            world.tell(line.chars().take(300).collect());
        }
        drop(world);
        let memory = self.process();
        let process = Arc::clone(&memory);
        let numbers: Vec<u64> = batch.iter().map(|queued| queued.number).collect();
        let work: Work = match batch[0].message {
            Message::Tick => Box::pin(async move {
                // The next minute does what this one could not.
                let _ticked = process.handler.tick().await;
                Vec::new()
            }),
            Message::ScaleDown => Box::pin(async move {
                let until = Timestamp(now.0 + LAMBDA_LIVES / 2);
                // The next one does what this one could not.
                let _scaled = process.control.scale_down(until).await;
                Vec::new()
            }),
            Message::Rebuild => {
                let again = numbers.iter().map(u64::to_string).collect();
                Box::pin(async move {
                    // Whoever runs it does so again until all is found.
                    match process.handler.rebuild().await {
                        Ok(rebuilt) if !rebuilt.has_gaps() => Vec::new(),
                        _ => again,
                    }
                })
            }
            _ => {
                let records = batch.iter().filter_map(Queued::record).collect();
                Box::pin(async move {
                    let left = Duration::from_secs(LAMBDA_LIVES);
                    let response = process.handler.invoked(SqsEvent { records }, left).await;
                    response.failures.into_iter().map(|one| one.id).collect()
                })
            }
        };
        self.processes.push(Process {
            memory,
            work,
            numbers,
            since: now,
            scopes,
        });
    }

    pub(crate) fn somebody_goes_on(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let place = self.ports.world().draw.place(self.processes.len());
        let age = self.processes[place].since.age(self.ports.world().now);
        if u64::from(age) > LAMBDA_LIVES {
            return self.dies(place);
        }
        let entered = self.timers.enter();
        let process = &mut self.processes[place];
        let came = process
            .work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(failed) = came else {
            return;
        };
        let done = self.processes.swap_remove(place);
        drop(entered);
        self.warm.push(done.memory);
        let mut world = self.ports.world();
        for number in done.numbers {
            if failed.contains(&number.to_string()) {
                world.give_back(number);
            } else {
                world.done(number);
            }
        }
    }

    /// A process dies; its messages come again.
    pub(crate) fn somebody_dies(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let place = self.ports.world().draw.place(self.processes.len());
        self.dies(place);
    }

    /// Now and then the ledger is lost. Whoever runs it stops everything, puts an empty one in its place when
    /// EC2 shows all that was launched, and has it rebuilt, at once or in some minutes: until then the tick and
    /// the acts find what has instances, and no more.
    pub(crate) fn the_ledger_is_lost(&mut self) {
        if !self.ports.world().draw.one_in(60) {
            return;
        }
        while !self.processes.is_empty() {
            self.dies(0);
        }
        self.warm.clear();
        for _ in 0..SHOWN_AFTER {
            self.time_passes();
        }
        let mut world = self.ports.world();
        let now = world.now.0;
        world.tell(format!("{now} the ledger is lost"));
        world.books = Books::default();
        let jobs = world.outside.jobs.iter();
        let ended = jobs.filter(|(_, (_, work))| *work == outside::Work::Ended);
        world.forgotten = ended.map(|(key, _)| *key).collect();
        let delay = world.draw.below(300);
        world.send(Message::Rebuild, delay);
    }

    fn dies(&mut self, place: usize) {
        let entered = self.timers.enter();
        let dead = self.processes.swap_remove(place);
        let numbers = dead.numbers.clone();
        drop(dead);
        drop(entered);
        let mut world = self.ports.world();
        let now = world.now.0;
        world.tell(format!("{now} the process of messages {numbers:?} dies"));
        for number in numbers {
            world.give_back(number);
        }
    }

    /// A process takes so long that its messages are given to another one, too.
    pub(crate) fn somebody_is_slow(&mut self) {
        let mut world = self.ports.world();
        if self.processes.is_empty() || !world.draw.one_in(4) {
            return;
        }
        let place = world.draw.place(self.processes.len());
        let process = &mut self.processes[place];
        process.scopes.clear();
        let now = world.now;
        let numbers = &process.numbers;
        world.tell(format!(
            "{} messages {numbers:?} are delivered again",
            now.0
        ));
        for &number in numbers {
            world.visible_again(number, now);
        }
    }
}
