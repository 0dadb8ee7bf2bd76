//! The folders that policies and settings are put into: one for all, one for each owner, one for each
//! repository.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidName;
use crate::plan::PolicyLevel;
use crate::situation::ScopeName;

/// GitHub's longest names: 39 characters for an owner, 100 for a repository.
const LONGEST_NAME: usize = 100;

/// A folder, ordered from the broadest level to the most specific. As text: `default`, `orgs/<owner>`,
/// `repos/<owner>/<repository>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PolicyFolder {
    /// For every scope.
    Default,
    /// For the scopes of one owner.
    Organization(Name),
    /// For one repository, whose owner comes first.
    Repository(Name, Name),
}

/// The name of an owner or a repository, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let fits = (1..=LONGEST_NAME).contains(&value.len())
            && !matches!(value, "." | "..")
            && value.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
            });
        if fits {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName {
                value: value.to_owned(),
                expected: "a name of GitHub's, in lower case",
            })
        }
    }
}

impl PolicyFolder {
    /// The folder of an owner.
    ///
    /// # Errors
    /// If it is no name in lower case.
    pub fn organization(owner: &str) -> Result<Self, InvalidName> {
        Ok(Self::Organization(owner.parse()?))
    }

    /// The folder of a repository.
    ///
    /// # Errors
    /// If either is no name in lower case.
    pub fn repository(owner: &str, repository: &str) -> Result<Self, InvalidName> {
        Ok(Self::Repository(owner.parse()?, repository.parse()?))
    }

    /// The level of its policy.
    pub fn level(&self) -> PolicyLevel {
        match self {
            Self::Default => PolicyLevel::Default,
            Self::Organization(_) => PolicyLevel::Organization,
            Self::Repository(..) => PolicyLevel::Repository,
        }
    }

    /// The next broader one.
    pub fn broader(&self) -> Option<Self> {
        match self {
            Self::Default => None,
            Self::Organization(_) => Some(Self::Default),
            Self::Repository(owner, _) => Some(Self::Organization(owner.clone())),
        }
    }

    /// This one and the broader ones, most specific first.
    pub fn chain(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::broader)
    }

    /// Where a scope's policy is looked for first. A name that GitHub can't have given has no folder of
    /// its own.
    pub fn of_scope(scope: &ScopeName) -> Self {
        let own = match &scope.repository {
            Some(repository) => Self::repository(&scope.owner, repository),
            None => Self::organization(&scope.owner),
        };
        own.or_else(|_| Self::organization(&scope.owner))
            .unwrap_or(Self::Default)
    }
}

impl fmt::Display for PolicyFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Organization(owner) => write!(f, "orgs/{}", owner.0),
            Self::Repository(owner, repository) => write!(f, "repos/{}/{}", owner.0, repository.0),
        }
    }
}

impl FromStr for PolicyFolder {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let parts: Vec<&str> = value.split('/').collect();
        let folder = match parts.as_slice() {
            ["default"] => Ok(Self::Default),
            ["orgs", owner] => Self::organization(owner),
            ["repos", owner, repository] => Self::repository(owner, repository),
            _ => Err(InvalidName {
                value: String::new(),
                expected: "",
            }),
        };
        folder.map_err(|_| InvalidName {
            value: value.to_owned(),
            expected: "a policy folder: default, orgs/<owner> or repos/<owner>/<repository>, in lower case",
        })
    }
}

impl TryFrom<String> for PolicyFolder {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<PolicyFolder> for String {
    fn from(folder: PolicyFolder) -> Self {
        folder.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_as_it_is_written_and_others_are_refused() {
        for text in ["default", "orgs/acme", "repos/acme/app.js_2-x"] {
            let folder: PolicyFolder = text.parse().unwrap();
            assert_eq!(folder.to_string(), text);
        }
        for text in [
            "",
            "orgs",
            "orgs/",
            "orgs/Acme",
            "orgs/acme/app",
            "repos/acme",
            "repos/acme/..",
            "repos/acme/app/more",
            "default/",
            "/default",
            "others/acme",
            "orgs/ac me",
        ] {
            assert!(text.parse::<PolicyFolder>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_scope_looks_in_its_own_folder_first() {
        let scope = |repository: Option<&str>| ScopeName {
            owner: "acme".to_owned(),
            repository: repository.map(ToOwned::to_owned),
        };
        let chain = |scope| -> Vec<String> {
            PolicyFolder::of_scope(&scope)
                .chain()
                .map(|folder| folder.to_string())
                .collect()
        };
        assert_eq!(
            chain(scope(Some("app"))),
            ["repos/acme/app", "orgs/acme", "default"]
        );
        assert_eq!(chain(scope(None)), ["orgs/acme", "default"]);
    }
}
