//! How an operator names a scope.

use std::str::FromStr;

use stoker_core::policy_folder::PolicyFolder;

/// A scope, by its folder: `default`, `OWNER`, `OWNER/REPO`, or the folder as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope(pub(super) PolicyFolder);

impl FromStr for Scope {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        // GitHub's names are the same in every case; folders have them in lower case.
        let name = given.to_lowercase();
        // Scopes are shown as folders, and what is shown may be pasted. (`orgs` is no owner's name.)
        if let Ok(folder) = name.parse() {
            return Ok(Self(folder));
        }
        let parts: Vec<&str> = name.split('/').collect();
        let folder = match parts.as_slice() {
            ["repos", _] => {
                return Err(format!(
                    "write `repos/OWNER/REPO` for a repository, or `repos/{name}` if its owner is called \
                     `repos`"
                ));
            }
            [owner] => PolicyFolder::organization(owner).ok(),
            [owner, repository] => PolicyFolder::repository(owner, repository).ok(),
            _ => None,
        };
        folder.map(Self).ok_or_else(|| {
            "a scope is `default`, OWNER, or OWNER/REPO, in GitHub's names".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(given: &str) -> String {
        let scope = given.parse::<Scope>();
        scope.map_or_else(|problem| problem, |Scope(folder)| folder.to_string())
    }

    #[test]
    fn a_scope_is_named_as_on_github_or_by_its_folder() {
        for (given, expected) in [
            ("default", "default"),
            ("Acme", "orgs/acme"),
            ("acme/App.js", "repos/acme/app.js"),
            ("orgs/acme", "orgs/acme"),
            ("repos/acme/app", "repos/acme/app"),
            ("orgs/default", "orgs/default"),
        ] {
            assert_eq!(folder(given), expected);
        }
    }

    #[test]
    fn what_names_no_scope_is_refused() {
        for given in ["", "a/b/c", "a b", "acme/", "../x", "repos/acme"] {
            assert!(given.parse::<Scope>().is_err(), "{given}");
        }
        assert!(folder("repos/acme").contains("repos/OWNER/REPO"));
    }
}
