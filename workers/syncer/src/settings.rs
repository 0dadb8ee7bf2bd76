//! What the syncer is told by its environment, checked once at start-up.

use stoker_core::distribution::{Platforms, SyncRules};
use stoker_core::ids::Deployment;
use stoker_deciders::settings::places::{self, Place, Policies};
use stoker_github::Endpoints;
use stoker_lambda::reader::{Reader, SettingsError};

/// What is mirrored unless something else is said: what most runners run on.
const PLATFORM: &str = "linux-x64";

/// All of it, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Whose it is.
    pub(crate) deployment: Deployment,
    /// What is mirrored.
    pub(crate) rules: SyncRules,
    /// Where to.
    pub(crate) distribution: Place,
    /// Who decides.
    pub(crate) policies: Policies,
    /// Where the journal is.
    pub(crate) journal: Place,
    /// Whose releases.
    pub(crate) releases: Endpoints,
}

impl Settings {
    /// Reads everything through that lookup.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(lookup);
        let settings = Self::from_reader(&mut reader);
        reader.finish(settings)
    }

    fn from_reader<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Self> {
        // Each is read before any is missed, so that all of them are listed.
        let deployment = places::deployment(reader);
        let rules = rules(reader);
        let names = ["DISTRIBUTION_BUCKET", "DISTRIBUTION_PREFIX"];
        let what = "the S3 bucket that instances get the runner from";
        let distribution = places::place(reader, names, what);
        let policies = places::policies(reader, deployment.as_ref());
        let journal = places::journal(reader);
        let releases = reader
            .optional("GITHUB_RELEASES_URL")
            .unwrap_or_else(|| Endpoints::DEFAULT_API.to_owned());
        let releases = reader.parsed("GITHUB_RELEASES_URL", Endpoints::new(&releases, None));
        Some(Self {
            deployment: deployment?,
            rules: rules?,
            distribution: distribution?,
            policies: policies?,
            journal: journal?,
            releases: releases?,
        })
    }
}

fn rules<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<SyncRules> {
    let platforms = reader.optional("RUNNER_PLATFORMS");
    let platforms = platforms
        .as_deref()
        .unwrap_or(PLATFORM)
        .parse::<Platforms>();
    let platforms = reader.parsed("RUNNER_PLATFORMS", platforms);
    let words = [("false", false), ("true", true)];
    let allow_missing_digest = reader.word("ALLOW_MISSING_DIGEST", &words);
    let minimum_version = match reader.optional("MINIMUM_RUNNER_VERSION") {
        Some(given) => reader
            .parsed("MINIMUM_RUNNER_VERSION", given.parse())
            .map(Some),
        None => Some(None),
    };
    Some(SyncRules {
        platforms: platforms?,
        allow_missing_digest: allow_missing_digest?,
        minimum_version: minimum_version?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn enough() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            ("DEPLOYMENT", "ci"),
            ("DISTRIBUTION_BUCKET", "distribution"),
            ("JOURNAL_BUCKET", "journal"),
            ("POLICIES_BUCKET", "policies"),
            ("POLICY_MODE", "built-in"),
        ])
    }

    fn read(variables: &HashMap<&str, &str>) -> Result<Settings, SettingsError> {
        Settings::read(|name| variables.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn what_may_be_left_out_has_the_documented_default() {
        let settings = read(&enough()).unwrap();
        assert_eq!(settings.rules.platforms.names(), ["linux-x64"]);
        assert!(!settings.rules.allow_missing_digest);
        assert_eq!(settings.rules.minimum_version, None);
        assert_eq!(settings.distribution.prefix, "");
        let public = Endpoints::new(Endpoints::DEFAULT_API, None).unwrap();
        assert_eq!(settings.releases, public);
    }

    #[test]
    fn everything_that_is_missing_is_listed_at_once() {
        let told = read(&HashMap::new()).unwrap_err();
        let names: Vec<_> = told.0.iter().map(|problem| problem.name).collect();
        assert_eq!(
            names,
            [
                "DEPLOYMENT",
                "DISTRIBUTION_BUCKET",
                "POLICY_PUBLIC_KEYS",
                "POLICIES_BUCKET",
                "JOURNAL_BUCKET",
            ]
        );
    }

    #[test]
    fn a_wrong_value_says_what_would_do() {
        for (name, value, expected) in [
            ("RUNNER_PLATFORMS", "linux-x64,solaris", "linux-arm64"),
            ("RUNNER_PLATFORMS", ",", "such as linux-x64"),
            ("ALLOW_MISSING_DIGEST", "yes", "`false` or `true`"),
            ("MINIMUM_RUNNER_VERSION", "latest", "such as 2.330.0"),
            ("GITHUB_RELEASES_URL", "http://github.example", "https://"),
        ] {
            let mut variables = enough();
            variables.insert(name, value);
            let told = read(&variables).unwrap_err().to_string();
            assert!(told.contains(name) && told.contains(expected), "{told}");
        }
    }
}
