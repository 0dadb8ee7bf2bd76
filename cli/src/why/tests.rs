mod kept;

use stoker_core::class::Capacity;
use stoker_core::guardrails::{Edit, Rule};
use stoker_core::happening::{DecidedDeferral, DecidedLaunch, Decision, Happening};
use stoker_core::ids::{ArtifactDigest, ClassName, IntentId, ScopeKey};
use stoker_core::intent::Refusal;
use stoker_core::job::JobPhase;
use stoker_core::journal::{RecordName, Story};
use stoker_core::plan::{DecidedBy, Fallback, Instead, Plan, PolicyLevel};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_intake::Action;

use self::kept::*;
use super::*;

#[tokio::test]
async fn a_story_is_told_from_the_webhook_to_the_end_of_the_runner() {
    let mut kept = Kept::new();
    let decision = Decision {
        launches: vec![launch([4711])],
        ..decision()
    };
    kept.decided(3, &decision, &plan(&[11]));
    kept.happened(4, &launched(1, [1]));
    kept.happened(
        5,
        &Happening::Configured {
            instance: instance(1).parse().unwrap(),
            intent: IntentId("i".to_owned()),
            scope: ScopeKey::Organization(4.into()),
            runner: "stoker-1".to_owned(),
        },
    );
    kept.happened(5, &changed(1, RunnerPhase::Booting));
    let busy = RunnerPhase::Busy { job: key(4711) };
    kept.happened(44, &folded(Action::InProgress, JobPhase::InProgress));
    kept.happened(44, &changed(1, busy));
    kept.happened(86_400, &folded(Action::Completed, JobPhase::Ended));
    kept.happened(86_400, &changed(1, RunnerPhase::Ended));
    kept.job.phase = JobPhase::Ended;
    kept.job.runner_name = Some("stoker-i-00000000000000001".to_owned());
    kept.job.conclusion = Some("success".to_owned());
    kept.runner(&Runner {
        name: "stoker-i-00000000000000001".to_owned(),
        phase: RunnerPhase::Ended,
        phase_since: at(86_400),
        booted_at: Some(at(40)),
        ..runner(1)
    })
    .await;
    let received = "webhook `workflow_job queued` (delivery a-b), folded into the ledger";
    assert_eq!(
        kept.lines().await,
        [
            "build of acme/app  labels self-hosted, linux; workflow CI; branch main",
            "ended (success) on stoker-i-00000000000000001 (small, spot, c7i.large)",
            "queued 2027-01-15 08:00:00 UTC",
            &format!("08:00:02     +2s received   {received}: it waits for a runner"),
            &format!("08:00:03     +3s decided    {BY}: launch 1 small (spot): jobs wait"),
            "08:00:04     +4s EC2        gave 1 of 1 small (spot): i-00000000000000001 (c7i.large)",
            "08:00:05     +5s registered i-00000000000000001 may register as stoker-1",
            "08:00:40    +40s booted     stoker-i-00000000000000001 was up 36 s after its launch",
            "08:00:44    +44s received   webhook `workflow_job in_progress` (delivery a-b), folded into the ledger: it \
             runs, on stoker-i-00000000000000001",
            "08:00:44    +44s taken      stoker-1 is busy with it",
            "2027-01-16",
            "08:00:00 +86400s received   webhook `workflow_job completed` (delivery a-b), folded into the ledger: it has \
             ended",
            "08:00:00 +86400s runner     stoker-1 is gone",
        ]
    );
    assert_eq!(kept.known().await.records_read, 1);
}

#[tokio::test]
async fn a_job_that_a_guardrail_cut_is_told_the_rule_and_not_others_edits() {
    let mut kept = Kept::new();
    let edit = |rule, class: &str, granted| Edit {
        rule,
        class: ClassName(class.to_owned()),
        capacity: Capacity::Spot,
        asked: 20,
        granted,
    };
    let decision = Decision {
        deferrals: vec![
            DecidedDeferral {
                unnamed_jobs: 0,
                jobs: vec![key(4712)],
                retry_after: None,
                rule: None,
                reason: "another's".to_owned(),
            },
            cut(Rule::ClassMaximum),
        ],
        edits: vec![
            edit(Rule::ClassMaximum, "large", 0),
            edit(Rule::ClassMaximum, "small", 9),
            edit(Rule::SpendLimit, "small", 3),
        ],
        ..decision()
    };
    let plan = Plan {
        deferrals: vec![stoker_core::plan::Deferral {
            jobs: vec![12],
            retry_after: None,
            reason: "another's".to_owned(),
        }],
        ..plan(&[11])
    };
    kept.decided(3, &decision, &plan);
    let lines = kept.lines().await;
    let cut = "it got none: the class's maximum of runners is reached (9 of 20 small (spot) granted); decided again \
               in 60 s";
    assert_eq!(lines[1], format!("waits for 100 s now: {cut}"));
    assert_eq!(
        lines[4..],
        [
            format!("08:00:03     +3s decided    {BY}: wanted a small (spot) for it: jobs wait"),
            format!("08:00:03     +3s guardrail  {cut}"),
        ]
    );
    assert_eq!(bounds(&kept.known().await), ["class-maximum"]);
}

#[tokio::test]
async fn a_rule_that_takes_a_job_out_without_an_edit_is_named_too() {
    let mut kept = Kept::new();
    let decision = Decision {
        deferrals: vec![cut(Rule::RepositoryMaximum)],
        ..decision()
    };
    kept.decided(3, &decision, &plan(&[11]));
    assert_eq!(bounds(&kept.known().await), ["repository-maximum"]);
}

#[tokio::test]
async fn where_spot_is_paused_the_on_demand_launch_is_explained() {
    let mut kept = Kept::new();
    let decision = Decision {
        launches: vec![DecidedLaunch {
            capacity: Capacity::OnDemand,
            ..launch([4711])
        }],
        edits: vec![Edit {
            rule: Rule::SpotPaused,
            class: ClassName("small".to_owned()),
            capacity: Capacity::Spot,
            asked: 1,
            granted: 1,
        }],
        ..decision()
    };
    kept.decided(3, &decision, &plan(&[11]));
    let lines = kept.lines().await;
    assert!(
        lines[4].ends_with("launch 1 small (on-demand): jobs wait"),
        "{lines:?}"
    );
    assert!(
        lines[5].contains("guardrail  EC2 had no spot capacity several times in a row"),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("what EC2 answered is not on record yet"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_fallback_is_told_before_what_was_decided_instead() {
    let fallback = |instead| Fallback {
        cause: "out-of-fuel".to_owned(),
        message: "it used up its fuel".to_owned(),
        level: Some(PolicyLevel::Repository),
        digest: Some(ArtifactDigest::of(b"x")),
        instead,
        alarm: false,
    };
    let own_plan = Plan {
        deferrals: vec![stoker_core::plan::Deferral {
            jobs: vec![11],
            retry_after: Some(60),
            reason: "later".to_owned(),
        }],
        ..Plan::default()
    };
    let mut kept = Kept::new();
    let built_in = Decision {
        by: DecidedBy {
            policy: "default 0.1.0 (built in)".to_owned(),
            level: PolicyLevel::BuiltIn,
            digest: None,
            generation: Some(stoker_core::ids::PolicyGeneration(7)),
            fuel: None,
        },
        fallback: Some(fallback(Instead::BuiltIn)),
        deferrals: vec![deferral("later")],
        ..decision()
    };
    kept.decided(3, &built_in, &own_plan);
    let lines = kept.lines().await;
    let waits = "the built-in rules (default 0.1.0, generation 7): later; decided again in 60 s";
    assert_eq!(
        lines[4..],
        [
            "08:00:03     +3s fallback   the policy that should have decided (repository level, sha256 2d711642b726) did \
             not (out-of-fuel): it used up its fuel"
                .to_owned(),
            format!("08:00:03     +3s waits      {waits}"),
        ]
    );
    assert_eq!(lines[1], format!("waits for 100 s now: {waits}"));
    assert_eq!(bounds(&kept.known().await), ["policy"]);
    let mut kept = Kept::new();
    let held = Decision {
        fallback: Some(fallback(Instead::Hold)),
        ..built_in
    };
    kept.decided(3, &held, &own_plan);
    assert_eq!(bounds(&kept.known().await), ["fallback"]);
}

#[tokio::test]
async fn what_ec2_did_not_have_is_told_as_what_the_job_waits_for() {
    let mut kept = Kept::new();
    let decision = Decision {
        launches: vec![launch([4710, 4711])],
        ..decision()
    };
    kept.decided(3, &decision, &plan(&[10, 11]));
    let mut answer = launched(2, [1]);
    if let Happening::Launched { refusals, .. } = &mut answer {
        refusals.push(Refusal {
            code: "InsufficientInstanceCapacity".to_owned(),
            message: "no room".to_owned(),
        });
    }
    kept.happened(4, &answer);
    // Of an earlier decision.
    kept.job.last_deferral = Some("at the maximum".to_owned());
    let lines = kept.lines().await;
    assert!(
        lines[1]
            .contains("EC2 did not have what was decided for it (InsufficientInstanceCapacity)"),
        "{lines:?}"
    );
    assert!(
        lines[5].ends_with(
            "EC2        gave 1 of 2 small (spot), none in this job's place; InsufficientInstanceCapacity: no room"
        ),
        "{lines:?}"
    );
    assert_eq!(bounds(&kept.known().await), ["no-capacity"]);
}

#[tokio::test]
async fn of_a_launch_for_many_jobs_only_the_instance_in_the_job_s_place_is_told() {
    let mut kept = Kept::new();
    let decision = Decision {
        launches: vec![launch(4700..4720)],
        ..decision()
    };
    kept.decided(3, &decision, &plan(&(0..20).collect::<Vec<_>>()));
    kept.happened(4, &launched(20, 0..20));
    for n in 0..20 {
        kept.happened(40, &changed(n, RunnerPhase::Idle));
        kept.runner(&Runner {
            phase: RunnerPhase::Idle,
            booted_at: Some(at(40)),
            ..runner(n)
        })
        .await;
    }
    let lines = kept.lines().await;
    assert!(
        lines[1].contains("stoker-11, launched for it, is idle"),
        "{lines:?}"
    );
    assert_eq!(
        lines[4..],
        [
            format!(
                "08:00:03     +3s decided    {BY}: launch 20 small (spot) for it and 19 other jobs: jobs wait"
            ),
            "08:00:04     +4s EC2        gave 20 of 20 small (spot), of them in this job's place: i-00000000000000011 \
             (c7i.large)"
                .to_owned(),
            "08:00:40    +40s booted     stoker-11 is idle, 36 s after its launch".to_owned(),
        ]
    );
    assert_eq!(kept.known().await.runners.len(), 1);
}

#[tokio::test]
async fn a_runner_that_never_booted_and_one_of_another_launch_that_took_the_job_are_told() {
    let mut kept = Kept::new();
    let decision = Decision {
        launches: vec![launch([4711])],
        ..decision()
    };
    kept.decided(3, &decision, &plan(&[11]));
    kept.happened(4, &launched(1, [1]));
    kept.runner(&Runner {
        phase: RunnerPhase::Ended,
        phase_since: at(34),
        interrupted: true,
        ..runner(1)
    })
    .await;
    let lines = kept.lines().await;
    let never = "stoker-1 never booted: it is gone, 30 s after its launch: EC2 took it back (spot interruption)";
    assert!(
        lines[1].contains("stoker-1, launched for it, is gone and never booted"),
        "{lines:?}"
    );
    assert_eq!(lines[6], format!("08:00:34    +34s not booted {never}"));

    kept.job.phase = JobPhase::InProgress;
    kept.job.runner_name = Some("stoker-i-00000000000000002".to_owned());
    kept.runner(&Runner {
        name: "stoker-i-00000000000000002".to_owned(),
        launched_at: Timestamp(QUEUED - 60),
        booted_at: Some(Timestamp(QUEUED - 20)),
        phase: RunnerPhase::Busy { job: key(4711) },
        ..runner(2)
    })
    .await;
    let lines = kept.lines().await;
    assert_eq!(
        lines[1],
        "runs on stoker-i-00000000000000002 (small, spot, c7i.large)"
    );
    assert_eq!(
        lines[3],
        "07:59:00    -60s runner     stoker-i-00000000000000002 (small, spot, c7i.large) was launched for other jobs, \
         or for none in particular"
    );
    assert_eq!(
        lines[4],
        "07:59:40    -20s booted     stoker-i-00000000000000002 was up 40 s after its launch"
    );

    kept.job.runner_name = Some("somebody-s".to_owned());
    let lines = kept.lines().await;
    assert!(
        lines[1].contains("which is no runner of this deployment"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_can_not_be_told_is_said() {
    let mut kept = Kept::new();
    let known = kept.known().await;
    let lines = told(&known);
    assert_eq!(
        lines[1],
        "waits for 100 s now: it was not decided about yet"
    );
    assert_eq!(known.missing, [""; 0]);

    for part in 2..60 {
        kept.job.story.add(Some(RecordName::new(at(part), part)));
    }
    let known = kept.known().await;
    assert_eq!(known.records_read, 1);
    assert_eq!(known.missing.len(), Story::MOST, "{:?}", known.missing);
    assert!(
        known.missing[0].contains("24 at most"),
        "{:?}",
        known.missing
    );
    let lines = told(&known);
    assert!(
        lines[1].ends_with("what was decided about it can't be read"),
        "{lines:?}"
    );
    assert!(
        lines[5].contains(
            "it was not written (the process died, or is about to write it), or has expired"
        ),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_nothing_is_known_of_is_told_apart() {
    let mut kept = Kept::new();
    let journal = FolderJournal::new(kept.folder.path());
    let found = gather(&kept.ledger, &journal, &named(4711)).await.unwrap();
    let words = unknown(&named(4711), &found);
    assert!(
        words.starts_with("Nothing is known of job 4711 of acme/app. No job of that repository")
    );
    kept.known().await;
    let found = gather(&kept.ledger, &journal, &named(71)).await.unwrap();
    let words = unknown(&named(71), &found);
    assert!(
        words.contains("Is it the id of the job, and not that of its run?"),
        "{words}"
    );
}
