//! The world of a history: the books, the outside, the queues, and what was told.

use std::collections::{BTreeMap, VecDeque};

use stoker_core::contract::Fixtures;
use stoker_core::ids::{InstanceId, JobKey, ScopeKey};
use stoker_core::ports::ActRequest;
use stoker_core::runner::RunnerNews;
use stoker_core::time::Timestamp;
use stoker_intake::{Action, EventKind, JobEvent};

use crate::draw::Draw;
use crate::ledger::Books;
use crate::outside::{Event, Outside, Work};

/// When every history begins.
pub(crate) const START: Timestamp = Timestamp(1_800_000_000);

/// How much of what was told is kept.
const TOLD_KEPT: usize = 4_000;

/// For how long SQS swallows a repeated request to act, in seconds.
const DEDUPLICATED: u64 = 300;

/// A message.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Job(Box<JobEvent>),
    Instance(InstanceId, RunnerNews, String),
    Act(ActRequest),
    Tick,
}

/// A message in its queue.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) number: u64,
    pub(crate) due: Timestamp,
    pub(crate) message: Message,
    pub(crate) receives: u32,
    /// A process has it.
    pub(crate) in_flight: bool,
}

/// The world.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) draw: Draw,
    /// Of so many requests one fails; 0: none.
    pub(crate) faults: u64,
    /// Whether messages are doubled and late.
    pub(crate) disorder: bool,
    pub(crate) books: Books,
    pub(crate) outside: Outside,
    pub(crate) queue: Vec<Queued>,
    sent: u64,
    requests: BTreeMap<(ScopeKey, String), Timestamp>,
    pub(crate) fixtures: Fixtures,
    pub(crate) labels: Vec<String>,
    /// Which number, and of which scope, each job has.
    pub(crate) numbers: BTreeMap<JobKey, (u64, u64)>,
    told: VecDeque<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let fixtures = Fixtures::new(START, 1);
        let labels = fixtures.queued_event(1, 1).labels.unwrap_or_default();
        Self {
            now: START,
            draw: Draw::new(seed),
            faults: 0,
            disorder: true,
            books: Books::default(),
            outside: Outside::default(),
            queue: Vec::new(),
            sent: 0,
            requests: BTreeMap::new(),
            fixtures,
            labels,
            numbers: BTreeMap::new(),
            told: VecDeque::new(),
        }
    }

    /// Writes a line of the history down.
    pub(crate) fn tell(&mut self, line: String) {
        if self.told.len() == TOLD_KEPT {
            self.told.pop_front();
        }
        self.told.push_back(line);
    }

    /// What was told last.
    pub(crate) fn told(&self) -> impl Iterator<Item = &String> {
        self.told.iter()
    }

    /// Puts a message into its queue.
    pub(crate) fn send(&mut self, message: Message, delay: u64) {
        if let Message::Act(request) = &message {
            let id = (request.scope, request.folded.clone());
            let before = self.requests.get(&id).copied();
            if before.is_some_and(|at| at.0 + DEDUPLICATED > self.now.0) {
                return;
            }
            self.requests.insert(id, self.now);
        }
        self.sent += 1;
        let number = self.sent;
        self.queue.push(Queued {
            number,
            due: Timestamp(self.now.0 + delay),
            message,
            receives: 0,
            in_flight: false,
        });
    }

    /// A job is queued at GitHub.
    pub(crate) fn queue_job(&mut self, scope: u64, number: u64) {
        let event = self.fixtures.queued_event(scope, number);
        let key = self.fixtures.job_key(number);
        let whose = self.fixtures.scope(scope);
        self.outside.jobs.insert(key, (whose, Work::Queued));
        self.numbers.insert(key, (scope, number));
        self.tell(format!("{} job {key} of {whose} is queued", self.now.0));
        // Some are known by a check run alone, which tells no labels.
        let by_check_run = self.draw.one_in(6);
        if by_check_run {
            self.deliver(&JobEvent {
                event: EventKind::CheckRun,
                action: Action::Created,
                labels: None,
                ..event.clone()
            });
        }
        if !by_check_run || self.draw.one_in(2) {
            self.deliver(&event);
        }
    }

    /// A job is cancelled before it is taken; whether it was.
    pub(crate) fn cancel_job(&mut self) -> bool {
        let jobs = self.outside.jobs.iter();
        let waiting: Vec<JobKey> = jobs
            .filter(|(_, (_, work))| *work == Work::Queued)
            .map(|(key, _)| *key)
            .collect();
        if waiting.is_empty() {
            return false;
        }
        let key = waiting[self.draw.place(waiting.len())];
        if let Some((_, work)) = self.outside.jobs.get_mut(&key) {
            *work = Work::Ended;
        }
        self.tell(format!("{} job {key} is cancelled", self.now.0));
        self.job_news(key, Action::Completed, None);
        true
    }

    /// GitHub and EC2 tell what happened.
    pub(crate) fn announce(&mut self, events: Vec<Event>) {
        for event in events {
            self.tell(format!("{} {event:?}", self.now.0));
            match event {
                Event::Took(job, runner) => self.job_news(job, Action::InProgress, Some(runner)),
                Event::Ended(job, runner) => self.job_news(job, Action::Completed, Some(runner)),
                Event::Gone(instance) => self.instance_news(instance, RunnerNews::Gone),
                Event::Interrupted(instance) => {
                    self.instance_news(instance, RunnerNews::Interrupted);
                }
            }
        }
    }

    fn job_news(&mut self, key: JobKey, action: Action, runner: Option<String>) {
        let Some(&(scope, number)) = self.numbers.get(&key) else {
            return;
        };
        let ended = action == Action::Completed;
        let event = JobEvent {
            action,
            runner_name: runner,
            conclusion: ended.then(|| "success".to_owned()),
            ..self.fixtures.queued_event(scope, number)
        };
        self.deliver(&event);
    }

    fn instance_news(&mut self, instance: InstanceId, news: RunnerNews) {
        let id = format!("{news:?}-{}", self.now.0);
        // EC2's events come after a moment.
        let delay = 60
            + if self.disorder {
                self.draw.below(60)
            } else {
                0
            };
        self.send(Message::Instance(instance, news, id), delay);
    }

    /// A webhook: late, and twice, as it is drawn.
    fn deliver(&mut self, event: &JobEvent) {
        let copies = if self.disorder && self.draw.one_in(10) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = if self.disorder && self.draw.one_in(4) {
                self.draw.below(120)
            } else {
                0
            };
            self.send(Message::Job(Box::new(event.clone())), delay);
        }
    }
}
