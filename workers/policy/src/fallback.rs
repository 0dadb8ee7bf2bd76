//! Who answers for a policy that failed: what decided before, as the document names it, or else what the
//! operator wants.

use std::sync::Arc;

use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::plan::{Basis, DecidedBy, Fallback, Instead, PolicyLevel, Proposal};

use crate::activation::{Activation, Pair};
use crate::decide::Ask;
use crate::failure::Failure;
use crate::host::{Chosen, OnFailure, PolicyHost};
use crate::patience::Patience;
use crate::stand_in::{built_in, put_first};
use crate::tuning::Tuning;

/// A failure, and whose it was.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) level: Option<PolicyLevel>,
    pub(crate) digest: Option<ArtifactDigest>,
    /// The settings that it failed with, which the built-in rules are to try; none if they can't be read.
    pub(crate) settings: Option<Arc<str>>,
    pub(crate) generation: Option<PolicyGeneration>,
    /// What decided before, the document that names it, and whether it is named for this very scope.
    pub(crate) previous: Option<(Arc<Activation>, Pair, bool)>,
    /// What is the matter with the document besides.
    pub(crate) trouble: Option<Failure>,
}

impl Failed {
    /// Before it was known who decides.
    pub(crate) fn before_reading(failure: Failure) -> Self {
        Self {
            failure,
            level: None,
            digest: None,
            settings: None,
            generation: None,
            previous: None,
            trouble: None,
        }
    }
}

impl PolicyHost {
    /// Answers for a policy that failed: by what was good before, then as the operator wants it.
    pub(crate) async fn instead<A: Ask>(&self, ask: &A, failed: Failed) -> Proposal<A::Plan> {
        let trouble = failed.trouble.as_ref();
        let besides = trouble.map_or_else(String::new, |trouble| format!("; besides, {trouble}"));
        let fallback = |then: &str, instead| Fallback {
            cause: failed.failure.cause().to_owned(),
            message: format!("{}; {then}{besides}", failed.failure),
            level: failed.level,
            digest: failed.digest.clone(),
            instead,
            alarm: failed.failure.is_alarm() || trouble.is_some_and(Failure::is_alarm),
        };
        let mut proposal = if let Some(mut proposal) = self.previous(ask, &failed).await {
            let then = "what was good before decided";
            proposal.fallback = Some(fallback(then, Instead::Previous));
            proposal
        } else {
            match self.settings.on_failure {
                OnFailure::BuiltIn => {
                    let settings = failed.settings.as_deref().unwrap_or("{}");
                    let mut proposal = built_in(ask, settings, None);
                    proposal.fallback =
                        Some(fallback("the built-in rules decided", Instead::BuiltIn));
                    proposal
                }
                OnFailure::Hold => Proposal {
                    plan: ask.hold(&format!(
                        "held: the policy failed ({}) and the operator wants nothing done until it is mended",
                        failed.failure.cause()
                    )),
                    by: DecidedBy {
                        policy: "none (held)".to_owned(),
                        level: failed.level.unwrap_or(PolicyLevel::BuiltIn),
                        digest: None,
                        generation: None,
                        fuel: None,
                    },
                    basis: Basis::default(),
                    fallback: Some(fallback("nothing is launched or retired", Instead::Hold)),
                },
            }
        };
        proposal.by.generation = failed.generation;
        proposal
    }

    /// Has what decided before decide again, as the document names it.
    async fn previous<A: Ask>(&self, ask: &A, failed: &Failed) -> Option<Proposal<A::Plan>> {
        let (activation, pair, own) = failed.previous.as_ref()?;
        let patience = match failed.failure {
            // A store that has kept this decision waiting is not waited for once more.
            Failure::Store(_) => Patience::spent(ask.now()),
            _ => Patience::of_a_decision(ask.now()),
        };
        let settings = pair.for_scope(*own);
        let chosen = Chosen {
            digest: pair.policy.clone()?,
            level: pair.level,
            settings: self.library.settings(settings, patience).await.ok()?,
            needs: settings.needs(),
        };
        let decided = self
            .chosen(ask, activation, &chosen, Tuning::default(), patience)
            .await;
        let mut proposal = decided.ok()?;
        put_first(&mut proposal.plan, settings.notes.clone());
        Some(proposal)
    }
}
