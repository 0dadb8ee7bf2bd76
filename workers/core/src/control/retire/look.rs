//! What EC2 and GitHub show of a scope's runners, held against what the ledger knows of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ids::{InstanceId, JobKey, RunnerNames};
use crate::ports::RegisteredRunner;
use crate::runner::{Runner, RunnerNews, RunnerPhase};
use crate::sightings::Sighting;
use crate::time::Timestamp;

/// EC2 shows an instance at the latest so long after its launch, in seconds.
const SHOWN_WITHIN: u32 = 60;

/// How long after a runner took a job GitHub's list surely says so, in seconds.
const LISTED_WITHIN: u32 = 120;

/// What there is to be seen of a scope.
pub(super) struct Sight<'a> {
    /// Its runners that have not ended.
    pub(super) runners: &'a [Runner],
    /// Its instances that run or are about to.
    pub(super) instances: &'a BTreeSet<InstanceId>,
    /// When EC2 was asked for them.
    pub(super) shown_at: Timestamp,
    /// All that GitHub lists, others' included. While it was read runners came and went, so one may be missing,
    /// or be there twice.
    pub(super) registered: &'a [RegisteredRunner],
    pub(super) names: &'a RunnerNames,
    /// Seconds after which an instance should have registered.
    pub(super) boot_time: u32,
    pub(super) now: Timestamp,
}

/// What follows from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// What GitHub's list tells of runners and the ledger does not know.
    pub(super) news: Vec<(InstanceId, RunnerNews)>,
    /// Runners of which the list does not say what they do.
    pub(super) unclear: BTreeSet<InstanceId>,
    /// Jobs whose runner has none, as GitHub lists it: their end may have been missed.
    pub(super) unfinished: Vec<JobKey>,
    /// What is believed when it is seen again.
    pub(super) odd: BTreeSet<Sighting>,
    /// GitHub's ids of the runners on our instances.
    pub(super) ids: BTreeMap<InstanceId, u64>,
    /// Those of them that run a job.
    pub(super) busy: BTreeSet<InstanceId>,
    /// Those of them that are connected.
    pub(super) online: BTreeSet<InstanceId>,
}

impl Sight<'_> {
    pub(super) fn looked(&self) -> Looked {
        let mut looked = Looked::default();
        let mut listed: HashMap<InstanceId, &RegisteredRunner> = HashMap::new();
        for runner in self.registered {
            let Some(instance) = self.names.instance(&runner.name) else {
                continue;
            };
            looked.ids.insert(instance.clone(), runner.id);
            if runner.busy {
                looked.busy.insert(instance.clone());
            }
            if runner.online {
                looked.online.insert(instance.clone());
            }
            // Of two sights of one runner the one counts that keeps it.
            let known = listed.entry(instance).or_insert(runner);
            if runner.busy {
                *known = runner;
            }
        }
        for runner in self.runners {
            self.look_at(runner, listed.get(&runner.instance).copied(), &mut looked);
        }
        let known: BTreeSet<&InstanceId> = self.runners.iter().map(|one| &one.instance).collect();
        for (instance, runner) in &listed {
            let is_there = known.contains(instance) || self.instances.contains(instance);
            if !is_there {
                looked.odd.insert(Sighting::Left(runner.name.clone()));
            }
        }
        looked
    }

    fn look_at(&self, runner: &Runner, listed: Option<&RegisteredRunner>, looked: &mut Looked) {
        let age = runner.launched_at.age(self.now);
        let instance = || runner.instance.clone();
        let was_shown = runner.launched_at.age(self.shown_at) > SHOWN_WITHIN;
        let is_busy = listed.is_some_and(|listed| listed.busy);
        // GitHub's word of a job is the stronger one: it takes minutes to notice that an instance is gone, and a
        // job that runs is never to be taken for one that does not.
        if was_shown && !is_busy && !self.instances.contains(&runner.instance) {
            looked.odd.insert(Sighting::Gone(instance()));
            looked.unclear.insert(instance());
            return;
        }
        let waits = listed.is_some_and(|listed| listed.online && !listed.busy);
        match &runner.phase {
            RunnerPhase::Busy { .. } | RunnerPhase::Occupied if is_busy => {}
            RunnerPhase::Busy { job } => {
                if runner.phase_since.age(self.now) > LISTED_WITHIN {
                    looked.unfinished.push(*job);
                }
            }
            _ if is_busy => looked.news.push((instance(), RunnerNews::Occupied)),
            RunnerPhase::Idle if waits => {}
            RunnerPhase::Launching | RunnerPhase::Booting | RunnerPhase::Occupied if waits => {
                looked.news.push((instance(), RunnerNews::Online));
            }
            RunnerPhase::Idle | RunnerPhase::Booting | RunnerPhase::Occupied => {
                if age > self.boot_time {
                    looked.odd.insert(Sighting::Lost(instance()));
                }
                if runner.phase != RunnerPhase::Booting || age > self.boot_time {
                    looked.unclear.insert(instance());
                }
            }
            // Acts look after those.
            RunnerPhase::Launching | RunnerPhase::Retiring | RunnerPhase::Ended => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::contract::fixtures::Fixtures;
    use crate::ids::Deployment;

    const NOW: Timestamp = Timestamp(1_800_000_000);
    const BOOT_TIME: u32 = 600;

    fn names() -> RunnerNames {
        let deployment: Deployment = "test".parse().unwrap();
        RunnerNames::new("stoker", &deployment).unwrap()
    }

    fn runner(number: usize, phase: RunnerPhase, age: u64) -> Runner {
        let fixtures = Fixtures::new(NOW, 1);
        let runner = fixtures.runner(&fixtures.intent(1, 1, 0), number);
        Runner {
            name: names().name(&runner.instance),
            phase,
            phase_since: Timestamp(NOW.0 - age),
            launched_at: Timestamp(NOW.0 - age),
            ..runner
        }
    }

    fn listed(runner: &Runner, online: bool, busy: bool) -> RegisteredRunner {
        RegisteredRunner {
            id: 7,
            name: runner.name.clone(),
            online,
            busy,
        }
    }

    fn looked(runners: &[Runner], there: bool, registered: &[RegisteredRunner]) -> Looked {
        let all = runners.iter().map(|one| one.instance.clone());
        let instances = if there {
            all.collect()
        } else {
            BTreeSet::new()
        };
        Sight {
            runners,
            instances: &instances,
            shown_at: NOW,
            registered,
            names: &names(),
            boot_time: BOOT_TIME,
            now: NOW,
        }
        .looked()
    }

    #[test]
    fn a_runner_that_is_connected_and_free_is_idle_and_one_with_a_job_is_not() {
        let booting = runner(1, RunnerPhase::Booting, 100);
        let id = booting.instance.clone();
        let news = |runner: &Runner, online, busy| {
            let registered = [listed(runner, online, busy)];
            looked(std::slice::from_ref(runner), true, &registered).news
        };
        assert_eq!(
            news(&booting, true, false),
            [(id.clone(), RunnerNews::Online)]
        );
        assert_eq!(
            news(&booting, true, true),
            [(id.clone(), RunnerNews::Occupied)]
        );
        // A connection that is lost does not end a job.
        assert_eq!(
            news(&booting, false, true),
            [(id.clone(), RunnerNews::Occupied)]
        );
        assert_eq!(news(&booting, false, false), []);
        let idle = runner(1, RunnerPhase::Idle, 100);
        assert_eq!(news(&idle, true, false), []);
        assert_eq!(
            news(&idle, true, true),
            [(id.clone(), RunnerNews::Occupied)]
        );
        let occupied = runner(1, RunnerPhase::Occupied, 100);
        assert_eq!(news(&occupied, true, false), [(id, RunnerNews::Online)]);
        let retiring = runner(1, RunnerPhase::Retiring, 100);
        assert_eq!(news(&retiring, true, true).len(), 1);
        assert_eq!(news(&retiring, true, false), []);
    }

    #[test]
    fn of_two_sights_of_a_runner_the_busy_one_counts() {
        let idle = runner(1, RunnerPhase::Idle, 100);
        for registered in [
            [listed(&idle, true, false), listed(&idle, true, true)],
            [listed(&idle, true, true), listed(&idle, true, false)],
        ] {
            let looked = looked(std::slice::from_ref(&idle), true, &registered);
            assert_eq!(looked.news.len(), 1);
            assert!(looked.busy.contains(&idle.instance));
        }
    }

    #[test]
    fn what_never_connects_is_odd_only_after_its_boot_time() {
        for (age, odd) in [(600, 0), (601, 1)] {
            let booting = runner(1, RunnerPhase::Booting, age);
            for registered in [vec![], vec![listed(&booting, false, false)]] {
                let looked = looked(std::slice::from_ref(&booting), true, &registered);
                assert_eq!(looked.odd.len(), odd);
                assert_eq!(looked.unclear.len(), odd);
            }
        }
        // Acts look after one that has no configuration yet.
        let launching = runner(1, RunnerPhase::Launching, 10_000);
        assert_eq!(looked(&[launching], true, &[]), Looked::default());
    }

    #[test]
    fn a_job_whose_runner_is_free_is_asked_about_when_the_list_surely_knows_it() {
        let job = Fixtures::new(NOW, 1).job_key(1);
        for (age, asked) in [(120, 0), (121, 1)] {
            let busy = runner(1, RunnerPhase::Busy { job }, age);
            for registered in [vec![], vec![listed(&busy, true, false)]] {
                let looked = looked(std::slice::from_ref(&busy), true, &registered);
                assert_eq!(looked.unfinished.len(), asked);
                assert!(looked.news.is_empty() && looked.odd.is_empty());
            }
        }
    }

    #[test]
    fn a_runner_without_an_instance_is_odd_on_either_side() {
        let idle = runner(1, RunnerPhase::Idle, 100);
        let all = std::slice::from_ref(&idle);
        let without = looked(all, false, &[]);
        let gone = Sighting::Gone(idle.instance.clone());
        assert_eq!(without.odd, [gone].into());
        // EC2 shows new instances late.
        let new = runner(1, RunnerPhase::Idle, 60);
        assert!(looked(&[new], false, &[]).odd.is_empty());
        let left = looked(&[], false, &[listed(&idle, false, false)]);
        assert_eq!(left.odd, [Sighting::Left(idle.name.clone())].into());
        // It is odd while GitHub has not noticed either, and taken away when it has.
        let connected = looked(&[], false, &[listed(&idle, true, true)]);
        assert_eq!(connected.odd.len(), 1);
        assert!(
            connected.busy.contains(&idle.instance) && connected.online.contains(&idle.instance)
        );
        let foreign = RegisteredRunner {
            name: "somebody-else".to_owned(),
            ..listed(&idle, false, false)
        };
        assert_eq!(looked(&[], false, &[foreign]), Looked::default());
    }

    proptest! {
        /// Whatever is listed: what runs a job is neither idle nor taken away.
        #[test]
        fn what_is_busy_is_never_idle_nor_odd(
            phases in prop::collection::vec((0_usize..6, 0_u64..2_000, any::<bool>()), 1..10),
            lists in prop::collection::vec((0_usize..10, any::<bool>(), any::<bool>()), 0..30),
        ) {
            let job = Fixtures::new(NOW, 1).job_key(1);
            let all = [
                RunnerPhase::Launching, RunnerPhase::Booting, RunnerPhase::Idle,
                RunnerPhase::Busy { job }, RunnerPhase::Occupied, RunnerPhase::Retiring,
            ];
            let runners: Vec<Runner> = phases.iter().zip(1..)
                .map(|((phase, age, _), number)| runner(number, all[*phase].clone(), *age))
                .collect();
            let instances = runners.iter().zip(&phases)
                .filter(|(_, (_, _, there))| *there)
                .map(|(runner, _)| runner.instance.clone())
                .collect();
            let registered: Vec<RegisteredRunner> = lists.iter()
                .filter_map(|(place, online, busy)| Some(listed(runners.get(*place)?, *online, *busy)))
                .collect();
            let looked = Sight {
                runners: &runners, instances: &instances, shown_at: NOW, registered: &registered,
                names: &names(), boot_time: BOOT_TIME, now: NOW,
            }.looked();
            for runner in &runners {
                let is_busy = registered.iter().any(|one| one.busy && one.name == runner.name);
                let id = &runner.instance;
                let is_odd = |odd: Sighting| looked.odd.contains(&odd);
                if is_busy {
                    prop_assert!(!looked.news.contains(&(id.clone(), RunnerNews::Online)));
                    prop_assert!(!is_odd(Sighting::Lost(id.clone())));
                    prop_assert!(!is_odd(Sighting::Gone(id.clone())));
                    prop_assert!(!is_odd(Sighting::Left(runner.name.clone())));
                    prop_assert!(!looked.unfinished.contains(&job) || phases.len() > 1);
                }
                if runner.launched_at.age(NOW) <= BOOT_TIME {
                    prop_assert!(!is_odd(Sighting::Lost(id.clone())));
                }
            }
        }
    }
}
