use proptest::prelude::*;
use stoker_intake::{RepositoryId, RunId};

use super::{NOW, class, fixtures, operation};
use crate::account::Account;
use crate::class::Capacity;
use crate::ids::ClassName;
use crate::ports::ScopeState;
use crate::runner::{Runner, RunnerNews, RunnerPhase};
use crate::situation::{Recent, Room, ScopeName, Situation, Trigger, situation};
use crate::time::Timestamp;

const HOUR: u64 = 3_600;

/// A runner of one dollar an hour that was launched so many seconds before [`NOW`], 08:00 on the 15th.
fn runner(n: usize, age: u64) -> Runner {
    let fixtures = fixtures();
    Runner {
        class: ClassName("small".to_owned()),
        capacity: Capacity::Spot,
        price: 1.0,
        launched_at: Timestamp(NOW.0 - age),
        phase: RunnerPhase::Idle,
        phase_since: Timestamp(NOW.0 - age),
        launched_for: Some(RepositoryId::new(7)),
        ..fixtures.runner(&fixtures.intent(1, 1, 0), n)
    }
}

fn ended(runner: Runner, seconds_ago: u64) -> Runner {
    Runner {
        phase: RunnerPhase::Ended,
        phase_since: Timestamp(NOW.0 - seconds_ago),
        ..runner
    }
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

fn seen(state: &ScopeState, now: Timestamp) -> Situation {
    let operation = operation(vec![class("small", &["self-hosted", "linux"], 5)]);
    let scope = ScopeName {
        owner: "acme".to_owned(),
        repository: None,
    };
    situation(
        &operation,
        scope,
        state,
        &Room::UNLIMITED,
        Trigger::Jobs,
        now,
    )
}

#[test]
fn a_runner_that_has_ended_costs_what_it_ran_in_each_stretch_and_no_more() {
    // Ran from 06:30 to 07:30 today: nothing of this hour, one hour of today and of the month.
    let gone = ended(runner(1, HOUR + 1_800), 1_800);
    let account = Account::default().with_ended(&[gone], NOW);
    let spend = account.spend(&[], NOW);
    assert!(close(spend.this_hour, 0.0), "{spend:?}");
    assert!(close(spend.today, 1.0), "{spend:?}");
    assert!(close(spend.this_month, 1.0), "{spend:?}");
    // Since 20:00 yesterday: twelve hours, eight of them today.
    let alive = runner(2, 12 * HOUR);
    let spend = account.spend(&[&alive], NOW);
    assert!(close(spend.today, 9.0), "{spend:?}");
    assert!(close(spend.this_month, 13.0), "{spend:?}");
}

#[test]
fn the_hour_the_day_and_the_month_begin_anew() {
    let mut account = Account::default();
    account.book(&ended(runner(1, 7_200), 3_600), NOW);
    let at = |hours: u64| {
        let now = Timestamp(NOW.0 + hours * HOUR);
        account.with_ended(&[], now).spend(&[], now)
    };
    assert!(close(at(1).today, 1.0));
    assert!(close(at(16).today, 0.0), "midnight is in sixteen hours");
    assert!(close(at(16).this_month, 1.0));
    assert!(
        close(at(17 * 24).this_month, 0.0),
        "the 15th and seventeen days"
    );
}

#[test]
fn cost_is_counted_for_the_repository_that_was_served_last() {
    let mut served = ended(runner(1, 7_200), 3_600);
    served.last_job = Some(fixtures().job_key(1));
    let account = Account::default().with_ended(&[served.clone(), ended(runner(2, 3_600), 0)], NOW);
    let today = account.spent_today(&[], NOW);
    let job = fixtures().job_key(1);
    assert!(close(today[&job.repository], 1.0));
    assert!(close(today[&RepositoryId::new(7)], 1.0));
}

#[test]
fn what_is_not_booked_yet_is_spent_all_the_same() {
    let gone = ended(runner(1, 7_200), 3_600);
    let unbooked = ScopeState {
        ended: vec![gone.clone()],
        ..ScopeState::default()
    };
    let booked = ScopeState {
        account: Account::default().with_ended(&[gone], NOW),
        ..ScopeState::default()
    };
    assert!(close(seen(&unbooked, NOW).spend.today, 1.0));
    assert_eq!(seen(&unbooked, NOW), seen(&booked, NOW));
}

#[test]
fn a_launch_is_paid_for_an_hour_when_it_is_decided_and_not_again() {
    let shown = |age: u64, intents: Vec<crate::intent::Intent>| {
        let mut operation = operation(vec![class("small", &["self-hosted", "linux"], 50)]);
        operation.guards.spend.hour = Some(10.0);
        let state = ScopeState {
            runners: (0..9).map(|n| runner(n, age)).collect(),
            intents,
            ..ScopeState::default()
        };
        let scope = ScopeName {
            owner: "acme".to_owned(),
            repository: None,
        };
        let shown = situation(
            &operation,
            scope,
            &state,
            &Room::UNLIMITED,
            Trigger::Jobs,
            NOW,
        );
        shown.headroom.spend_left.unwrap()
    };
    // Nine runners of a dollar an hour were launched a moment ago: nothing of it is spent, and all is
    // spoken for.
    assert!(close(shown(0, Vec::new()), 1.0));
    // So is a launch without an outcome.
    let mut open = fixtures().intent(1, 1, 0);
    open.price = 0.5;
    open.request.count = 2;
    assert!(close(shown(0, vec![open]), 0.0));
    // Half an hour later, half of it was spent in the hour before, and half is to come.
    assert!(close(shown(1_800, Vec::new()), 10.0 - 4.5));
}

#[test]
fn the_last_hour_of_a_class_is_told_by_capacity() {
    let small = ClassName("small".to_owned());
    let mut account = Account::default();
    let ago = |seconds: u64| Timestamp(NOW.0 - seconds);
    account.note_launch(&small, Capacity::Spot, 100, 0, ago(2 * HOUR));
    account.note_launch(&small, Capacity::Spot, 3, 2, ago(1_800));
    account.note_launch(&small, Capacity::Spot, 4, 0, ago(60));
    account.note_launch(&small, Capacity::OnDemand, 1, 0, ago(60));
    // Nine that were up after 41 to 49 seconds, and one that was interrupted.
    for n in 1..10u64 {
        let mut gone = ended(runner(1, 1_000), 100);
        gone.booted_at = Some(Timestamp(gone.launched_at.0 + 40 + n));
        gone.interrupted = n == 1;
        account.book(&gone, NOW);
    }
    let mut alive = runner(2, 1_000);
    alive.booted_at = Some(Timestamp(alive.launched_at.0 + 90));
    let account = account.with_ended(&[], NOW);
    let live = [&alive];
    let spot = account.recent(&small, Capacity::Spot, &live, NOW);
    let expected = Recent {
        launched: 7,
        interrupted: 1,
        refused: 2,
        boot_median: Some(45),
        boot_slowest: Some(90),
        ..Recent::default()
    };
    assert_eq!(spot, expected);
    let on_demand = account.recent(&small, Capacity::OnDemand, &live, NOW);
    assert_eq!((on_demand.launched, on_demand.boot_median), (1, None));
}

#[test]
fn a_re_run_of_a_job_whose_runner_was_interrupted_is_known_by_run_and_name() {
    let mut account = Account::default();
    account.note_interrupted(RunId::new(9), "build".to_owned(), NOW);
    assert!(account.was_interrupted(Some(RunId::new(9)), "build"));
    assert!(!account.was_interrupted(Some(RunId::new(9)), "test"));
    assert!(!account.was_interrupted(Some(RunId::new(8)), "build"));
    assert!(!account.was_interrupted(None, "build"));
    let week_later = Timestamp(NOW.0 + 7 * 24 * HOUR);
    let account = account.with_ended(&[], week_later);
    assert!(!account.was_interrupted(Some(RunId::new(9)), "build"));
}

#[test]
fn a_runner_remembers_when_it_came_up_what_it_ran_and_whether_it_was_taken_back() {
    let job = fixtures().job_key(1);
    let booting = Runner {
        phase: RunnerPhase::Booting,
        ..runner(1, 60)
    };
    let busy = booting.fold(&RunnerNews::Took(job), NOW).unwrap();
    assert_eq!((busy.booted_at, busy.last_job), (Some(NOW), Some(job)));
    let later = Timestamp(NOW.0 + 60);
    let gone = busy.fold(&RunnerNews::Interrupted, later).unwrap();
    assert_eq!(gone.phase, RunnerPhase::Ended);
    assert!(gone.interrupted);
    assert_eq!((gone.booted_at, gone.last_job), (Some(NOW), Some(job)));
}

proptest! {
    /// However runners that ended are booked, all at once, one by one or in another order, the money is
    /// the same.
    #[test]
    fn booking_in_any_order_and_any_portions_comes_to_the_same(
        ages in proptest::collection::vec((0..200_000u64, 0..100_000u64), 1..20),
        cut in 0..20usize,
    ) {
        let mut runners: Vec<Runner> = ages
            .iter()
            .enumerate()
            .map(|(n, &(ran, ago))| ended(runner(n, ran + ago), ago))
            .collect();
        let once = Account::default().with_ended(&runners, NOW).spend(&[], NOW);
        let cut = cut.min(runners.len());
        let portions = Account::default()
            .with_ended(&runners[..cut], NOW)
            .with_ended(&runners[cut..], NOW)
            .spend(&[], NOW);
        runners.reverse();
        let reversed = Account::default().with_ended(&runners, NOW).spend(&[], NOW);
        for other in [portions, reversed] {
            prop_assert!(close(once.this_hour, other.this_hour));
            prop_assert!(close(once.today, other.today));
            prop_assert!(close(once.this_month, other.this_month));
        }
    }
}
