//! The kinds of runner that an operator has configured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::ClassName;

/// How EC2 is asked for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// Cheaper, and may be taken back with two minutes' warning.
    Spot,
    /// At the list price, for as long as it is wanted.
    OnDemand,
}

impl Capacity {
    /// The word that EC2 and the logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
        }
    }
}

/// A value that policies may be told of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Truth(bool),
    /// Finite, as every number in JSON is.
    Number(f64),
    /// Words.
    Text(String),
}

/// A kind of runner, as the operator wrote it down (`RUNNER_CLASSES`, a JSON list of these).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunnerClass {
    /// Unique among the classes.
    pub name: ClassName,
    /// What its runners register with. A job fits when each of its labels is among them, case ignored.
    pub labels: Vec<String>,
    /// The EC2 launch template, by id (`lt-…`) or by name.
    pub launch_template: String,
    /// The launch template's version.
    #[serde(default = "default_version")]
    pub launch_template_version: String,
    /// EC2 instance types that will do. Empty: the launch template's own.
    #[serde(default)]
    pub instance_types: Vec<String>,
    /// Subnets, at most one in each availability zone (EC2 refuses two). Empty: the launch template's.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// The most runners of this class that a scope may have.
    pub maximum: u32,
    /// US dollars an hour as spot; none: this class is not launched as spot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_price: Option<f64>,
    /// US dollars an hour on demand; none: this class is not launched on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_price: Option<f64>,
    /// What else policies are told of it, such as `{"gpu": true}`. Stoker itself reads none of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Scalar>,
}

fn default_version() -> String {
    "$Default".to_owned()
}

impl RunnerClass {
    /// Whether every one of these labels is one of the class's, case ignored: GitHub's own rule. A job
    /// that asks for no label at all fits no class, since GitHub would not give it to a runner.
    pub fn satisfies(&self, labels: &[String]) -> bool {
        !labels.is_empty()
            && labels
                .iter()
                .all(|label| self.labels.iter().any(|l| l.eq_ignore_ascii_case(label)))
    }

    /// The price of an hour with that capacity; none where it is not offered.
    pub fn price(&self, capacity: Capacity) -> Option<f64> {
        match capacity {
            Capacity::Spot => self.spot_price,
            Capacity::OnDemand => self.on_demand_price,
        }
    }

    /// The lowest price at which it can be had.
    fn cheapest(&self) -> f64 {
        [self.spot_price, self.on_demand_price]
            .into_iter()
            .flatten()
            .fold(f64::INFINITY, f64::min)
    }
}

/// What is wrong with a list of classes.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InvalidClasses {
    /// Not the JSON that is expected.
    #[error("not a JSON list of runner classes: {0}")]
    Json(String),
    /// There is none.
    #[error("the list of runner classes is empty: without a class no runner can be launched")]
    Empty,
    /// Two have one name.
    #[error("two runner classes are called `{0}`: give each a name of its own")]
    NameTwice(ClassName),
    /// One can't be used as it stands.
    #[error("runner class `{name}`: {problem}")]
    Class {
        /// Which one.
        name: ClassName,
        /// What is wrong, and what would do.
        problem: &'static str,
    },
}

/// The configured classes, checked: at least one, names unique, each with labels, a launch template
/// and a price.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes(Vec<RunnerClass>);

impl Classes {
    /// Checks a list.
    pub fn new(classes: Vec<RunnerClass>) -> Result<Self, InvalidClasses> {
        if classes.is_empty() {
            return Err(InvalidClasses::Empty);
        }
        for (place, class) in classes.iter().enumerate() {
            let refuse = |problem| InvalidClasses::Class {
                name: class.name.clone(),
                problem,
            };
            if classes[..place].iter().any(|c| c.name == class.name) {
                return Err(InvalidClasses::NameTwice(class.name.clone()));
            }
            if class.name.0.is_empty() {
                return Err(refuse("its name is empty"));
            }
            if class.labels.is_empty() || class.labels.iter().any(|l| l.trim().is_empty()) {
                return Err(refuse("give it at least one label, and no empty one"));
            }
            if class.launch_template.is_empty() {
                return Err(refuse("`launch_template` is empty"));
            }
            let prices = [class.spot_price, class.on_demand_price];
            if prices.iter().all(Option::is_none) {
                return Err(refuse(
                    "give it `spot_price`, `on_demand_price` or both (US dollars an hour): a capacity without a price is not launched",
                ));
            }
            if prices
                .iter()
                .flatten()
                .any(|price| !price.is_finite() || *price < 0.0)
            {
                return Err(refuse("a price is a number of US dollars, 0 or more"));
            }
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let named = |key: &String| !key.is_empty() && key.chars().all(plain);
            if !class.attributes.keys().all(named) {
                return Err(refuse(
                    "the names of `attributes` are of lower-case letters, digits and hyphens",
                ));
            }
        }
        Ok(Self(classes))
    }

    /// Reads and checks a JSON list.
    pub fn from_json(json: &str) -> Result<Self, InvalidClasses> {
        let classes =
            serde_json::from_str(json).map_err(|error| InvalidClasses::Json(error.to_string()))?;
        Self::new(classes)
    }

    /// All of them, as configured.
    pub fn all(&self) -> &[RunnerClass] {
        &self.0
    }

    /// The class of that name.
    pub fn named(&self, name: &ClassName) -> Option<&RunnerClass> {
        self.0.iter().find(|class| class.name == *name)
    }

    /// Positions of the classes that satisfy these labels, cheapest first, then as configured.
    pub fn fitting(&self, labels: &[String]) -> Vec<usize> {
        let mut fits: Vec<usize> = (0..self.0.len())
            .filter(|&place| self.0[place].satisfies(labels))
            .collect();
        fits.sort_by(|&a, &b| self.0[a].cheapest().total_cmp(&self.0[b].cheapest()));
        fits
    }
}
