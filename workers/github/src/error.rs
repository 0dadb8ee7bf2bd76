//! What can go wrong between Stoker and GitHub, each with what an operator is to do.
//!
//! No token, key or configuration is in any of them: they hold GitHub's words about a request, never
//! what was sent or received besides.

use std::fmt;

use stoker_core::ports::{GitHubError, GitHubFault};
use stoker_core::time::Timestamp;
use thiserror::Error;

use crate::credentials::NoKey;

/// Why GitHub did not do it. Cloned where several callers waited for one request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// There is nothing to sign with.
    #[error("{0}; GitHub was not asked")]
    NoKey(#[from] NoKey),
    /// There is no installation token to ask with.
    #[error("there is no installation token for {owner}: {cause}")]
    NoToken {
        /// Whose installation.
        owner: String,
        /// Why.
        cause: Box<Error>,
    },
    /// There was no connection.
    #[error(
        "it could not be reached: {problem}; check GITHUB_API_URL and the way out of the network"
    )]
    Unreachable {
        /// What the connection says.
        problem: String,
    },
    /// It did not answer in time, or its answer broke off: whether it did what was asked is not known.
    #[error("its answer was lost ({problem}); whether it was done is not known")]
    AnswerLost {
        /// What the connection says.
        problem: String,
    },
    /// It wants to be left alone.
    #[error("{said}it wants no request of this kind for {} s (until {until}); it is asked again after that", until.0.saturating_sub(now.0), until = Utc(*until))]
    LeftAlone {
        /// Until then.
        until: Timestamp,
        /// When it said so.
        now: Timestamp,
        /// What it said, and a separator; empty: it said so earlier.
        said: String,
    },
    /// It refused.
    #[error("{refusal}{}{}", if advice.is_empty() { "" } else { "; " }, advice)]
    Refused {
        /// What it said.
        refusal: Refusal,
        /// What to do; may be empty.
        advice: String,
    },
    /// A runner group that is configured is not there.
    #[error(
        "{owner} has no runner group called `{name}`: make it, or set RUNNER_GROUP to one that it has"
    )]
    NoSuchGroup {
        /// Whose group it would be.
        owner: String,
        /// Its name.
        name: String,
    },
    /// It answered something else than its description says.
    #[error("its answer can't be read: {problem}; is GITHUB_API_URL the address of an API?")]
    Unreadable {
        /// What is wrong with it.
        problem: String,
    },
}

/// GitHub's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The message.
    pub message: String,
    /// What GitHub's support asks for.
    pub request: Option<String>,
    /// The permissions that would have done, where GitHub says so.
    pub accepted_permissions: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it answered {}: {}", self.status, self.message)
    }
}

/// A time as people read it.
struct Utc(Timestamp);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = i64::try_from(self.0.0)
            .ok()
            .and_then(|unix| time::OffsetDateTime::from_unix_timestamp(unix).ok());
        match at {
            Some(at) => write!(
                f,
                "{:02}:{:02}:{:02} UTC",
                at.hour(),
                at.minute(),
                at.second()
            ),
            None => write!(f, "{}", self.0.0),
        }
    }
}

/// A kind of request: what it takes, and what its failures mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purpose {
    /// The permission that it takes; none: it is the App's own request.
    pub(crate) permission: Option<&'static str>,
    /// What a 404 means besides a missing permission.
    pub(crate) not_found: &'static str,
}

impl Purpose {
    pub(crate) fn advice(&self, refusal: &Refusal) -> String {
        let permission = refusal
            .accepted_permissions
            .as_deref()
            .or(self.permission)
            .map(|needed| {
                format!(
                    "give the GitHub App the permission `{needed}`, and let the installation accept it"
                )
            });
        match refusal.status {
            401 if self.permission.is_none() => "check the App's id, that its private key was not revoked, and the clock".to_owned(),
            401 => "a new installation token is asked for the next time".to_owned(),
            403 => permission.unwrap_or_else(|| "check that the installation is not suspended".to_owned()),
            404 => match permission {
                Some(permission) => format!("{}, or {permission}", self.not_found),
                None => self.not_found.to_owned(),
            },
            409 => "the name is taken: the instance is replaced by another".to_owned(),
            422 => "check the runner group (RUNNER_GROUP; it may be full or closed to this repository) and the labels in RUNNER_CLASSES".to_owned(),
            500.. => "GitHub has trouble (https://www.githubstatus.com); it is asked again".to_owned(),
            _ => String::new(),
        }
    }
}

impl Error {
    /// The status, if GitHub refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.status),
            _ => None,
        }
    }

    /// The port's form of it.
    pub(crate) fn during(self, what: impl Into<String>) -> GitHubError {
        GitHubError {
            what: what.into(),
            problem: self.to_string(),
            request: self.request().cloned(),
            fault: self.fault(),
        }
    }

    /// GitHub's id of the request that it refused.
    fn request(&self) -> Option<&String> {
        match self {
            Self::Refused { refusal, .. } => refusal.request.as_ref(),
            Self::NoToken { cause, .. } => cause.request(),
            _ => None,
        }
    }

    fn fault(&self) -> GitHubFault {
        match self {
            Self::LeftAlone { until, .. } => GitHubFault::Limited { until: *until },
            // What was to be asked with it was not asked. The same limit holds for it.
            Self::NoToken { cause, .. } if cause.status() == Some(404) => GitHubFault::Closed,
            Self::NoToken { cause, .. } => match cause.fault() {
                GitHubFault::Unknown => GitHubFault::Unavailable,
                GitHubFault::Conflict => GitHubFault::Refused,
                same => same,
            },
            Self::AnswerLost { .. } | Self::Unreadable { .. } => GitHubFault::Unknown,
            Self::Refused { refusal, .. } => match refusal.status {
                409 => GitHubFault::Conflict,
                500.. => GitHubFault::Unknown,
                _ => GitHubFault::Refused,
            },
            Self::Unreachable { .. } => GitHubFault::Unavailable,
            Self::NoKey(_) | Self::NoSuchGroup { .. } => GitHubFault::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERING: Purpose = Purpose {
        permission: Some("organization_self_hosted_runners: write"),
        not_found: "check that the App is installed there",
    };

    fn refusal(status: u16) -> Refusal {
        Refusal {
            status,
            message: "Not here".to_owned(),
            request: Some("AB12".to_owned()),
            accepted_permissions: None,
        }
    }

    #[test]
    fn a_refusal_says_what_github_said_and_what_to_do() {
        let refusal = refusal(404);
        let error = Error::Refused {
            advice: REGISTERING.advice(&refusal),
            refusal,
        };
        let told = error.during("register stoker-x").to_string();
        for part in [
            "GitHub could not register stoker-x",
            "404: Not here",
            "request AB12",
            "check that the App is installed there",
            "organization_self_hosted_runners: write",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn what_github_names_itself_goes_before_what_we_know() {
        let named = Refusal {
            accepted_permissions: Some("administration=write".to_owned()),
            ..refusal(403)
        };
        assert!(
            REGISTERING
                .advice(&named)
                .contains("`administration=write`")
        );
    }

    #[test]
    fn a_limit_says_until_when() {
        let error = Error::LeftAlone {
            until: Timestamp(1_700_000_060),
            now: Timestamp(1_700_000_000),
            said: String::new(),
        };
        let told = error.to_string();
        assert!(told.contains("for 60 s (until 22:14:20 UTC)"), "{told}");
    }
}
