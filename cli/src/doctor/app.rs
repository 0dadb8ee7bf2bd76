//! What the App may do and hears, as GitHub and the accounts that installed it see it.

use std::collections::BTreeMap;

use stoker_core::limits::RunnerLevel;
use stoker_github::inspect::{AppFacts, InstallationFacts};

use super::finding::{Check, Finding};

/// The event without which nothing is heard of jobs.
const JOBS: &str = "workflow_job";

/// The other one, which needs a permission of its own.
const CHECKS: &str = "check_run";

/// The permission that repository runners take.
const REPOSITORY_RUNNERS: &str = "administration";

/// The permissions that the App needs: name, level, and what for.
fn needed(level: RunnerLevel) -> [(&'static str, &'static str, &'static str); 3] {
    let runners = match level {
        RunnerLevel::Organization => (
            "organization_self_hosted_runners",
            "write",
            "runners can't be registered with an organisation",
        ),
        RunnerLevel::Repository => (
            REPOSITORY_RUNNERS,
            "write",
            "runners can't be registered with a repository",
        ),
    };
    [
        runners,
        ("actions", "read", "jobs can't be looked up"),
        ("metadata", "read", "repositories can't be listed"),
    ]
}

/// Higher levels include lower ones.
fn rank(level: Option<&str>) -> u8 {
    match level {
        Some("read") => 1,
        Some("write") => 2,
        Some("admin") => 3,
        _ => 0,
    }
}

fn level_of<'a>(permissions: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    permissions.get(name).map(String::as_str)
}

/// What the App's own settings lack.
pub(super) fn judge_app(app: &AppFacts, level: RunnerLevel) -> Vec<Finding> {
    let name = &app.name;
    let mut findings = Vec::new();
    for (permission, wanted, without) in needed(level) {
        let subject = format!("the permission `{permission}: {wanted}` of {name}");
        let has = level_of(&app.permissions, permission);
        findings.push(if rank(has) >= rank(Some(wanted)) {
            Check::App.ok(subject)
        } else {
            let has = has.unwrap_or("no access");
            Check::App.failure(
                subject,
                format!("it has {has}: {without}"),
                format!(
                    "set it to {wanted} on the App's page (Permissions & events), then have each installation \
                     accept it"
                ),
            )
        });
    }
    let hears = |event: &str| app.events.iter().any(|known| known == event);
    let subject = format!("the event `{JOBS}` of {name}");
    findings.push(if hears(JOBS) {
        Check::App.ok(subject)
    } else {
        Check::App.failure(
            subject,
            "it is not subscribed to: no job is ever heard of",
            "tick \"Workflow job\" on the App's page (Permissions & events)",
        )
    });
    if hears(CHECKS) && rank(level_of(&app.permissions, "checks")) == 0 {
        findings.push(Check::App.warning(
            format!("the event `{CHECKS}` of {name}"),
            "it is subscribed to without the permission `checks: read`, so GitHub sends none",
            "grant `checks: read`, or leave the event out: workflow_job says all that is needed",
        ));
    }
    findings
}

/// Where the App is installed, and what those accounts have not accepted. Without the App's own facts only
/// that is judged which needs none.
pub(super) fn judge_installations(
    installations: &[InstallationFacts],
    app: Option<&AppFacts>,
    level: RunnerLevel,
) -> Vec<Finding> {
    if installations.is_empty() {
        return vec![Check::Installations.failure(
            "installations",
            "the App is installed nowhere: no webhook comes, and no runner can be registered",
            "install it from its page (Install App) on the organisations that are to have runners",
        )];
    }
    let each = installations.iter();
    each.flat_map(|one| judge_installation(one, app, level))
        .collect()
}

fn judge_installation(
    installation: &InstallationFacts,
    app: Option<&AppFacts>,
    level: RunnerLevel,
) -> Vec<Finding> {
    let subject = called(installation);
    if installation.is_suspended {
        return vec![Check::Installations.warning(
            subject,
            "it is suspended: its jobs are not heard of and get no runner",
            "unsuspend it in the account's settings (GitHub Apps), or uninstall the App there",
        )];
    }
    let mut findings = Vec::new();
    if let Some(app) = app {
        findings.extend(not_accepted(installation, app, level));
        // Accounts of users have repository runners alone.
        if !installation.is_organization
            && level == RunnerLevel::Organization
            && rank(level_of(&app.permissions, REPOSITORY_RUNNERS)) < 2
        {
            findings.push(Check::Installations.warning(
                &subject,
                "it is a user's account, whose repositories have runners of their own, and the App lacks \
                 `administration: write` for those",
                "grant that to the App, or uninstall it there",
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Check::Installations.ok(subject));
    }
    findings
}

/// What it is called in sentences.
pub(super) fn called(installation: &InstallationFacts) -> String {
    match &installation.login {
        Some(login) => format!("the installation on {login}"),
        None => format!("the installation {}", installation.id),
    }
}

fn not_accepted(
    installation: &InstallationFacts,
    app: &AppFacts,
    level: RunnerLevel,
) -> Option<Finding> {
    let has = |name: &str| rank(level_of(&installation.permissions, name));
    let lacking: Vec<(&str, &str)> = app
        .permissions
        .iter()
        // A user's account has nothing that an organisation's permission could be about.
        .filter(|(name, _)| installation.is_organization || !name.starts_with("organization_"))
        .filter(|(name, wanted)| has(name) < rank(Some(wanted)))
        .map(|(name, wanted)| (name.as_str(), wanted.as_str()))
        .collect();
    let hears = |event: &String| installation.events.contains(event);
    let unheard = app
        .events
        .iter()
        .any(|event| event == JOBS && !hears(event));
    if lacking.is_empty() && !unheard {
        return None;
    }
    let mut names: Vec<String> = lacking
        .iter()
        .map(|(name, wanted)| format!("`{name}: {wanted}`"))
        .collect();
    if unheard {
        names.push(format!("the event `{JOBS}`"));
    }
    let problem = format!("it has not accepted {}", names.join(", "));
    let remedy = "an owner of the account accepts the new permissions: the account's settings, GitHub Apps, \
        Review request";
    let needed = needed(level);
    let is_needed = |name: &str, wanted: &str| {
        let mut all = needed.iter();
        all.any(|(one, least, _)| {
            *one == name && has(name) < rank(Some(least)) && !wanted.is_empty()
        })
    };
    let subject = called(installation);
    let stops = unheard || lacking.iter().any(|(name, wanted)| is_needed(name, wanted));
    Some(if stops {
        Check::Installations.failure(subject, problem, remedy)
    } else {
        Check::Installations.warning(subject, problem, remedy)
    })
}

#[cfg(test)]
mod tests {
    use stoker_intake::InstallationId;

    use super::super::finding::Verdict;
    use super::*;

    fn permissions(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let all = all.iter();
        all.map(|(name, level)| ((*name).to_owned(), (*level).to_owned()))
            .collect()
    }

    fn sound() -> AppFacts {
        AppFacts {
            name: "stoker".to_owned(),
            permissions: permissions(&[
                ("organization_self_hosted_runners", "write"),
                ("actions", "read"),
                ("metadata", "read"),
            ]),
            events: vec![JOBS.to_owned()],
        }
    }

    fn installed() -> InstallationFacts {
        InstallationFacts {
            id: InstallationId::new(7),
            login: Some("acme".to_owned()),
            is_organization: true,
            is_suspended: false,
            permissions: sound().permissions,
            events: vec![JOBS.to_owned()],
        }
    }

    fn wrong(findings: &[Finding]) -> Vec<(Verdict, String)> {
        let wrong = findings.iter().filter(|one| one.verdict != Verdict::Ok);
        wrong
            .map(|one| {
                let problem = one.problem.as_deref().unwrap_or_default();
                (one.verdict, format!("{}: {problem}", one.subject))
            })
            .collect()
    }

    #[test]
    fn an_app_with_what_is_needed_is_sound() {
        assert_eq!(wrong(&judge_app(&sound(), RunnerLevel::Organization)), []);
        let more = AppFacts {
            permissions: permissions(&[
                ("administration", "admin"),
                ("actions", "write"),
                ("metadata", "read"),
            ]),
            ..sound()
        };
        assert_eq!(wrong(&judge_app(&more, RunnerLevel::Repository)), []);
    }

    #[test]
    fn what_an_app_lacks_is_named() {
        let bare = AppFacts {
            permissions: permissions(&[("organization_self_hosted_runners", "read")]),
            events: vec![CHECKS.to_owned()],
            ..sound()
        };
        let told = wrong(&judge_app(&bare, RunnerLevel::Organization));
        let failures = told.iter().filter(|(how, _)| *how == Verdict::Failure);
        assert_eq!(failures.count(), 4, "{told:?}");
        for part in [
            "it has read",
            "`actions: read`",
            "`metadata: read`",
            "`workflow_job`",
            "`checks: read`",
        ] {
            assert!(
                told.iter().any(|(_, text)| text.contains(part)),
                "{part}: {told:?}"
            );
        }
    }

    #[test]
    fn installations_are_held_against_the_app() {
        let app = sound();
        let level = RunnerLevel::Organization;
        let judge = |one: InstallationFacts| wrong(&judge_installations(&[one], Some(&app), level));
        assert_eq!(judge(installed()), []);
        let behind = InstallationFacts {
            permissions: permissions(&[("actions", "read"), ("metadata", "read")]),
            ..installed()
        };
        let told = judge(behind);
        assert_eq!(told[0].0, Verdict::Failure);
        assert!(
            told[0]
                .1
                .contains("`organization_self_hosted_runners: write`")
        );
        let suspended = InstallationFacts {
            is_suspended: true,
            ..installed()
        };
        assert_eq!(judge(suspended)[0].0, Verdict::Warning);
        let user = InstallationFacts {
            is_organization: false,
            permissions: permissions(&[("actions", "read"), ("metadata", "read")]),
            ..installed()
        };
        let told = judge(user);
        assert!(
            told.len() == 1 && told[0].1.contains("administration"),
            "{told:?}"
        );
        assert_eq!(
            wrong(&judge_installations(&[], Some(&app), level))[0].0,
            Verdict::Failure
        );
    }

    #[test]
    fn what_is_not_needed_is_only_a_warning() {
        let mut app = sound();
        app.permissions
            .insert("checks".to_owned(), "read".to_owned());
        let told = judge_installations(&[installed()], Some(&app), RunnerLevel::Organization);
        assert_eq!(wrong(&told)[0].0, Verdict::Warning);
    }
}
