//! Runner groups: GitHub asks for a number, people know names.

use reqwest::Method;
use serde::Deserialize;
use stoker_core::situation::ScopeName;

use crate::error::{Error, Purpose};
use crate::http::Repeat;
use crate::runners::Asking;

/// The number of every organisation's default group, and of the only one that repository runners have.
pub(crate) const DEFAULT: u64 = 1;

/// For how long a group's number is believed, in seconds: a group that was made anew under its name has
/// another.
pub(crate) const KEPT_FOR: u64 = 3_600;

/// Groups on one page: the most that GitHub gives.
pub(crate) const PAGE: usize = 100;

const LISTING: Purpose = Purpose {
    permission: Some("organization_self_hosted_runners: write"),
    not_found: "check that the GitHub App is installed for that organisation",
};

/// A page of an organisation's groups.
#[derive(Deserialize)]
pub(crate) struct Page {
    runner_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    id: u64,
    name: String,
}

impl Page {
    /// The number of the group of that name.
    pub(crate) fn named(&self, name: &str) -> Option<u64> {
        let mut all = self.runner_groups.iter();
        all.find(|group| group.name.eq_ignore_ascii_case(name))
            .map(|group| group.id)
    }

    /// Whether there are no more behind it.
    pub(crate) fn is_last(&self) -> bool {
        self.runner_groups.len() < PAGE
    }
}

/// For a page of an organisation's groups; 1 is the first.
pub(crate) fn asking(owner: &str, page: u32) -> Asking {
    let path = ["orgs", owner, "actions", "runner-groups"];
    Asking {
        method: Method::GET,
        path: path.map(str::to_owned).to_vec(),
        query: vec![("per_page", PAGE.to_string()), ("page", page.to_string())],
        body: None,
        purpose: LISTING,
        repeat: Repeat::Harmless,
    }
}

/// There is no such group.
pub(crate) fn unknown(scope: &ScopeName, name: &str) -> Error {
    Error::NoSuchGroup {
        owner: scope.owner.clone(),
        name: name.to_owned(),
    }
}
