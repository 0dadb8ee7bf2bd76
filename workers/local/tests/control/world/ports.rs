//! The outside of the tests' control plane, as its ports.

use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use stoker_core::account::Account;
use stoker_core::boot::{InstanceConfiguration, Registration};
use stoker_core::class::Capacity;
use stoker_core::happening::Happening;
use stoker_core::ids::{InstanceId, JobKey, ScopeKey, ScopeVersion};
use stoker_core::intent::{Instance, Intent, Launched, Refusal};
use stoker_core::job::Job;
use stoker_core::journal::RecordName;
use stoker_core::ports::{
    ActQueue, ActQueueError, ActRequest, Clock, ConfigurationError, Configurations, DecidedScope,
    Deliveries, Due, Fleet, FleetError, GitHub, GitHubError, GitHubFault, InstalledAccount,
    JobLookup, Ledger, LedgerError, LiveJobs, Ours, OwnInstance, RegisteredRunner,
    RegistrationTarget, Removed, Reporter, RunnerSpec, ScopeState, Settlement, Shared, SharedItem,
    Timer,
};
use stoker_core::runner::Runner;
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::{JobId, RepositoryId};
use stoker_local::SqliteLedger;

use super::Outside;

impl Clock for Outside {
    fn now(&self) -> Timestamp {
        Timestamp(*self.now.lock().unwrap())
    }
}

/// Waiting takes no time, but the clock goes on.
#[async_trait]
impl Timer for Outside {
    async fn wait_until(&self, then: Timestamp) {
        let mut now = self.now.lock().unwrap();
        *now = then.0.max(*now);
    }
}

fn no_answer(intent: &Intent) -> FleetError {
    FleetError {
        what: format!("launch {}", intent.id),
        problem: "no answer".to_owned(),
    }
}

impl Outside {
    /// EC2 answers to a launch of on-demand instances when so many others are configured as the test wants,
    /// or after a long time.
    async fn on_demand_takes_its_time(&self, intent: &Intent) {
        if intent.request.capacity != Capacity::OnDemand {
            return;
        }
        let wanted = self.fleet.lock().unwrap().waits_for;
        for _ in 0..1_000 {
            if self.parameters.lock().unwrap().written.len() >= wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait]
impl Fleet for Outside {
    async fn launch(&self, intent: &Intent) -> Result<Launched, FleetError> {
        self.on_demand_takes_its_time(intent).await;
        let configured = self.parameters.lock().unwrap().written.len();
        let mut fleet = self.fleet.lock().unwrap();
        if fleet.down {
            return Err(no_answer(intent));
        }
        fleet.configured_before.push(configured);
        fleet
            .asked
            .push((intent.request.capacity, intent.request.count));
        let wanted = usize::try_from(intent.request.count).unwrap();
        let lacks = fleet
            .lacks
            .filter(|(capacity, _)| *capacity == intent.request.capacity);
        let given = if lacks.is_some() {
            wanted.min(fleet.has)
        } else {
            wanted
        };
        let refusals = lacks.filter(|_| given < wanted).map(|(_, code)| Refusal {
            code: code.to_owned(),
            message: "none left".to_owned(),
        });
        let now = self.now();
        fleet.intents.insert(intent.id.clone(), intent.clone());
        fleet.launched_at.entry(intent.id.clone()).or_insert(now);
        let instances = fleet
            .launched
            .entry(intent.id.clone())
            .or_insert_with(|| {
                (0..given)
                    .map(|n| Instance {
                        id: format!("i-{}x{n}", &intent.id.0[..12]).parse().unwrap(),
                        instance_type: "c7i.large".to_owned(),
                        gone: false,
                    })
                    .collect()
            })
            .clone();
        if fleet.answers_get_lost {
            return Err(no_answer(intent));
        }
        Ok(Launched {
            instances,
            refusals: refusals.into_iter().collect(),
        })
    }

    async fn find(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let fleet = self.fleet.lock().unwrap();
        if fleet.down {
            return Err(no_answer(intent));
        }
        Ok(Launched {
            instances: fleet.launched.get(&intent.id).cloned().unwrap_or_default(),
            refusals: Vec::new(),
        })
    }

    async fn ours(&self) -> Result<Ours, FleetError> {
        let fleet = self.fleet.lock().unwrap();
        if fleet.hides {
            return Err(FleetError {
                what: "show the deployment's instances".to_owned(),
                problem: "no answer".to_owned(),
            });
        }
        let mut ours = fleet.others.clone();
        for (id, instances) in &fleet.launched {
            let intent = &fleet.intents[id];
            let there = |one: &&Instance| !one.gone && !fleet.terminated.contains(&one.id);
            for instance in instances.iter().filter(there) {
                ours.instances.push(OwnInstance {
                    id: instance.id.clone(),
                    instance_type: instance.instance_type.clone(),
                    capacity: intent.request.capacity,
                    launched_at: fleet.launched_at[id],
                    scope: intent.scope,
                    scope_name: intent.scope_name.clone(),
                    class: intent.request.class.clone(),
                    intent: id.clone(),
                });
            }
        }
        Ok(ours)
    }

    async fn terminate(&self, instances: &[InstanceId]) -> Result<(), FleetError> {
        let mut fleet = self.fleet.lock().unwrap();
        if fleet.refuses_to_terminate {
            return Err(FleetError {
                what: "terminate".to_owned(),
                problem: "no answer".to_owned(),
            });
        }
        fleet.terminated.extend(instances.iter().cloned());
        Ok(())
    }
}

fn no_list(what: &str) -> GitHubError {
    GitHubError {
        what: what.to_owned(),
        problem: "no answer".to_owned(),
        request: None,
        fault: GitHubFault::Unknown,
    }
}

#[async_trait]
impl GitHub for Outside {
    async fn job(
        &self,
        _: &RegistrationTarget,
        _: &str,
        _: &str,
        _: JobId,
    ) -> Result<JobLookup, GitHubError> {
        let says = {
            let mut github = self.github.lock().unwrap();
            github.looked_up += 1;
            if github.lists_nothing {
                return Err(no_list("look up a job"));
            }
            github.says.clone()
        };
        Ok(says.unwrap_or(JobLookup::Unknown))
    }

    async fn register(
        &self,
        _: &RegistrationTarget,
        runner: &RunnerSpec,
    ) -> Result<Registration, GitHubError> {
        let mut github = self.github.lock().unwrap();
        github.asked += 1;
        let fault = github.faults.pop_front();
        let taken = github.registered.iter().any(|one| one.name == runner.name);
        if fault.is_none_or(|(_, done)| done) && !taken && !github.down {
            let id = u64::try_from(github.registered.len()).unwrap() + 1;
            github.registered.push(RegisteredRunner {
                id,
                name: runner.name.clone(),
                online: false,
                busy: false,
            });
        }
        let fault = fault.map(|(fault, _)| fault);
        if let Some(fault) = fault.or(taken.then_some(GitHubFault::Conflict)) {
            return Err(GitHubError {
                what: format!("register {}", runner.name),
                problem: "a fault".to_owned(),
                request: None,
                fault,
            });
        }
        if github.down {
            return Err(GitHubError {
                what: format!("register {}", runner.name),
                problem: "it is down".to_owned(),
                request: None,
                fault: GitHubFault::Refused,
            });
        }
        Ok(Registration::Ephemeral("configuration".to_owned().into()))
    }

    async fn runner(
        &self,
        _: &RegistrationTarget,
        name: &str,
    ) -> Result<Option<RegisteredRunner>, GitHubError> {
        let github = self.github.lock().unwrap();
        let mut all = github.registered.iter();
        Ok(all.find(|runner| runner.name == name).cloned())
    }

    async fn runners(&self, _: &RegistrationTarget) -> Result<Vec<RegisteredRunner>, GitHubError> {
        let github = self.github.lock().unwrap();
        if github.closed {
            return Err(GitHubError {
                what: "list the runners".to_owned(),
                problem: "the App is not installed there".to_owned(),
                request: None,
                fault: GitHubFault::Closed,
            });
        }
        if github.lists_nothing {
            return Err(no_list("list the runners"));
        }
        if github.hides_from_lists {
            return Ok(Vec::new());
        }
        Ok(github.registered.clone())
    }

    async fn live_jobs(&self, _: &RegistrationTarget) -> Result<LiveJobs, GitHubError> {
        let mut github = self.github.lock().unwrap();
        if github.lists_nothing {
            return Err(no_list("list the jobs"));
        }
        github.listed += 1;
        Ok(github.live.clone())
    }

    async fn accounts(&self) -> Result<Vec<InstalledAccount>, GitHubError> {
        let github = self.github.lock().unwrap();
        if github.lists_nothing {
            return Err(no_list("list the accounts"));
        }
        Ok(github.accounts.clone())
    }

    async fn remove(&self, _: &RegistrationTarget, id: u64) -> Result<Removed, GitHubError> {
        let mut github = self.github.lock().unwrap();
        github.removals += 1;
        if github.knows_no_removal {
            return Ok(Removed::Unknown);
        }
        let Some(place) = github.registered.iter().position(|one| one.id == id) else {
            return Ok(Removed::Unknown);
        };
        if github.gives_jobs_at_removal {
            github.registered[place].busy = true;
        }
        if github.registered[place].busy {
            return Ok(Removed::Busy);
        }
        github.registered.remove(place);
        Ok(Removed::Removed)
    }

    /// Two on a page.
    async fn deliveries(&self, cursor: Option<&str>) -> Result<Deliveries, GitHubError> {
        let github = self.github.lock().unwrap();
        if github.lists_nothing {
            return Err(no_list("list the deliveries"));
        }
        let start: usize = cursor.map_or(0, |place| place.parse().unwrap());
        let all = &github.deliveries;
        Ok(Deliveries {
            deliveries: all.iter().skip(start).take(2).cloned().collect(),
            next: (all.len() > start + 2).then(|| (start + 2).to_string()),
        })
    }

    async fn active_repositories(
        &self,
        account: &InstalledAccount,
        _: Timestamp,
    ) -> Result<Vec<ScopeName>, GitHubError> {
        let active = self.github.lock().unwrap().active.clone();
        let name = |repository: &str| ScopeName {
            owner: account.login.to_lowercase(),
            repository: Some(repository.to_owned()),
        };
        Ok(active.iter().map(|one| name(one)).collect())
    }

    async fn deliver_again(&self, delivery: u64) -> Result<(), GitHubError> {
        self.github.lock().unwrap().delivered_again.push(delivery);
        Ok(())
    }

    fn page(&self, scope: &ScopeName) -> String {
        format!("https://github.com/{scope}")
    }
}

#[async_trait]
impl Configurations for Outside {
    async fn put(
        &self,
        instance: &InstanceId,
        _: &InstanceConfiguration,
    ) -> Result<(), ConfigurationError> {
        let mut parameters = self.parameters.lock().unwrap();
        let (refuses, lost) = (parameters.refuses, parameters.answers_get_lost);
        if !refuses {
            parameters.written.insert(instance.clone());
        }
        if refuses || lost {
            return Err(ConfigurationError {
                instance: instance.clone(),
                what: "written",
                may_be_done: !refuses,
                problem: "no answer".to_owned(),
            });
        }
        Ok(())
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), ConfigurationError> {
        self.parameters.lock().unwrap().written.remove(instance);
        Ok(())
    }
}

#[async_trait]
impl ActQueue for Outside {
    async fn ask(&self, request: &ActRequest) -> Result<(), ActQueueError> {
        let mut acts = self.acts.lock().unwrap();
        if acts.down {
            return Err(ActQueueError {
                scope: request.scope,
                problem: "it is down".to_owned(),
            });
        }
        acts.asked.push(request.clone());
        Ok(())
    }

    async fn ask_in(&self, request: &ActRequest, seconds: u32) -> Result<(), ActQueueError> {
        let mut acts = self.acts.lock().unwrap();
        acts.reminders.push((request.clone(), seconds));
        Ok(())
    }
}

/// The real ledger, and other writers of its jobs when the test wants them.
pub(super) struct ContendedLedger {
    pub(super) ledger: SqliteLedger,
    pub(super) outside: Arc<Outside>,
}

#[async_trait]
impl Ledger for ContendedLedger {
    async fn job(&self, key: JobKey) -> Result<Option<Job>, LedgerError> {
        self.ledger.job(key).await
    }

    async fn put_job(&self, job: &Job) -> Result<(), LedgerError> {
        if *self.outside.jobs_are_contended.lock().unwrap() {
            return Err(LedgerError::Conflict(format!("job {}", job.key)));
        }
        self.ledger.put_job(job).await
    }

    async fn scope(&self, scope: ScopeKey) -> Result<ScopeState, LedgerError> {
        self.ledger.scope(scope).await
    }

    async fn save_decision(&self, decided: &DecidedScope<'_>) -> Result<ScopeVersion, LedgerError> {
        self.ledger.save_decision(decided).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), LedgerError> {
        self.ledger.settle(settlement).await
    }

    async fn book(
        &self,
        scope: ScopeKey,
        account: &Account,
        booked: &[InstanceId],
    ) -> Result<(), LedgerError> {
        self.ledger.book(scope, account, booked).await
    }

    async fn runner(&self, instance: &InstanceId) -> Result<Option<Runner>, LedgerError> {
        self.ledger.runner(instance).await
    }

    async fn put_runner(&self, runner: &Runner) -> Result<(), LedgerError> {
        self.ledger.put_runner(runner).await
    }

    async fn shared(&self, item: SharedItem) -> Result<Shared, LedgerError> {
        self.ledger.shared(item).await
    }

    async fn put_shared(&self, item: SharedItem, seen: u64, body: &str) -> Result<(), LedgerError> {
        self.ledger.put_shared(item, seen, body).await
    }

    async fn put_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.ledger.put_due(due).await
    }

    async fn due(&self, until: Timestamp, most: usize) -> Result<Vec<Due>, LedgerError> {
        self.ledger.due(until, most).await
    }

    async fn drop_due(&self, due: &Due) -> Result<(), LedgerError> {
        self.ledger.drop_due(due).await
    }

    async fn name_repository(&self, name: &str, id: RepositoryId) -> Result<(), LedgerError> {
        self.ledger.name_repository(name, id).await
    }

    async fn repository(&self, name: &str) -> Result<Option<RepositoryId>, LedgerError> {
        self.ledger.repository(name).await
    }
}

/// Tells the test alone. What happens in one second would be one record.
pub(super) struct Silent(pub(super) Arc<Outside>);

impl Reporter for Silent {
    fn report(&self, _: Timestamp, happening: &Happening) {
        self.0.told.lock().unwrap().push(happening.clone());
    }

    fn record(&self) -> Option<RecordName> {
        Some(RecordName::new(self.0.now(), 0))
    }
}
