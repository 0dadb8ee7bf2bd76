//! Versions of the runner.

use std::fmt;
use std::str::FromStr;

/// A version of numbers and dots, such as `2.330.0`. Numbers that are missing at the end are 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

/// What is no version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoVersion(String);

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no version such as 2.330.0", self.0)
    }
}

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let mut numbers = bare
            .split('.')
            .map(|number| {
                number
                    .parse()
                    .ok()
                    .filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .collect::<Option<Vec<u64>>>()
            .ok_or_else(|| NoVersion(text.to_owned()))?;
        while numbers.len() > 1 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Self(numbers))
    }
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
        assert!(version("v2.330.0") > version("2.329.9"));
        assert_eq!(version("2.330"), version("v2.330.0"));
        assert_eq!(version("0.0"), version("0"));
    }

    #[test]
    fn what_is_no_version_is_named() {
        for text in [
            "",
            "latest",
            "2.x",
            "2..1",
            "+2.1",
            "2.1-beta",
            "99999999999999999999",
        ] {
            let refused = text.parse::<Version>().unwrap_err().to_string();
            assert!(refused.contains("is no version"), "{refused}");
        }
    }

    proptest! {
        /// Any text is read or refused, never more.
        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = text.parse::<Version>();
        }
    }
}
