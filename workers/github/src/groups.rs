//! Runner groups: GitHub asks for a number, people know names.

use reqwest::Method;
use serde::Deserialize;
use stoker_core::situation::ScopeName;

use crate::error::{Error, Purpose};
use crate::http::Repeat;
use crate::pages::Page;
use crate::runners::Asking;

/// The number of every organisation's default group, and of the only one that repository runners have.
pub(crate) const DEFAULT: u64 = 1;

/// For how long a group's number is believed, in seconds: a group that was made anew under its name has
/// another.
pub(crate) const KEPT_FOR: u64 = 3_600;

const LISTING: Purpose = Purpose {
    permission: Some("organization_self_hosted_runners: write"),
    not_found: "check that the GitHub App is installed for that organisation",
};

/// A page of an organisation's groups.
#[derive(Deserialize)]
pub(crate) struct Groups {
    runner_groups: Vec<Group>,
}

#[derive(Deserialize)]
pub(crate) struct Group {
    pub(crate) id: u64,
    name: String,
}

impl Group {
    /// Whether it is called so; GitHub takes no note of case.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Page for Groups {
    type Item = Group;

    fn items(self) -> Vec<Group> {
        self.runner_groups
    }
}

/// For an organisation's groups.
pub(crate) fn asking(owner: &str) -> Asking {
    let path = ["orgs", owner, "actions", "runner-groups"];
    Asking {
        method: Method::GET,
        path: path.map(str::to_owned).to_vec(),
        query: Vec::new(),
        body: None,
        purpose: LISTING,
        repeat: Repeat::Harmless,
        mostly_same: false,
    }
}

/// There is no such group.
pub(crate) fn unknown(scope: &ScopeName, name: &str) -> Error {
    Error::NoSuchGroup {
        owner: scope.owner.clone(),
        name: name.to_owned(),
    }
}
