//! What is known of components, settings and what the one says of the other; and what is yet to be
//! found out. The assembly asks here and goes on with an assumption where nothing is known, so that one
//! round finds out at once all that it lacks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use stoker_core::ids::ArtifactDigest;
use stoker_policy::activation::{Document, PolicyRecord, SettingsRef};
use stoker_policy::{Decision, Needs};

use crate::judge::{Answer, Question};
use crate::problem::Problem;

/// What is known of a component.
#[derive(Debug, Clone)]
pub(crate) enum Component {
    /// It is a policy.
    Policy(PolicyRecord),
    /// It is refused.
    Refused(Problem),
}

/// A question of the assembly, by digests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    policy: ArtifactDigest,
    decision: Decision,
    settings: ArtifactDigest,
}

/// What is known.
#[derive(Default)]
pub(crate) struct Knowledge {
    components: HashMap<ArtifactDigest, Component>,
    /// With whether it was tried as well.
    answers: HashMap<Asked, (bool, Answer)>,
    /// Folders' own settings, and merged ones.
    texts: HashMap<ArtifactDigest, Arc<[u8]>>,
    /// Admitted settings that are damaged or gone, and what is the matter with them.
    damaged: HashMap<ArtifactDigest, Problem>,
    pub(crate) wanted: Wanted,
}

/// What is to be found out.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Components that are to be taken up, and what they are to be asked.
    pub(crate) components: BTreeMap<ArtifactDigest, BTreeSet<Question>>,
    /// Settings that are to be read.
    pub(crate) texts: BTreeSet<ArtifactDigest>,
}

impl Wanted {
    pub(crate) fn is_empty(&self) -> bool {
        self.components.is_empty() && self.texts.is_empty()
    }
}

impl Knowledge {
    /// What a signed document vouches for: its components, and that they accept the settings that it
    /// names beside them.
    pub(crate) fn of(&mut self, document: &Document) {
        for (digest, record) in &document.policies {
            self.components
                .entry(digest.clone())
                .or_insert_with(|| Component::Policy(record.clone()));
        }
        for folder in document.folders.values() {
            for (decision, entry) in &folder.scope {
                for pair in std::iter::once(&entry.pair).chain(entry.previous.as_ref()) {
                    let Some(policy) = &pair.policy else { continue };
                    self.vouched(policy, *decision, &pair.settings, true);
                    if let Some(inherited) = &pair.inherited {
                        self.vouched(policy, *decision, inherited, false);
                    }
                }
            }
        }
        for (folder, record) in &document.folders {
            for (decision, settings) in &record.tunes {
                let owner = folder.broader().unwrap_or_else(|| folder.clone());
                let deciding = document.entry(&owner, *decision);
                if let Some(policy) = deciding.and_then(|(entry, _)| entry.pair.policy.as_ref()) {
                    self.vouched(policy, *decision, settings, false);
                }
            }
        }
    }

    fn vouched(
        &mut self,
        policy: &ArtifactDigest,
        decision: Decision,
        settings: &SettingsRef,
        tried: bool,
    ) {
        let asked = Asked {
            policy: policy.clone(),
            decision,
            settings: settings.digest.clone(),
        };
        let needs = Needs {
            time_zones: settings.zones.clone(),
        };
        self.learn(asked, tried, Ok(needs));
    }

    fn learn(&mut self, asked: Asked, tried: bool, answer: Answer) {
        let known = self.answers.get(&asked);
        // A trial says more than the mere question.
        if known.is_none_or(|(before, _)| tried || !before) {
            self.answers.insert(asked, (tried, answer));
        }
    }

    /// Remembers what a component is.
    pub(crate) fn is(&mut self, digest: ArtifactDigest, component: Component) {
        self.components.insert(digest, component);
    }

    /// Remembers what a policy answered.
    pub(crate) fn answered(
        &mut self,
        policy: &ArtifactDigest,
        question: &Question,
        answer: Answer,
    ) {
        let asked = Asked {
            policy: policy.clone(),
            decision: question.decision,
            settings: ArtifactDigest::of(question.settings.as_bytes()),
        };
        self.learn(asked, question.trial, answer);
    }

    /// Remembers a text.
    pub(crate) fn text_is(&mut self, bytes: Arc<[u8]>) -> ArtifactDigest {
        let digest = ArtifactDigest::of(&bytes);
        self.texts.insert(digest.clone(), bytes);
        digest
    }

    /// Remembers that admitted settings can't be used.
    pub(crate) fn text_is_damaged(&mut self, digest: ArtifactDigest, problem: Problem) {
        self.damaged.insert(digest, problem);
    }

    /// A text, if it is known; else it is wanted.
    ///
    /// # Errors
    /// If it can't be had.
    pub(crate) fn text(&mut self, digest: &ArtifactDigest) -> Result<Option<Arc<[u8]>>, Problem> {
        if let Some(known) = self.texts.get(digest) {
            return Ok(Some(Arc::clone(known)));
        }
        if let Some(problem) = self.damaged.get(digest) {
            return Err(problem.clone());
        }
        self.wanted.texts.insert(digest.clone());
        Ok(None)
    }

    /// A text, if it is known.
    pub(crate) fn known_text(&self, digest: &ArtifactDigest) -> Option<&Arc<[u8]>> {
        self.texts.get(digest)
    }

    /// A component, if it is known.
    pub(crate) fn known(&self, digest: &ArtifactDigest) -> Option<&Component> {
        self.components.get(digest)
    }

    /// A component, if it is known; else it is wanted.
    pub(crate) fn component(&mut self, digest: &ArtifactDigest) -> Option<Component> {
        let known = self.components.get(digest).cloned();
        if known.is_none() {
            self.wanted.components.entry(digest.clone()).or_default();
        }
        known
    }

    /// Whether a policy accepts settings (and decides with them, where a trial is wanted). None: that is
    /// not known, and wanted.
    pub(crate) fn answer(&mut self, policy: &ArtifactDigest, question: Question) -> Option<Answer> {
        let asked = Asked {
            policy: policy.clone(),
            decision: question.decision,
            settings: ArtifactDigest::of(question.settings.as_bytes()),
        };
        match self.answers.get(&asked) {
            // What refuses the settings alone refuses them in a trial as well.
            Some((tried, answer)) if *tried || !question.trial || answer.is_err() => {
                Some(answer.clone())
            }
            _ => {
                let questions = self.wanted.components.entry(policy.clone()).or_default();
                questions.insert(question);
                None
            }
        }
    }
}
