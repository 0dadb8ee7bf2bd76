//! All that GitHub is asked, at once where one answer does not need another.

use futures::StreamExt as _;
use futures::future::join;
use futures::stream;
use stoker_core::limits::RunnerLevel;
use stoker_core::ports::{Clock as _, GitHub as _, GitHubError};
use stoker_core::time::Timestamp;
use stoker_github::inspect::{AppFacts, InstallationFacts};
use stoker_github::{App, Error as GitHubProblem};
use stoker_lambda::SystemClock;

use super::deployment::Deployment;
use super::finding::{Check, Finding, is_refused};
use super::{app, groups, hook};

/// How many installations are asked about at once.
const AT_ONCE: usize = 8;

/// Of no more installations is asked: what fails there fails for others too.
const MOST_ASKED: usize = 100;

/// The most pages of deliveries that are read, of a hundred each.
const MOST_PAGES: usize = 10;

/// Clocks that differ by more, in seconds, are worth a word.
const SKEW: u64 = 30;

/// The App's tokens are dated back by so many seconds, and no more is forgiven.
const TOO_SKEWED: u64 = 60;

/// How far this machine's clock and GitHub's are from each other. It needs no key.
pub(super) async fn clock(app: &App) -> Finding {
    const SUBJECT: &str = "this machine's clock against GitHub's";
    let before = SystemClock.now();
    match app.time_at_github().await {
        Ok(Some(there)) => judge_clock(before, SystemClock.now(), there),
        Ok(None) => Check::Clock.warning(
            SUBJECT,
            "not looked at: GitHub's answer has no date",
            "see whether a proxy takes the header `Date` away",
        ),
        Err(error) => Check::Clock.unsaid(SUBJECT, &error),
    }
}

/// GitHub said its time between two looks at the clock here.
fn judge_clock(before: Timestamp, after: Timestamp, there: Timestamp) -> Finding {
    let subject = "this machine's clock against GitHub's";
    let (off, word) = if there < before {
        (before.0 - there.0, "ahead")
    } else {
        (there.0.saturating_sub(after.0), "behind")
    };
    let problem = format!("it is {off} s {word}");
    let remedy = "set it by NTP (timedatectl set-ntp true). Lambdas have AWS's clock, which is right; `stoker up` and \
        this command have this one";
    if off > TOO_SKEWED {
        let problem = format!("{problem}: GitHub refuses what the App signs by it");
        Check::Clock.failure(subject, problem, remedy)
    } else if off > SKEW {
        Check::Clock.warning(subject, problem, remedy)
    } else {
        Check::Clock.ok(format!("{subject}: {off} s apart"))
    }
}

/// The App, its webhook, its installations, their groups and limits.
pub(super) async fn all(
    github: &App,
    deployment: &Deployment,
    webhook_url: Option<&str>,
) -> Vec<Finding> {
    let facts = github.facts().await;
    if let Err(error) = &facts
        && is_refused(error)
    {
        // Every other answer would be the same.
        return vec![Check::App.unsaid("the GitHub App", error), nothing_else()];
    }
    let (mut findings, of_hook) = join(
        app_and_accounts(github, deployment, facts),
        webhook(github, webhook_url),
    )
    .await;
    findings.extend(of_hook);
    findings
}

/// What is said of the rest where GitHub can't be asked by the App.
pub(super) fn nothing_else() -> Finding {
    Check::App.warning(
        "its webhook, installations and runner groups",
        "not looked at: GitHub answers only who has the App's id and private key",
        "mend that first, and run it again",
    )
}

async fn app_and_accounts(
    github: &App,
    deployment: &Deployment,
    facts: Result<AppFacts, GitHubProblem>,
) -> Vec<Finding> {
    let level = deployment.settings.operation.level;
    let mut findings = match &facts {
        Ok(facts) => app::judge_app(facts, level),
        Err(error) => vec![Check::App.unsaid("the GitHub App", error)],
    };
    match github.all_installations().await {
        Err(error) => findings.push(Check::Installations.unsaid("installations", &error)),
        Ok(installations) => {
            let facts = facts.as_ref().ok();
            findings.extend(app::judge_installations(&installations, facts, level));
            findings.extend(accounts(github, deployment, &installations).await);
        }
    }
    findings
}

async fn accounts(
    github: &App,
    deployment: &Deployment,
    installations: &[InstallationFacts],
) -> Vec<Finding> {
    let active: Vec<&InstallationFacts> = installations
        .iter()
        .filter(|one| !one.is_suspended && one.login.is_some())
        .collect();
    let asked = active.iter().take(MOST_ASKED);
    let each: Vec<Vec<Finding>> = stream::iter(asked)
        .map(|one| account(github, deployment, one))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut findings: Vec<Finding> = each.into_iter().flatten().collect();
    if active.len() > MOST_ASKED {
        findings.push(Check::Installations.warning(
            format!("{} installations more", active.len() - MOST_ASKED),
            format!("not looked at: only the first {MOST_ASKED} are"),
            "mend what is said of those, which mostly holds for the others",
        ));
    }
    findings
}

async fn account(
    github: &App,
    deployment: &Deployment,
    installation: &InstallationFacts,
) -> Vec<Finding> {
    let operation = &deployment.settings.operation;
    let owner = installation.login.as_deref().unwrap_or_default();
    let has_groups = installation.is_organization && operation.level == RunnerLevel::Organization;
    let group = async {
        if !has_groups {
            return None;
        }
        let configured = operation.runner_group.as_deref();
        let public = operation.guards.public_repositories;
        Some(match github.runner_groups(owner, installation.id).await {
            Ok(all) => groups::judge_group(owner, &all, configured, public),
            Err(error) => {
                Check::RunnerGroups.unsaid(format!("the runner groups of {owner}"), &error)
            }
        })
    };
    let limit = async {
        let subject = format!("GitHub's hourly limit for {owner}");
        match github.rate_limit(owner, installation.id).await {
            Ok(limit) => groups::judge_limit(owner, &limit),
            // An Enterprise Server without limits says so in this way.
            Err(error) if error.status() == Some(404) => {
                Check::Limits.ok(format!("{subject}: there is none"))
            }
            Err(error) => Check::Limits.unsaid(subject, &error),
        }
    };
    let (group, limit) = join(group, limit).await;
    group.into_iter().chain([limit]).collect()
}

async fn webhook(github: &App, expected: Option<&str>) -> Vec<Finding> {
    let (config, deliveries) = join(github.hook_config(), deliveries(github)).await;
    let mut findings = match config {
        Ok(config) => hook::judge_config(&config, expected),
        Err(error) if error.status() == Some(404) => vec![Check::Webhook.failure(
            "the App's webhook",
            "there is none: no job is ever heard of",
            "make it active on the App's page (General, Webhook), with a URL and a secret",
        )],
        Err(error) => vec![Check::Webhook.unsaid("the App's webhook", &error)],
    };
    findings.push(deliveries.unwrap_or_else(|error| {
        Check::Webhook.warning(
            "the deliveries of the App's webhook",
            format!("not looked at: {}", error.problem),
            "mend what is said of the App above, or look at its page (Advanced, Recent deliveries)",
        )
    }));
    findings
}

async fn deliveries(github: &App) -> Result<Finding, GitHubError> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    let now = SystemClock.now();
    for _ in 0..MOST_PAGES {
        let page = github.deliveries(cursor.as_deref()).await?;
        all.extend(page.deliveries);
        let is_far_enough = all
            .last()
            .is_some_and(|last| last.at.age(now) > hook::LATELY);
        cursor = page.next.filter(|_| !is_far_enough);
        if cursor.is_none() {
            break;
        }
    }
    Ok(hook::judge_deliveries(&all, now, cursor.is_none()))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_is_off_fails_where_github_would_refuse_it() {
        let judge = |there: u64| judge_clock(Timestamp(1_000), Timestamp(1_002), Timestamp(there));
        for (there, expected) in [
            (1_000, Verdict::Ok),
            (1_001, Verdict::Ok),
            (1_030, Verdict::Ok),
            (1_040, Verdict::Warning),
            (960, Verdict::Warning),
            (1_100, Verdict::Failure),
            (900, Verdict::Failure),
        ] {
            assert_eq!(judge(there).verdict, expected, "{there}");
        }
        assert!(judge(900).problem.unwrap().starts_with("it is 100 s ahead"));
        assert!(
            judge(1_102)
                .problem
                .unwrap()
                .starts_with("it is 100 s behind")
        );
    }
}
