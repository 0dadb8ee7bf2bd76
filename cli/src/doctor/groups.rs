//! Runner groups: whose jobs an organisation's runners take. And how much GitHub may still be asked.

use stoker_core::limits::PublicRepositories;
use stoker_github::inspect::{RateLimit, RunnerGroup};

use super::finding::{Check, Finding};
use crate::tell::clock;

/// The group that the deployment's runners of an organisation are in. `configured`: `RUNNER_GROUP`.
pub(super) fn judge_group(
    owner: &str,
    groups: &[RunnerGroup],
    configured: Option<&str>,
    public: PublicRepositories,
) -> Finding {
    let found = match configured {
        Some(name) => groups.iter().find(|group| group.is_called(name)),
        None => groups.iter().find(|group| group.is_default),
    };
    let Some(group) = found else {
        let (subject, remedy) = match configured {
            Some(name) => (
                format!("the runner group `{name}` of {owner}"),
                "make it (the organisation's settings, Actions, Runner groups), or set RUNNER_GROUP to one \
                 that is there",
            ),
            None => (
                format!("the default runner group of {owner}"),
                "set RUNNER_GROUP to a group that is there",
            ),
        };
        let problem = "there is none: no runner can be registered with it";
        return Check::RunnerGroups.failure(subject, problem, remedy);
    };
    let subject = format!("the runner group `{}` of {owner}", group.name);
    match (group.admits_public, public) {
        (false, PublicRepositories::Refused) => {
            Check::RunnerGroups.ok(format!("{subject}: private repositories only"))
        }
        (true, PublicRepositories::Refused) => Check::RunnerGroups.failure(
            subject,
            "it admits public repositories: a fork's pull request may run a stranger's code on these runners",
            "untick \"Allow public repositories\" of it (the organisation's settings, Actions, Runner groups), or \
             set RUNNER_GROUP to a group without that",
        ),
        (true, PublicRepositories::Admitted) => Check::RunnerGroups.warning(
            subject,
            "it admits public repositories, as ALLOW_PUBLIC_REPOSITORIES=true wants it: a fork's pull request may \
             run a stranger's code on these runners",
            "have outside contributors' workflows approved (the organisation's settings, Actions, General), and \
             give these runners nothing that a stranger may not have",
        ),
        (false, PublicRepositories::Admitted) => Check::RunnerGroups.warning(
            subject,
            "ALLOW_PUBLIC_REPOSITORIES=true has runners launched for public repositories, and the group admits \
             none: those runners never get the jobs",
            "set ALLOW_PUBLIC_REPOSITORIES=false here and at the edge; or, if strangers' code may run there, \
             let the group admit public repositories",
        ),
    }
}

/// What an installation may still ask in this hour.
pub(super) fn judge_limit(owner: &str, limit: &RateLimit) -> Finding {
    let subject = format!("GitHub's hourly limit for {owner}");
    let left = format!("{} of {} requests are left", limit.remaining, limit.limit);
    if limit.remaining.saturating_mul(10) >= limit.limit {
        return Check::Limits.ok(format!("{subject}: {left}"));
    }
    Check::Limits.warning(
        subject,
        format!("{left} until {} UTC", clock(limit.reset)),
        "find who else asks with this App's installation; until then registrations may have to wait",
    )
}

#[cfg(test)]
mod tests {
    use stoker_core::time::Timestamp;

    use super::super::finding::Verdict;
    use super::*;

    fn groups(admits_public: bool) -> Vec<RunnerGroup> {
        let group = |name: &str, is_default, admits_public| RunnerGroup {
            name: name.to_owned(),
            is_default,
            admits_public,
        };
        vec![
            group("Default", true, false),
            group("CI", false, admits_public),
        ]
    }

    #[test]
    fn the_group_that_counts_is_the_configured_one_or_else_the_default_one() {
        let refused = PublicRepositories::Refused;
        let open = groups(true);
        let verdict = |name| judge_group("acme", &open, name, refused).verdict;
        assert_eq!(verdict(None), Verdict::Ok);
        assert_eq!(verdict(Some("ci")), Verdict::Failure);
        assert_eq!(verdict(Some("gone")), Verdict::Failure);
        let gone = judge_group("acme", &open, Some("gone"), refused);
        assert!(gone.problem.unwrap().contains("there is none"));
    }

    #[test]
    fn a_group_and_the_setting_that_disagree_are_told() {
        let judge = |admits, public| judge_group("acme", &groups(admits), Some("CI"), public);
        for (admits, public, expected) in [
            (false, PublicRepositories::Refused, Verdict::Ok),
            (true, PublicRepositories::Refused, Verdict::Failure),
            (true, PublicRepositories::Admitted, Verdict::Warning),
            (false, PublicRepositories::Admitted, Verdict::Warning),
        ] {
            assert_eq!(judge(admits, public).verdict, expected);
        }
    }

    #[test]
    fn a_limit_that_is_nearly_reached_is_a_warning() {
        let limit = |remaining| RateLimit {
            limit: 5_000,
            remaining,
            reset: Timestamp(1_800_000_000),
        };
        assert_eq!(judge_limit("acme", &limit(500)).verdict, Verdict::Ok);
        let told = judge_limit("acme", &limit(499));
        assert_eq!(told.verdict, Verdict::Warning);
        assert!(told.problem.unwrap().contains("until 08:00:00 UTC"));
    }
}
