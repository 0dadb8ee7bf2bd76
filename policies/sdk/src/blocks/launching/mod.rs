//! From waiting jobs to a plan: who is covered by runners that are there, what there is room for, and a
//! reason for every job.

mod reasons;

use super::matching::Matching;
use super::{capacity, index, position};
use crate::facts::{Capacity, Job, Runner, RunnerClass, RunnerPhase, Situation};
use crate::scale_up::{Deferral, Launch, Plan};
use reasons::launch;

/// What is left of the headroom for jobs, and whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    Scope,
    Launches,
    Registrations,
    /// One of the policy's own, in the order in which it set them.
    Own(usize),
    Repository(usize),
    OwnRepository(usize),
    /// Every class that the label set fits is full.
    Classes(usize),
    /// No class fits.
    NoClass,
    Spend,
}

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It has a place: with a runner that is there or on its way, or with one that is launched. Which one
    /// is settled last, since a job that any runner will do for makes way for others.
    Placed,
    /// A runner that is there, or on its way, can take it.
    Covered,
    Bound(Limit),
    Wait {
        reason: String,
        retry_after: Option<u32>,
    },
}

/// A limit of the policy's own.
#[derive(Debug, Clone)]
struct Own {
    left: u32,
    reason: String,
    retry_after: Option<u32>,
}

/// A plan in the making. Jobs that the policy says nothing of wait for want of anybody who asked for
/// them.
#[derive(Debug, Clone)]
pub struct Launching<'a> {
    situation: &'a Situation,
    fates: Vec<Option<Fate>>,
    /// Places: first, by class, with runners that are there; then, by class, with runners that may be
    /// launched.
    places: Matching,
    launched: u32,
    /// The least of all limits that are not a repository's or a class's.
    most: u32,
    own: Vec<Own>,
    repositories: Vec<RepositoryRoom>,
    stock: Vec<Stocked>,
}

#[derive(Debug, Clone)]
struct RepositoryRoom {
    left: u32,
    /// The policy's own maximum, and what is left of it.
    own: Option<(u32, u32)>,
}

#[derive(Debug, Clone)]
struct Stocked {
    class: usize,
    reason: String,
}

/// Whether a runner can take a job that waits now.
fn is_supply(runner: &Runner) -> bool {
    matches!(
        runner.phase,
        RunnerPhase::Launching | RunnerPhase::Booting | RunnerPhase::Idle
    )
}

impl<'a> Launching<'a> {
    /// Begins with the jobs that idle, booting and launching runners can take: the longest waiting
    /// first, and as many as can be.
    pub fn new(situation: &'a Situation) -> Self {
        let mut free = vec![0_u32; situation.classes.len()];
        for runner in situation.runners.iter().filter(|runner| is_supply(runner)) {
            if let Some(free) = free.get_mut(index(runner.runner_class)) {
                *free += 1;
            }
        }
        let classes = situation.classes.len();
        free.extend(situation.classes.iter().map(|class| class.left));
        let mut places = Matching::new(fits(situation), free);
        for class in 0..classes {
            places.set_open(classes + class, false);
        }
        let fates = situation
            .pending
            .iter()
            .map(|job| {
                if situation.label_sets[index(job.labels)].fits.is_empty() {
                    Some(Fate::Bound(Limit::NoClass))
                } else {
                    places.place(index(job.labels)).map(|_| Fate::Placed)
                }
            })
            .collect();
        for class in 0..classes {
            places.set_open(classes + class, true);
        }
        Self {
            fates,
            places,
            launched: 0,
            most: situation
                .headroom
                .runners_left
                .min(situation.headroom.launches_left)
                .min(situation.headroom.registrations_left),
            own: Vec::new(),
            repositories: situation
                .repositories
                .iter()
                .map(|repository| RepositoryRoom {
                    left: repository.left,
                    own: None,
                })
                .collect(),
            stock: Vec::new(),
            situation,
        }
    }

    /// A maximum of runners in the scope, by the name of its setting. None: there is none.
    #[must_use]
    pub fn own_maximum(self, setting: &str, maximum: Option<u32>) -> Self {
        let Some(maximum) = maximum else {
            return self;
        };
        let live = position(self.situation.runners.len());
        self.at_most(
            maximum.saturating_sub(live),
            format!("the policy's `{setting}` of {maximum} is reached"),
            None,
        )
    }

    /// At most so many launches in this decision, for a reason that the jobs beyond it are given with
    /// the time after which it is worth asking again, in seconds.
    #[must_use]
    pub fn at_most(
        mut self,
        left: u32,
        reason: impl Into<String>,
        retry_after: Option<u32>,
    ) -> Self {
        self.most = self.most.min(left);
        self.own.push(Own {
            left,
            reason: reason.into(),
            retry_after,
        });
        self
    }

    /// A maximum of runners of one repository. A busy runner counts for the repository that it serves,
    /// any other for the one that it was launched for.
    #[must_use]
    pub fn repository_maximum(mut self, repository: usize, maximum: Option<u32>) -> Self {
        if let (Some(room), Some(maximum)) = (self.repositories.get_mut(repository), maximum) {
            let have = held(self.situation)
                .filter(|&other| other == repository)
                .count();
            room.own = Some((maximum, maximum.saturating_sub(position(have))));
        }
        self
    }

    /// Keeps jobs away from the classes for which that is true; idle stock too.
    #[must_use]
    pub fn without_classes(mut self, closed: impl Fn(&RunnerClass) -> bool) -> Self {
        for (class, facts) in self.situation.classes.iter().enumerate() {
            if closed(facts) {
                let room = self.room(class);
                self.places.set_open(room, false);
            }
        }
        self
    }

    /// The kind of place with a runner of that class that may be launched.
    fn room(&self, class: usize) -> usize {
        self.situation.classes.len() + class
    }

    /// The jobs that nothing is decided for yet, in the situation's order.
    pub fn open(&self) -> Vec<usize> {
        (0..self.fates.len())
            .filter(|&job| self.fates[job].is_none())
            .collect()
    }

    /// The situation.
    pub fn situation(&self) -> &'a Situation {
        self.situation
    }

    /// Launches for a job if there is room. Whether there was; otherwise it waits, and the limit is its
    /// reason.
    pub fn launch_for(&mut self, job: usize) -> bool {
        let Some(facts) = self.situation.pending.get(job) else {
            return false;
        };
        let repository = index(facts.repository);
        let limit = self.limit(Some(repository)).or_else(|| {
            let label_set = index(facts.labels);
            self.places
                .place(label_set)
                .is_none()
                .then_some(Limit::Classes(label_set))
        });
        self.fates[job] = Some(limit.map_or(Fate::Placed, Fate::Bound));
        if limit.is_none() {
            self.count(Some(repository));
        }
        limit.is_none()
    }

    /// Leaves a job waiting, and says when to ask again, in seconds (none: when something changes).
    pub fn wait(&mut self, job: usize, reason: impl Into<String>, retry_after: Option<u32>) {
        if let Some(fate) = self.fates.get_mut(job) {
            *fate = Some(Fate::Wait {
                reason: reason.into(),
                retry_after,
            });
        }
    }

    /// Keeps so many runners of a class free for jobs to come, as far as there is room. Those that are
    /// there and not needed by a waiting job count.
    pub fn stock(&mut self, class: usize, wanted: u32, reason: impl Into<String>) {
        let alike = self.situation.label_sets.len() + class;
        for _ in 0..wanted {
            let before = self.limit(None).map(|_| self.places.clone());
            let Some(kind) = self.places.place(alike) else {
                break;
            };
            if kind < self.situation.classes.len() {
                // One that is there.
                continue;
            }
            if let Some(before) = before {
                // Nothing more may be launched.
                self.places = before;
                break;
            }
            self.count(None);
        }
        self.stock.push(Stocked {
            class,
            reason: reason.into(),
        });
    }

    /// The first limit that lets nothing more be launched.
    fn limit(&self, repository: Option<usize>) -> Option<Limit> {
        let free = |place: usize| {
            self.repositories
                .get(place)
                .is_none_or(|room| room.left > 0 && room.own.is_none_or(|(_, left)| left > 0))
        };
        if self.launched < self.most && repository.is_none_or(free) {
            return None;
        }
        let headroom = &self.situation.headroom;
        if let Some(own) = self.own.iter().position(|own| own.left <= self.launched) {
            return Some(Limit::Own(own));
        }
        if let Some(place) = repository
            && let Some(room) = self.repositories.get(place)
        {
            if room.own.is_some_and(|(_, left)| left == 0) {
                return Some(Limit::OwnRepository(place));
            }
            if room.left == 0 && headroom.runners_left > self.launched {
                return Some(Limit::Repository(place));
            }
        }
        [
            (headroom.runners_left, Limit::Scope),
            (headroom.launches_left, Limit::Launches),
            (headroom.registrations_left, Limit::Registrations),
        ]
        .into_iter()
        .find(|(left, _)| *left <= self.launched)
        .map(|(_, limit)| limit)
    }

    fn count(&mut self, repository: Option<usize>) {
        self.launched += 1;
        if let Some(room) = repository.and_then(|place| self.repositories.get_mut(place)) {
            room.left = room.left.saturating_sub(1);
            if let Some((_, left)) = &mut room.own {
                *left = left.saturating_sub(1);
            }
        }
    }

    /// Makes the plan: every job is in exactly one launch or deferral. `choose` says spot or on demand
    /// for a class and a job (none: for idle stock). Where the operator's spend limit binds, the jobs at
    /// the end of the situation's order wait.
    pub fn finish(mut self, choose: impl Fn(&RunnerClass, Option<&Job>) -> Capacity) -> Plan {
        let situation = self.situation;
        let mut money = situation.headroom.spend_left;
        let mut left: Vec<u32> = situation.repositories.iter().map(|r| r.left).collect();
        // By class, spot before on demand. A plan's cost is counted job by job, so there are no maps here.
        let mut launches: Vec<Vec<u32>> = vec![Vec::new(); 2 * situation.classes.len()];
        let mut waiting: Vec<(Fate, Vec<u32>)> = Vec::new();
        for place in self.settling_order() {
            let job = &situation.pending[place];
            let mut fate = self.fates[place].take().unwrap_or_else(|| Fate::Wait {
                reason: "the policy did not decide about this job".to_owned(),
                retry_after: None,
            });
            if fate == Fate::Placed {
                fate = match self.settle(job, &mut left, &mut money, &choose) {
                    Ok((class, on_demand)) => {
                        launches[2 * class + usize::from(on_demand)].push(position(place));
                        continue;
                    }
                    Err(fate) => fate,
                };
            }
            match waiting.iter_mut().find(|(other, _)| *other == fate) {
                Some((_, jobs)) => jobs.push(position(place)),
                None => waiting.push((fate, vec![position(place)])),
            }
        }
        waiting.sort_by(|(a, _), (b, _)| a.cmp(b));
        let waiting_jobs = waiting.iter_mut().map(|(_, jobs)| jobs);
        for jobs in launches.iter_mut().chain(waiting_jobs) {
            jobs.sort_unstable();
        }
        let mut plan = Plan {
            launches: launches
                .into_iter()
                .enumerate()
                .filter(|(_, jobs)| !jobs.is_empty())
                .map(|(kind, jobs)| launch(situation, kind / 2, kind % 2 == 1, jobs))
                .collect(),
            deferrals: Vec::new(),
            notes: Vec::new(),
            attributes: Vec::new(),
        };
        for stocked in &self.stock {
            let facts = &situation.classes[stocked.class];
            let chosen = choose(facts, None);
            let alike = situation.label_sets.len() + stocked.class;
            let mut count = 0;
            while let Some(kind) = self.places.pick(alike) {
                if kind >= situation.classes.len() && spend(&mut money, facts, chosen) {
                    count += 1;
                }
            }
            if count > 0 {
                plan.launches.push(Launch {
                    runner_class: position(stocked.class),
                    capacity: chosen,
                    count,
                    launched_for: None,
                    jobs: Vec::new(),
                    reason: stocked.reason.clone(),
                });
            }
        }
        plan.deferrals = waiting
            .into_iter()
            .map(|(fate, jobs)| self.deferral(fate, jobs))
            .collect();
        if situation.pending_unseen > 0 {
            plan.notes.push(format!(
                "{} more jobs wait than this decision was shown",
                situation.pending_unseen
            ));
        }
        plan
    }

    /// The order in which jobs are given their places: those first whose repository may get no more
    /// runners, so that the runners that are there go to them.
    fn settling_order(&self) -> Vec<usize> {
        let situation = self.situation;
        let mut order: Vec<usize> = (0..situation.pending.len()).collect();
        if situation.repositories.iter().all(|r| r.left > 0) {
            return order;
        }
        order.sort_by_key(|&job| {
            let repository = index(situation.pending[job].repository);
            situation
                .repositories
                .get(repository)
                .is_none_or(|r| r.left > 0)
        });
        order
    }

    /// Gives a job its place: a launch of a class (on demand or not), or what becomes of it instead.
    fn settle(
        &mut self,
        job: &Job,
        left: &mut [u32],
        money: &mut Option<f64>,
        choose: &impl Fn(&RunnerClass, Option<&Job>) -> Capacity,
    ) -> Result<(usize, bool), Fate> {
        let label_set = index(job.labels);
        let Some(kind) = self.places.pick(label_set) else {
            return Err(Fate::Bound(Limit::Classes(label_set)));
        };
        let Some(class) = kind.checked_sub(self.situation.classes.len()) else {
            return Err(Fate::Covered);
        };
        let facts = &self.situation.classes[class];
        let repository = index(job.repository);
        if left.get(repository) == Some(&0) {
            return Err(Fate::Bound(Limit::Repository(repository)));
        }
        let chosen = choose(facts, Some(job));
        if !spend(money, facts, chosen) {
            return Err(Fate::Bound(Limit::Spend));
        }
        if let Some(left) = left.get_mut(repository) {
            *left -= 1;
        }
        Ok((class, chosen == Capacity::OnDemand))
    }

    fn deferral(&self, fate: Fate, jobs: Vec<u32>) -> Deferral {
        let (reason, retry_after) = match fate {
            Fate::Wait {
                reason,
                retry_after,
            } => (reason, retry_after),
            Fate::Bound(limit) => self.bound(limit),
            Fate::Covered | Fate::Placed => (
                "a runner that is idle or on its way can take it".to_owned(),
                None,
            ),
        };
        Deferral {
            jobs,
            retry_after,
            reason,
        }
    }
}

/// The kinds of place that each label set may take: runners that are there, then runners that may be
/// launched, both the cheapest first. After them, for idle stock, each class alone.
fn fits(situation: &Situation) -> Vec<Vec<usize>> {
    let classes = situation.classes.len();
    situation
        .label_sets
        .iter()
        .map(|set| {
            let there = set.fits.iter().map(|&class| index(class));
            let launched = there.clone().map(|class| classes + class);
            there.chain(launched).collect()
        })
        .chain((0..classes).map(|class| vec![class, classes + class]))
        .collect()
}

/// The repository that each runner counts for: a busy one for whom it serves, any other for whom it was
/// launched.
pub fn held(situation: &Situation) -> impl Iterator<Item = usize> + '_ {
    situation
        .runners
        .iter()
        .filter_map(|runner| runner.serves.or(runner.launched_for))
        .map(index)
}

/// Pays for an hour of a class. Whether there was money.
fn spend(money: &mut Option<f64>, class: &RunnerClass, chosen: Capacity) -> bool {
    let Some(left) = money else {
        return true;
    };
    let price = capacity::price(class, chosen).unwrap_or(0.0);
    if price > *left {
        return false;
    }
    *left -= price;
    true
}
