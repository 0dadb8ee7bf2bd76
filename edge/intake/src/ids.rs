//! The identifiers that GitHub gives out, each its own type, so that a job's id is never taken for a
//! check run's.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a number as GitHub sent it.
            pub const fn new(id: u64) -> Self {
                Self(id)
            }

            /// The number as GitHub sent it.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl From<u64> for $name {
            fn from(id: u64) -> Self {
                Self(id)
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

numeric_id! {
    /// An organisation's or a user's id. Survives a change of login.
    OwnerId
}
numeric_id! {
    /// A repository's id. Survives a rename and a transfer.
    RepositoryId
}
numeric_id! {
    /// A check run's id: with the repository's, the key of a job, because both event types carry it.
    CheckRunId
}
numeric_id! {
    /// A workflow job's id: what `GET /repos/{owner}/{repo}/actions/jobs/{job_id}` takes. Mostly equal
    /// to the check run's id, but GitHub does not promise it.
    JobId
}
numeric_id! {
    /// A workflow run's id.
    RunId
}
numeric_id! {
    /// The id of a GitHub App's installation.
    InstallationId
}
numeric_id! {
    /// A self-hosted runner's id.
    RunnerId
}

/// The GUID of a delivery, from `X-GitHub-Delivery`. A redelivery keeps it.
///
/// GitHub's are 36 characters; any 1 to 128 visible ASCII characters are taken, since nothing here
/// depends on the form, and that much fits every place that the id is copied to (an SQS deduplication
/// id is the narrowest).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeliveryId(String);

/// A delivery id that is empty, too long, or has characters that do not belong into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a delivery id is 1 to 128 visible ASCII characters")]
pub struct InvalidDeliveryId;

impl DeliveryId {
    /// The longest id that is taken, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Checks and wraps an id.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidDeliveryId> {
        let id = id.into();
        let fits = (1..=Self::MAX_LENGTH).contains(&id.len());
        if fits && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(id))
        } else {
            Err(InvalidDeliveryId)
        }
    }

    /// The id as GitHub sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeliveryId {
    type Error = InvalidDeliveryId;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl From<DeliveryId> for String {
    fn from(id: DeliveryId) -> Self {
        id.0
    }
}

impl FromStr for DeliveryId {
    type Err = InvalidDeliveryId;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::new(id)
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_id_is_a_bare_number_in_json() {
        let id = CheckRunId::new(12_877_621_891);
        assert_eq!(serde_json::to_string(&id).unwrap(), "12877621891");
        assert_eq!(
            serde_json::from_str::<CheckRunId>("12877621891").unwrap(),
            id
        );
        assert_eq!("12877621891".parse(), Ok(id));
        assert_eq!(id.to_string(), "12877621891");
    }

    #[test]
    fn a_delivery_id_is_short_and_visible() {
        assert!(DeliveryId::new("72d3162e-cc78-11e3-81ab-4c9367dc0958").is_ok());
        for refused in ["", "two words", "line\nbreak", "é", &"x".repeat(129)] {
            assert_eq!(
                DeliveryId::new(refused),
                Err(InvalidDeliveryId),
                "{refused:?}"
            );
        }
        assert!(serde_json::from_str::<DeliveryId>("\"\"").is_err());
    }
}
