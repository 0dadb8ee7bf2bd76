//! What repositories set for their own jobs.

use crate::blocks::Launching;
use crate::facts::{Job, RunnerClass, Situation};
use crate::settings::{Settings, parse};

use super::capacity::Choice;
use crate::facts::Capacity;

/// The settings of the scope, and those of repositories that have some of their own.
#[derive(Debug, Clone)]
pub struct Tuned<'a, S> {
    scope: &'a S,
    /// By the repository's position; empty: no repository has any.
    own: Vec<Option<S>>,
}

impl<'a, S: Settings> Tuned<'a, S> {
    /// Reads what repositories set for their jobs.
    ///
    /// # Errors
    /// What is not understood: the host shows only what the policy accepted when it was validated.
    pub fn new(situation: &Situation, scope: &'a S) -> Result<Self, String> {
        if situation.repositories.iter().all(|r| r.settings.is_none()) {
            let own = Vec::new();
            return Ok(Self { scope, own });
        }
        let own = situation.repositories.iter().map(|repository| {
            let text = repository.settings.as_deref();
            let own = text.map(|text| parse::<S>(text)).transpose();
            own.map_err(|complaint| crate::run::told(std::slice::from_ref(&complaint)))
        });
        Ok(Self {
            scope,
            own: own.collect::<Result<_, _>>()?,
        })
    }

    /// What holds for a job; without one, what holds for the scope.
    pub fn of(&self, job: Option<&Job>) -> &S {
        let own = job.and_then(|job| self.own.get(super::index(job.repository)));
        own.and_then(Option::as_ref).unwrap_or(self.scope)
    }

    /// Spot or on demand, by what holds for the job.
    pub fn capacity(
        &self,
        class: &RunnerClass,
        job: Option<&Job>,
        choice: impl Fn(&S) -> Choice,
    ) -> Capacity {
        choice(self.of(job)).of(class, job)
    }

    /// Sets the maxima that repositories have for themselves: what they inherit is the scope's, which is
    /// not their own.
    #[must_use]
    pub fn maxima<'b>(
        &self,
        mut launching: Launching<'b>,
        maximum: impl Fn(&S) -> Option<u32>,
    ) -> Launching<'b> {
        for (place, own) in self.own.iter().enumerate() {
            if let Some(own) = own.as_ref().and_then(&maximum)
                && Some(own) != maximum(self.scope)
            {
                launching = launching.repository_maximum(place, Some(own));
            }
        }
        launching
    }
}
