//! The outside: EC2, GitHub and the parameter store, as far as the control plane notices them, and what
//! must never be done to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stoker_core::ids::{InstanceId, IntentId, JobKey, ScopeKey};
use stoker_core::intent::{FleetRequest, Instance, Intent, Launched, Refusal};
use stoker_core::ports::{GitHubFault, Ours, OwnInstance, RegisteredRunner};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;

use crate::draw::Draw;

/// After how many seconds an instance without a configuration ends itself.
pub(crate) const BOOT_TIME: u32 = 600;

/// How an instance stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stands {
    /// Up to then it boots; then it looks for its configuration.
    Boots(Timestamp),
    /// Its runner is connected.
    Online,
    /// Its runner has a job until then.
    Works(JobKey, Timestamp),
    Gone,
}

/// An instance.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) scope: ScopeKey,
    pub(crate) launched_at: Timestamp,
    /// Since when EC2 shows it.
    shown_from: Timestamp,
    pub(crate) stands: Stands,
    /// It never finds its way up.
    is_broken: bool,
    /// It never ends itself.
    is_stubborn: bool,
    /// It had a job and is about to end itself.
    pub(crate) is_done: bool,
}

/// A job, as GitHub has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    Queued,
    Taken,
    Ended,
}

/// What happens by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A runner took a job.
    Took(JobKey, String),
    /// It ended, on that runner.
    Ended(JobKey, String),
    /// An instance is gone.
    Gone(InstanceId),
    /// EC2 takes an instance back.
    Interrupted(InstanceId),
}

/// The outside.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) machines: BTreeMap<InstanceId, Machine>,
    fleets: BTreeMap<IntentId, (FleetRequest, Launched)>,
    registrations: BTreeMap<u64, RegisteredRunner>,
    /// As they were a while ago: lists lag behind.
    listed: (Timestamp, Vec<RegisteredRunner>),
    made: u64,
    /// What instances are to read: the id of the registration.
    pub(crate) parameters: BTreeMap<InstanceId, u64>,
    pub(crate) jobs: BTreeMap<JobKey, (ScopeKey, Work)>,
    /// When GitHub was asked for registrations.
    pub(crate) asked: Vec<Timestamp>,
    /// Until when GitHub refuses everything, and how.
    pub(crate) shut: Option<(Timestamp, GitHubFault)>,
    /// When points were spent on writes, of the last minute, and the most that a minute had.
    spent: VecDeque<(Timestamp, u32)>,
    pub(crate) most_spent: u32,
    /// What must not have happened.
    pub(crate) breaches: Vec<String>,
}

/// GitHub's limit of registrations a minute: above what the deployment allows itself, so that it is met only
/// where processes are slow.
const REGISTRATIONS_A_MINUTE: usize = 14;

/// How far a list of runners may be behind, in seconds.
const LIST_LAGS: u32 = 20;

impl Outside {
    /// EC2 launches, or answers as it did before.
    pub(crate) fn launch(&mut self, intent: &Intent, now: Timestamp, draw: &mut Draw) -> Launched {
        if let Some((request, launched)) = self.fleets.get(&intent.id) {
            if *request != intent.request {
                self.breaches
                    .push(format!("intent {} was repeated in other words", intent.id));
            }
            return launched.clone();
        }
        let wanted = intent.request.count;
        let given = if draw.one_in(8) {
            u32::try_from(draw.below(u64::from(wanted) + 1)).unwrap_or(0)
        } else {
            wanted
        };
        let mut launched = Launched::default();
        for place in 0..given {
            let Ok(id) = format!("i-{}x{place}", &intent.id.0[..14]).parse::<InstanceId>() else {
                continue;
            };
            let boots_until = Timestamp(now.0 + 20 + draw.below(60));
            let machine = Machine {
                scope: intent.scope,
                launched_at: now,
                shown_from: Timestamp(now.0 + draw.below(20)),
                stands: Stands::Boots(boots_until),
                is_broken: draw.one_in(25),
                is_stubborn: draw.one_in(8),
                is_done: false,
            };
            self.machines.insert(id.clone(), machine);
            launched.instances.push(Instance {
                id,
                instance_type: "c7i.large".to_owned(),
                gone: false,
            });
        }
        if given < wanted {
            launched.refusals.push(Refusal {
                code: "InsufficientInstanceCapacity".to_owned(),
                message: "none left".to_owned(),
            });
        }
        let known = (intent.request.clone(), launched.clone());
        self.fleets.insert(intent.id.clone(), known);
        launched
    }

    /// GitHub counts a request.
    pub(crate) fn spend(&mut self, points: u32, now: Timestamp) {
        while self.spent.front().is_some_and(|(at, _)| at.0 + 60 <= now.0) {
            self.spent.pop_front();
        }
        self.spent.push_back((now, points));
        let lately = self.spent.iter().map(|(_, points)| points).sum();
        self.most_spent = self.most_spent.max(lately);
    }

    /// Whether a launch was ever made.
    pub(crate) fn was_launched(&self, intent: &IntentId) -> bool {
        self.fleets.contains_key(intent)
    }

    /// What EC2 shows of a launch now.
    pub(crate) fn find(&self, intent: &IntentId, now: Timestamp) -> Launched {
        let Some((_, launched)) = self.fleets.get(intent) else {
            return Launched::default();
        };
        let shown = launched.instances.iter().filter_map(|instance| {
            let machine = self.machines.get(&instance.id)?;
            (machine.shown_from <= now).then(|| Instance {
                gone: machine.stands == Stands::Gone,
                ..instance.clone()
            })
        });
        Launched {
            instances: shown.collect(),
            refusals: Vec::new(),
        }
    }

    /// What EC2 shows of all that is not gone.
    pub(crate) fn ours(&self, now: Timestamp) -> Ours {
        let launches = self
            .fleets
            .iter()
            .flat_map(|(intent, (request, launched))| {
                let instances = launched.instances.iter();
                instances.map(move |instance| (intent, request, instance))
            });
        let shown = launches.filter_map(|(intent, request, instance)| {
            let machine = self.machines.get(&instance.id)?;
            let is_shown = machine.shown_from <= now && machine.stands != Stands::Gone;
            is_shown.then(|| OwnInstance {
                id: instance.id.clone(),
                instance_type: instance.instance_type.clone(),
                capacity: request.capacity,
                launched_at: machine.launched_at,
                scope: machine.scope,
                scope_name: Some(ScopeName {
                    owner: "acme".to_owned(),
                    repository: None,
                }),
                class: request.class.clone(),
                intent: intent.clone(),
            })
        });
        Ours {
            instances: shown.collect(),
            unreadable: Vec::new(),
        }
    }

    pub(crate) fn terminate(&mut self, instance: &InstanceId) -> Vec<Event> {
        let Some(machine) = self.machines.get_mut(instance) else {
            self.breaches
                .push(format!("{instance} was terminated and is none of ours"));
            return Vec::new();
        };
        if let Stands::Works(job, _) = &machine.stands {
            let breach = format!("{instance} was terminated while it had job {job}");
            self.breaches.push(breach);
        }
        let name = runner_name(instance);
        let mut registered = self.registrations.values();
        if machine.stands == Stands::Online && registered.any(|one| one.name == name && one.online)
        {
            let breach = format!("{instance} was terminated while GitHub could give it a job");
            self.breaches.push(breach);
        }
        self.end(instance)
    }

    fn end(&mut self, instance: &InstanceId) -> Vec<Event> {
        let Some(machine) = self.machines.get_mut(instance) else {
            return Vec::new();
        };
        if machine.stands == Stands::Gone {
            return Vec::new();
        }
        let stood = std::mem::replace(&mut machine.stands, Stands::Gone);
        let name = runner_name(instance);
        let mut events = vec![Event::Gone(instance.clone())];
        for registration in self.registrations.values_mut() {
            if registration.name == name {
                registration.online = false;
                registration.busy = false;
            }
        }
        if let Stands::Works(job, _) = stood {
            // GitHub ends a job whose runner is gone.
            self.finish(job);
            events.push(Event::Ended(job, name));
        }
        events
    }

    fn finish(&mut self, job: JobKey) {
        if let Some((_, work)) = self.jobs.get_mut(&job) {
            *work = Work::Ended;
        }
    }

    /// GitHub makes a runner; none: there is one of that name.
    pub(crate) fn register(&mut self, name: &str, now: Timestamp) -> Option<u64> {
        if self.registrations.values().any(|one| one.name == name) {
            return None;
        }
        self.asked.push(now);
        self.made += 1;
        let runner = RegisteredRunner {
            id: self.made,
            name: name.to_owned(),
            online: false,
            busy: false,
        };
        self.registrations.insert(self.made, runner);
        Some(self.made)
    }

    /// Whether GitHub refuses another registration for its rate.
    pub(crate) fn is_limited(&self, now: Timestamp) -> bool {
        let lately = self.asked.iter().filter(|at| at.0 + 60 > now.0);
        lately.count() >= REGISTRATIONS_A_MINUTE
    }

    pub(crate) fn runner(&self, name: &str) -> Option<RegisteredRunner> {
        let mut all = self.registrations.values();
        all.find(|one| one.name == name).cloned()
    }

    /// All runners, as GitHub lists them: where there is disorder, as they were up to some seconds ago, and with
    /// one missing that moved from one page to another while they were read.
    pub(crate) fn runners(
        &mut self,
        now: Timestamp,
        draw: &mut Draw,
        disorder: bool,
    ) -> Vec<RegisteredRunner> {
        let mut all: Vec<RegisteredRunner> = self.registrations.values().cloned().collect();
        if !disorder {
            return all;
        }
        if self.listed.0.age(now) > LIST_LAGS {
            self.listed = (now, all.clone());
        } else if draw.one_in(2) {
            all.clone_from(&self.listed.1);
        }
        if !all.is_empty() && draw.one_in(6) {
            all.remove(draw.place(all.len()));
        }
        all
    }

    /// The runner that has a job.
    pub(crate) fn runner_of(&self, job: JobKey) -> Option<String> {
        let mut all = self.machines.iter();
        let (id, _) = all.find(
            |(_, machine)| matches!(machine.stands, Stands::Works(working, _) if working == job),
        )?;
        Some(runner_name(id))
    }

    pub(crate) fn name_of(&self, id: u64) -> Option<String> {
        self.registrations.get(&id).map(|one| one.name.clone())
    }

    /// GitHub removes a runner: none, if there is no such one; false, if it has a job.
    pub(crate) fn remove(&mut self, id: u64) -> Option<bool> {
        let one = self.registrations.get(&id)?;
        if one.busy {
            return Some(false);
        }
        self.registrations.remove(&id);
        Some(true)
    }

    /// What happens by itself until then.
    pub(crate) fn pass(&mut self, now: Timestamp, draw: &mut Draw, faults: bool) -> Vec<Event> {
        let mut events = Vec::new();
        let ids: Vec<InstanceId> = self.machines.keys().cloned().collect();
        for id in ids {
            events.extend(self.machine_goes_on(&id, now, draw, faults));
        }
        events
    }

    fn machine_goes_on(
        &mut self,
        id: &InstanceId,
        now: Timestamp,
        draw: &mut Draw,
        faults: bool,
    ) -> Vec<Event> {
        let Some(machine) = self.machines.get(id).cloned() else {
            return Vec::new();
        };
        if machine.stands != Stands::Gone && faults && draw.one_in(2_000) {
            // Two minutes' warning, and it goes.
            let mut events = vec![Event::Interrupted(id.clone())];
            events.extend(self.end(id));
            return events;
        }
        match machine.stands {
            Stands::Boots(until) if until <= now => self.comes_up(id, &machine, now),
            Stands::Works(job, until) if until <= now => {
                self.finish(job);
                if let Some(machine) = self.machines.get_mut(id) {
                    machine.stands = Stands::Online;
                    machine.is_done = true;
                }
                let name = runner_name(id);
                self.registrations.retain(|_, one| one.name != name);
                vec![Event::Ended(job, name)]
            }
            Stands::Online if machine.is_done => {
                // An ephemeral runner's instance ends itself some time after its job.
                if !machine.is_stubborn && draw.one_in(5) {
                    self.end(id)
                } else {
                    Vec::new()
                }
            }
            Stands::Online if self.runner(&runner_name(id)).is_none() => {
                // GitHub has removed its runner: it ends, and its instance with it.
                if let Some(machine) = self.machines.get_mut(id) {
                    machine.is_done = true;
                }
                Vec::new()
            }
            Stands::Online => self.takes_a_job(id, &machine, now, draw),
            _ => Vec::new(),
        }
    }

    fn comes_up(&mut self, id: &InstanceId, machine: &Machine, now: Timestamp) -> Vec<Event> {
        let configured = if machine.is_broken {
            None
        } else {
            self.parameters.get(id).copied()
        };
        if let Some(registration) = configured.and_then(|id| self.registrations.get_mut(&id)) {
            registration.online = true;
            self.parameters.remove(id);
            if let Some(machine) = self.machines.get_mut(id) {
                machine.stands = Stands::Online;
            }
            return Vec::new();
        }
        if machine.launched_at.age(now) > BOOT_TIME && !machine.is_stubborn {
            return self.end(id);
        }
        Vec::new()
    }

    fn takes_a_job(
        &mut self,
        id: &InstanceId,
        machine: &Machine,
        now: Timestamp,
        draw: &mut Draw,
    ) -> Vec<Event> {
        let waiting: Vec<JobKey> = self
            .jobs
            .iter()
            .filter(|(_, (scope, work))| *scope == machine.scope && *work == Work::Queued)
            .map(|(key, _)| *key)
            .collect();
        // GitHub takes a moment to find one.
        if waiting.is_empty() || !draw.one_in(3) {
            return Vec::new();
        }
        let job = waiting[draw.place(waiting.len())];
        let until = Timestamp(now.0 + 30 + draw.below(300));
        if let Some((_, work)) = self.jobs.get_mut(&job) {
            *work = Work::Taken;
        }
        if let Some(machine) = self.machines.get_mut(id) {
            machine.stands = Stands::Works(job, until);
        }
        let name = runner_name(id);
        for one in self.registrations.values_mut() {
            if one.name == name {
                one.online = true;
                one.busy = true;
            }
        }
        vec![Event::Took(job, name)]
    }

    /// Instances that are there and may still take a job, of a scope.
    pub(crate) fn usable(&self, scope: ScopeKey) -> usize {
        let all = self
            .machines
            .values()
            .filter(|machine| machine.scope == scope);
        all.filter(|machine| machine.stands != Stands::Gone && !machine.is_done)
            .count()
    }

    /// Runners of a scope that wait for a job.
    pub(crate) fn idle(&self, scope: ScopeKey) -> usize {
        let all = self.machines.values();
        let of_scope = all.filter(|machine| machine.scope == scope);
        of_scope
            .filter(|machine| machine.stands == Stands::Online && !machine.is_done)
            .count()
    }

    /// A runner that GitHub knows, though its instance is gone.
    pub(crate) fn registered_without_instance(&self) -> Option<String> {
        let machines = self.machines.iter();
        let live: BTreeSet<String> = machines
            .filter(|(_, machine)| machine.stands != Stands::Gone)
            .map(|(id, _)| runner_name(id))
            .collect();
        let mut all = self.registrations.values();
        all.find(|one| !live.contains(&one.name))
            .map(|one| one.name.clone())
    }
}

/// How this deployment's runners are called.
pub(crate) fn runner_name(instance: &InstanceId) -> String {
    format!("stoker-sim-{instance}")
}
