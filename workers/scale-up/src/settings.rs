//! What the Lambda is told by its environment besides what all that decide are told.

use stoker_deciders::settings::{Handling, Settings as Deciding};
use stoker_lambda::reader::{Reader, SettingsError};

/// All of it, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// What all Lambdas that decide are told.
    pub(crate) deciding: Deciding,
    pub(crate) handling: Handling,
}

impl Settings {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(lookup);
        // Each is read before any is missed, so that all of them are listed.
        let deciding = Deciding::from_reader(&mut reader);
        let handling = Handling::from_reader(&mut reader);
        let settings = deciding.zip(handling);
        reader.finish(settings.map(|(deciding, handling)| Self { deciding, handling }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_what_all_deciding_lambdas_miss() {
        let told = Settings::read(|_| None).unwrap_err();
        let names: Vec<_> = told.0.iter().map(|problem| problem.name).collect();
        assert!(names.contains(&"LEDGER_TABLE"), "{names:?}");
        assert_eq!(names.last(), Some(&"DEAD_LETTER_QUEUE_URL"));
    }
}
