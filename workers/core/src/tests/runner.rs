use super::{NOW, fixtures};
use crate::limits::RunnerMode;
use crate::runner::{Runner, RunnerNews, RunnerPhase};

fn runner(mode: RunnerMode, phase: RunnerPhase) -> Runner {
    let fixtures = fixtures();
    Runner {
        mode,
        phase,
        ..fixtures.runner(&fixtures.intent(1, 1, 0), 1)
    }
}

#[test]
fn an_ephemeral_runner_ends_with_its_job_and_a_persistent_one_waits_for_the_next() {
    let job = fixtures().job_key(1);
    for (mode, after) in [
        (RunnerMode::Ephemeral, RunnerPhase::Ended),
        (RunnerMode::Persistent, RunnerPhase::Idle),
    ] {
        let busy = runner(mode, RunnerPhase::Booting)
            .fold(&RunnerNews::Took(job), NOW)
            .unwrap();
        assert_eq!(busy.phase, RunnerPhase::Busy { job });
        let done = busy.fold(&RunnerNews::Finished(job), NOW).unwrap();
        assert_eq!(done.phase, after);
    }
}

#[test]
fn the_late_end_of_an_earlier_job_does_not_free_a_busy_runner() {
    let (first, second) = (fixtures().job_key(1), fixtures().job_key(2));
    let busy = runner(RunnerMode::Persistent, RunnerPhase::Busy { job: second });
    assert_eq!(busy.fold(&RunnerNews::Finished(first), NOW), None);
}

#[test]
fn an_ended_runner_stays_ended() {
    let ended = runner(RunnerMode::Ephemeral, RunnerPhase::Ended);
    for news in [
        RunnerNews::Configured,
        RunnerNews::Online,
        RunnerNews::Took(fixtures().job_key(1)),
        RunnerNews::Gone,
    ] {
        assert_eq!(ended.fold(&news, NOW), None);
    }
}

#[test]
fn being_online_is_no_news_of_a_runner_that_is_busy() {
    let job = fixtures().job_key(1);
    let busy = runner(RunnerMode::Ephemeral, RunnerPhase::Busy { job });
    assert_eq!(busy.fold(&RunnerNews::Online, NOW), None);
}
