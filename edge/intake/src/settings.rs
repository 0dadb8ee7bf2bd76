//! The settings that every listener shares, read through a lookup so that a Worker's bindings, a
//! Lambda's environment and a test read alike.

use std::fmt;

use secrecy::SecretString;
use thiserror::Error;

use crate::admission::{Admission, CheckRunApps, CheckRunAppsError};
use crate::allow_list::{AllowList, AllowListError};
use crate::signature::Secrets;

/// What [`receive()`](crate::receive()) needs to know. Its `Debug` output shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The webhook secrets.
    pub secrets: Secrets,
    /// The rules for work.
    pub admission: Admission,
    /// How long work is hidden by the queue, 0 to 900 seconds.
    pub delay_seconds: u16,
}

/// The longest delay, in seconds: SQS's limit.
pub const MAX_DELAY_SECONDS: u16 = 900;

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingError {
    /// It must be given and is not, or is empty.
    #[error("{name} is not set")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// Not a list of repositories.
    #[error("{name}: {source}")]
    AllowList {
        /// The variable.
        name: &'static str,
        /// What is wrong with the list.
        source: AllowListError,
    },
    /// Not a list of Apps.
    #[error("{name}: {source}")]
    CheckRunApps {
        /// The variable.
        name: &'static str,
        /// What is wrong with the list.
        source: CheckRunAppsError,
    },
    /// Another value than the variable takes.
    #[error("{name} is not {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl SettingError {
    /// The variable that is wrong.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing { name }
            | Self::AllowList { name, .. }
            | Self::CheckRunApps { name, .. }
            | Self::Invalid { name, .. } => name,
        }
    }
}

/// All that is wrong with the settings, so that one look mends them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
pub struct SettingsError {
    errors: Vec<SettingError>,
}

impl SettingsError {
    /// The errors, in the order in which the variables are read; at least one.
    pub fn errors(&self) -> &[SettingError] {
        &self.errors
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// Reads variables and gathers what is wrong with them. A listener with settings of its own reads them
/// through the same reader, and so reports everything at once.
pub struct SettingsReader<F> {
    lookup: F,
    errors: Vec<SettingError>,
}

impl<F: Fn(&str) -> Option<String>> SettingsReader<F> {
    /// Reads through a lookup by name.
    pub const fn new(lookup: F) -> Self {
        Self {
            lookup,
            errors: Vec::new(),
        }
    }

    /// Notes an error.
    pub fn fail(&mut self, error: SettingError) {
        self.errors.push(error);
    }

    /// A variable as it is, empty or not.
    pub fn raw(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// A variable that may be left out; an empty one counts as left out.
    pub fn optional(&self, name: &str) -> Option<String> {
        self.raw(name).filter(|value| !value.trim().is_empty())
    }

    /// A variable that must be given.
    pub fn required(&mut self, name: &'static str) -> Option<String> {
        let value = self.optional(name);
        if value.is_none() {
            self.fail(SettingError::Missing { name });
        }
        value
    }

    /// A secret that must be given. What is blank around it is not part of it: what was written from a file ends
    /// with a line's end.
    pub fn required_secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.required(name).map(|secret| secret.trim().into())
    }

    /// A secret that may be left out.
    pub fn optional_secret(&self, name: &str) -> Option<SecretString> {
        self.optional(name).map(|secret| secret.trim().into())
    }

    /// The value, if nothing was wrong anywhere.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, SettingsError> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(SettingsError {
                errors: self.errors,
            }),
        }
    }
}

impl Settings {
    /// Reads all settings, or says everything that is wrong with them.
    ///
    /// `GITHUB_WEBHOOK_SECRET` is required. Optional: `GITHUB_WEBHOOK_SECRET_PREVIOUS`,
    /// `REPOSITORY_ALLOW_LIST` (unset is `*`), `ALLOW_PUBLIC_REPOSITORIES` (`true` or `false`; unset is
    /// `false`), `CHECK_RUN_APPS` (unset is `github-actions`), `DELAY_SECONDS` (0 to 900; unset is 0).
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = SettingsReader::new(lookup);
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }

    /// The same through a reader that a listener reads its own settings with. `None` after at least
    /// one error was noted.
    pub fn read<F: Fn(&str) -> Option<String>>(reader: &mut SettingsReader<F>) -> Option<Self> {
        let current = reader.required_secret("GITHUB_WEBHOOK_SECRET");
        let previous = reader.optional_secret("GITHUB_WEBHOOK_SECRET_PREVIOUS");
        let allow_list = allow_list(reader);
        let allow_public = allow_public(reader);
        let check_run_apps = check_run_apps(reader);
        let delay_seconds = delay_seconds(reader);
        Some(Self {
            secrets: Secrets {
                current: current?,
                previous,
            },
            admission: Admission {
                allow_list: allow_list?,
                allow_public: allow_public?,
                check_run_apps: check_run_apps?,
            },
            delay_seconds: delay_seconds?,
        })
    }
}

/// An empty list is not an unset one: it looks as if nothing were to be admitted, so it is asked about.
fn allow_list<F: Fn(&str) -> Option<String>>(reader: &mut SettingsReader<F>) -> Option<AllowList> {
    let name = "REPOSITORY_ALLOW_LIST";
    let Some(text) = reader.raw(name) else {
        return Some(AllowList::all());
    };
    text.parse()
        .map_err(|source| reader.fail(SettingError::AllowList { name, source }))
        .ok()
}

fn check_run_apps<F: Fn(&str) -> Option<String>>(
    reader: &mut SettingsReader<F>,
) -> Option<CheckRunApps> {
    let name = "CHECK_RUN_APPS";
    let Some(text) = reader.raw(name) else {
        return Some(CheckRunApps::default());
    };
    text.parse()
        .map_err(|source| reader.fail(SettingError::CheckRunApps { name, source }))
        .ok()
}

fn allow_public<F: Fn(&str) -> Option<String>>(reader: &mut SettingsReader<F>) -> Option<bool> {
    let name = "ALLOW_PUBLIC_REPOSITORIES";
    let Some(text) = reader.optional(name) else {
        return Some(false);
    };
    let value = match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    if value.is_none() {
        let expected = "true or false";
        reader.fail(SettingError::Invalid { name, expected });
    }
    value
}

fn delay_seconds<F: Fn(&str) -> Option<String>>(reader: &mut SettingsReader<F>) -> Option<u16> {
    let name = "DELAY_SECONDS";
    let Some(text) = reader.optional(name) else {
        return Some(0);
    };
    let value = text.trim().parse().ok();
    let value = value.filter(|seconds| *seconds <= MAX_DELAY_SECONDS);
    if value.is_none() {
        let expected = "a whole number of seconds from 0 to 900";
        reader.fail(SettingError::Invalid { name, expected });
    }
    value
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::from_lookup(|name| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_secret_alone_is_enough() {
        let settings = read(&[("GITHUB_WEBHOOK_SECRET", "hush")]).unwrap();
        assert_eq!(settings.admission.allow_list, AllowList::all());
        assert!(!settings.admission.allow_public);
        assert_eq!(settings.admission.check_run_apps, CheckRunApps::default());
        assert_eq!(settings.delay_seconds, 0);
        assert!(settings.secrets.previous.is_none());
    }

    #[test]
    fn the_line_s_end_of_a_file_is_no_part_of_a_secret() {
        let settings = read(&[
            ("GITHUB_WEBHOOK_SECRET", "hush\n"),
            ("GITHUB_WEBHOOK_SECRET_PREVIOUS", " old\r\n"),
        ])
        .unwrap();
        assert_eq!(settings.secrets.current.expose_secret(), "hush");
        let previous = settings.secrets.previous.unwrap();
        assert_eq!(previous.expose_secret(), "old");
    }

    #[test]
    fn each_variable_is_read() {
        let settings = read(&[
            ("GITHUB_WEBHOOK_SECRET", "hush"),
            ("GITHUB_WEBHOOK_SECRET_PREVIOUS", "old"),
            ("REPOSITORY_ALLOW_LIST", "acme/*"),
            ("ALLOW_PUBLIC_REPOSITORIES", " True "),
            ("CHECK_RUN_APPS", "*"),
            ("DELAY_SECONDS", "900"),
        ])
        .unwrap();
        assert_eq!(settings.admission.allow_list, "acme/*".parse().unwrap());
        assert!(settings.admission.allow_public);
        assert_eq!(settings.admission.check_run_apps, CheckRunApps::Any);
        assert_eq!(settings.delay_seconds, 900);
        assert!(settings.secrets.previous.is_some());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_by_name() {
        let told = read(&[
            ("GITHUB_WEBHOOK_SECRET", ""),
            ("REPOSITORY_ALLOW_LIST", ""),
            ("ALLOW_PUBLIC_REPOSITORIES", "yes"),
            ("CHECK_RUN_APPS", ","),
            ("DELAY_SECONDS", "901"),
        ])
        .unwrap_err();
        let names: Vec<_> = told.errors().iter().map(SettingError::name).collect();
        assert_eq!(
            names,
            [
                "GITHUB_WEBHOOK_SECRET",
                "REPOSITORY_ALLOW_LIST",
                "ALLOW_PUBLIC_REPOSITORIES",
                "CHECK_RUN_APPS",
                "DELAY_SECONDS",
            ]
        );
        for name in names {
            assert!(told.to_string().contains(name), "{told}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let variables = [
            ("GITHUB_WEBHOOK_SECRET", "hush-current"),
            ("GITHUB_WEBHOOK_SECRET_PREVIOUS", "hush-previous"),
        ];
        let shown = format!("{:?}", read(&variables).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
        let wrong = [
            variables[0],
            variables[1],
            ("DELAY_SECONDS", "hush-elsewhere"),
        ];
        let told = read(&wrong).unwrap_err();
        let shown = format!("{told} {told:?}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}
