//! Which repositories may ask for runners.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Patterns of owners and repositories, separated by commas or white space: `*` (all), `owner` or
/// `owner/*` (all that the owner has), `owner/repository`. A `*` stands for any characters inside a
/// part too (`acme/ci-*`). Case is ignored, as GitHub does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowList {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    owner: String,
    repository: String,
}

/// Why a text is not an allow-list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AllowListError {
    /// Nothing would be admitted, which is hardly what is meant.
    #[error("the list is empty: write * to admit all")]
    Empty,
    /// More than one slash.
    #[error("{pattern:?} has more than one slash: write owner, owner/* or owner/repository")]
    TooManyParts {
        /// The pattern as written.
        pattern: String,
    },
    /// Nothing before or after the slash.
    #[error(
        "{pattern:?} lacks the owner or the repository: write owner, owner/* or owner/repository"
    )]
    EmptyPart {
        /// The pattern as written.
        pattern: String,
    },
    /// A character that no owner or repository has.
    #[error("{pattern:?} has {found:?}, which no owner or repository on GitHub has in its name")]
    InvalidCharacter {
        /// The pattern as written.
        pattern: String,
        /// The first such character.
        found: char,
    },
}

impl AllowList {
    /// The list that admits all: `*`.
    pub fn all() -> Self {
        Self {
            patterns: vec![Pattern {
                owner: "*".into(),
                repository: "*".into(),
            }],
        }
    }

    /// Whether a repository is admitted.
    pub fn admits(&self, owner: &str, repository: &str) -> bool {
        let owner = owner.to_lowercase();
        let repository = repository.to_lowercase();
        self.patterns.iter().any(|pattern| {
            matches(&pattern.owner, &owner) && matches(&pattern.repository, &repository)
        })
    }
}

impl FromStr for AllowList {
    type Err = AllowListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let patterns = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|pattern| !pattern.is_empty())
            .map(Pattern::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if patterns.is_empty() {
            return Err(AllowListError::Empty);
        }
        Ok(Self { patterns })
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, pattern) in self.patterns.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}/{}", pattern.owner, pattern.repository)?;
        }
        Ok(())
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, AllowListError> {
        let pattern = || text.to_owned();
        let belongs =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '/');
        if let Some(found) = text.chars().find(|c| !belongs(*c)) {
            return Err(AllowListError::InvalidCharacter {
                pattern: pattern(),
                found,
            });
        }
        let (owner, repository) = text.split_once('/').unwrap_or((text, "*"));
        if repository.contains('/') {
            return Err(AllowListError::TooManyParts { pattern: pattern() });
        }
        if owner.is_empty() || repository.is_empty() {
            return Err(AllowListError::EmptyPart { pattern: pattern() });
        }
        Ok(Self {
            owner: owner.to_lowercase(),
            repository: repository.to_lowercase(),
        })
    }
}

/// Whether a text matches a pattern in which `*` stands for any characters. Goes back to the latest `*`
/// only, so the worst case is the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut latest_star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            latest_star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((star, taken)) = latest_star {
            latest_star = Some((star, taken + 1));
            p = star + 1;
            t = taken + 1;
        } else {
            return false;
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> AllowList {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_admits_what_it_says() {
        for (patterns, repository, admitted) in [
            ("*", "acme/app", true),
            ("acme", "acme/app", true),
            ("acme", "acme-labs/app", false),
            ("acme/*", "acme/app", true),
            ("acme/app", "acme/app", true),
            ("acme/app", "acme/app2", false),
            ("acme/app", "other/app", false),
            ("acme/ci-*", "acme/ci-linux", true),
            ("acme/ci-*", "acme/ci-", true),
            ("acme/ci-*", "acme/app", false),
            ("acme/*-ci-*", "acme/a-ci-b-ci-c", true),
            ("*-labs", "acme-labs/app", true),
            ("*/app", "anyone/app", true),
            ("*/app", "anyone/other", false),
            ("one, two/x\nthree\tfour", "two/x", true),
            ("one, two/x\nthree\tfour", "two/y", false),
            ("one, two/x\nthree\tfour", "four/y", true),
        ] {
            let (owner, name) = repository.split_once('/').unwrap();
            assert_eq!(
                list(patterns).admits(owner, name),
                admitted,
                "{patterns} {repository}"
            );
        }
    }

    #[test]
    fn case_is_ignored_on_both_sides() {
        assert!(list("ACME/App").admits("acme", "aPP"));
        assert!(list("acme/app").admits("Acme", "APP"));
    }

    #[test]
    fn an_empty_list_is_an_error_that_says_how_to_admit_all() {
        for empty in ["", " ", ",", " , \n"] {
            let told = empty.parse::<AllowList>().unwrap_err();
            assert_eq!(told, AllowListError::Empty);
            assert!(told.to_string().contains("write *"));
        }
    }

    #[test]
    fn a_malformed_pattern_is_named() {
        let pattern = |text: &str| text.to_owned();
        assert_eq!(
            "ok, a/b/c".parse::<AllowList>(),
            Err(AllowListError::TooManyParts {
                pattern: pattern("a/b/c")
            })
        );
        for text in ["/app", "acme/", "/"] {
            assert_eq!(
                text.parse::<AllowList>(),
                Err(AllowListError::EmptyPart {
                    pattern: pattern(text)
                })
            );
        }
        assert_eq!(
            "acme;other".parse::<AllowList>(),
            Err(AllowListError::InvalidCharacter {
                pattern: pattern("acme;other"),
                found: ';'
            })
        );
    }

    proptest! {
        #[test]
        fn no_list_panics_and_what_is_shown_is_the_same_list(text in ".*") {
            if let Ok(parsed) = text.parse::<AllowList>() {
                prop_assert_eq!(parsed.to_string().parse::<AllowList>(), Ok(parsed));
            }
        }

        /// A name without a star admits itself and nothing else.
        #[test]
        fn a_plain_name_admits_only_itself(one in "[a-z0-9-]{1,8}", other in "[a-z0-9-]{1,8}") {
            let listed = list(&format!("owner/{one}"));
            prop_assert!(listed.admits("owner", &one));
            prop_assert_eq!(listed.admits("owner", &other), one == other);
        }

        /// Cutting any piece out of a name and writing a star for it keeps the name admitted.
        #[test]
        fn a_star_stands_for_any_piece(name in "[a-z0-9-]{1,12}", a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let (a, b) = (a.index(name.len() + 1), b.index(name.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            let pattern = format!("owner/{}*{}", &name[..from], &name[to..]);
            prop_assert!(list(&pattern).admits("owner", &name));
        }
    }
}
