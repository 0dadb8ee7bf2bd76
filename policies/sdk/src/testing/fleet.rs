//! Situations in a few words, consistent as the host makes them.

use std::collections::BTreeMap;

use crate::facts::{
    Attribute, Capacity, Headroom, Job, LabelSet, PolicyLevel, Recent, Repository, Runner,
    RunnerClass, RunnerPhase, Scalar, Scope, Situation, Spend, Trigger, Visibility, ZoneTime,
};

/// 2027-01-15T08:00:00Z, a Friday.
const NOW: u32 = 1_800_000_000;

/// The maximum of a scope, a class and of everything else unless a test says otherwise.
const PLENTY: u32 = 100;

/// A situation in the making; [`fleet`] begins one.
#[derive(Debug, Clone)]
pub struct Fleet {
    settings: String,
    zones: Vec<ZoneTime>,
    classes: Vec<RunnerClass>,
    jobs: Vec<NewJob>,
    runners: Vec<NewRunner>,
    repositories: BTreeMap<String, Option<String>>,
    maximum: u32,
    unseen: u32,
    spend: Spend,
    spend_left: Option<f64>,
    launches: Option<u32>,
    registrations: Option<u32>,
    repository_maximum: Option<u32>,
}

#[derive(Debug, Clone)]
struct NewJob {
    repository: String,
    labels: Vec<String>,
    branch: String,
    waited: u32,
    interrupted: bool,
}

#[derive(Debug, Clone)]
struct NewRunner {
    class: String,
    phase: RunnerPhase,
    age: u32,
    repository: Option<String>,
}

/// Begins a situation: an organisation without classes, jobs and runners, and room for 100 runners.
pub fn fleet() -> Fleet {
    Fleet {
        settings: "{}".to_owned(),
        zones: Vec::new(),
        classes: Vec::new(),
        jobs: Vec::new(),
        runners: Vec::new(),
        repositories: BTreeMap::new(),
        maximum: PLENTY,
        unseen: 0,
        spend: Spend {
            this_hour: 0.0,
            today: 0.0,
            this_month: 0.0,
        },
        spend_left: None,
        launches: None,
        registrations: None,
        repository_maximum: None,
    }
}

impl Fleet {
    /// The merged settings, a JSON object.
    #[must_use]
    pub fn settings(mut self, json: &str) -> Self {
        json.clone_into(&mut self.settings);
        self
    }

    /// The time in a zone: the day of the week (1 is Monday), the hour and the minute. The date is in
    /// January 2027.
    #[must_use]
    pub fn zone(mut self, zone: &str, weekday: u8, hour: u8, minute: u8) -> Self {
        self.zones.push(ZoneTime {
            zone: zone.to_owned(),
            year: 2027,
            month: 1,
            // 2027-01-04 is a Monday.
            day: 3 + weekday,
            weekday,
            hour,
            minute,
            utc_offset: 60,
            next_change: None,
        });
        self
    }

    /// A class with room for 100 runners, at 0.03 dollars an hour as spot and 0.1 on demand; a class
    /// after it costs twice as much.
    #[must_use]
    pub fn class(mut self, name: &str, labels: &[&str]) -> Self {
        let recent = || Recent {
            launched: 0,
            interrupted: 0,
            refused: 0,
            boot_median: None,
            boot_slowest: None,
        };
        let factor = f64::from(1 << self.classes.len().min(8));
        self.classes.push(RunnerClass {
            name: name.to_owned(),
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            instance_types: Vec::new(),
            maximum: PLENTY,
            left: PLENTY,
            spot_price: Some(0.03 * factor),
            on_demand_price: Some(0.1 * factor),
            spot: recent(),
            on_demand: recent(),
            attributes: Vec::new(),
        });
        self
    }

    /// The maximum of the class that was named last.
    #[must_use]
    pub fn class_maximum(mut self, maximum: u32) -> Self {
        if let Some(class) = self.classes.last_mut() {
            class.maximum = maximum;
        }
        self
    }

    /// The scope's maximum.
    #[must_use]
    pub fn maximum(mut self, maximum: u32) -> Self {
        self.maximum = maximum;
        self
    }

    /// A job of a repository that asks for these labels, on the branch `main`. A job named before another
    /// has waited a second longer.
    #[must_use]
    pub fn job(self, repository: &str, labels: &[&str]) -> Self {
        self.jobs(1, repository, labels)
    }

    /// So many of them.
    #[must_use]
    pub fn jobs(mut self, count: usize, repository: &str, labels: &[&str]) -> Self {
        self.repositories.entry(repository.to_owned()).or_default();
        for _ in 0..count {
            self.jobs.push(NewJob {
                repository: repository.to_owned(),
                labels: labels.iter().map(|&label| label.to_owned()).collect(),
                branch: "main".to_owned(),
                waited: 0,
                interrupted: false,
            });
        }
        self
    }

    /// The jobs that were named last have waited that long, in seconds.
    #[must_use]
    pub fn waited(mut self, seconds: u32) -> Self {
        if let Some(job) = self.jobs.last_mut() {
            job.waited = seconds;
        }
        self
    }

    /// The job that was named last is for that branch.
    #[must_use]
    pub fn branch(mut self, branch: &str) -> Self {
        if let Some(job) = self.jobs.last_mut() {
            branch.clone_into(&mut job.branch);
        }
        self
    }

    /// The job that was named last had a runner that was interrupted.
    #[must_use]
    pub fn interrupted(mut self) -> Self {
        if let Some(job) = self.jobs.last_mut() {
            job.interrupted = true;
        }
        self
    }

    /// A runner of a class, of that age in seconds; it has been in its phase since it was launched.
    #[must_use]
    pub fn runner(mut self, class: &str, phase: RunnerPhase, age: u32) -> Self {
        self.runners.push(NewRunner {
            class: class.to_owned(),
            phase,
            age,
            repository: None,
        });
        self
    }

    /// The runner that was named last was launched for, and if it is busy serves, that repository.
    #[must_use]
    pub fn for_repository(mut self, repository: &str) -> Self {
        self.repositories.entry(repository.to_owned()).or_default();
        if let Some(runner) = self.runners.last_mut() {
            runner.repository = Some(repository.to_owned());
        }
        self
    }

    /// A repository with merged settings of its own, a JSON object.
    #[must_use]
    pub fn tuned(mut self, repository: &str, settings: &str) -> Self {
        self.repositories
            .insert(repository.to_owned(), Some(settings.to_owned()));
        self
    }

    /// So many more jobs wait than are shown.
    #[must_use]
    pub fn unseen(mut self, jobs: u32) -> Self {
        self.unseen = jobs;
        self
    }

    /// What was spent this hour, today and this month, in US dollars.
    #[must_use]
    pub fn spent(mut self, this_hour: f64, today: f64, this_month: f64) -> Self {
        self.spend = Spend {
            this_hour,
            today,
            this_month,
        };
        self
    }

    /// What the operator's spend limits leave, in US dollars.
    #[must_use]
    pub fn spend_left(mut self, dollars: f64) -> Self {
        self.spend_left = Some(dollars);
        self
    }

    /// How many runners one decision may launch, and how many may register now; none: plenty.
    #[must_use]
    pub fn budgets(mut self, launches: Option<u32>, registrations: Option<u32>) -> Self {
        self.launches = launches;
        self.registrations = registrations;
        self
    }

    /// The most runners that each repository may have; none: as many as the scope.
    #[must_use]
    pub fn repository_maximum(mut self, maximum: Option<u32>) -> Self {
        self.repository_maximum = maximum;
        self
    }

    /// Whether a class may be had as spot, and on demand.
    #[must_use]
    pub fn offered(mut self, class: &str, (spot, on_demand): (bool, bool)) -> Self {
        for class in self.classes.iter_mut().filter(|known| known.name == class) {
            class.spot_price = class.spot_price.filter(|_| spot);
            class.on_demand_price = class.on_demand_price.filter(|_| on_demand);
        }
        self
    }

    /// The situation.
    pub fn build(self) -> Situation {
        let names: Vec<&String> = self.repositories.keys().collect();
        let place_of = |name: &String| {
            let place = names.iter().position(|other| *other == name);
            super::super::blocks::position(place.unwrap_or(0))
        };
        let label_sets = label_sets(&self.jobs, &self.classes);
        let mut pending: Vec<Job> = self
            .jobs
            .iter()
            .enumerate()
            .map(|(number, job)| Job {
                repository: place_of(&job.repository),
                labels: label_set_of(&label_sets, &job.labels),
                workflow: "ci".to_owned(),
                name: format!("job-{number}"),
                branch: job.branch.clone(),
                attempt: 1,
                waited: job
                    .waited
                    .max(crate::blocks::position(self.jobs.len() - number)),
                deferrals: 0,
                last_deferral: None,
                interrupted: job.interrupted,
                attributes: Vec::new(),
            })
            .collect();
        // Stable: jobs that waited as long stay in their order.
        pending.sort_by_key(|job| std::cmp::Reverse(job.waited));
        let mut runners: Vec<Runner> = self
            .runners
            .iter()
            .enumerate()
            .map(|(number, runner)| self.runner_facts(number, runner, &place_of))
            .collect();
        runners.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.name.cmp(&b.name)));
        let live = crate::blocks::position(runners.len());
        let left = self.maximum.saturating_sub(live);
        let classes = self.classes_left(&runners);
        let count = |of: &dyn Fn(u32) -> usize, place| crate::blocks::position(of(place));
        let waiting = |place: u32| pending.iter().filter(|job| job.repository == place).count();
        let running = |place: u32| {
            runners
                .iter()
                .filter(|runner| runner.serves == Some(place))
                .count()
        };
        let held = |place: u32| {
            runners
                .iter()
                .filter(|runner| runner.serves.or(runner.launched_for) == Some(place))
                .count()
        };
        let repositories = self
            .repositories
            .iter()
            .zip(0_u32..)
            .map(|((name, settings), place)| Repository {
                name: name.clone(),
                visibility: Visibility::Private,
                maximum: self.repository_maximum,
                left: self.repository_maximum.map_or(left, |maximum| {
                    left.min(maximum.saturating_sub(count(&held, place)))
                }),
                waiting_jobs: count(&waiting, place),
                running_jobs: count(&running, place),
                spent_today: 0.0,
                settings: settings.clone(),
                attributes: Vec::new(),
            })
            .collect();
        Situation {
            now: NOW,
            zones: self.zones,
            seed: 1,
            scope: Scope {
                owner: "acme".to_owned(),
                repository: None,
            },
            level: PolicyLevel::Organisation,
            trigger: Trigger::Jobs,
            settings: self.settings,
            repositories,
            label_sets,
            classes,
            pending,
            pending_unseen: self.unseen,
            runners,
            headroom: Headroom {
                runners_maximum: self.maximum,
                runners_left: left,
                launches_left: self.launches.unwrap_or(PLENTY),
                registrations_left: self.registrations.unwrap_or(PLENTY),
                registrations_reset: 0,
                spend_left: self.spend_left,
            },
            spend: self.spend,
            attributes: vec![Attribute {
                key: "runner-mode".to_owned(),
                value: Scalar::Text("ephemeral".to_owned()),
            }],
        }
    }

    fn runner_facts(
        &self,
        number: usize,
        runner: &NewRunner,
        place_of: &impl Fn(&String) -> u32,
    ) -> Runner {
        let class = self
            .classes
            .iter()
            .position(|class| class.name == runner.class)
            .unwrap_or(0);
        let repository = runner.repository.as_ref().map(place_of);
        Runner {
            name: format!("runner-{}-{number}", runner.age),
            runner_class: crate::blocks::position(class),
            capacity: Capacity::Spot,
            phase: runner.phase,
            launched_for: repository,
            serves: repository.filter(|_| runner.phase == RunnerPhase::Busy),
            age: runner.age,
            in_phase: runner.age,
            price: self
                .classes
                .get(class)
                .and_then(|class| class.spot_price)
                .unwrap_or(0.0),
            attributes: Vec::new(),
        }
    }

    fn classes_left(&self, runners: &[Runner]) -> Vec<RunnerClass> {
        self.classes
            .iter()
            .zip(0_u32..)
            .map(|(class, place)| {
                let live = runners
                    .iter()
                    .filter(|runner| runner.runner_class == place)
                    .count();
                RunnerClass {
                    left: class.maximum.saturating_sub(crate::blocks::position(live)),
                    ..class.clone()
                }
            })
            .collect()
    }
}

fn label_sets(jobs: &[NewJob], classes: &[RunnerClass]) -> Vec<LabelSet> {
    let mut sets: Vec<Vec<String>> = jobs.iter().map(|job| sorted(&job.labels)).collect();
    sets.sort();
    sets.dedup();
    sets.into_iter()
        .map(|labels| {
            let mut fits: Vec<u32> = classes
                .iter()
                .zip(0_u32..)
                .filter(|(class, _)| labels.iter().all(|label| class.labels.contains(label)))
                .map(|(_, place)| place)
                .collect();
            fits.sort_by(|&a, &b| {
                let price = |place: u32| {
                    let class = &classes[crate::blocks::index(place)];
                    let prices = [class.spot_price, class.on_demand_price];
                    prices.into_iter().flatten().fold(f64::INFINITY, f64::min)
                };
                price(a).total_cmp(&price(b))
            });
            LabelSet { labels, fits }
        })
        .collect()
}

fn sorted(labels: &[String]) -> Vec<String> {
    let mut labels = labels.to_vec();
    labels.sort();
    labels
}

fn label_set_of(sets: &[LabelSet], labels: &[String]) -> u32 {
    let labels = sorted(labels);
    let place = sets.iter().position(|set| set.labels == labels);
    crate::blocks::position(place.unwrap_or(0))
}
