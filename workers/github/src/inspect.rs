//! The App as GitHub sees it: what an operator's look at a deployment asks. No scaling does.
//!
//! Answers are typed and say nothing of whether they are good: that is for who asked to judge. None of
//! them holds a secret, since GitHub shows none.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use stoker_core::ports::RegistrationTarget;
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;
use stoker_intake::InstallationId;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::app::App;
use crate::error::{Error, Purpose};
use crate::groups;
use crate::http::Repeat;
use crate::pages::{MOST_PAGES, PAGE, Page};
use crate::runners::Asking;

const THE_APP: Purpose = Purpose {
    permission: None,
    not_found: "check GITHUB_API_URL, and that the GitHub App was not deleted",
};

const ITS_HOOK: Purpose = Purpose {
    permission: None,
    not_found: "the GitHub App has no webhook: give it one, with a URL and a secret",
};

const ITS_INSTALLATIONS: Purpose = Purpose {
    permission: None,
    not_found: "check GITHUB_API_URL",
};

const ITS_LIMITS: Purpose = Purpose {
    permission: None,
    not_found: "this GitHub counts no limits",
};

/// What the App is allowed and told, as its own settings say. Installations may be behind them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AppFacts {
    /// What it is called.
    pub name: String,
    /// Each permission with its level: `read`, `write` or `admin`.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// The events that it is told of.
    #[serde(default)]
    pub events: Vec<String>,
}

/// Where and how GitHub delivers the App's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookConfig {
    /// Where; none: nowhere yet.
    pub url: Option<String>,
    /// `json` or `form`.
    pub content_type: String,
    /// Whether GitHub makes sure that it talks to that host.
    pub verifies_tls: bool,
    /// Whether it has a secret to sign with. GitHub shows stars, not the secret.
    pub has_secret: bool,
}

/// An account on which the App is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationFacts {
    /// The installation.
    pub id: InstallationId,
    /// The account's login; none: it is gone, or an enterprise's.
    pub login: Option<String>,
    /// Whether it is an organisation, which alone has runners of its own.
    pub is_organization: bool,
    /// Whether somebody has suspended it.
    pub is_suspended: bool,
    /// The permissions that the account has accepted.
    pub permissions: BTreeMap<String, String>,
    /// The events that it lets the App hear of.
    pub events: Vec<String>,
}

/// A runner group of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerGroup {
    /// Its name.
    pub name: String,
    /// Whether runners go there that name no group.
    pub is_default: bool,
    /// Whether its runners take jobs of public repositories.
    pub admits_public: bool,
}

impl RunnerGroup {
    /// Whether it is called so; GitHub takes no note of case.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// How much an installation may still ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RateLimit {
    /// How many requests an hour.
    pub limit: u64,
    /// How many of them are left.
    pub remaining: u64,
    /// When there are as many again.
    pub reset: Timestamp,
}

#[derive(Deserialize)]
struct Hook {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    /// A text or a number, by GitHub's own description.
    #[serde(default)]
    insecure_ssl: Option<Value>,
    #[serde(default)]
    secret: Option<IgnoredAny>,
}

impl From<Hook> for HookConfig {
    fn from(hook: Hook) -> Self {
        let insecure = hook.insecure_ssl.unwrap_or_default();
        let is_off = insecure.is_null() || insecure == "0" || insecure == 0;
        Self {
            url: hook.url.filter(|url| !url.trim().is_empty()),
            // What GitHub takes where nothing is said.
            content_type: hook.content_type.unwrap_or_else(|| "form".to_owned()),
            verifies_tls: is_off,
            has_secret: hook.secret.is_some(),
        }
    }
}

#[derive(Deserialize)]
struct Installation {
    id: InstallationId,
    #[serde(default)]
    account: Option<Account>,
    #[serde(default)]
    target_type: Option<String>,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    suspended_at: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    login: Option<String>,
}

impl From<Installation> for InstallationFacts {
    fn from(listed: Installation) -> Self {
        Self {
            id: listed.id,
            login: listed.account.and_then(|account| account.login),
            is_organization: listed.target_type.as_deref() == Some("Organization"),
            is_suspended: listed.suspended_at.is_some(),
            permissions: listed.permissions,
            events: listed.events,
        }
    }
}

#[derive(Deserialize)]
struct Groups {
    runner_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    id: u64,
    name: String,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    allows_public_repositories: bool,
}

impl Page for Groups {
    type Item = Group;

    fn items(self) -> Vec<Group> {
        self.runner_groups
    }
}

impl From<Group> for RunnerGroup {
    fn from(group: Group) -> Self {
        Self {
            name: group.name,
            is_default: group.default || group.id == groups::DEFAULT,
            admits_public: group.allows_public_repositories,
        }
    }
}

#[derive(Deserialize)]
struct Limits {
    resources: Resources,
}

#[derive(Deserialize)]
struct Resources {
    core: RateLimit,
}

impl App {
    /// The time by GitHub's clock, to the second. Nobody signs for the question: a machine whose clock
    /// is off could not. None: GitHub does not say.
    pub async fn time_at_github(&self) -> Result<Option<Timestamp>, Error> {
        let installations = &self.installations;
        let url = installations.endpoints.api(&["app"]);
        let date = installations.http.date(url).await?;
        Ok(date.as_deref().and_then(http_date))
    }

    /// What the App is allowed and told.
    pub async fn facts(&self) -> Result<AppFacts, Error> {
        let url = self.installations.endpoints.api(&["app"]);
        self.installations.as_app(Method::GET, url, THE_APP).await
    }

    /// Where and how GitHub delivers its events.
    pub async fn hook_config(&self) -> Result<HookConfig, Error> {
        let url = self.installations.endpoints.api(&["app", "hook", "config"]);
        let hook: Hook = self
            .installations
            .as_app(Method::GET, url, ITS_HOOK)
            .await?;
        Ok(hook.into())
    }

    /// Everywhere that it is installed, suspended or not.
    pub async fn all_installations(&self) -> Result<Vec<InstallationFacts>, Error> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut url = self.installations.endpoints.api(&["app", "installations"]);
            url.query_pairs_mut()
                .append_pair("per_page", &PAGE.to_string())
                .append_pair("page", &page.to_string());
            let listed: Vec<Installation> = self
                .installations
                .as_app(Method::GET, url, ITS_INSTALLATIONS)
                .await?;
            let is_last = listed.len() < PAGE;
            all.extend(listed.into_iter().map(InstallationFacts::from));
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// The runner groups of an organisation on which the App is installed.
    pub async fn runner_groups(
        &self,
        owner: &str,
        installation: InstallationId,
    ) -> Result<Vec<RunnerGroup>, Error> {
        let target = target(owner, installation);
        let groups = self.pages::<Groups>(&target, groups::asking(owner)).await?;
        Ok(groups.into_iter().map(RunnerGroup::from).collect())
    }

    /// How much an installation may still ask in this hour. Asking that costs nothing.
    pub async fn rate_limit(
        &self,
        owner: &str,
        installation: InstallationId,
    ) -> Result<RateLimit, Error> {
        let asking = Asking {
            method: Method::GET,
            path: vec!["rate_limit".to_owned()],
            query: Vec::new(),
            body: None,
            purpose: ITS_LIMITS,
            repeat: Repeat::Harmless,
            mostly_same: false,
        };
        let limits: Limits = self.ask(&target(owner, installation), &asking).await?;
        Ok(limits.resources.core)
    }
}

fn target(owner: &str, installation: InstallationId) -> RegistrationTarget {
    RegistrationTarget {
        scope: ScopeName {
            owner: owner.to_lowercase(),
            repository: None,
        },
        installation: Some(installation),
    }
}

/// A time as HTTP has it.
fn http_date(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Some(Timestamp::from(at))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hook(value: Value) -> HookConfig {
        serde_json::from_value::<Hook>(value).unwrap().into()
    }

    #[test]
    fn a_hook_is_read_in_each_form_that_github_describes() {
        let sound = hook(json!({
            "url": "https://stoker.example/webhook",
            "content_type": "json",
            "insecure_ssl": "0",
            "secret": "********",
        }));
        assert!(sound.verifies_tls && sound.has_secret);
        assert_eq!(sound.content_type, "json");
        for (insecure, verifies) in [(json!(0), true), (json!("1"), false), (json!(1), false)] {
            let read = hook(json!({ "insecure_ssl": insecure }));
            assert_eq!(read.verifies_tls, verifies, "{insecure}");
        }
        let bare = hook(json!({ "url": "" }));
        assert_eq!((bare.url, bare.has_secret), (None, false));
        assert_eq!(bare.content_type, "form");
    }

    #[test]
    fn an_installation_whose_account_is_gone_is_read_too() {
        let listed: Installation = serde_json::from_value(json!({
            "id": 7,
            "account": null,
            "target_type": "Organization",
            "suspended_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let facts = InstallationFacts::from(listed);
        assert_eq!(facts.login, None);
        assert!(facts.is_organization && facts.is_suspended);
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let at = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at, Some(Timestamp(784_111_777)));
        assert_eq!(http_date("yesterday"), None);
    }
}
