//! Versions of the runner, and the platforms that it is built for.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A version of numbers and dots, such as `2.330.0`. Numbers that are missing at the end are 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

/// What is no version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no version such as 2.330.0")]
pub struct NoVersion(String);

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let refused = || NoVersion(text.chars().take(40).collect());
        let number = |part: &str| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| is_number)
        };
        let numbers: Option<Vec<u64>> = text.split('.').map(number).collect();
        let mut numbers = numbers.ok_or_else(refused)?;
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Self(numbers))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As GitHub writes them: three numbers.
        let at_least = self.0.len().max(3);
        for place in 0..at_least {
            let dot = if place == 0 { "" } else { "." };
            write!(f, "{dot}{}", self.0.get(place).unwrap_or(&0))?;
        }
        Ok(())
    }
}

/// The platforms that GitHub builds the runner for, by the words of its archives' names.
pub const PLATFORMS: [&str; 7] = [
    "linux-x64",
    "linux-arm64",
    "linux-arm",
    "win-x64",
    "win-arm64",
    "osx-x64",
    "osx-arm64",
];

/// The platforms that are mirrored; at least one, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platforms(Vec<String>);

/// A list that names no platform, or something else.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoPlatforms {
    /// There is no such platform.
    #[error("`{0}` is none of the platforms that GitHub builds the runner for: {all}", all = PLATFORMS.join(", "))]
    Unknown(String),
    /// Nothing is named.
    #[error("it names no platform, such as linux-x64")]
    Empty,
}

impl Platforms {
    /// Their names, in the order in which they were given.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Platforms {
    type Err = NoPlatforms;

    fn from_str(list: &str) -> Result<Self, NoPlatforms> {
        let mut platforms: Vec<String> = Vec::new();
        for name in list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            if !PLATFORMS.contains(&name) {
                return Err(NoPlatforms::Unknown(name.to_owned()));
            }
            if !platforms.iter().any(|known| known == name) {
                platforms.push(name.to_owned());
            }
        }
        if platforms.is_empty() {
            return Err(NoPlatforms::Empty);
        }
        Ok(Self(platforms))
    }
}

impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// How GitHub calls the archive of a platform.
pub fn archive_name(platform: &str, version: &str) -> String {
    let ending = if platform.starts_with("win-") {
        "zip"
    } else {
        "tar.gz"
    };
    format!("actions-runner-{platform}-{version}.{ending}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(version("2.9.0") < version("2.10.0"));
        assert!(version("2.330.1") > version("2.330.0"));
        assert_eq!(version("2.330"), version("2.330.0"));
        assert_eq!(version("2.330").to_string(), "2.330.0");
    }

    #[test]
    fn what_is_no_version_is_named() {
        for text in [
            "",
            "v2.1",
            "2..1",
            "2.x",
            "+2.1",
            "../2",
            "99999999999999999999",
        ] {
            let told = text.parse::<Version>().unwrap_err().to_string();
            assert!(told.contains("is no version"), "{told}");
        }
    }

    #[test]
    fn platforms_are_listed_once_and_known() {
        let some: Platforms = "linux-x64, win-x64,linux-x64,".parse().unwrap();
        assert_eq!(some.to_string(), "linux-x64, win-x64");
        assert_eq!(" ,".parse::<Platforms>(), Err(NoPlatforms::Empty));
        let told = "linux-x64,linux".parse::<Platforms>().unwrap_err();
        assert!(told.to_string().contains("`linux` is none of"), "{told}");
    }

    #[test]
    fn archives_are_called_as_github_calls_them() {
        assert_eq!(
            archive_name("linux-arm64", "2.330.0"),
            "actions-runner-linux-arm64-2.330.0.tar.gz"
        );
        assert_eq!(
            archive_name("win-x64", "2.330.0"),
            "actions-runner-win-x64-2.330.0.zip"
        );
    }

    proptest! {
        /// Any text is read or refused, and what is read leads nowhere as part of a path.
        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            if text.parse::<Version>().is_ok() {
                prop_assert!(text.chars().all(|c| c.is_ascii_digit() || c == '.'));
                prop_assert!(!text.contains(".."));
            }
        }
    }
}
