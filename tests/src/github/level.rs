//! Where runners are.

/// Where a runner is registered, in lower case: an organisation, or `owner/repository`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// With an organisation.
    Organization(String),
    /// With a repository.
    Repository(String),
}

impl Level {
    /// An organisation.
    pub fn organization(login: &str) -> Self {
        Self::Organization(login.to_lowercase())
    }

    /// A repository.
    pub fn repository(owner: &str, name: &str) -> Self {
        Self::Repository(format!("{owner}/{name}").to_lowercase())
    }

    /// The account that owns it.
    pub(super) fn owner(&self) -> &str {
        match self {
            Self::Organization(login) => login,
            Self::Repository(full) => full.split_once('/').map_or(full, |(owner, _)| owner),
        }
    }
}
