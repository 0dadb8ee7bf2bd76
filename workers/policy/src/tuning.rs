//! What repositories set for their own jobs: merged and accepted by the policy when it was admitted.

use std::sync::Arc;

use stoker_core::plan::Basis;
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::time::Timestamp;

use crate::activation::Activation;
use crate::active::Active;
use crate::contract::Needs;
use crate::decide::Ask;
use crate::failure::Failure;
use crate::library::Library;
use crate::patience::Patience;
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
    /// What repositories have set for their own jobs, as far as it comes in time. It is taken up with
    /// every new document from now on.
    pub(crate) async fn of<A: Ask>(
        ask: &A,
        activation: &Activation,
        active: &Active,
        library: &Arc<Library>,
        patience: Patience,
    ) -> Self {
        let mut tuning = Self::default();
        let Some((owner, repositories)) = ask.repositories() else {
            return tuning;
        };
        let mut wanted = Vec::new();
        for (place, name) in repositories.into_iter().enumerate() {
            let folder = PolicyFolder::repository(&owner, &name).ok();
            let Some(folder) = folder else { continue };
            let Some(record) = activation.document().folders.get(&folder) else {
                continue;
            };
            active.used(&folder, A::DECISION);
            if record.own.policy.is_some() {
                tuning.notes.push(format!(
                    "the repository {name} has a policy of its own, which decides only where runners are \
                     registered with each repository"
                ));
            } else if let Some(settings) = record.tunes.get(&A::DECISION) {
                wanted.push((place, name, settings));
            }
        }
        let mut texts = Vec::new();
        for (_, _, settings) in &wanted {
            texts.push(library.settings(settings, patience));
        }
        let texts = futures::future::join_all(texts).await;
        for ((place, name, settings), text) in wanted.into_iter().zip(texts) {
            match text {
                Ok(text) => tuning.settings.push(Tuned {
                    place,
                    name,
                    text,
                    needs: settings.needs(),
                    notes: settings.notes.clone(),
                }),
                Err(failure) => {
                    let told = left_aside(&name, &failure.to_string());
                    tuning.notes.push(told.clone());
                    if failure.is_alarm() {
                        tuning.alarm.get_or_insert((told, failure));
                    }
                }
            }
        }
        tuning
    }

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
