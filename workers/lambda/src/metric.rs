//! Metrics, as lines of CloudWatch's embedded metric format: CloudWatch reads them out of the log, and nobody waits
//! for it.
//!
//! What a metric is counted by is its deployment, and at most one thing of which there are few, such as a cause: each
//! combination is a metric of its own that costs money. The scope is a property of the line, to be searched for
//! by CloudWatch Logs Insights: thousands of scopes would be thousands of metrics.

use serde_json::{Value, json};
use stoker_core::ids::ScopeKey;
use stoker_core::time::Timestamp;

/// The longest word by which a metric is counted.
const LONGEST: usize = 64;

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// What CloudWatch has no word for, such as days.
    None,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Milliseconds => "Milliseconds",
            Self::None => "None",
        }
    }
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The metric's name in CloudWatch.
    pub name: &'static str,
    /// What the number is of.
    pub unit: Unit,
    /// The number.
    pub value: f64,
    /// What it is counted by besides the deployment: a name, such as `Cause`, and one of few words.
    pub by: Option<(&'static str, String)>,
    /// Whom it is about.
    pub scope: Option<ScopeKey>,
}

impl Measured {
    /// So many things.
    #[allow(clippy::cast_precision_loss)]
    pub fn count(name: &'static str, count: usize) -> Self {
        Self {
            name,
            unit: Unit::Count,
            // No count comes near what is not exact.
            value: count as f64,
            by: None,
            scope: None,
        }
    }

    /// The same, of a scope.
    #[must_use]
    pub fn of(self, scope: ScopeKey) -> Self {
        Self {
            scope: Some(scope),
            ..self
        }
    }

    /// The same, counted by a word as well.
    #[must_use]
    pub fn by(self, name: &'static str, word: &str) -> Self {
        let word = word.chars().filter(char::is_ascii_graphic).take(LONGEST);
        let word: String = word.collect();
        let word = if word.is_empty() {
            "unknown".to_owned()
        } else {
            word
        };
        Self {
            by: Some((name, word)),
            ..self
        }
    }

    /// The line of a deployment's log that says so.
    pub fn line(&self, deployment: &str, at: Timestamp) -> Value {
        let mut dimensions = vec![vec!["Deployment"]];
        if let Some((name, _)) = &self.by {
            dimensions.push(vec!["Deployment", name]);
        }
        let mut line = json!({
            "_aws": {
                "Timestamp": at.0.saturating_mul(1_000),
                "CloudWatchMetrics": [{
                    "Namespace": "Stoker",
                    "Dimensions": dimensions,
                    "Metrics": [{"Name": self.name, "Unit": self.unit.name()}],
                }],
            },
            "Deployment": deployment,
        });
        line[self.name] = self.number();
        if let Some((name, word)) = &self.by {
            line[*name] = json!(word);
        }
        if let Some(scope) = self.scope {
            line["Scope"] = json!(scope);
        }
        line
    }

    /// Whole numbers as such.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn number(&self) -> Value {
        if self.value.fract() == 0.0 && (0.0..1e15).contains(&self.value) {
            json!(self.value as u64)
        } else {
            json!(self.value)
        }
    }
}

/// The line that raises the counter `name` of a deployment by `count`.
pub fn line(name: &'static str, deployment: &str, at: Timestamp, count: usize) -> Value {
    Measured::count(name, count).line(deployment, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_a_property_and_a_cause_a_dimension_beside_the_deployment_alone() {
        let scope = "org-7".parse().unwrap();
        let measured = Measured::count("LaunchFailures", 3)
            .of(scope)
            .by("Cause", "InsufficientInstanceCapacity");
        let line = measured.line("ci", Timestamp(1_800_000_000));
        assert_eq!(line["LaunchFailures"], 3);
        assert_eq!(line["Scope"], "org-7");
        assert_eq!(line["Cause"], "InsufficientInstanceCapacity");
        let declared = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            declared["Dimensions"],
            json!([["Deployment"], ["Deployment", "Cause"]])
        );
        assert_eq!(line["_aws"]["Timestamp"], 1_800_000_000_000_u64);
    }

    #[test]
    fn a_word_from_outside_is_cut_and_never_empty() {
        let by = |word: &str| Measured::count("X", 1).by("Cause", word).by.unwrap().1;
        assert_eq!(by("a b\n\u{1f600}c"), "abc");
        assert_eq!(by(&"x".repeat(1_000)).len(), LONGEST);
        assert_eq!(by("\n"), "unknown");
    }
}
