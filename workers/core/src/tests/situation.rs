use stoker_intake::RepositoryId;

use super::{NOW, class, fixtures, operation};
use crate::ids::JobKey;
use crate::job::{Job, JobPhase};
use crate::limits::BOOT_TIME;
use crate::ports::ScopeState;
use crate::runner::{Runner, RunnerPhase};
use crate::situation::{
    COUNTS_FOR, PhaseFacts, Room, ScopeName, Situation, Trigger, counts_until, situation,
};
use crate::time::Timestamp;

fn scope_name() -> ScopeName {
    ScopeName {
        owner: "acme".to_owned(),
        repository: None,
    }
}

fn jobs(repository: u64, count: u64) -> Vec<Job> {
    (0..count)
        .map(|n| Job {
            key: JobKey {
                repository: RepositoryId::new(repository),
                ..fixtures().job_key(1_000 * repository + n)
            },
            repository: format!("repo-{repository}"),
            labels: Some(vec!["Self-Hosted".to_owned(), "linux".to_owned()]),
            queued_at: Timestamp(NOW.0 - n),
            ..fixtures().job(1, n)
        })
        .collect()
}

fn of(state: &ScopeState, shown: usize) -> Situation {
    let mut operation = operation(vec![
        class("large", &["self-hosted", "linux", "large"], 5),
        class("small", &["self-hosted", "linux"], 5),
    ]);
    operation.jobs_shown = shown;
    situation(
        &operation,
        scope_name(),
        state,
        &Room::UNLIMITED,
        Trigger::Jobs,
        NOW,
    )
}

fn runner(n: usize, phase: RunnerPhase, age: u64) -> Runner {
    let fixtures = fixtures();
    Runner {
        class: crate::ids::ClassName("small".to_owned()),
        phase,
        launched_at: Timestamp(NOW.0 - age),
        phase_since: Timestamp(NOW.0 - age),
        ..fixtures.runner(&fixtures.intent(1, 1, 0), n)
    }
}

#[test]
fn one_repository_s_hundreds_do_not_hide_another_s_two() {
    let state = ScopeState {
        jobs: [jobs(1, 500), jobs(2, 2)].concat(),
        ..ScopeState::default()
    };
    let situation = of(&state, 10);
    assert_eq!(situation.pending.len(), 10);
    assert_eq!(situation.pending_unseen, 492);
    let of_second = situation
        .pending
        .iter()
        .filter(|job| job.key.repository == RepositoryId::new(2))
        .count();
    assert_eq!(of_second, 2);
    assert_eq!(situation.repositories[0].waiting_jobs, 500);
}

#[test]
fn jobs_are_shown_longest_waiting_first_and_share_one_label_set() {
    let state = ScopeState {
        jobs: jobs(1, 3),
        ..ScopeState::default()
    };
    let situation = of(&state, 10);
    let waited: Vec<u32> = situation.pending.iter().map(|job| job.waited).collect();
    assert_eq!(waited, [2, 1, 0]);
    assert_eq!(situation.label_sets.len(), 1);
    assert_eq!(situation.label_sets[0].labels, ["linux", "self-hosted"]);
    assert_eq!(situation.label_sets[0].fits, [0, 1], "case ignored");
}

#[test]
fn the_order_in_which_the_ledger_lists_things_does_not_matter() {
    let mut state = ScopeState {
        jobs: [jobs(1, 5), jobs(2, 5)].concat(),
        runners: (0..4).map(|n| runner(n, RunnerPhase::Idle, 60)).collect(),
        ..ScopeState::default()
    };
    let one = of(&state, 6);
    state.jobs.reverse();
    state.runners.reverse();
    assert_eq!(of(&state, 6), one);
}

#[test]
fn what_runs_or_is_not_verified_is_no_pending_job() {
    let mut running = jobs(1, 1);
    running[0].phase = JobPhase::InProgress;
    let mut unverified = jobs(2, 1);
    unverified[0].labels = None;
    let state = ScopeState {
        jobs: [running, unverified].concat(),
        ..ScopeState::default()
    };
    let situation = of(&state, 10);
    assert!(situation.pending.is_empty());
    assert_eq!(situation.repositories[0].running_jobs, 1);
    assert_eq!(situation.repositories[1].waiting_jobs, 0);
}

#[test]
fn an_instance_that_never_came_up_stops_being_supply_but_still_counts() {
    let late = u64::from(BOOT_TIME) + 1;
    let state = ScopeState {
        jobs: jobs(1, 1),
        runners: vec![
            runner(0, RunnerPhase::Booting, late),
            runner(1, RunnerPhase::Booting, 5),
        ],
        ..ScopeState::default()
    };
    let situation = of(&state, 10);
    let phases: Vec<PhaseFacts> = situation.runners.iter().map(|r| r.phase).collect();
    assert_eq!(phases, [PhaseFacts::Unknown, PhaseFacts::Booting]);
    assert_eq!(situation.headroom.runners_left, 8);
    assert_eq!(situation.classes[1].left, 3);
}

#[test]
fn an_idle_runner_that_does_not_take_a_job_stops_counting_for_it_and_no_job_gets_more_than_three() {
    use PhaseFacts::{Idle, Unknown};

    let waiting = |seconds: u64| {
        let mut waiting = jobs(1, 1);
        waiting[0].queued_at = Timestamp(NOW.0 - seconds);
        waiting
    };
    let phases = |waited: u64, idle: &[u64]| -> Vec<PhaseFacts> {
        let state = ScopeState {
            jobs: waiting(waited),
            runners: (0..)
                .zip(idle)
                .map(|(n, age)| runner(n, RunnerPhase::Idle, *age))
                .collect(),
            ..ScopeState::default()
        };
        of(&state, 10).runners.iter().map(|r| r.phase).collect()
    };
    let long = u64::from(COUNTS_FOR) + 1;
    assert_eq!(phases(long, &[long]), [Unknown]);
    assert_eq!(phases(long - 1, &[long]), [Idle], "the job is young");
    assert_eq!(phases(long, &[long - 1]), [Idle], "it was busy until then");
    assert_eq!(
        phases(long, &[long + 2, long + 1, long]),
        [Unknown, Unknown, Idle]
    );
    // Somebody looks when that time is over.
    let looked_at = |waited: u64, idle: &[u64]| {
        let state = ScopeState {
            jobs: waiting(waited),
            runners: (0..)
                .zip(idle)
                .map(|(n, age)| runner(n, RunnerPhase::Idle, *age))
                .collect(),
            ..ScopeState::default()
        };
        counts_until(&of(&state, 10))
    };
    assert_eq!(looked_at(60, &[500]), Some(COUNTS_FOR - 60 + 1));
    // Also where another is overlooked already.
    assert_eq!(looked_at(500, &[500, 20]), Some(COUNTS_FOR - 20 + 1));
    assert_eq!(looked_at(500, &[500]), None);
    assert_eq!(looked_at(500, &[]), None);
}

#[test]
fn a_launch_without_an_outcome_is_supply_for_ten_minutes_and_counts_until_it_is_settled() {
    let fixtures = fixtures();
    let of_age = |age: u64| {
        let mut intent = fixtures.intent(1, 1, 0);
        intent.request.class = crate::ids::ClassName("small".to_owned());
        intent.request.count = 2;
        intent.decided_at = Timestamp(NOW.0 - age);
        let state = ScopeState {
            jobs: jobs(1, 1),
            intents: vec![intent],
            ..ScopeState::default()
        };
        of(&state, 10)
    };
    for (age, phase) in [(600, PhaseFacts::Launching), (601, PhaseFacts::Unknown)] {
        let situation = of_age(age);
        let phases: Vec<PhaseFacts> = situation.runners.iter().map(|r| r.phase).collect();
        assert_eq!(phases, [phase, phase]);
        assert_eq!(situation.headroom.runners_left, 8);
    }
}
