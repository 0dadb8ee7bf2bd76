//! Jobs that wait or run become known again, by the same rules as if their webhooks had come.

use std::collections::BTreeSet;

use futures::future::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use stoker_intake::{JobEvent, Visibility};

use super::Rebuilt;
use crate::control::{Control, ControlError, Folded};
use crate::ids::ScopeKey;
use crate::job;
use crate::limits::PublicRepositories;
use crate::ports::{JobLookup, LiveJobs};

/// How many are folded at once.
const FOLDED_AT_ONCE: usize = 20;

impl Control {
    /// Folds what GitHub says of jobs, and asks for nothing. The scopes that have any.
    pub(in crate::control) async fn fold_live(
        &self,
        live: LiveJobs,
        name: &str,
        rebuilt: &mut Rebuilt,
    ) -> Result<BTreeSet<ScopeKey>, ControlError> {
        rebuilt.repositories += live.repositories;
        rebuilt.not_asked += live.not_asked;
        for problem in live.problems {
            rebuilt.problem(format!(
                "{problem}; jobs of it may be missing: run the rebuild again"
            ));
        }
        let (admitted, refused): (Vec<JobEvent>, Vec<JobEvent>) = live
            .events
            .into_iter()
            .filter(|event| self.not_ours(event).is_none())
            .partition(|event| self.admits(event));
        rebuilt.not_admitted += refused.len();
        let mut folding = Vec::new();
        for event in &admitted {
            folding.push(self.fold_listed(event).boxed());
        }
        let mut folding = stream::iter(folding).buffer_unordered(FOLDED_AT_ONCE);
        let mut scopes = BTreeSet::new();
        while let Some(folded) = folding.next().await {
            let (scope, owner) = match folded? {
                (Folded::NotOurs, _) => continue,
                (Folded::Known(scope), _) => {
                    scopes.insert(scope);
                    continue;
                }
                (Folded::New(scope), owner) => (scope, owner),
            };
            scopes.insert(scope);
            let called = if name.is_empty() { &owner } else { name };
            rebuilt.scope(scope, called).jobs += 1;
        }
        Ok(scopes)
    }

    /// What it came to, and what the job's scope is called.
    async fn fold_listed(&self, event: &JobEvent) -> Result<(Folded, String), ControlError> {
        let heard = self.hear(event).await?;
        if event.is_work()
            && let Some(labels) = &event.labels
        {
            // However old it is: GitHub says so now.
            let lookup = JobLookup::Queued {
                labels: labels.clone(),
            };
            self.change_job(job::key_of(event), |known, now| {
                known?.looked_up(&lookup, &self.operation.classes, now)
            })
            .await?;
        }
        let owner = event.owner.login_lower();
        let name = match job::scope_of(event, self.operation.level) {
            ScopeKey::Organization(_) => owner,
            ScopeKey::Repository(_) => event.repository.full_name_lower(),
        };
        Ok((heard.folded, name))
    }

    /// Whether the edge would have passed it on. News of a job that runs it always does.
    fn admits(&self, event: &JobEvent) -> bool {
        if !event.is_work() {
            return true;
        }
        let is_public = event.repository.visibility == Visibility::Public;
        let public = self.operation.guards.public_repositories;
        self.allow_list
            .admits(&event.owner.login, &event.repository.name)
            && (!is_public || public == PublicRepositories::Admitted)
    }
}
