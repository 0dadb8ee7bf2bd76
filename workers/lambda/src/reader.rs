//! Reads variables and gathers what is wrong with them, so that one look mends them all.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name.
    pub name: &'static str,
    /// In words that go on after the name.
    pub problem: String,
}

/// Everything that is wrong with the settings; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct SettingsError(pub Vec<Problem>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "one setting is wrong")?,
            several => write!(f, "{several} settings are wrong")?,
        }
        for (place, Problem { name, problem }) in self.0.iter().enumerate() {
            let before = if place == 0 { ": " } else { "; " };
            write!(f, "{before}{name} {problem}")?;
        }
        Ok(())
    }
}

/// Reads through a lookup by name, which is the environment's or a test's.
pub struct Reader<F> {
    lookup: F,
    problems: Vec<Problem>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    /// Reads through that lookup.
    pub fn new(lookup: F) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    /// Something is wrong with a variable.
    pub fn fail(&mut self, name: &'static str, problem: impl Into<String>) {
        self.problems.push(Problem {
            name,
            problem: problem.into(),
        });
    }

    /// A variable that may be left out; an empty one counts as left out.
    pub fn optional(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let trimmed = value.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// A variable that must be given; `what` says what it is.
    pub fn required(&mut self, name: &'static str, what: &str) -> Option<String> {
        let value = self.optional(name);
        if value.is_none() {
            self.fail(name, format!("is not set: give it {what}"));
        }
        value
    }

    /// A whole number in a range.
    pub fn number<T>(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<T>,
        default: Option<T>,
        what: &str,
    ) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        let Some(given) = self.optional(name) else {
            if default.is_none() {
                self.fail(name, format!("is not set: give it {what}"));
            }
            return default;
        };
        let number = given.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.fail(
                name,
                format!(
                    "is `{given}`: give it {what}, {} to {}",
                    range.start(),
                    range.end()
                ),
            );
        }
        number
    }

    /// One of a few words; the first is the default.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let Some(given) = self.optional(name) else {
            return words.first().map(|(_, value)| *value);
        };
        let found = words
            .iter()
            .find(|(word, _)| *word == given)
            .map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.fail(name, format!("is `{given}`: give it {}", all.join(" or ")));
        }
        found
    }

    /// A value as another function reads it.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(name, format!("does not do: {error}"));
                None
            }
        }
    }

    /// The value, if nothing was wrong anywhere.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, SettingsError> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(SettingsError(self.problems)),
        }
    }
}
