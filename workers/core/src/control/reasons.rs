//! Why jobs wait: as a decision tells it, and as it is written down with each job.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, StreamExt as _};

use super::act::SOON;
use super::decision::Decided;
use super::{Control, ControlError};
use crate::guardrails::{Granted, Rule};
use crate::happening::{DecidedDeferral, Happening};
use crate::ids::{ClassName, JobKey, ScopeKey};
use crate::intent::Intent;
use crate::journal::RecordName;
use crate::situation::{Refused, Situation};

/// When a budget that is by the decision, or a spend limit, may leave more, in seconds.
const MINUTE: u32 = 60;

/// How many jobs are written at once: the ledger takes more, but an act has other things to do.
const WRITTEN_AT_ONCE: usize = 20;

/// How many reasons an act writes down: a policy that words each anew could otherwise keep the ledger
/// busy with nothing else.
const REASONS_WRITTEN: usize = 200;

/// What guardrails left waiting, by rule.
pub(super) fn cut<'a>(
    granted: &'a Granted,
    situation: &'a Situation,
) -> impl Iterator<Item = DecidedDeferral> + 'a {
    let mut by_rule: BTreeMap<Rule, Vec<JobKey>> = BTreeMap::new();
    for (place, rule) in granted.cut() {
        let jobs = by_rule.entry(*rule).or_default();
        jobs.push(situation.pending[*place].key);
    }
    let reset = situation.headroom.registrations_reset;
    let paused = situation
        .classes
        .iter()
        .flat_map(|class| [class.spot.paused_for, class.on_demand.paused_for])
        .filter(|&seconds| seconds > 0)
        .min();
    by_rule
        .into_iter()
        .map(move |(rule, jobs)| DecidedDeferral {
            unnamed_jobs: 0,
            jobs,
            retry_after: match rule {
                Rule::NoRoom => paused,
                Rule::RegistrationBudget => Some(reset),
                // One that is on its way tells soon.
                Rule::RegistrationRefused => refused(granted, situation)
                    .map(|refused| refused.paused_for.max(SOON))
                    .min(),
                rule => rule.passes().then_some(MINUTE),
            },
            rule: Some(rule),
            reason: words(rule, granted, situation),
        })
}

/// The classes that lost launches because their runners can't be registered.
fn refused<'a>(
    granted: &'a Granted,
    situation: &'a Situation,
) -> impl Iterator<Item = &'a Refused> {
    let is_cut = |name: &ClassName| {
        let mut edits = granted.edits().iter();
        edits.any(|edit| edit.rule == Rule::RegistrationRefused && edit.class == *name)
    };
    let classes = situation.classes.iter();
    classes
        .filter(move |facts| is_cut(&facts.class.name))
        .filter_map(|facts| facts.refused.as_ref())
}

/// What a guardrail says to whoever waits for a job.
fn words(rule: Rule, granted: &Granted, situation: &Situation) -> String {
    match (rule, refused(granted, situation).next()) {
        (Rule::RegistrationRefused, Some(refused)) => format!("{rule}: {}", refused.problem),
        _ => rule.to_string(),
    }
}

impl Control {
    /// Writes down with each job that a decision launches for where that stands, and with each that it
    /// leaves waiting why, where that is another reason than the last time: of so many jobs that the writes
    /// are no burden, the others' in the next acts. Nothing hangs on it but what people read, so what can't
    /// be written now is told.
    pub(super) async fn note_jobs(&self, decided: &Decided<'_>, intents: &[Intent]) {
        let situation = decided.situation;
        let cut: Vec<(usize, String)> = decided
            .granted
            .cut()
            .iter()
            .map(|(place, rule)| (*place, words(*rule, decided.granted, situation)))
            .collect();
        let deferred = decided.proposal.plan.deferrals.iter().flat_map(|deferral| {
            let reason = &deferral.reason;
            deferral.jobs.iter().map(move |&place| (place, reason))
        });
        let mut reasons = Vec::new();
        for (place, reason) in deferred.chain(cut.iter().map(|(place, rule)| (*place, rule))) {
            let job = &situation.pending[place];
            if job.last_deferral.as_ref() != Some(reason) {
                reasons.push((job.last_deferral.is_some(), job.key, reason));
            }
        }
        // Those first of whom nothing is written down yet.
        reasons.sort_by_key(|(known, ..)| *known);
        reasons.truncate(REASONS_WRITTEN);
        let record = &decided.record;
        let mut writes = Vec::new();
        if record.is_some() {
            for &job in intents.iter().flat_map(|intent| &intent.jobs) {
                writes.push(self.note_job(job, None, record.clone()).boxed());
            }
        }
        for (_, job, reason) in reasons {
            writes.push(self.note_job(job, Some(reason), record.clone()).boxed());
        }
        self.note_all(decided.scope, writes).await;
    }

    /// Writes down with the jobs of a launch that what became of it is told in the record that is being written.
    pub(super) async fn note_launch(&self, intent: &Intent) {
        let record = self.ports.reporter.record();
        if record.is_none() {
            return;
        }
        let mut writes = Vec::new();
        for &job in &intent.jobs {
            writes.push(self.note_job(job, None, record.clone()).boxed());
        }
        self.note_all(intent.scope, writes).await;
    }

    async fn note_all(
        &self,
        scope: ScopeKey,
        writes: Vec<BoxFuture<'_, Result<(), ControlError>>>,
    ) {
        let mut writes = stream::iter(writes).buffer_unordered(WRITTEN_AT_ONCE);
        while let Some(written) = writes.next().await {
            if let Err(error) = written {
                // One that did not work out is enough: the others would meet the same.
                self.report(&Happening::Trouble {
                    scope: Some(scope),
                    problem: format!(
                        "what was decided about jobs could not be written down with them: {error}; a later \
                         decision does it"
                    ),
                });
                return;
            }
        }
    }

    async fn note_job(
        &self,
        job: JobKey,
        deferred: Option<&String>,
        record: Option<RecordName>,
    ) -> Result<(), ControlError> {
        // A job that has gone meanwhile needs no reason any more.
        let _gone = self
            .change_job(job, |known, _| {
                let mut job = known?.clone();
                let is_new = job.story.add(record.clone());
                if let Some(reason) = deferred {
                    job.deferrals += 1;
                    job.last_deferral = Some(reason.clone());
                }
                (is_new || deferred.is_some()).then_some(job)
            })
            .await?;
        Ok(())
    }
}
