//! What a policy's verdicts come to: a live job is never killed, whatever a policy says.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Fate, ScaleDownPlan};
use crate::situation::{PhaseFacts, Situation};

/// A host rule that keeps a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepRule {
    /// It runs a job.
    Busy,
    /// Nobody knows what it does.
    Unknown,
    /// It has not come up yet.
    OnItsWay,
    /// It is about to go already.
    Retiring,
    /// It is younger than the operator's minimum.
    TooYoung,
    /// The policy gave it two fates.
    TwoFates,
    /// GitHub lets no more be removed within a minute: it has its turn then.
    RemovalBudget,
}

impl fmt::Display for KeepRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "it runs a job",
            Self::Unknown => "nobody knows whether it runs a job",
            Self::OnItsWay => "it has not come up yet",
            Self::Retiring => "it is about to go already",
            Self::TooYoung => "it is younger than the operator's minimum running time",
            Self::TwoFates => "the policy both keeps and retires it",
            Self::RemovalBudget => "GitHub lets no more runners be removed within a minute",
        })
    }
}

/// A retirement that was not granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The runner's name.
    pub runner: String,
    /// Which rule.
    pub rule: KeepRule,
}

/// What is left of a policy's verdicts after every guardrail. Only [`retire`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retirements {
    runners: Vec<(usize, String)>,
    kept: Vec<Kept>,
}

impl Retirements {
    /// The runners (positions) that go, and why; each once.
    pub fn runners(&self) -> &[(usize, String)] {
        &self.runners
    }

    /// The runners that the policy wanted to go and that stay.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }
}

/// Clamps verdicts whose positions all exist in the situation. No runner goes that is younger than
/// `minimum_running_time`, in seconds, and no more than `most`, the oldest first.
pub fn retire(
    plan: &ScaleDownPlan,
    situation: &Situation,
    minimum_running_time: u32,
    most: u32,
) -> Retirements {
    // By runner: why it is to go, and whether another verdict keeps it.
    let mut wanted: BTreeMap<usize, (Option<&str>, bool)> = BTreeMap::new();
    for verdict in &plan.verdicts {
        for &runner in &verdict.runners {
            let (reason, kept) = wanted.entry(runner).or_default();
            match verdict.fate {
                Fate::Keep => *kept = true,
                Fate::Retire => *reason = reason.or(Some(&verdict.reason)),
            }
        }
    }
    let mut retirements = Retirements::default();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    for (place, (reason, kept)) in wanted {
        let Some(reason) = reason else {
            continue;
        };
        let runner = &situation.runners[place];
        let rule = match runner.phase {
            PhaseFacts::Busy => Some(KeepRule::Busy),
            PhaseFacts::Unknown => Some(KeepRule::Unknown),
            PhaseFacts::Launching | PhaseFacts::Booting => Some(KeepRule::OnItsWay),
            PhaseFacts::Retiring => Some(KeepRule::Retiring),
            PhaseFacts::Idle if kept => Some(KeepRule::TwoFates),
            PhaseFacts::Idle if runner.age < minimum_running_time => Some(KeepRule::TooYoung),
            PhaseFacts::Idle => {
                (retirements.runners.len() >= most).then_some(KeepRule::RemovalBudget)
            }
        };
        match rule {
            None => retirements.runners.push((place, reason.to_owned())),
            Some(rule) => retirements.kept.push(Kept {
                runner: runner.name.clone(),
                rule,
            }),
        }
    }
    retirements
}
