//! What the Lambda is told by its environment besides what all that decide are told.

use stoker_deciders::settings;
use stoker_lambda::reader::{Reader, SettingsError};

/// All of it, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// What all Lambdas that decide are told.
    pub(crate) deciding: settings::Settings,
    /// The queue for what can't be handled.
    pub(crate) dead_letter_queue_url: String,
    /// How often a message may be delivered before it is put there.
    pub(crate) most_receives: u32,
}

/// A message that failed so often, over some six minutes, fails for a reason that does not pass by itself.
const MOST_RECEIVES: u32 = 10;

impl Settings {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(lookup);
        // Each is read before any is missed, so that all of them are listed.
        let deciding = settings::Settings::from_reader(&mut reader);
        let dead_letter_queue_url = reader.required(
            "DEAD_LETTER_QUEUE_URL",
            "the URL of the queue for messages that can't be handled",
        );
        let receives = "how often a message may be delivered before it is put aside";
        let most_receives = reader.number("MAX_RECEIVES", 1..=1_000, Some(MOST_RECEIVES), receives);
        let settings = (|| {
            Some(Self {
                deciding: deciding?,
                dead_letter_queue_url: dead_letter_queue_url?,
                most_receives: most_receives?,
            })
        })();
        reader.finish(settings)
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
