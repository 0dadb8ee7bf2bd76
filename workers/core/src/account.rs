//! What a scope has spent, and how its classes fared: one item a scope, into which acts book each
//! runner that has ended, exactly once.
//!
//! Money is exact: a runner is booked in the transaction that takes it off the list of those that are
//! not, and a situation counts what is still on that list. The rest are statistics of the last hour, of
//! which two acts at once or a crash may lose a little.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stoker_intake::{RepositoryId, RunId};

use crate::class::Capacity;
use crate::ids::ClassName;
use crate::runner::Runner;
use crate::situation::{Recent, Refused, Spend};
use crate::time::Timestamp;

/// Seconds.
const HOUR: u64 = 3_600;
/// Seconds.
const DAY: u64 = 24 * HOUR;

/// How fine the statistics of the last hour are, in seconds: what is older than an hour goes in stretches
/// of this length, so they cover 55 to 60 minutes.
const STRETCH: u64 = 300;

/// The most boot times that are kept of one class, capacity and stretch: a median of that many is a
/// median, and the item stays small however many boot.
const BOOTS_KEPT: usize = 20;

/// How long it is remembered that a job's runner was interrupted, in seconds: re-runs come within days.
const INTERRUPTED_KEPT: u64 = 7 * DAY;

/// The most interrupted jobs that are remembered, the newest: the account is one item, of at most 400 KB.
const INTERRUPTED_REMEMBERED: usize = 500;

/// What was spent in an hour, a day or a month.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Spent {
    /// When the hour, day or month began.
    since: Timestamp,
    /// US dollars, of runners that have ended.
    dollars: f64,
}

impl Spent {
    /// Begins anew where another hour, day or month has.
    fn roll(&mut self, since: Timestamp) {
        if self.since < since {
            *self = Self {
                since,
                dollars: 0.0,
            };
        }
    }
}

/// How one class fared with one kind of capacity, within a few minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fared {
    since: Timestamp,
    class: ClassName,
    capacity: Capacity,
    launched: u32,
    refused: u32,
    interrupted: u32,
    /// Seconds from launch to ready.
    boots: Vec<u32>,
}

/// A job whose runner was interrupted, by what a re-run of it has in common with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Interrupted {
    at: Timestamp,
    run: RunId,
    name: String,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// How often the item was written; 0: never.
    pub revision: u64,
    hour: Spent,
    day: Spent,
    month: Spent,
    /// US dollars of the day, by the repository that was served.
    repositories: BTreeMap<RepositoryId, f64>,
    fared: Vec<Fared>,
    interrupted: Vec<Interrupted>,
    /// What EC2 did not have the last time it was asked.
    pauses: Vec<Pause>,
    /// Which classes' runners GitHub refused to register the last time it was asked.
    refusals: BTreeMap<ClassName, Refusal>,
}

/// That GitHub refuses to register runners of a class, and when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Refusal {
    /// How often in a row.
    failures: u32,
    until: Timestamp,
    /// What it answered.
    problem: String,
}

/// That EC2 had no room for a class, and when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    class: ClassName,
    capacity: Capacity,
    /// How often in a row.
    pub failures: u32,
    /// When to ask again.
    pub until: Timestamp,
    /// EC2's error code.
    pub code: String,
}

/// How long EC2 is not asked again after it had no room for the first time, in seconds. Each time in a row
/// doubles it.
pub(crate) const FIRST_PAUSE: u32 = 15;

/// The longest pause, in seconds.
const LONGEST_PAUSE: u32 = 300;

/// How long nothing is launched that GitHub would not register, in seconds, the first time. Each time in a row
/// doubles it, up to [`LONGEST_PAUSE`]: the reason is one that people mend, and each try costs an instance.
const FIRST_REFUSAL: u32 = 30;

/// The most of GitHub's answer that is kept, in characters.
const PROBLEM_KEPT: usize = 500;

/// Seconds that double with each failure in a row.
fn pause(first: u32, failures: u32) -> u32 {
    first
        .saturating_mul(1 << (failures - 1).min(10))
        .min(LONGEST_PAUSE)
}

impl Account {
    /// The same with another revision.
    #[must_use]
    pub fn at_revision(&self, revision: u64) -> Self {
        Self {
            revision,
            ..self.clone()
        }
    }

    /// Forgets what is over.
    fn roll(&mut self, now: Timestamp) {
        let day = Timestamp(now.0 / DAY * DAY);
        if self.day.since < day {
            self.repositories.clear();
        }
        self.hour.roll(Timestamp(now.0 / HOUR * HOUR));
        self.day.roll(day);
        self.month.roll(month_of(now));
        self.fared
            .retain(|fared| u64::from(fared.since.age(now)) < HOUR);
        self.interrupted
            .retain(|job| u64::from(job.at.age(now)) < INTERRUPTED_KEPT);
        let surplus = self.interrupted.len();
        self.interrupted
            .drain(..surplus.saturating_sub(INTERRUPTED_REMEMBERED));
    }

    /// Books a runner that has ended.
    pub fn book(&mut self, runner: &Runner, now: Timestamp) {
        self.roll(now);
        let ended = runner.phase_since;
        for spent in [&mut self.hour, &mut self.day, &mut self.month] {
            spent.dollars += cost(runner, spent.since, ended);
        }
        if let Some(repository) = runner.counts_for() {
            let today = cost(runner, self.day.since, ended);
            *self.repositories.entry(repository).or_default() += today;
        }
        if let Some(booted) = runner.booted_at {
            let fared = self.fared(&runner.class, runner.capacity, booted);
            if fared.boots.len() < BOOTS_KEPT {
                fared.boots.push(runner.launched_at.age(booted));
            }
        }
        if runner.interrupted {
            self.fared(&runner.class, runner.capacity, ended)
                .interrupted += 1;
        }
        self.roll(now);
    }

    /// Remembers a job whose runner was interrupted.
    pub fn note_interrupted(&mut self, run: RunId, name: String, at: Timestamp) {
        self.interrupted.push(Interrupted { at, run, name });
    }

    /// Notes what EC2 answered to a launch.
    pub fn note_launch(
        &mut self,
        class: &ClassName,
        capacity: Capacity,
        launched: u32,
        refused: u32,
        now: Timestamp,
    ) {
        self.roll(now);
        let fared = self.fared(class, capacity, now);
        fared.launched = fared.launched.saturating_add(launched);
        fared.refused = fared.refused.saturating_add(refused);
    }

    /// Notes that EC2 gave all that was asked for (none), or for what reason (its error code) it gave less.
    pub fn note_room(
        &mut self,
        class: &ClassName,
        capacity: Capacity,
        lacking: Option<&str>,
        now: Timestamp,
    ) {
        let place = self
            .pauses
            .iter()
            .position(|pause| pause.class == *class && pause.capacity == capacity);
        let Some(code) = lacking else {
            if let Some(place) = place {
                self.pauses.remove(place);
            }
            return;
        };
        let failures = place.map_or(0, |place| self.pauses.remove(place).failures) + 1;
        let pause = pause(FIRST_PAUSE, failures);
        self.pauses.push(Pause {
            class: class.clone(),
            capacity,
            failures,
            until: Timestamp(now.0 + u64::from(pause)),
            code: code.to_owned(),
        });
    }

    /// Notes that GitHub registered a runner of a class (none), or why it refused to. Whether that is news.
    pub fn note_registration(
        &mut self,
        class: &ClassName,
        refused: Option<&str>,
        now: Timestamp,
    ) -> bool {
        let known = self.refusals.remove(class);
        let Some(problem) = refused else {
            return known.is_some();
        };
        let failures = known.map_or(0, |known| known.failures) + 1;
        let refusal = Refusal {
            failures,
            until: Timestamp(now.0 + u64::from(pause(FIRST_REFUSAL, failures))),
            problem: problem.chars().take(PROBLEM_KEPT).collect(),
        };
        self.refusals.insert(class.clone(), refusal);
        true
    }

    /// That GitHub refused to register the class's last runner.
    pub fn refused(&self, class: &ClassName, now: Timestamp) -> Option<Refused> {
        self.refusals.get(class).map(|refusal| Refused {
            problem: refusal.problem.clone(),
            paused_for: now.age(refusal.until),
        })
    }

    /// What EC2 did not have the last time that it was asked for that class.
    pub fn pause(&self, class: &ClassName, capacity: Capacity) -> Option<&Pause> {
        self.pauses
            .iter()
            .find(|pause| pause.class == *class && pause.capacity == capacity)
    }

    fn fared(&mut self, class: &ClassName, capacity: Capacity, at: Timestamp) -> &mut Fared {
        let since = Timestamp(at.0 / STRETCH * STRETCH);
        let known = self.fared.iter().position(|fared| {
            fared.since == since && fared.class == *class && fared.capacity == capacity
        });
        let place = known.unwrap_or_else(|| {
            self.fared.push(Fared {
                since,
                class: class.clone(),
                capacity,
                launched: 0,
                refused: 0,
                interrupted: 0,
                boots: Vec::new(),
            });
            self.fared.len() - 1
        });
        &mut self.fared[place]
    }

    /// The account as it is at that time with these ended runners booked.
    #[must_use]
    pub fn with_ended(&self, ended: &[Runner], now: Timestamp) -> Self {
        let mut account = self.clone();
        account.roll(now);
        for runner in ended {
            account.book(runner, now);
        }
        account
    }

    /// What was spent, the live runners included. The account is to be of that time.
    pub fn spend(&self, live: &[&Runner], now: Timestamp) -> Spend {
        let of = |spent: Spent| {
            let alive = live.iter().map(|runner| cost(runner, spent.since, now));
            spent.dollars + alive.sum::<f64>()
        };
        Spend {
            this_hour: of(self.hour),
            today: of(self.day),
            this_month: of(self.month),
        }
    }

    /// What the runners that served each repository have cost today, the live ones included. The account
    /// is to be of that time.
    pub fn spent_today(&self, live: &[&Runner], now: Timestamp) -> BTreeMap<RepositoryId, f64> {
        let mut spent = self.repositories.clone();
        for runner in live {
            if let Some(repository) = runner.counts_for() {
                *spent.entry(repository).or_default() += cost(runner, self.day.since, now);
            }
        }
        spent
    }

    /// How a class fared in the last hour, the live runners included. The account is to be of that time.
    pub fn recent(
        &self,
        class: &ClassName,
        capacity: Capacity,
        live: &[&Runner],
        now: Timestamp,
    ) -> Recent {
        let mut recent = Recent::default();
        let mut boots: Vec<u32> = live
            .iter()
            .filter(|runner| runner.class == *class && runner.capacity == capacity)
            .filter_map(|runner| {
                let booted = runner.booted_at?;
                (u64::from(booted.age(now)) < HOUR).then(|| runner.launched_at.age(booted))
            })
            .collect();
        let fared = self.fared.iter();
        for fared in fared.filter(|fared| fared.class == *class && fared.capacity == capacity) {
            recent.launched = recent.launched.saturating_add(fared.launched);
            recent.refused = recent.refused.saturating_add(fared.refused);
            recent.interrupted = recent.interrupted.saturating_add(fared.interrupted);
            boots.extend(&fared.boots);
        }
        if let Some(pause) = self.pause(class, capacity) {
            recent.paused_for = now.age(pause.until);
            recent.failures = pause.failures;
        }
        boots.sort_unstable();
        // The smallest that so many in a hundred do not exceed.
        let within = |percent: usize| {
            let place = (boots.len() * percent).div_ceil(100);
            boots.get(place.saturating_sub(1)).copied()
        };
        recent.boot_median = within(50);
        recent.boot_slowest = within(95);
        recent
    }

    /// Whether the runner of an earlier attempt of a job was interrupted.
    pub fn was_interrupted(&self, run: Option<RunId>, name: &str) -> bool {
        run.is_some_and(|run| {
            self.interrupted
                .iter()
                .any(|job| job.run == run && job.name == name)
        })
    }
}

/// What a runner has cost between two times, in US dollars.
fn cost(runner: &Runner, since: Timestamp, until: Timestamp) -> f64 {
    let from = runner.launched_at.max(since);
    runner.price * f64::from(from.age(until)) / 3_600.0
}

/// When the month began.
fn month_of(now: Timestamp) -> Timestamp {
    let day_of_month = time::OffsetDateTime::from_unix_timestamp(i64::try_from(now.0).unwrap_or(0))
        .map_or(1, |at| u64::from(at.day()));
    Timestamp((now.0 / DAY).saturating_sub(day_of_month - 1) * DAY)
}
