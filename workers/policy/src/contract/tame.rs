//! What comes from a policy is checked and cut before anything else sees it.

use stoker_core::distribution::Distribution;

use crate::limits::{LONGEST_STRING, MOST_NOTES};

/// A string that is fit for a log: at most [`LONGEST_STRING`] bytes, control characters escaped.
pub(crate) fn tame(text: String) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
