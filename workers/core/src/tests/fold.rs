use proptest::prelude::*;
use stoker_intake::{Action, EventKind, JobEvent};

use super::{NOW, class, event, fixtures};
use crate::class::Classes;
use crate::job::{BELIEVED_FOR, Job, JobPhase, Standing, fold};
use crate::ports::JobLookup;
use crate::time::Timestamp;

fn fold_all(events: &[JobEvent]) -> Option<Job> {
    let scope = fixtures().scope(1);
    events.iter().fold(None, |known, event| {
        fold(known.as_ref(), event, scope, NOW).or(known)
    })
}

/// The same job, as `check_run` announces it: without labels.
fn check_run() -> JobEvent {
    JobEvent {
        event: EventKind::CheckRun,
        action: Action::Created,
        labels: None,
        created_at: None,
        ..event(Action::Queued)
    }
}

fn any_event() -> impl Strategy<Value = JobEvent> {
    prop_oneof![
        Just(event(Action::Queued)),
        Just(event(Action::InProgress)),
        Just(event(Action::Completed)),
        Just(check_run()),
    ]
}

#[test]
fn a_job_that_waited_long_is_asked_about_an_hour_after_a_runner_took_it() {
    let scope = fixtures().scope(1);
    let queued = fold_all(&[event(Action::Queued)]).unwrap();
    let took = Timestamp(NOW.0 + 3_500);
    let runs = fold(Some(&queued), &event(Action::InProgress), scope, took).unwrap();
    assert_eq!(runs.to_be_checked_at(), Timestamp(took.0 + 3_600));
    let late = Timestamp(took.0 + 60);
    assert_eq!(
        fold(Some(&runs), &event(Action::InProgress), scope, late),
        None
    );
}

proptest! {
    /// Whatever the order and however often the events of a job come, the job ends up the same.
    #[test]
    fn order_and_duplicates_do_not_matter(
        (events, shuffled) in prop::collection::vec(any_event(), 1..8)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
    ) {
        let once = fold_all(&events).unwrap();
        let other = fold_all(&shuffled).unwrap();
        prop_assert_eq!(once.phase, other.phase);
        prop_assert_eq!(&once.labels, &other.labels);
        prop_assert_eq!(&once.runner_name, &other.runner_name);
        prop_assert_eq!(&once.conclusion, &other.conclusion);
        prop_assert_eq!(once.is_demand(), other.is_demand());
    }

    /// A phase never moves back.
    #[test]
    fn phases_only_move_forward(events in prop::collection::vec(any_event(), 1..8)) {
        let mut last = JobPhase::Queued;
        for length in 1..=events.len() {
            let phase = fold_all(&events[..length]).unwrap().phase;
            prop_assert!(phase >= last);
            last = phase;
        }
    }

    /// An event that was folded tells nothing new when it comes again.
    #[test]
    fn a_redelivery_tells_nothing_new(events in prop::collection::vec(any_event(), 1..8)) {
        let known = fold_all(&events).unwrap();
        for event in &events {
            let again = fold(Some(&known), event, known.scope, Timestamp(NOW.0 + 60));
            prop_assert_eq!(again, None);
        }
    }
}

#[test]
fn a_job_announced_by_both_events_is_one_job_and_demand() {
    let job = fold_all(&[check_run(), event(Action::Queued)]).unwrap();
    assert_eq!(job.standing, Standing::Announced);
    assert!(job.is_demand());
    assert_eq!(job.key, fold_all(&[check_run()]).unwrap().key);
}

#[test]
fn a_job_known_only_by_check_run_is_no_demand_until_github_was_asked() {
    let job = fold_all(&[check_run()]).unwrap();
    assert!(job.needs_verification());
    assert!(!job.is_demand());
}

#[test]
fn an_old_queued_is_no_demand_until_github_was_asked() {
    let scope = fixtures().scope(1);
    let created = i64::try_from(NOW.0).unwrap();
    let queued = JobEvent {
        created_at: time::OffsetDateTime::from_unix_timestamp(created).ok(),
        ..event(Action::Queued)
    };
    let late = |seconds| fold(None, &queued, scope, Timestamp(NOW.0 + seconds)).unwrap();
    assert!(late(u64::from(BELIEVED_FOR)).is_demand());
    assert!(late(u64::from(BELIEVED_FOR) + 1).needs_verification());
}

#[test]
fn a_late_queued_does_not_resurrect_an_ended_job() {
    let job = fold_all(&[event(Action::Completed), event(Action::Queued)]).unwrap();
    assert_eq!(job.phase, JobPhase::Ended);
    assert!(!job.is_demand());
    assert!(!job.needs_verification());
}

#[test]
fn what_github_says_of_a_job_decides_whether_it_is_demand() {
    let job = fold_all(&[check_run()]).unwrap();
    let status = |status: &str| JobLookup::NotQueued {
        status: status.to_owned(),
        runner_name: None,
    };
    let labels = vec!["linux".to_owned()];

    let queued = job
        .looked_up(&JobLookup::Queued { labels }, &classes(), NOW)
        .unwrap();
    assert!(queued.is_demand());
    let running = job
        .looked_up(&status("in_progress"), &classes(), NOW)
        .unwrap();
    assert_eq!(running.phase, JobPhase::InProgress);
    let over = job
        .looked_up(&status("completed"), &classes(), NOW)
        .unwrap();
    assert_eq!(over.phase, JobPhase::Ended);
    assert_eq!(over.ended_at, Some(NOW));
}

#[test]
fn a_job_that_github_denies_is_asked_about_three_times_and_its_queued_still_counts() {
    let waiting = JobLookup::NotQueued {
        status: "waiting".to_owned(),
        runner_name: None,
    };
    for lookup in [waiting, JobLookup::Unknown] {
        let mut job = fold_all(&[check_run()]).unwrap();
        for _ in 0..3 {
            assert!(job.needs_verification());
            job = job.looked_up(&lookup, &classes(), NOW).unwrap();
            assert!(!job.is_demand());
        }
        assert!(!job.needs_verification());
        let queued = fold(Some(&job), &event(Action::Queued), job.scope, NOW).unwrap();
        assert!(queued.is_demand());
    }
}

#[test]
fn a_looked_up_job_that_no_class_fits_is_no_demand() {
    let labels = vec!["ubuntu-latest".to_owned()];
    let job = fold_all(&[check_run()])
        .unwrap()
        .looked_up(&JobLookup::Queued { labels }, &classes(), NOW)
        .unwrap();
    assert!(!job.is_demand());
    assert!(!job.needs_verification());
}

fn classes() -> Classes {
    Classes::new(vec![class("linux", &["self-hosted", "linux"], 10)]).unwrap()
}
