//! What a situation says of jobs and runners, in the order and the shape in which launching wants it.

use std::cmp::{Ordering, Reverse};

use crate::blocks::index;
use crate::facts::{Job, LabelSet, Runner, RunnerPhase, Situation};

/// Whether a runner can take a job that waits now.
pub(crate) fn is_supply(runner: &Runner) -> bool {
    matches!(
        runner.phase,
        RunnerPhase::Launching | RunnerPhase::Booting | RunnerPhase::Idle
    )
}

/// The kinds of place that jobs may take, both the cheapest first. By label set: runners that are there,
/// then runners that may be launched. After these, by label set again: runners that are there alone.
pub(super) fn rows(situation: &Situation) -> Vec<Vec<usize>> {
    let classes = situation.classes.len();
    let there = |set: &LabelSet| -> Vec<usize> { set.fits.iter().map(|&c| index(c)).collect() };
    let all = |set: &LabelSet| {
        let there = there(set);
        let launched = there.iter().map(|class| classes + class);
        there.iter().copied().chain(launched).collect()
    };
    let sets = situation.label_sets.iter();
    sets.clone().map(all).chain(sets.map(there)).collect()
}

/// Waiting jobs, the longest waiting first; those that waited as long by what they are.
pub(super) fn in_order(situation: &Situation) -> Vec<usize> {
    let jobs = &situation.pending;
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    if jobs.is_sorted_by(|a, b| a.waited > b.waited) {
        return order;
    }
    // The host shows them so; a person who wrote a situation may not.
    if !jobs.is_sorted_by(|a, b| a.waited >= b.waited) {
        order.sort_by_key(|&place| Reverse(jobs[place].waited));
    }
    for equals in order.chunk_by_mut(|&a, &b| jobs[a].waited == jobs[b].waited) {
        if equals.len() > 1 {
            equals.sort_by(|&a, &b| by_what_it_is(&jobs[a], &jobs[b]));
        }
    }
    order
}

fn by_what_it_is(a: &Job, b: &Job) -> Ordering {
    let places = a.labels.cmp(&b.labels);
    places
        .then_with(|| a.repository.cmp(&b.repository))
        .then_with(|| a.branch.cmp(&b.branch))
        .then_with(|| a.workflow.cmp(&b.workflow))
        .then_with(|| a.interrupted.cmp(&b.interrupted))
}

/// The repository that each runner counts for: a busy one for whom it serves, any other for whom it was
/// launched.
pub fn held(situation: &Situation) -> impl Iterator<Item = usize> + '_ {
    situation
        .runners
        .iter()
        .filter_map(|runner| runner.serves.or(runner.launched_for))
        .map(index)
}
