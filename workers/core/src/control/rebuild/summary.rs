//! What a rebuild came to, for people and machines.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::ScopeKey;

/// How many problems are told: the first say what is wrong with all of them, mostly.
const PROBLEMS_TOLD: usize = 50;

/// What a rebuild of the ledger came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rebuilt {
    /// The scopes that have instances or jobs.
    pub scopes: BTreeMap<ScopeKey, RebuiltScope>,
    /// Scopes that have instances and could not be rebuilt: nothing is launched for those that were never
    /// decided until they are.
    #[serde(default)]
    pub left: BTreeSet<ScopeKey>,
    /// GitHub did not tell all jobs that wait or run, and may the next time.
    #[serde(default)]
    pub lacks_jobs: bool,
    /// How many repositories GitHub was asked about.
    #[serde(default)]
    pub repositories: usize,
    /// How many it was not asked about, because there are too many.
    #[serde(default)]
    pub not_asked: usize,
    /// Jobs that wait and are not admitted: of public repositories, or of such as are not on the allow-list.
    #[serde(default)]
    pub not_admitted: usize,
    /// What could not be found out, and what to do.
    #[serde(default)]
    pub problems: Vec<String>,
    /// How many problems more there were.
    #[serde(default)]
    pub more_problems: usize,
}

/// What a rebuild came to for one scope.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RebuiltScope {
    /// What it is called.
    pub name: String,
    /// Runners that the ledger did not know.
    pub runners: usize,
    /// Runners that it knew: they stay as they were.
    pub known: usize,
    /// Jobs of which it did not know that they wait, or run.
    pub jobs: usize,
}

impl Rebuilt {
    /// Whether every scope that has instances was rebuilt.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether GitHub was asked for all jobs that wait or run, as far as it is asked at all.
    pub fn knows_all_jobs(&self) -> bool {
        !self.lacks_jobs
    }

    /// Whether something could not be found out.
    pub fn has_gaps(&self) -> bool {
        !self.is_complete() || !self.problems.is_empty() || self.not_asked > 0
    }

    /// How many runners were added.
    pub fn runners(&self) -> usize {
        self.scopes.values().map(|scope| scope.runners).sum()
    }

    /// How many jobs were added, or known better.
    pub fn jobs(&self) -> usize {
        self.scopes.values().map(|scope| scope.jobs).sum()
    }

    /// Adds a problem.
    pub(super) fn problem(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_TOLD {
            self.problems.push(problem);
        } else {
            self.more_problems += 1;
        }
    }

    /// The entry of a scope.
    pub(super) fn scope(&mut self, scope: ScopeKey, name: &str) -> &mut RebuiltScope {
        let entry = self.scopes.entry(scope).or_default();
        if entry.name.is_empty() {
            name.clone_into(&mut entry.name);
        }
        entry
    }

    /// Adds what another part of the rebuild came to.
    pub(super) fn join(&mut self, other: Self) {
        for (scope, came) in other.scopes {
            let entry = self.scope(scope, &came.name);
            entry.runners += came.runners;
            entry.known += came.known;
            entry.jobs += came.jobs;
        }
        self.left.extend(other.left);
        self.lacks_jobs |= other.lacks_jobs;
        self.repositories += other.repositories;
        self.not_asked += other.not_asked;
        self.not_admitted += other.not_admitted;
        for problem in other.problems {
            self.problem(problem);
        }
        self.more_problems += other.more_problems;
    }
}
