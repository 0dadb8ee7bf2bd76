//! What `stoker why` tells of jobs, while it runs and afterwards.

use std::time::Duration;

use serde_json::Value;

use crate::stage::Stage;

/// What `stoker why` says of that job.
fn why(job: u64, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stoker"))
        .args(["why", "octocoders/hello-world", &job.to_string()])
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let wrong = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), told + &wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_s_story_is_told_while_it_runs_and_when_all_is_over() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 1).await;
    let up = format!("http://{}", stage.plane.address());
    stage.job(1, "queued", None).await;
    let runner = stage.online(1).await;
    stage.job(2, "queued", None).await;
    stage.decided(2).await;
    stage.quiet().await;
    // What happened is written down every second.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let asked = |job| {
        let up = up.clone();
        tokio::task::spawn_blocking(move || why(job, &["--up", &up]))
    };
    let (code, told) = asked(2).await.unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("waits for"), "{told}");
    assert!(
        told.contains("the operator's maximum of 1 runners for this scope is reached"),
        "{told}"
    );
    let (code, told) = asked(99).await.unwrap();
    assert_eq!(code, Some(1));
    assert!(told.contains("Nothing is known of job 99"), "{told}");
    stage.job(1, "in_progress", Some(&runner)).await;
    stage.job(1, "completed", Some(&runner)).await;
    stage.quiet().await;
    stage.plane.stop().await.unwrap();
    let (code, told) = why(1, &["--data", data.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{told}");
    let order = [
        &format!("ended (no conclusion) on {runner}"),
        "webhook `workflow_job queued`",
        "launch 1 ",
        "gave 1 of 1",
        &format!("may register as {runner}"),
        &format!("{runner} is idle"),
        "webhook `workflow_job in_progress`",
        &format!("{runner} is busy"),
        "it has ended",
    ];
    let mut rest = told.as_str();
    for words in order {
        let at = rest.find(words);
        let at = at.unwrap_or_else(|| panic!("{words:?} is not (in that order) in {told}"));
        rest = &rest[at..];
    }
    assert!(!told.contains("not told"), "{told}");
    assert!(told.contains(" UTC"), "{told}");
    let (_, told) = why(1, &["--data", data.path().to_str().unwrap(), "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["job"]["phase"], "ended");
    assert_eq!(told["runners"][0]["name"], runner.as_str());
    let steps = told["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["at"].is_string()), "{told:#}");
    let story = told["job"]["story"].as_array().unwrap();
    assert_eq!(told["records_read"], story.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stoker_up_is_not_taken_for_one_that_knows_nothing() {
    let data = tempfile::tempdir().unwrap();
    let stage = Stage::new(data.path(), 1).await;
    let asked = |up: String| tokio::task::spawn_blocking(move || why(1, &["--up", &up]));
    let root = format!("http://{}", stage.plane.address());
    let (code, told) = asked(root.clone()).await.unwrap();
    assert_eq!(code, Some(1));
    assert!(
        told.contains("No job of that repository was ever heard of"),
        "{told}"
    );
    // Another program answers 404 to whatever it does not know.
    let (code, told) = asked(format!("{root}/elsewhere")).await.unwrap();
    assert_eq!(code, Some(1));
    assert!(
        told.contains("answered 404") && !told.contains("Nothing is known"),
        "{told}"
    );
    stage.plane.stop().await.unwrap();
}
