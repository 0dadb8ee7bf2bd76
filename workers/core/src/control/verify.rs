//! Jobs that an event alone does not make demand: GitHub is asked once before anything is launched.

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};

use super::{Control, ControlError};
use crate::happening::Happening;
use crate::job::Job;
use crate::ports::{JobLookup, RegistrationTarget, ScopeState};
use crate::situation::ScopeName;

/// How many jobs GitHub is asked about at once: its secondary limit is 100 requests at once, and
/// registrations go first.
const ASKED_AT_ONCE: usize = 10;

/// What came of asking GitHub about jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Verified {
    /// A job changed in the ledger.
    pub(super) changed: bool,
    /// A job could not be asked about: to be tried again.
    pub(super) unanswered: bool,
}

impl Control {
    /// Asks GitHub about the jobs of a scope that need it, and writes down what it says.
    pub(super) async fn verify(
        &self,
        scope: &ScopeName,
        state: &ScopeState,
    ) -> Result<Verified, ControlError> {
        let mut questions = Vec::new();
        for job in state.jobs.iter().filter(|job| job.needs_verification()) {
            questions.push(self.verify_job(scope, job).boxed());
        }
        let mut answers = stream::iter(questions).buffer_unordered(ASKED_AT_ONCE);
        let mut verified = Verified::default();
        while let Some(answer) = answers.next().await {
            if answer? {
                verified.changed = true;
            } else {
                verified.unanswered = true;
            }
        }
        Ok(verified)
    }

    /// Whether there was an answer.
    async fn verify_job(&self, scope: &ScopeName, job: &Job) -> Result<bool, ControlError> {
        let target = RegistrationTarget {
            scope: scope.clone(),
            installation: job.installation,
        };
        let answer = self
            .ports
            .github
            .job(&target, &job.owner, &job.repository, job.lookup_id())
            .await;
        let lookup = match answer {
            Ok(lookup) => lookup,
            Err(error) => {
                self.report(&Happening::Verified {
                    scope: job.scope,
                    job: job.key,
                    answer: format!("{error}; it is not launched for, and GitHub is asked again"),
                    demand: false,
                });
                return Ok(false);
            }
        };
        let record = self.ports.reporter.record();
        let changed = self
            .change_job(job.key, |known, now| {
                let mut job = known?.looked_up(&lookup, &self.operation.classes, now)?;
                job.story.add(record.clone());
                Some(job)
            })
            .await?;
        let demand = changed.is_some_and(|(job, _)| job.is_demand());
        self.report(&Happening::Verified {
            scope: job.scope,
            job: job.key,
            answer: match lookup {
                JobLookup::Queued { labels } => {
                    format!("queued, with labels {}", labels.join(", "))
                }
                JobLookup::NotQueued { status, .. } => {
                    format!("{status}: no runner is launched for it")
                }
                JobLookup::Unknown => {
                    "GitHub knows no such job: no runner is launched for it".into()
                }
            },
            demand,
        });
        // A denial that is not believed yet is asked about by the next act; it holds nobody up.
        Ok(true)
    }
}
