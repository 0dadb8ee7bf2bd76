//! Jobs of which nothing was heard for long: GitHub is asked what has become of them.

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use super::{Control, ControlError};
use crate::happening::Happening;
use crate::ids::JobKey;
use crate::job::{Job, JobPhase};
use crate::ports::{GitHubFault, JobLookup, RegistrationTarget, ScopeState};
use crate::runner::RunnerNews;
use crate::situation::ScopeName;
use crate::time::Timestamp;

/// How many jobs GitHub is asked about at once, beside registrations.
const ASKED_AT_ONCE: usize = 10;

/// How many an act asks about: those that nobody heard of for longest.
const ASKED_IN_AN_ACT: usize = 20;

/// How soon the next act asks about those that this one did not, in seconds.
const ASKED_AGAIN: u64 = 60;

/// The scope is to be looked at then, for a job that may have to be asked about.
pub(super) fn next_check(state: &ScopeState, now: Timestamp) -> Option<Timestamp> {
    let next = state.jobs.iter().map(Job::to_be_checked_at).min()?;
    Some(next.max(Timestamp(now.0 + ASKED_AGAIN)))
}

impl Control {
    /// Asks GitHub about the jobs of a scope of which nothing was heard for long, within what is left of its
    /// patience. Whether one has come further than was known.
    pub(super) async fn check_overdue(
        &self,
        scope: &ScopeName,
        state: &ScopeState,
    ) -> Result<bool, ControlError> {
        let now = self.now();
        let mut overdue: Vec<(Timestamp, JobKey)> = state
            .jobs
            .iter()
            .map(|job| (job.to_be_checked_at(), job.key))
            .filter(|(at, _)| *at <= now)
            .collect();
        // In a burst jobs wait for their turn, and a question for each would cost others theirs.
        if overdue.is_empty() || self.registrations_are_short().await? {
            return Ok(false);
        }
        overdue.sort_unstable();
        let jobs: Vec<JobKey> = overdue.into_iter().map(|(_, key)| key).collect();
        self.check_some(scope, &jobs).await
    }

    /// Asks GitHub about the first of these jobs, within what is left of its patience. Whether one has come further
    /// than was known.
    pub(super) async fn check_some(
        &self,
        scope: &ScopeName,
        jobs: &[JobKey],
    ) -> Result<bool, ControlError> {
        if jobs.is_empty() || self.points_left().await? < self.a_fifth() {
            return Ok(false);
        }
        let jobs = &jobs[..jobs.len().min(ASKED_IN_AN_ACT)];
        Ok(self.check_jobs(scope, jobs).await? > 0)
    }

    /// Asks GitHub about these jobs, and writes down what it says. How many have come further than was known.
    async fn check_jobs(&self, scope: &ScopeName, jobs: &[JobKey]) -> Result<usize, ControlError> {
        let mut asking = Vec::new();
        for job in jobs {
            asking.push(self.check_job(scope, *job).boxed());
        }
        let mut asked = stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        let mut moved = 0;
        let mut failed = None;
        while let Some(one) = asked.next().await {
            match one {
                Ok(true) => moved += 1,
                Ok(false) => {}
                Err(error) => failed = Some(error),
            }
        }
        drop(asked);
        self.note_reads(jobs.len()).await;
        failed.map_or(Ok(moved), Err)
    }

    /// Whether it has come further than was known.
    async fn check_job(&self, scope: &ScopeName, key: JobKey) -> Result<bool, ControlError> {
        let Some(known) = self.ports.ledger.job(key).await? else {
            return Ok(false);
        };
        if known.phase == JobPhase::Ended {
            // Whoever folded its end died before its runner was told.
            return self.tell_its_runner(&known).await;
        }
        let target = RegistrationTarget {
            scope: scope.clone(),
            installation: known.installation,
        };
        let answer = self
            .ports
            .github
            .job(&target, &known.owner, &known.repository, known.lookup_id())
            .await;
        let lookup = match answer {
            Ok(lookup) => lookup,
            Err(error) => {
                if let GitHubFault::Limited { until } = error.fault {
                    self.leave_github_alone(until).await?;
                } else {
                    // Others have their turn before it is asked about again.
                    self.change_job(key, |known, now| known?.unanswered(now))
                        .await?;
                }
                self.report(&Happening::Verified {
                    scope: known.scope,
                    job: key,
                    answer: format!("{error}; GitHub is asked again"),
                    demand: known.is_demand(),
                });
                return Ok(false);
            }
        };
        let record = self.ports.reporter.record();
        let changed = self
            .change_job(key, |known, now| {
                let known = known?;
                let mut job = known.checked(&lookup, &self.operation.classes, now)?;
                if is_news(known, &job) {
                    job.story.add(record.clone());
                }
                Some(job)
            })
            .await?;
        let Some((job, true)) = changed else {
            return Ok(false);
        };
        if !is_news(&known, &job) {
            return Ok(false);
        }
        self.report(&Happening::Verified {
            scope: known.scope,
            job: key,
            answer: words(&lookup),
            demand: job.is_demand(),
        });
        self.tell_its_runner(&job).await?;
        Ok(true)
    }

    /// What a job's phase says of its runner. Whether that was new.
    async fn tell_its_runner(&self, job: &Job) -> Result<bool, ControlError> {
        let names = &self.operation.names;
        let instance = job
            .runner_name
            .as_deref()
            .and_then(|name| names.instance(name));
        let (Some(instance), news) = (
            instance,
            match job.phase {
                JobPhase::Queued => return Ok(false),
                JobPhase::InProgress => RunnerNews::Took(job.key),
                JobPhase::Ended => RunnerNews::Finished(job.key),
            },
        ) else {
            return Ok(false);
        };
        Ok(self.fold_runner(&instance, &news).await?.is_some())
    }
}

/// Whether what GitHub said of a job is more than was known.
fn is_news(known: &Job, job: &Job) -> bool {
    (known.phase, known.is_demand(), known.denials) != (job.phase, job.is_demand(), job.denials)
}

fn words(lookup: &JobLookup) -> String {
    match lookup {
        JobLookup::Queued { .. } => "queued".to_owned(),
        JobLookup::NotQueued { status, .. } => {
            format!("{status}: its webhook did not come")
        }
        JobLookup::Unknown => "GitHub knows no such job".to_owned(),
    }
}
