//! What comes from a policy is checked and cut before anything else sees it.

use std::collections::BTreeSet;

use stoker_core::distribution::{Choice, Distribution};

use crate::limits::{LONGEST_STRING, MOST_LAUNCHES, MOST_NOTES};

/// A string that is fit for a log: at most [`LONGEST_STRING`] bytes, control characters escaped.
pub fn tame(text: String) -> String {
    let clean = text.len() <= LONGEST_STRING && !text.chars().any(char::is_control);
    if clean {
        return text;
    }
    let mut tamed = String::with_capacity(LONGEST_STRING);
    for character in text.chars() {
        let escaped = if character.is_control() {
            character.escape_default().to_string()
        } else {
            character.to_string()
        };
        // Room for the ellipsis, which has three bytes.
        if tamed.len() + escaped.len() > LONGEST_STRING - 3 {
            tamed.push('…');
            break;
        }
        tamed.push_str(&escaped);
    }
    tamed
}

/// The notes that are kept, each fit for a log.
pub(crate) fn notes(notes: Vec<String>) -> Vec<String> {
    notes.into_iter().take(MOST_NOTES).map(tame).collect()
}

/// A version that is among the releases.
pub(crate) fn release(version: String, distribution: &Distribution) -> Result<String, String> {
    if distribution
        .releases
        .iter()
        .any(|release| release.version == version)
    {
        return Ok(version);
    }
    Err(format!(
        "it names the version `{}`, which is not among the releases",
        tame(version)
    ))
}

/// A position that exists.
pub(crate) fn position(place: u32, length: usize, what: &str) -> Result<usize, String> {
    usize::try_from(place)
        .ok()
        .filter(|&place| place < length)
        .ok_or_else(|| format!("it names {what} {place}, and there are {length} (0 is the first)"))
}

/// Positions that exist, each once.
pub(crate) fn positions(places: Vec<u32>, length: usize, what: &str) -> Result<Vec<usize>, String> {
    let mut places = places
        .into_iter()
        .map(|place| position(place, length, what))
        .collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

/// Whether a plan has no more launches than one may.
pub(crate) fn launches_fit(launches: usize) -> Result<(), String> {
    if launches <= MOST_LAUNCHES {
        return Ok(());
    }
    Err(format!(
        "it has {launches} launches, and {MOST_LAUNCHES} are the most: give each class and capacity one, \
         with a count"
    ))
}

/// Positions that a plan has not named yet. Each counts where it is named first: a plan that names a job
/// a thousand times is no more work than one that names it once.
pub(crate) struct Unclaimed {
    claimed: Vec<bool>,
    what: &'static str,
    repeated: usize,
}

impl Unclaimed {
    pub(crate) fn new(length: usize, what: &'static str) -> Self {
        Self {
            claimed: vec![false; length],
            what,
            repeated: 0,
        }
    }

    /// Those of the positions, which must exist, that were not claimed before.
    pub(crate) fn claim(&mut self, places: Vec<u32>) -> Result<Vec<usize>, String> {
        let mut places = positions(places, self.claimed.len(), self.what)?;
        let named = places.len();
        places.retain(|&place| !std::mem::replace(&mut self.claimed[place], true));
        self.repeated += named - places.len();
        Ok(places)
    }

    /// Tells the policy's author.
    pub(crate) fn note_repeated(&self, notes: &mut Vec<String>) {
        if self.repeated > 0 {
            notes.push(format!(
                "the plan names a {} again, {} times in all: only the first place counts",
                self.what, self.repeated
            ));
        }
    }
}

/// The choices with each version once.
pub(crate) fn each_once(mut choices: Vec<Choice>) -> Vec<Choice> {
    let mut known = BTreeSet::new();
    choices.retain(|choice| known.insert(choice.version.clone()));
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_again_counts_once_and_is_noted() {
        let mut jobs = Unclaimed::new(3, "pending job");
        assert_eq!(jobs.claim(vec![1, 0, 1]), Ok(vec![0, 1]));
        assert_eq!(jobs.claim(vec![2, 1]), Ok(vec![2]));
        assert_eq!(jobs.claim(vec![0, 1, 2]), Ok(vec![]));
        assert!(jobs.claim(vec![3]).is_err());
        let mut notes = Vec::new();
        jobs.note_repeated(&mut notes);
        assert!(notes[0].contains("4 times"), "{notes:?}");
    }

    #[test]
    fn a_version_is_chosen_once() {
        let choice = |version: &str, reason: &str| Choice {
            version: version.to_owned(),
            reason: reason.to_owned(),
        };
        let all = vec![
            choice("2.1.0", "a"),
            choice("2.0.0", "b"),
            choice("2.1.0", "c"),
        ];
        let once = each_once(all);
        let reasons: Vec<&str> = once.iter().map(|choice| choice.reason.as_str()).collect();
        assert_eq!(reasons, ["a", "b"]);
    }

    #[test]
    fn control_characters_are_escaped_and_long_strings_cut() {
        assert_eq!(tame("fine".to_owned()), "fine");
        assert_eq!(tame("a\nb\u{1b}[31m".to_owned()), "a\\nb\\u{1b}[31m");
        let long = tame("é".repeat(5_000));
        assert!(long.len() <= LONGEST_STRING);
        assert!(long.ends_with('…'));
        assert!(tame("\n".repeat(5_000)).len() <= LONGEST_STRING);
    }

    #[test]
    fn a_position_that_does_not_exist_is_named() {
        assert_eq!(position(1, 2, "class"), Ok(1));
        assert!(position(2, 2, "class").unwrap_err().contains("class 2"));
        assert!(positions(vec![0, u32::MAX], 2, "pending job").is_err());
    }
}
