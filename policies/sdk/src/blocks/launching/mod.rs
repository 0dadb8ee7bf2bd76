//! From waiting jobs to a plan: who is covered by runners that are there, what there is room for, and a
//! reason for every job.

mod demand;
mod reasons;
mod settling;

use super::matching::Matching;
use super::{index, position};
use crate::facts::{RunnerClass, Situation};

pub use demand::held;
#[cfg(any(test, feature = "testing"))]
pub(crate) use demand::is_supply;
pub use settling::CENT_FRACTION;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// A runner that is there, or on its way, could take it. Whether it gets that one or one that is
    /// launched is settled last, since a job that any runner will do for makes way for others.
    Placed,
    /// The policy launches for it; it may in the end get a runner that is there.
    Launched,
    /// A runner that is there, or on its way, can take it.
    Covered,
    Bound(Limit),
    /// For one of the reasons that the policy gave.
    Wait(usize),
}

/// Why a job waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// In a sentence that whoever waits for the job understands.
    pub reason: String,
    /// When it is worth asking again, in seconds; none: when something changes.
    pub retry_after: Option<u32>,
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
    /// As whom each job that has a place took it.
    rows: Vec<usize>,
    /// All jobs, the longest waiting first.
    in_order: Vec<usize>,
    /// The jobs that are launched for, in the policy's order.
    order: Vec<usize>,
    /// Places: first, by class, with runners that are there; then, by class, with runners that may be
    /// launched.
    places: Matching,
    /// The runners that are there have been given their jobs.
    covered: bool,
    /// The classes that no job may have launched.
    closed: Vec<bool>,
    launched: u32,
    /// The least of all limits that are not a repository's or a class's.
    most: u32,
    own: Vec<Own>,
    /// Why jobs wait that the policy leaves waiting, each reason once.
    reasons: Vec<Waiting>,
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
    launched: u32,
    reason: String,
}

impl<'a> Launching<'a> {
    /// Begins a plan. Jobs that idle, booting and launching runners can take get none of their own: the
    /// longest waiting first, and as many as can be. Maxima are set before the first job is asked for.
    pub fn new(situation: &'a Situation) -> Self {
        let mut free = vec![0_u32; situation.classes.len()];
        for runner in situation.runners.iter().filter(|r| demand::is_supply(r)) {
            if let Some(free) = free.get_mut(index(runner.runner_class)) {
                *free += 1;
            }
        }
        free.extend(situation.classes.iter().map(|class| class.left));
        Self {
            fates: vec![None; situation.pending.len()],
            rows: vec![0; situation.pending.len()],
            in_order: demand::in_order(situation),
            order: Vec::with_capacity(situation.pending.len()),
            places: Matching::new(demand::rows(situation), free),
            covered: false,
            closed: vec![false; situation.classes.len()],
            launched: 0,
            most: situation
                .headroom
                .runners_left
                .min(situation.headroom.launches_left)
                .min(situation.headroom.registrations_left),
            own: Vec::new(),
            reasons: Vec::new(),
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

    /// Gives the runners that are there their jobs, once.
    fn cover(&mut self) {
        if std::mem::replace(&mut self.covered, true) {
            return;
        }
        let situation = self.situation;
        let classes = situation.classes.len();
        for class in 0..classes {
            self.places.set_open(classes + class, false);
        }
        let limited: Vec<bool> = (0..self.repositories.len())
            .map(|repository| self.is_limited(repository))
            .collect();
        for turn in 0..self.in_order.len() {
            let place = self.in_order[turn];
            let job = &situation.pending[place];
            let labels = index(job.labels);
            if situation.label_sets[labels].fits.is_empty() {
                self.fates[place] = Some(Fate::Bound(Limit::NoClass));
                continue;
            }
            // Where a repository may have only so many, its job is not to make way for another's and be
            // launched for instead.
            let row = if limited.get(index(job.repository)) == Some(&true) {
                situation.label_sets.len() + labels
            } else {
                labels
            };
            if self.places.place(row).is_some() {
                self.rows[place] = row;
                self.fates[place] = Some(Fate::Placed);
            }
        }
        for class in 0..classes {
            self.places.set_open(classes + class, !self.closed[class]);
        }
    }

    /// Whether a repository may have fewer runners than the scope.
    fn is_limited(&self, repository: usize) -> bool {
        let facts = self.situation.repositories.get(repository);
        let own = self.repositories.get(repository).and_then(|room| room.own);
        own.is_some()
            || facts.is_some_and(|facts| {
                facts.maximum.is_some() || facts.left < self.situation.headroom.runners_left
            })
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
            // Of several, the lowest holds.
            let maximum = room.own.map_or(maximum, |(own, _)| own.min(maximum));
            room.own = Some((maximum, maximum.saturating_sub(position(have))));
        }
        self
    }

    /// Keeps jobs away from the classes for which that is true; idle stock too.
    #[must_use]
    pub fn without_classes(mut self, closed: impl Fn(&RunnerClass) -> bool) -> Self {
        for (class, facts) in self.situation.classes.iter().enumerate() {
            self.closed[class] |= closed(facts);
        }
        self
    }

    /// The kind of place with a runner of that class that may be launched.
    fn room(&self, class: usize) -> usize {
        self.situation.classes.len() + class
    }

    /// The jobs that nothing is decided for yet: the longest waiting first, and those that waited as long
    /// by what they are, so that a policy which keeps this order among equals does not depend on the
    /// situation's.
    pub fn open(&mut self) -> Vec<usize> {
        self.cover();
        let all = self.in_order.iter().copied();
        all.filter(|&job| self.fates[job].is_none()).collect()
    }

    /// The situation.
    pub fn situation(&self) -> &'a Situation {
        self.situation
    }

    /// Launches for a job if there is room. Whether there was; otherwise it waits, and the limit is its
    /// reason.
    pub fn launch_for(&mut self, job: usize) -> bool {
        self.cover();
        let Some(facts) = self.situation.pending.get(job) else {
            return false;
        };
        match self.fates[job] {
            Some(Fate::Placed | Fate::Launched) => return true,
            Some(Fate::Bound(Limit::NoClass)) => return false,
            // The policy left it waiting on second thoughts, and has third ones: its place is still there.
            Some(Fate::Wait(_)) if self.order.contains(&job) => {
                self.fates[job] = Some(Fate::Launched);
                return true;
            }
            _ => {}
        }
        let repository = index(facts.repository);
        let limit = self.limit(Some(repository)).or_else(|| {
            let label_set = index(facts.labels);
            self.places
                .place(label_set)
                .is_none()
                .then_some(Limit::Classes(label_set))
        });
        self.fates[job] = Some(limit.map_or(Fate::Launched, Fate::Bound));
        if limit.is_none() {
            self.rows[job] = index(facts.labels);
            self.order.push(job);
            self.count(Some(repository));
        }
        limit.is_none()
    }

    /// Leaves a job waiting, and says when to ask again, in seconds (none: when something changes).
    pub fn wait(&mut self, job: usize, reason: impl Into<String>, retry_after: Option<u32>) {
        self.cover();
        let reason = self.reason(Waiting {
            reason: reason.into(),
            retry_after,
        });
        if let Some(fate) = self.fates.get_mut(job) {
            *fate = Some(reason);
        }
    }

    fn reason(&mut self, waiting: Waiting) -> Fate {
        let known = self.reasons.iter().position(|known| *known == waiting);
        Fate::Wait(known.unwrap_or_else(|| {
            self.reasons.push(waiting);
            self.reasons.len() - 1
        }))
    }

    /// Keeps so many runners of a class free for jobs to come, as far as there is room: after all jobs
    /// that are launched for. Those that are there and that no waiting job has taken count; no job is
    /// moved for it.
    pub fn stock(&mut self, class: usize, wanted: u32, reason: impl Into<String>) {
        self.cover();
        let room = self.room(class);
        let mut launched = 0;
        for _ in 0..wanted {
            if self.places.take_free(class) {
                continue;
            }
            if self.limit(None).is_some() || !self.places.take_free(room) {
                break;
            }
            self.count(None);
            launched += 1;
        }
        self.stock.push(Stocked {
            class,
            launched,
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::RunnerPhase;
    use crate::testing::fleet;

    /// A policy may change its mind about a job: its last word counts, and the job is spoken of once.
    #[test]
    fn a_job_is_in_exactly_one_launch_or_deferral_whatever_is_said_of_it() {
        let situation = fleet()
            .class("small", &["linux"])
            .runner("small", RunnerPhase::Idle, 60)
            .jobs(4, "app", &["linux"])
            .build();
        let mut launching = Launching::new(&situation);
        launching.wait(0, "said before anything was asked", None);
        assert!(launching.launch_for(1) && launching.launch_for(1));
        assert!(launching.launch_for(2));
        launching.wait(2, "on second thoughts", None);
        assert!(launching.launch_for(2), "on third ones");
        launching.wait(2, "on second thoughts", Some(60));
        let plan = launching.finish(|class, _| crate::blocks::capacity::cheapest(class));
        let launched = plan.launches.iter().flat_map(|launch| &launch.jobs);
        let deferred = plan.deferrals.iter().flat_map(|deferral| &deferral.jobs);
        let mut named: Vec<u32> = launched.chain(deferred).copied().collect();
        named.sort_unstable();
        assert_eq!(named, [0, 1, 2, 3]);
        let why = |job: u32| {
            let found = plan.deferrals.iter().find(|d| d.jobs.contains(&job));
            found.map(|deferral| deferral.reason.as_str())
        };
        assert_eq!(why(0), Some("said before anything was asked"));
        // The runner that the first would have had is free for it.
        assert_eq!(
            why(1),
            Some("a runner that is idle or on its way can take it")
        );
        assert_eq!(why(2), Some("on second thoughts"));
        assert_eq!(why(3), Some("the policy did not decide about this job"));
    }
}
