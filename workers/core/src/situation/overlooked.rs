//! Idle runners that do not take the jobs that they could take.
//!
//! GitHub gives a job to any runner that fits, and no runner is bound to a job. One that waits beside a
//! job that it could take may be offline, or in a group that does not admit the job's repository: after a
//! while it counts for jobs no more, so that the job may get another.

use super::{LabelSet, PendingJob, PhaseFacts, RunnerFacts, Situation};

/// For how long an idle runner counts for a job that it could take and does not, in seconds: GitHub
/// assigns a job within seconds.
pub const COUNTS_FOR: u32 = 90;

/// How many idle runners are overlooked for one job. With them it gets three at most: more would be a
/// fleet that nobody uses.
const OVERLOOKED_PER_JOB: u32 = 2;

/// Has idle runners count for nothing that have waited beside a job that they could take.
pub(super) fn overlook(runners: &mut [RunnerFacts], pending: &[PendingJob], sets: &[LabelSet]) {
    let mut stuck: Vec<(&LabelSet, u32)> = pending
        .iter()
        .filter(|job| job.waited > COUNTS_FOR)
        .filter_map(|job| Some((sets.get(job.labels)?, OVERLOOKED_PER_JOB)))
        .collect();
    let idle = runners
        .iter_mut()
        .filter(|runner| runner.phase == PhaseFacts::Idle && runner.in_phase > COUNTS_FOR);
    for runner in idle {
        let job = stuck
            .iter_mut()
            .find(|(set, left)| *left > 0 && set.fits.contains(&runner.class));
        if let Some((_, left)) = job {
            *left -= 1;
            runner.phase = PhaseFacts::Unknown;
        }
    }
}

/// In how many seconds the first idle runner that counts for a waiting job now will not any more; none: none
/// counts for one.
pub fn counts_until(situation: &Situation) -> Option<u32> {
    let idle = situation
        .runners
        .iter()
        .filter(|runner| runner.phase == PhaseFacts::Idle);
    idle.flat_map(|runner| {
        let could_take = |job: &&PendingJob| {
            let set = situation.label_sets.get(job.labels);
            set.is_some_and(|set| set.fits.contains(&runner.class))
        };
        let jobs = situation.pending.iter().filter(could_take);
        jobs.map(|job| runner.in_phase.min(job.waited))
    })
    .filter(|beside| *beside <= COUNTS_FOR)
    .max()
    // It counts for that long, and not a second longer.
    .map(|beside| COUNTS_FOR - beside + 1)
}
