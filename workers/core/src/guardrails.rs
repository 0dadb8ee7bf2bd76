//! What no policy can lift: every launch is clamped to the operator's limits, and each clamp is written
//! down as an edit.

use serde::{Deserialize, Serialize};

use crate::class::Capacity;
use crate::ids::ClassName;
use crate::plan::{Launch, Plan};
use crate::situation::Situation;

/// A host rule that clamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The class is not offered with that capacity: it has no price for it.
    CapacityNotOffered,
    /// The class's maximum.
    ClassMaximum,
    /// The scope's maximum.
    ScopeMaximum,
    /// More launches in one plan than a decision may save.
    LaunchesPerDecision,
}

/// One clamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Which rule.
    pub rule: Rule,
    /// For which class.
    pub class: ClassName,
    /// With which capacity.
    pub capacity: Capacity,
    /// What the policy wanted.
    pub asked: u32,
    /// What it gets.
    pub granted: u32,
}

/// The most launches of one decision: a DynamoDB transaction takes 100 items, and the scope is one.
pub const LAUNCHES_PER_DECISION: usize = 50;

/// What is left of a plan's launches after every guardrail. Only [`clamp`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    launches: Vec<Launch>,
    edits: Vec<Edit>,
}

impl Granted {
    /// What may be launched: every count is at least 1.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// What was taken away, and by which rule.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }
}

/// Clamps a plan whose positions all exist in the situation.
pub fn clamp(plan: &Plan, situation: &Situation) -> Granted {
    let mut scope_left = situation.headroom.runners_left;
    let mut class_left: Vec<u32> = situation.classes.iter().map(|class| class.left).collect();
    let mut launches = Vec::new();
    let mut edits = Vec::new();
    for launch in plan.launches.iter().filter(|launch| launch.count > 0) {
        let class = &situation.classes[launch.class];
        let mut granted = launch.count;
        let mut limit = |rule, left: u32| {
            if granted > left {
                edits.push(Edit {
                    rule,
                    class: class.class.name.clone(),
                    capacity: launch.capacity,
                    asked: granted,
                    granted: left,
                });
                granted = left;
            }
        };
        if class.class.price(launch.capacity).is_none() {
            limit(Rule::CapacityNotOffered, 0);
        }
        limit(Rule::ClassMaximum, class_left[launch.class]);
        limit(Rule::ScopeMaximum, scope_left);
        if launches.len() == LAUNCHES_PER_DECISION {
            limit(Rule::LaunchesPerDecision, 0);
        }
        if granted > 0 {
            scope_left -= granted;
            class_left[launch.class] -= granted;
            launches.push(Launch {
                count: granted,
                ..launch.clone()
            });
        }
    }
    Granted { launches, edits }
}
