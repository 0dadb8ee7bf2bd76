//! The real program as the child, with real components: what it admits, what it refuses, and what kills
//! it.

// Everything here is a test, and a test that can't go on is to say where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::Arc;

use stoker_admission::child::InChild;
use stoker_admission::confine::ChildLimits;
use stoker_admission::judge::{Answer, Judge as _, JudgeError, Opened, Question};
use stoker_policy::engine::Configuration;
use stoker_policy::{Decision, SizeClass};

fn judge(size: SizeClass, may_use: ChildLimits) -> InChild {
    InChild::new(
        env!("CARGO_BIN_EXE_policy-admission"),
        Configuration::STANDARD,
        size.limits(),
        may_use,
    )
}

fn component(folder: &str, name: &str) -> Arc<Vec<u8>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    let path = target.join(folder).join(name).join("policy.wasm");
    let bytes = std::fs::read(&path);
    Arc::new(
        bytes.unwrap_or_else(|error| {
            panic!("{}: {error}. `make policies` builds it", path.display())
        }),
    )
}

async fn tried(size: SizeClass, component: Arc<Vec<u8>>, settings: &str) -> Answer {
    let judge = judge(size, ChildLimits::default());
    match judge.open(component).await.unwrap() {
        Opened::Refused(problem) => Err(problem),
        Opened::Open {
            code,
            native,
            mut policy,
            ..
        } => {
            assert_eq!(code.engine, Configuration::STANDARD.id());
            assert_eq!(native.len() as u64, code.bytes);
            let question = Question {
                decision: Decision::ScaleUp,
                settings: settings.to_owned(),
                trial: true,
            };
            policy.ask(vec![question]).await.unwrap().remove(0)
        }
    }
}

#[tokio::test]
async fn the_shipped_policy_passes_and_its_settings_are_judged() {
    let default = component("shipped", "default");
    let small = SizeClass::Small;
    assert!(tried(small, Arc::clone(&default), "{}").await.is_ok());
    let refused = tried(small, default, r#"{"max_runner":3}"#).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.cause, "settings-refused");
    assert!(refused.message.contains("max_runner"), "{refused:?}");
}

#[tokio::test]
async fn policies_that_reach_out_of_their_sandbox_are_refused_with_what_they_wanted() {
    for (name, cause) in [
        ("opens-sockets", "called-a-stub"),
        ("reads-files", "called-a-stub"),
        ("spins", "out-of-fuel"),
        ("eats-memory", "out-of-memory"),
        ("recurses", "stack-overflow"),
        ("traps", "trapped"),
        ("asks-for-atlantis", "unknown-zone"),
    ] {
        let refused = tried(SizeClass::Small, component("test-policies", name), "{}").await;
        assert_eq!(refused.unwrap_err().cause, cause, "{name}");
    }
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let nonsense = Arc::new(b"\0asm nonsense".to_vec());
    let refused = tried(SizeClass::Small, nonsense, "{}").await.unwrap_err();
    assert_eq!(refused.cause, "not-a-component");
}

#[tokio::test]
async fn a_component_that_takes_too_much_to_compile_dies_alone() {
    let few = ChildLimits {
        memory_bytes: 6 << 20,
        ..ChildLimits::default()
    };
    let opened = judge(SizeClass::Small, few)
        .open(component("shipped", "default"))
        .await;
    let Err(JudgeError::Killed(how)) = opened else {
        panic!("it lives");
    };
    assert!(how.contains("signal 6"), "{how}");
}

#[tokio::test]
async fn a_component_that_takes_more_time_than_there_is_is_killed_and_told_so() {
    let second = ChildLimits {
        cpu_seconds: 1,
        ..ChildLimits::default()
    };
    let interpreter = component("examples-policies", "javascript");
    let opened = judge(SizeClass::Large, second).open(interpreter).await;
    let Err(JudgeError::Killed(how)) = opened else {
        panic!("it takes two seconds to compile");
    };
    assert!(how.contains("signal"), "{how}");
}
