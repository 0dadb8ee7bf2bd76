//! What repositories set for their own jobs: merged and accepted by the policy when it was admitted.

use std::sync::Arc;

use stoker_core::plan::Basis;
use stoker_core::time::Timestamp;

use crate::contract::Needs;
use crate::failure::Failure;
use crate::zones;

/// The settings of repositories that have some of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tuning {
    /// By the repository's place.
    pub(crate) settings: Vec<Tuned>,
    /// What the scope's owner is to be told.
    pub(crate) notes: Vec<String>,
    /// What an operator is to look at: somebody may have tampered with what is active.
    pub(crate) alarm: Option<(String, Failure)>,
}

/// What one repository makes of its scope's settings.
#[derive(Debug, Clone)]
pub(crate) struct Tuned {
    pub(crate) place: usize,
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    pub(crate) needs: Needs,
    pub(crate) notes: Vec<String>,
}

impl Tuning {
    /// Adds them to a basis, with the time in the zones that are needed for them; says what is left
    /// aside. A mistake of one repository is its own: it costs nobody else the decision.
    pub(crate) fn add_to(&self, basis: &mut Basis, now: Timestamp) -> Vec<String> {
        let mut notes = self.notes.clone();
        for tuned in &self.settings {
            match zones::add(&mut basis.zones, now, &tuned.needs) {
                Ok(()) => {
                    let text = tuned.text.to_string();
                    basis.repository_settings.insert(tuned.place, text);
                    notes.extend(tuned.notes.iter().cloned());
                }
                Err(problem) => notes.push(left_aside(&tuned.name, &problem)),
            }
        }
        notes
    }
}

/// That a repository's settings are not used in this decision.
pub(crate) fn left_aside(repository: &str, why: &str) -> String {
    format!("the settings of the repository {repository} are left aside: {why}")
}
