//! One runner for each waiting job that no runner is there for, of the first class that its labels fit:
//! spot, or on demand for a job that waited long.
//!
//! Written against the contract itself, without Stoker's SDK: what a policy in any language looks like
//! underneath. `cargo build --target wasm32-wasip2` makes a component of it, with nothing to do after.
//! The standard library imports WASI there; the host has traps in its place, and nothing here calls it.

use std::cmp::Reverse;

use serde_json::{Map, Value};

#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic
)]
mod contract {
    wit_bindgen::generate!({
        path: "../../../wit/v0.1",
        world: "scale-up-policy",
    });

    // Natively, where its tests run, the exports' names are no symbols that a linker takes.
    #[cfg(target_arch = "wasm32")]
    use super::OneEach;
    #[cfg(target_arch = "wasm32")]
    export!(OneEach);
}

use contract::exports::stoker::policy::about::{self, Complaint, Description, Needs};
use contract::exports::stoker::policy::scale_up::{self, Deferral, Launch, Plan};
use contract::stoker::policy::facts::{
    Capacity, DecisionKind, Job, RunnerClass, RunnerPhase, Situation,
};

/// What editors and people see of the settings. A `settings.json` has an object for each decision.
const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "scale-up": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "on_demand_after": {
          "description": "A job that has waited this many seconds gets on-demand capacity.",
          "type": "integer",
          "minimum": 0,
          "maximum": 4294967295,
          "default": 600
        }
      }
    }
  }
}"#;

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct OneEach;

impl about::Guest for OneEach {
    fn describe() -> Description {
        Description {
            name: "rust-wasip2".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "One runner for each waiting job, on demand where it waited long.".to_owned(),
            settings_schema: Some(SCHEMA.to_owned()),
        }
    }

    fn validate_settings(_: DecisionKind, settings: String) -> Result<Needs, Vec<Complaint>> {
        Settings::read(&settings).map(|_| Needs {
            time_zones: Vec::new(),
        })
    }
}

#[derive(Clone, Copy)]
struct Settings {
    on_demand_after: u32,
}

impl Settings {
    fn read(text: &str) -> Result<Self, Vec<Complaint>> {
        let settings: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            vec![Complaint {
                at: String::new(),
                problem: error.to_string(),
            }]
        })?;
        let mut on_demand_after = 600;
        let mut complaints = Vec::new();
        for (key, value) in settings {
            let seconds = value.as_u64().and_then(|number| u32::try_from(number).ok());
            let problem = match (key.as_str(), seconds) {
                ("on_demand_after", Some(seconds)) => {
                    on_demand_after = seconds;
                    continue;
                }
                ("on_demand_after", None) => {
                    format!("`{key}` is a whole number of seconds, 0 or more")
                }
                // A misspelt key is told and not ignored: whoever wrote it believes that it does
                // something.
                _ => format!("unknown field `{key}`, expected `on_demand_after`"),
            };
            let at = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
            complaints.push(Complaint { at, problem });
        }
        if complaints.is_empty() {
            Ok(Self { on_demand_after })
        } else {
            Err(complaints)
        }
    }

    /// To refuse is better than to guess: the host falls back to what decided before.
    fn read_or_refuse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|complaints| {
            let told = complaints
                .iter()
                .map(|c| format!("settings{}: {}", c.at, c.problem));
            told.collect::<Vec<_>>().join("; ")
        })
    }
}

impl scale_up::Guest for OneEach {
    fn decide(situation: Situation) -> Result<Plan, String> {
        let scopes = Settings::read_or_refuse(&situation.settings)?;
        // A repository's settings are merged already, and hold for its jobs in place of the scope's.
        let settings = situation.repositories.iter().map(|repository| {
            let own = repository.settings.as_deref();
            own.map_or(Ok(scopes), Settings::read_or_refuse)
        });
        let settings = settings.collect::<Result<Vec<_>, _>>()?;
        let mut left = Left::of(&situation);
        let mut outcomes = Outcomes::default();
        for (place, job) in in_order(&situation.pending) {
            match left.settle(&situation, job, settings[index(job.repository)]) {
                Ok(kind) => outcomes.launch(kind, place),
                Err(waiting) => outcomes.wait(waiting, place),
            }
        }
        Ok(outcomes.plan(&situation))
    }
}

/// The longest waiting first. Those that waited as long go by what they ask for, so that how many get a
/// runner does not depend on the order in which they happen to be shown.
fn in_order(pending: &[Job]) -> Vec<(u32, &Job)> {
    let mut jobs: Vec<(u32, &Job)> = (0..).zip(pending).collect();
    jobs.sort_by_key(|(_, job)| (Reverse(job.waited), job.labels, job.repository));
    jobs
}

/// Why a job waits, and in how many seconds it is worth asking again.
type Waiting = (String, Option<u32>);

/// What is left of everything, while jobs take from it.
struct Left {
    /// By class: runners that can take a job, and those that may still be launched.
    supply: Vec<u32>,
    classes: Vec<u32>,
    repositories: Vec<u32>,
    spend: f64,
    launched: u32,
}

impl Left {
    fn of(situation: &Situation) -> Self {
        let mut supply = vec![0; situation.classes.len()];
        for runner in &situation.runners {
            if let RunnerPhase::Idle | RunnerPhase::Booting | RunnerPhase::Launching = runner.phase
            {
                supply[index(runner.runner_class)] += 1;
            }
        }
        Self {
            supply,
            classes: situation.classes.iter().map(|class| class.left).collect(),
            repositories: situation.repositories.iter().map(|r| r.left).collect(),
            spend: situation.headroom.spend_left.unwrap_or(f64::INFINITY),
            launched: 0,
        }
    }

    /// The class and the capacity that are launched for a job, or why it waits.
    fn settle(
        &mut self,
        situation: &Situation,
        job: &Job,
        settings: Settings,
    ) -> Result<(u32, Capacity), Waiting> {
        let headroom = &situation.headroom;
        let fits = &situation.label_sets[index(job.labels)].fits;
        let repository = index(job.repository);
        let wait = |reason: &str| Err((reason.to_owned(), None));
        let first = |left: &[u32]| fits.iter().copied().find(|&class| left[index(class)] > 0);

        if let Some(class) = first(&self.supply) {
            self.supply[index(class)] -= 1;
            return wait("a runner that is idle or on its way can take it");
        }
        if fits.is_empty() {
            return wait("no runner class has all of its labels");
        }
        if self.launched >= headroom.runners_left {
            let maximum = headroom.runners_maximum;
            return wait(&format!(
                "the operator's maximum of {maximum} runners for this scope is reached"
            ));
        }
        if self.repositories[repository] == 0 {
            let name = &situation.repositories[repository].name;
            return wait(&format!("there is no room left for `{name}`"));
        }
        if self.launched >= headroom.launches_left {
            let most = headroom.launches_left;
            let reason = format!("one decision launches at most {most} runners");
            return Err((reason, Some(headroom.registrations_reset)));
        }
        if self.launched >= headroom.registrations_left {
            let reason = "GitHub lets no more runners register now".to_owned();
            return Err((reason, Some(headroom.registrations_reset)));
        }
        let Some(class) = first(&self.classes) else {
            return wait("every class that fits is at its maximum");
        };
        let (capacity, price) = choose(&situation.classes[index(class)], job, settings);
        if price > self.spend {
            return wait("the operator's spend limit is reached");
        }
        self.launched += 1;
        self.classes[index(class)] -= 1;
        self.repositories[repository] -= 1;
        self.spend -= price;
        Ok((class, capacity))
    }
}

/// A class offers spot, on demand, or both.
fn choose(class: &RunnerClass, job: &Job, settings: Settings) -> (Capacity, f64) {
    let long = job.waited >= settings.on_demand_after;
    match (class.spot_price, class.on_demand_price) {
        (Some(spot), on_demand) if !long || on_demand.is_none() => (Capacity::Spot, spot),
        (_, on_demand) => (Capacity::OnDemand, on_demand.unwrap_or_default()),
    }
}

/// Jobs that share an outcome share a launch or a deferral, and its reason.
#[derive(Default)]
struct Outcomes {
    launches: Vec<((u32, Capacity), Vec<u32>)>,
    deferrals: Vec<(Waiting, Vec<u32>)>,
}

impl Outcomes {
    fn launch(&mut self, kind: (u32, Capacity), job: u32) {
        push(&mut self.launches, kind, job);
    }

    fn wait(&mut self, waiting: Waiting, job: u32) {
        push(&mut self.deferrals, waiting, job);
    }

    fn plan(self, situation: &Situation) -> Plan {
        let launch = |((class, capacity), jobs): (_, Vec<u32>)| {
            // A launch is for a repository only if all of its jobs are that repository's.
            let mut repositories = jobs
                .iter()
                .map(|&job| situation.pending[index(job)].repository);
            let first = repositories.next();
            let launched_for = first.filter(|first| repositories.all(|other| other == *first));
            let name = &situation.classes[index(class)].name;
            let count = jobs.len();
            Launch {
                runner_class: class,
                capacity,
                count: u32::try_from(count).unwrap_or(u32::MAX),
                launched_for,
                jobs,
                reason: format!("no runner of `{name}` is free for jobs that wait ({count})"),
            }
        };
        let deferral = |((reason, retry_after), jobs)| Deferral {
            jobs,
            retry_after,
            reason,
        };
        Plan {
            launches: self.launches.into_iter().map(launch).collect(),
            deferrals: self.deferrals.into_iter().map(deferral).collect(),
            notes: Vec::new(),
            attributes: Vec::new(),
        }
    }
}

/// A handful of outcomes is found faster in a row than in a map, and stays in the order of the jobs.
fn push<K: PartialEq>(rows: &mut Vec<(K, Vec<u32>)>, key: K, job: u32) {
    match rows.iter_mut().find(|(known, _)| *known == key) {
        Some((_, jobs)) => jobs.push(job),
        None => rows.push((key, vec![job])),
    }
}

/// A position of the contract as Rust has it.
fn index(reference: u32) -> usize {
    usize::try_from(reference).unwrap_or(usize::MAX)
}
