//! The world of a history: the books, the outside, the queues, and what was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stoker_batch::event::{Attributes, Record};
use stoker_core::contract::Fixtures;
use stoker_core::ids::{InstanceId, JobKey, ScopeKey};
use stoker_core::ports::{ActRequest, Deliveries, Delivery, LiveJobs};
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

/// How many deliveries GitHub puts on a page.
const PAGE: usize = 10;

/// When a message comes again that nobody has said anything about, in seconds.
const VISIBLE_AFTER: u64 = 60;

/// A message.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Job(Box<JobEvent>),
    Instance(InstanceId, RunnerNews, String),
    Act(ActRequest),
    /// A request to act that waits in the queue of events until its time.
    Reminder(ActRequest),
    Tick,
    ScaleDown,
    /// `stoker ledger rebuild`.
    Rebuild,
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
    /// It had been put aside.
    is_redriven: bool,
}

impl Queued {
    /// As the Lambda is given it; none: it comes in another way.
    pub(crate) fn record(&self) -> Option<Record> {
        let (body, group) = match &self.message {
            Message::Job(event) => (event.to_message().ok()?, None),
            Message::Act(request) => (
                serde_json::to_string(request).ok()?,
                Some(request.scope.to_string()),
            ),
            Message::Reminder(request) => (serde_json::to_string(request).ok()?, None),
            Message::Instance(instance, news, id) => {
                let (kind, state) = match news {
                    RunnerNews::Interrupted => ("EC2 Spot Instance Interruption Warning", ""),
                    _ => ("EC2 Instance State-change Notification", "terminated"),
                };
                let event = serde_json::json!({
                    "id": id, "source": "aws.ec2", "detail-type": kind,
                    "detail": {"instance-id": instance, "state": state},
                });
                (event.to_string(), None)
            }
            Message::Tick | Message::ScaleDown | Message::Rebuild => return None,
        };
        Some(Record {
            id: self.number.to_string(),
            body,
            attributes: Attributes {
                group,
                receives: Some(self.receives.to_string()),
            },
            ..Record::default()
        })
    }
}

/// The world.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    /// How many processes wait for a time to come.
    pub(crate) waiting: usize,
    pub(crate) draw: Draw,
    /// Of so many requests one fails; 0: none.
    pub(crate) faults: u64,
    /// Whether messages are doubled and late.
    pub(crate) disorder: bool,
    /// How many idle runners the policy keeps of each scope.
    pub(crate) keeps: usize,
    pub(crate) books: Books,
    /// The jobs that had ended when the ledger was lost.
    pub(crate) forgotten: BTreeSet<JobKey>,
    pub(crate) outside: Outside,
    pub(crate) queue: Vec<Queued>,
    /// What was put aside, and whether that was for the second time.
    pub(crate) dead: Vec<(Message, bool)>,
    /// Webhooks that GitHub has sent: each attempt, whether it came, and the event.
    attempts: Vec<(Delivery, JobEvent)>,
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
            waiting: 0,
            draw: Draw::new(seed),
            faults: 0,
            disorder: true,
            keeps: 0,
            books: Books::default(),
            forgotten: BTreeSet::new(),
            outside: Outside::default(),
            queue: Vec::new(),
            dead: Vec::new(),
            attempts: Vec::new(),
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
            is_redriven: false,
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

    /// A job is queued at GitHub, which never sends its webhook.
    pub(crate) fn queue_untold(&mut self, scope: u64, number: u64) -> JobKey {
        let key = self.fixtures.job_key(number);
        let whose = self.fixtures.scope(scope);
        self.outside.jobs.insert(key, (whose, Work::Queued));
        self.numbers.insert(key, (scope, number));
        let now = self.now.0;
        self.tell(format!(
            "{now} job {key} of {whose} is queued, and nobody told"
        ));
        key
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

    /// The jobs that wait or run, as GitHub lists them.
    pub(crate) fn live_jobs(&self) -> LiveJobs {
        let listed = self.outside.jobs.iter().filter_map(|(key, (_, work))| {
            let (scope, number) = self.numbers.get(key)?;
            let queued = self.fixtures.queued_event(*scope, *number);
            match work {
                Work::Queued => Some(queued),
                Work::Taken => Some(JobEvent {
                    action: Action::InProgress,
                    runner_name: self.outside.runner_of(*key),
                    ..queued
                }),
                Work::Ended => None,
            }
        });
        LiveJobs {
            events: listed.collect(),
            repositories: 1,
            ..LiveJobs::default()
        }
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

    /// Takes up to five messages of one queue that are due: of the act queue none of a scope whose requests a
    /// process has, and each scope's in their order.
    pub(crate) fn receive(&mut self, held: &[ScopeKey]) -> Vec<Queued> {
        let now = self.now;
        let is_open = |queued: &Queued| !queued.in_flight && queued.due <= now;
        let mut blocked: Vec<ScopeKey> = held.to_vec();
        let mut acts = Vec::new();
        let mut others = Vec::new();
        for (place, queued) in self.queue.iter().enumerate() {
            match &queued.message {
                Message::Act(request) if blocked.contains(&request.scope) => {}
                // What is behind one that is not due yet waits for it.
                Message::Act(request) if !is_open(queued) => blocked.push(request.scope),
                Message::Act(_) => acts.push(place),
                _ if is_open(queued) => others.push(place),
                _ => {}
            }
        }
        if acts.is_empty() && others.is_empty() {
            return Vec::new();
        }
        let place = self.draw.place(acts.len() + others.len());
        let most = 1 + self.draw.place(5);
        let taken: Vec<usize> = if place < acts.len() {
            acts.truncate(most);
            acts
        } else {
            let first = others.swap_remove(place - acts.len());
            let mut taken = vec![first];
            while taken.len() < most && !others.is_empty() {
                let next = others.swap_remove(self.draw.place(others.len()));
                taken.push(next);
            }
            // Neither the schedule nor an operator comes through a queue.
            let is_tick = |place: &usize| {
                let message = &self.queue[*place].message;
                matches!(
                    message,
                    Message::Tick | Message::ScaleDown | Message::Rebuild
                )
            };
            if is_tick(&first) {
                taken.truncate(1);
            } else {
                taken.retain(|place| !is_tick(place));
            }
            taken
        };
        taken
            .into_iter()
            .map(|place| {
                let queued = &mut self.queue[place];
                queued.in_flight = true;
                queued.receives += 1;
                queued.due = Timestamp(now.0 + VISIBLE_AFTER);
                queued.clone()
            })
            .collect()
    }

    fn queued(&mut self, number: u64) -> Option<&mut Queued> {
        let mut all = self.queue.iter_mut();
        all.find(|queued| queued.number == number)
    }

    /// A message is done with.
    pub(crate) fn done(&mut self, number: u64) {
        self.queue.retain(|queued| queued.number != number);
    }

    /// A message comes again when it is due.
    pub(crate) fn give_back(&mut self, number: u64) {
        if let Some(queued) = self.queued(number) {
            queued.in_flight = false;
        }
    }

    /// When a message comes again, if it does.
    pub(crate) fn due(&mut self, number: u64, at: Timestamp) {
        if let Some(queued) = self.queued(number) {
            queued.due = at;
        }
    }

    /// A message comes again though a process has it.
    pub(crate) fn visible_again(&mut self, number: u64, now: Timestamp) {
        self.due(number, now);
        self.give_back(number);
    }

    /// A message is put aside.
    pub(crate) fn put_aside(&mut self, number: u64, reason: &str) {
        if let Some(queued) = self.queued(number) {
            let message = (queued.message.clone(), queued.is_redriven);
            let now = self.now.0;
            self.tell(format!("{now} message {number} is put aside: {reason}"));
            self.dead.push(message);
        }
    }

    /// What was put aside comes once more, but not again. How many.
    pub(crate) fn redrive(&mut self) -> usize {
        let aside = std::mem::take(&mut self.dead);
        let (aside, redriven): (Vec<_>, Vec<_>) =
            aside.into_iter().partition(|(_, is_redriven)| *is_redriven);
        self.dead = aside;
        for (message, _) in &redriven {
            self.send(message.clone(), 0);
            if let Some(queued) = self.queue.last_mut() {
                queued.is_redriven = true;
            }
        }
        redriven.len()
    }

    /// A page of the deliveries before that one, newest first.
    pub(crate) fn deliveries(&self, before: u64) -> Deliveries {
        let all = self.attempts.iter().rev();
        let mut all = all.filter(|(one, _)| one.id < before).peekable();
        let deliveries: Vec<Delivery> = all
            .by_ref()
            .take(PAGE)
            .map(|(one, _)| one.clone())
            .collect();
        let last = deliveries.last().map(|one| one.id.to_string());
        Deliveries {
            next: last.filter(|_| all.peek().is_some()),
            deliveries,
        }
    }

    /// GitHub sends a webhook once more.
    pub(crate) fn deliver_again(&mut self, delivery: u64) {
        let mut all = self.attempts.iter();
        if let Some((_, event)) = all.find(|(one, _)| one.id == delivery) {
            let event = event.clone();
            self.attempt(&event, true);
        }
    }

    /// A webhook: late, twice, or not at all, as it is drawn.
    fn deliver(&mut self, event: &JobEvent) {
        if self.disorder && self.draw.one_in(40) {
            let (job, action) = (event.check_run_id, event.action);
            self.tell(format!("  the webhook of {job} ({action:?}) is never sent"));
            return;
        }
        self.attempt(event, false);
    }

    /// GitHub sends a webhook: whether it comes is drawn.
    fn attempt(&mut self, event: &JobEvent, redelivery: bool) {
        let comes = !self.disorder || !self.draw.one_in(15);
        self.sent += 1;
        let delivery = Delivery {
            id: self.sent,
            guid: event.delivery.clone(),
            at: self.now,
            redelivery,
            status: if comes { 202 } else { 502 },
            event: event.event.as_str().to_owned(),
            action: Some(event.action.as_str().to_owned()),
        };
        self.attempts.push((delivery, event.clone()));
        if !comes {
            let (job, action) = (event.check_run_id, event.action);
            self.tell(format!("  the webhook of {job} ({action:?}) is lost"));
            return;
        }
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
