//! The situations of the golden decisions.

use stoker_policy_sdk::facts::{RunnerPhase, Situation};
use stoker_policy_sdk::sync;
use stoker_policy_sdk::testing::{Fleet, fleet};

/// What is asked.
pub(crate) enum Asked {
    ScaleUp(Situation),
    ScaleDown(Situation),
    Sync(sync::Situation),
}

/// A golden decision.
pub(crate) struct Case {
    pub(crate) policy: &'static str,
    pub(crate) file: &'static str,
    /// A sentence.
    pub(crate) about: &'static str,
    pub(crate) asked: Asked,
}

fn up(policy: &'static str, file: &'static str, about: &'static str, fleet: Fleet) -> Case {
    Case {
        policy,
        file,
        about,
        asked: Asked::ScaleUp(fleet.build()),
    }
}

fn down(file: &'static str, about: &'static str, fleet: Fleet) -> Case {
    Case {
        policy: "default",
        file,
        about,
        asked: Asked::ScaleDown(fleet.build()),
    }
}

fn pinned(file: &'static str, about: &'static str, settings: &str, minimum: Option<&str>) -> Case {
    let release = |version: &str, days: u32, mirrored: bool, offered: bool| sync::Release {
        version: version.to_owned(),
        age: days * 86_400,
        prerelease: false,
        platforms: vec!["linux-x64".to_owned()],
        mirrored: if mirrored {
            vec!["linux-x64".to_owned()]
        } else {
            Vec::new()
        },
        offered,
        attributes: Vec::new(),
    };
    Case {
        policy: "pinned-sync",
        file,
        about,
        asked: Asked::Sync(sync::Situation {
            now: 1_800_000_000,
            settings: settings.to_owned(),
            releases: vec![
                release("2.331.0", 1, false, false),
                release("2.330.0", 8, false, false),
                release("2.329.0", 30, true, true),
                release("2.328.1", 45, true, false),
                release("2.328.0", 60, true, false),
                release("2.327.0", 90, true, false),
            ],
            minimum_version: minimum.map(ToOwned::to_owned),
            attributes: Vec::new(),
        }),
    }
}

fn two_classes() -> Fleet {
    fleet()
        .class("small", &["self-hosted", "linux"])
        .class_maximum(6)
        .class("large", &["self-hosted", "linux", "large"])
        .class_maximum(3)
}

const LINUX: &[&str] = &["self-hosted", "linux"];
const LARGE: &[&str] = &["self-hosted", "linux", "large"];

const STOCK: &str = r#"{"idle":[{"schedule":"* 8-17 * * mon-fri","time_zone":"Europe/Berlin","count":2,"class":"small"}]}"#;

pub(crate) fn all() -> Vec<Case> {
    [default(), fair_share(), budget(), pinned_sync()]
        .into_iter()
        .flatten()
        .collect()
}

fn default() -> Vec<Case> {
    vec![
        up(
            "default",
            "busy-morning",
            "Runners that are there are used first; the rest is launched by class, and who waited long or \
             was interrupted gets what is not taken back.",
            two_classes()
                .maximum(12)
                .jobs(3, "app", LINUX)
                .job("app", LARGE)
                .interrupted()
                .job("lib", LINUX)
                .waited(1_200)
                .runner("small", RunnerPhase::Idle, 400)
                .runner("small", RunnerPhase::Booting, 40)
                .runner("large", RunnerPhase::Busy, 900)
                .for_repository("lib"),
        ),
        up(
            "default",
            "no-room",
            "Every job that waits is told what it waits for.",
            two_classes()
                .maximum(9)
                .settings(r#"{"max_runners":8}"#)
                .jobs(9, "app", LINUX)
                .jobs(1, "lib", &["windows"])
                .runner("small", RunnerPhase::Busy, 900)
                .for_repository("app"),
        ),
        up(
            "default",
            "idle-stock",
            "In the hours of the idle stock, runners are launched before anybody asks.",
            two_classes()
                .settings(STOCK)
                .zone("Europe/Berlin", 5, 9, 30)
                .job("app", LINUX)
                .runner("small", RunnerPhase::Idle, 400),
        ),
        down(
            "surplus",
            "Idle runners go when nobody needs them, are old enough, and no stock wants them.",
            two_classes()
                .settings(STOCK)
                .zone("Europe/Berlin", 5, 9, 30)
                .runner("large", RunnerPhase::Busy, 9_000)
                .runner("small", RunnerPhase::Idle, 4_000)
                .runner("small", RunnerPhase::Idle, 2_000)
                .runner("small", RunnerPhase::Idle, 1_000)
                .runner("large", RunnerPhase::Idle, 200)
                .runner("large", RunnerPhase::Unknown, 700),
        ),
    ]
}

fn fair_share() -> Vec<Case> {
    vec![
        up(
            "fair-share",
            "five-hundred-and-two",
            "One repository's 500 jobs do not starve another's two.",
            fleet()
                .class("small", LINUX)
                .maximum(10)
                .jobs(500, "monorepo", LINUX)
                .jobs(2, "tool", LINUX),
        ),
        up(
            "fair-share",
            "weights-and-priorities",
            "A hotfix goes first; then twice the weight gets twice the runners, those that are there \
             included.",
            fleet()
                .class("small", LINUX)
                .maximum(9)
                .settings(
                    r#"{"weights":[{"repository":"app","weight":2}],"priorities":[{"branch":"hotfix/*","priority":10}]}"#,
                )
                .jobs(8, "app", LINUX)
                .jobs(8, "lib", LINUX)
                .job("web", LINUX)
                .branch("hotfix/login")
                .runner("small", RunnerPhase::Busy, 300)
                .for_repository("lib")
                .runner("small", RunnerPhase::Busy, 200)
                .for_repository("lib"),
        ),
    ]
}

fn budget() -> Vec<Case> {
    let of = |spent: f64| {
        two_classes()
            .settings(r#"{"per_day":10,"first_branches":["main"]}"#)
            .jobs(2, "app", LINUX)
            .job("app", LINUX)
            .branch("feature")
            .job("app", LARGE)
            .interrupted()
            .spent(0.4, spent, 3.0 * spent)
    };
    vec![
        up(
            "budget",
            "far-from-the-limit",
            "Far from the limit the budget is not noticed.",
            of(2.0),
        ),
        up(
            "budget",
            "spot-only",
            "Close to the limit only spot capacity is launched, whoever asks.",
            of(9.0),
        ),
        up(
            "budget",
            "named-branches-only",
            "In the last stretch only the named branches are served, and the others are told when there is \
             more.",
            of(9.6),
        ),
    ]
}

fn pinned_sync() -> Vec<Case> {
    vec![
        pinned(
            "soaked",
            "The newest release that has soaked is offered; what is neither offered nor kept for going \
             back is deleted.",
            "{}",
            None,
        ),
        pinned(
            "floor-breaks-pin",
            "A pin that GitHub would refuse is broken, for the oldest release that it accepts.",
            r#"{"pin":"2.328.0"}"#,
            Some("2.329.0"),
        ),
    ]
}
