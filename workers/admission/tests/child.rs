//! The process that compiles and tries: what it is given, and what it can't reach.

// Everything here is a test, and a test that can't go on is to say where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use stoker_admission::child::InChild;
use stoker_admission::confine::ChildLimits;
use stoker_admission::judge::{Judge as _, JudgeError, Opened};
use stoker_policy::SizeClass;
use stoker_policy::engine::Configuration;

fn judge(program: &str) -> InChild {
    InChild::new(
        program,
        Configuration::STANDARD,
        SizeClass::Small.limits(),
        ChildLimits::default(),
    )
}

#[tokio::test]
async fn whoever_takes_over_the_child_has_no_credentials_no_files_no_network_and_no_way_out() {
    let judge = judge(env!("CARGO_BIN_EXE_break-out"));
    let opened = judge.open(Arc::new(b"component".to_vec())).await;
    let Opened::Refused(told) = opened.unwrap() else {
        panic!("it opened");
    };
    assert_eq!(told.cause, "break-out");
    let told = told.message;
    assert!(!told.contains("REACHED"), "{told}");
    assert!(told.matches("refused (").count() >= 14, "{told}");
    assert!(told.contains("environment: 0;"), "{told}");
    // Its two pipes, and standard error.
    assert!(told.contains("files: 0 1 2;"), "{told}");
}

#[tokio::test]
async fn a_program_that_is_not_there_says_nothing_of_the_component() {
    let opened = judge("/nonexistent").open(Arc::default()).await;
    assert!(matches!(opened, Err(JudgeError::Unable(_))));
}

#[tokio::test]
async fn a_child_that_dies_is_told_of_with_how() {
    let opened = judge("/bin/false").open(Arc::default()).await;
    let Err(JudgeError::Killed(how)) = opened else {
        panic!("it lives");
    };
    assert!(how.contains("exit status: 1"), "{how}");
}
