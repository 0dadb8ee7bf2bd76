//! `stoker policy …`, as its user runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(ROOT).join("target"), Into::into)
}

/// A component that `scripts/build-policies --tests` made.
fn component(kind: &str, name: &str) -> PathBuf {
    let path = target().join(kind).join(name).join("policy.wasm");
    assert!(
        path.is_file(),
        "{} is missing: `make policies` (part of `make test`) builds it",
        path.display()
    );
    path
}

/// What a command came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

fn stoker(folder: &Path, args: &[&str]) -> Ran {
    let output = in_project(Command::new(env!("CARGO_BIN_EXE_stoker")))
        .current_dir(folder)
        .args(args)
        .output();
    Ran::of(output.unwrap())
}

/// A project of the tests is built from what the workspace's lock file has brought already, and keeps
/// what it built for the next run.
fn in_project(mut command: Command) -> Command {
    command
        .env("CARGO_TARGET_DIR", target().join("policy-projects"))
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("RUSTFLAGS");
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_new_project_builds_tests_checks_and_decides_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let told = stoker(folder.path(), &["policy", "new", "night-watch"]).succeeded();
    assert!(told.out.contains("stoker policy check"), "{}", told.out);
    let project = folder.path().join("night-watch");
    let lock = Path::new(ROOT).join("Cargo.lock");
    std::fs::copy(lock, project.join("Cargo.lock")).unwrap();

    let tests = in_project(Command::new(env!("CARGO")))
        .current_dir(&project)
        .args(["test", "--quiet"])
        .output();
    let tests = Ran::of(tests.unwrap()).succeeded();
    assert!(tests.out.contains("2 passed"), "{}", tests.out);

    let built = stoker(&project, &["policy", "build"]).succeeded();
    assert!(built.out.contains("policy.wasm"), "{}", built.out);

    let settings = ["--settings", "settings.json"];
    let check = [&["policy", "check", "policy.wasm"], &settings[..]].concat();
    let checked = stoker(&project, &check).succeeded();
    assert!(
        checked.out.contains("it may be published"),
        "{}",
        checked.out
    );
    assert!(!checked.out.contains("warning"), "{}", checked.out);

    let example = stoker(&project, &["policy", "run", "policy.wasm", "--example"]).succeeded();
    std::fs::write(project.join("s.json"), example.out).unwrap();
    let run = ["policy", "run", "policy.wasm", "--situation", "s.json"];
    let decided = stoker(&project, &[&run, &settings[..]].concat()).succeeded();
    assert!(decided.out.starts_with("launch  "), "{}", decided.out);

    // Nothing of a project is ever written over.
    let again = stoker(folder.path(), &["policy", "new", "night-watch"]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("nothing was written"), "{}", again.err);
}

#[test]
fn a_policy_that_ships_may_be_published_and_its_cost_is_told() {
    for name in ["default", "fair-share", "budget", "pinned-sync"] {
        let policy = component("shipped", name);
        let args = ["policy", "check", text(&policy), "--cases", "16", "--json"];
        let checked = stoker(Path::new("."), &args).succeeded().json();
        assert_eq!(checked["good"], true, "{checked:#}");
        let findings = checked["findings"].as_array().unwrap();
        assert!(findings.iter().all(|f| f["verdict"] == "ok"), "{checked:#}");
        for part in ["host", "self-check", "properties"] {
            assert!(findings.iter().any(|f| f["part"] == part), "{checked:#}");
        }
        let cost = findings.iter().find(|f| f["part"] == "self-check").unwrap();
        assert!(cost["what"].as_str().unwrap().contains("fuel of"), "{cost}");
    }
}

#[test]
fn a_broken_property_comes_with_a_small_situation_that_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("greedy.wasm");
    std::fs::copy(component("test-policies", "wants-billions"), &policy).unwrap();
    let checked = stoker(folder.path(), &["policy", "check", "greedy.wasm"]);
    assert_eq!(checked.code, Some(1), "{}{}", checked.out, checked.err);
    assert!(
        checked
            .out
            .contains("FAILED   scale-up: a plan never exceeds the headroom"),
        "{}",
        checked.out
    );

    // The command that it prints shows what it found.
    let shown = checked
        .out
        .lines()
        .find_map(|line| line.trim().strip_prefix("stoker policy run "));
    let args: Vec<&str> = shown.unwrap().split(' ').collect();
    let decided = stoker(
        folder.path(),
        &[&["policy", "run"], args.as_slice()].concat(),
    );
    let decided = decided.succeeded();
    assert!(decided.out.contains("launch  "), "{}", decided.out);
    assert!(decided.out.contains("clamp   "), "{}", decided.out);
    let situation: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join(args[4])).unwrap()).unwrap();
    assert_eq!(situation["pending"].as_array().unwrap().len(), 0, "shrunk");
}

#[test]
fn the_settings_of_the_documents_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let document = std::fs::read_to_string(Path::new(ROOT).join("docs/policies.md")).unwrap();
    let example = document.split("```json").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    // A class of the operator's own, which no world of the checks has by itself.
    let example = example.replace("small", "gpu-box");
    std::fs::write(folder.path().join("settings.json"), example).unwrap();
    let default = component("shipped", "default");
    let check = |policy: &Path, more: &[&str]| {
        let args = [
            "policy",
            "check",
            text(policy),
            "--settings",
            "settings.json",
        ];
        let cases = ["--cases", "24"];
        stoker(folder.path(), &[&args, &cases[..], more].concat())
    };
    let checked = check(&default, &[]).succeeded();
    assert!(!checked.out.contains("warning"), "{}", checked.out);

    let budget = r#"{"scale-up":{"per_day":5,"first_branches":["main"]}}"#;
    std::fs::write(folder.path().join("settings.json"), budget).unwrap();
    check(&component("shipped", "budget"), &["--alike"]).succeeded();

    // A pin that is not among the releases is rightly refused, and told.
    std::fs::write(
        folder.path().join("settings.json"),
        r#"{"sync":{"pin":"2.999.0"}}"#,
    )
    .unwrap();
    let pinned = check(&component("shipped", "pinned-sync"), &[]).succeeded();
    assert!(pinned.out.contains("warning"), "{}", pinned.out);
    assert!(pinned.out.contains("2.999.0"), "{}", pinned.out);
}

#[test]
fn what_a_host_refuses_is_told_in_its_words() {
    for (name, words) in [
        ("spins", "used up its fuel"),
        ("eats-memory", "bytes of memory"),
        ("recurses", "recurses too deep"),
        ("reads-files", "wasi:filesystem/preopens"),
        ("only-about", "stoker:policy/about"),
    ] {
        let policy = component("test-policies", name);
        let args = ["policy", "check", text(&policy), "--cases", "8", "--json"];
        let checked = stoker(Path::new("."), &args);
        let findings = checked.json();
        let bad: Vec<&str> = findings["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["verdict"] != "ok")
            .filter_map(|finding| finding["what"].as_str())
            .collect();
        if name == "only-about" {
            // Not refused: every decision is left to a broader level, which its author is told.
            assert_eq!(checked.code, Some(0), "{findings:#}");
            assert!(bad[0].contains("takes no decision"), "{bad:?}");
            continue;
        }
        assert_eq!(checked.code, Some(1), "{name}: {findings:#}");
        assert!(
            bad.iter().any(|told| told.contains(words)),
            "{name}: {bad:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.wasm"), "not wasm").unwrap();
    let told = stoker(folder.path(), &["policy", "check", "p.wasm"]);
    assert_eq!(told.code, Some(1));
    assert!(
        told.out.contains("not a WebAssembly component"),
        "{}",
        told.out
    );
}

#[test]
fn a_decision_can_be_read_by_people_and_by_machines() {
    let folder = tempfile::tempdir().unwrap();
    let policy = component("shipped", "default");
    let run = |more: &[&str]| {
        let args = [&["policy", "run", text(&policy)], more].concat();
        stoker(folder.path(), &args)
    };
    for decision in ["scale-up", "scale-down"] {
        let example = run(&["--decision", decision, "--example"]).succeeded();
        std::fs::write(folder.path().join("s.json"), example.out).unwrap();
        let asked = ["--decision", decision, "--situation", "s.json"];
        let people = run(&asked).succeeded().out;
        assert!(people.contains("cost    "), "{people}");
        let machines = run(&[&asked, &["--json"][..]].concat()).succeeded().json();
        assert!(machines["plan"].is_object() && machines["fuel"].as_u64() > Some(0));
        // The same bytes in, the same bytes out.
        assert_eq!(run(&asked).succeeded().out, people);
    }
    // Settings that are not understood are told with their place.
    std::fs::write(
        folder.path().join("settings.json"),
        r#"{"scale-up":{"max_runnners":3}}"#,
    )
    .unwrap();
    let told = run(&["--situation", "s.json", "--settings", "settings.json"]);
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("max_runnners"), "{}", told.err);
    // So is a situation that contradicts itself.
    let broken = std::fs::read_to_string(folder.path().join("s.json"))
        .unwrap()
        .replacen("\"labels\": 0", "\"labels\": 99", 1);
    std::fs::write(folder.path().join("s.json"), broken).unwrap();
    let told = run(&["--situation", "s.json"]);
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("label set 99"), "{}", told.err);
}
