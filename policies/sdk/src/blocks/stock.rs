//! Idle stock: runners that are kept for jobs to come, by time of day.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schedule::Schedule;
use crate::facts::Situation;

/// So many idle runners of a class, at certain times.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stock {
    /// When they are wanted.
    pub schedule: Schedule,
    /// The IANA time zone that the schedule is meant in, such as `Europe/Berlin`.
    pub time_zone: String,
    /// How many. Of entries for one class that apply at once, the largest counts.
    pub count: u32,
    /// The name of the class.
    pub class: String,
}

/// The zones that a list of entries needs to be told the time of, each once.
pub fn zones(entries: &[Stock]) -> Vec<String> {
    let mut zones: Vec<String> = Vec::new();
    for entry in entries {
        if !zones.contains(&entry.time_zone) {
            zones.push(entry.time_zone.clone());
        }
    }
    zones
}

/// What is wanted now, by class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The class's position.
    pub class: usize,
    /// How many idle runners.
    pub count: u32,
    /// Why.
    pub reason: String,
}

/// What a list of entries wants now; by class, in their order.
///
/// # Errors
/// If the situation does not tell the time in an entry's zone, or a class does not exist: rather than
/// to keep the wrong stock silently, the policy refuses.
pub fn wanted(situation: &Situation, entries: &[Stock]) -> Result<Vec<Wanted>, String> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for entry in entries {
        let at = situation
            .zones
            .iter()
            .find(|zone| zone.zone == entry.time_zone)
            .ok_or_else(|| {
                format!(
                    "the time in {} was not told, which `idle` needs: the policy asks for it when its \
                     settings are validated",
                    entry.time_zone
                )
            })?;
        let class = situation
            .classes
            .iter()
            .position(|class| class.name == entry.class)
            .ok_or_else(|| {
                let names: Vec<&str> = situation
                    .classes
                    .iter()
                    .map(|class| class.name.as_str())
                    .collect();
                format!(
                    "`idle` names the class `{}`, and the classes are {}",
                    entry.class,
                    names.join(", ")
                )
            })?;
        if !entry.schedule.matches(at) {
            continue;
        }
        let now = Wanted {
            class,
            count: entry.count,
            reason: format!(
                "{} idle `{}` are wanted in `{}` {}",
                entry.count, entry.class, entry.schedule, entry.time_zone
            ),
        };
        match wanted.iter_mut().find(|other| other.class == class) {
            Some(other) if other.count < now.count => *other = now,
            Some(_) => {}
            None => wanted.push(now),
        }
    }
    wanted.sort_by_key(|wanted| wanted.class);
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;

    fn entry(schedule: &str, count: u32, class: &str) -> Stock {
        Stock {
            schedule: Schedule::parse(schedule).unwrap(),
            time_zone: "Europe/Berlin".to_owned(),
            count,
            class: class.to_owned(),
        }
    }

    #[test]
    fn of_entries_that_apply_at_once_the_largest_counts() {
        let situation = fleet()
            .class("small", &["linux"])
            .class("large", &["linux", "large"])
            .zone("Europe/Berlin", 1, 9, 0)
            .build();
        let entries = [
            entry("* * * * *", 1, "small"),
            entry("* 8-17 * * mon-fri", 3, "small"),
            entry("* 20-23 * * *", 9, "large"),
        ];
        let wanted = wanted(&situation, &entries).unwrap();
        assert_eq!(wanted.len(), 1);
        assert_eq!((wanted[0].class, wanted[0].count), (0, 3));
        assert_eq!(
            wanted[0].reason,
            "3 idle `small` are wanted in `* 8-17 * * mon-fri` Europe/Berlin"
        );
        assert_eq!(zones(&entries), ["Europe/Berlin"]);
    }

    #[test]
    fn a_time_that_was_not_told_and_a_class_that_does_not_exist_are_refusals() {
        let untold = fleet().class("small", &["linux"]).build();
        let entries = [entry("* * * * *", 1, "small")];
        assert!(
            wanted(&untold, &entries)
                .unwrap_err()
                .contains("was not told")
        );
        let told = fleet()
            .class("small", &["linux"])
            .zone("Europe/Berlin", 1, 9, 0)
            .build();
        let unknown = wanted(&told, &[entry("* * * * *", 1, "tiny")]).unwrap_err();
        assert!(unknown.contains("the classes are small"), "{unknown}");
    }
}
