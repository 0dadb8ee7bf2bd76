//! Two versions of the contract side by side.

use super::*;
use crate::SizeClass;

fn of(names: &[&str]) -> Result<Spoken, Failure> {
    spoken(names.iter().copied())
}

#[test]
fn a_component_speaks_the_newest_version_that_both_know() {
    let old = of(&["stoker:policy/about@0.1.0", "stoker:policy/scale-up@0.1.3"]).unwrap();
    assert_eq!(old.version, Version::V0_1);
    assert_eq!(old.decisions, [Decision::ScaleUp]);
    let both = of(&[
        "stoker:policy/about@0.1.0",
        "stoker:policy/scale-up@0.1.0",
        "stoker:policy/sync@0.2.0",
        "stoker:policy/about@0.2.0",
        "stoker:policy/about@0.3.0",
    ])
    .unwrap();
    assert_eq!(both.version, Version::V0_2);
    assert_eq!(both.decisions, [Decision::Sync]);
}

#[test]
fn what_is_no_policy_or_one_of_tomorrow_is_told_so() {
    let none = of(&["wasi:cli/run@0.2.0", "nonsense"]).unwrap_err();
    assert!(
        none.to_string()
            .starts_with("the component does not export `stoker:policy/about`")
    );
    for tomorrow in ["1.0.0", "0.10.0", "0.9", "x"] {
        let name = format!("stoker:policy/about@{tomorrow}");
        let told = of(&[&name]).unwrap_err().to_string();
        assert!(
            told.starts_with(&format!("the component speaks stoker:policy@{tomorrow}")),
            "{told}"
        );
    }
}

#[test]
fn what_is_told_of_an_export_is_one_short_line() {
    let name = format!("stoker:policy/about@9.\n\u{1b}{}", "9".repeat(5_000));
    let told = of(&[&name]).unwrap_err().to_string();
    assert!(!told.contains(char::is_control), "{told:?}");
    assert!(told.len() < 1_000, "{told}");
}

/// A test policy that `scripts/build-policies` made.
#[cfg(feature = "compiler")]
fn component(name: &str) -> Vec<u8> {
    let target = std::env::var("CARGO_TARGET_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target").to_owned());
    let path = format!("{target}/test-policies/{name}/policy.wasm");
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{path}: {error}. `make policies` (part of `make test`) builds it")
    })
}

#[cfg(feature = "compiler")]
#[test]
fn an_old_component_keeps_working_beside_one_of_a_newer_version() {
    use crate::artifact::{Loaded, Uploaded};
    use crate::engine::Configuration;
    use crate::self_check;

    let engine = Configuration::STANDARD.engine().unwrap();
    let limits = SizeClass::Small.limits();
    let load = |name: &str| {
        let bytes = component(name);
        let admitted = Uploaded::new(&bytes, &limits)
            .unwrap()
            .admit(&engine)
            .unwrap();
        Loaded::new(admitted, &limits).unwrap()
    };
    let (old, new) = (load("launches-one"), load("speaks-0-2"));
    assert_eq!(old.spoken().version, Version::V0_1);
    assert_eq!(new.spoken().version, Version::V0_2);
    assert_eq!(new.description().name, "speaks 0.2");
    let situation = self_check::situation(1, 0);
    let basis = Basis::default();
    for _ in 0..2 {
        for (policy, launched) in [(&old, 1), (&new, 7)] {
            let decided = policy
                .scale_up(&situation, PolicyLevel::Default, &basis, &limits)
                .unwrap();
            assert_eq!(decided.plan.launches[0].count, launched);
        }
    }
}
