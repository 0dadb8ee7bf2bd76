//! A deployment in folders, and what an operator's commands come to on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A component that `scripts/build-policies --tests` made.
pub(crate) fn component(kind: &str, name: &str) -> String {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(ROOT).join("target"), PathBuf::from);
    let path = target.join(kind).join(name).join("policy.wasm");
    assert!(
        path.is_file(),
        "{} is missing: `make policies` (part of `make test`) builds it",
        path.display()
    );
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

pub(crate) fn shipped(name: &str) -> String {
    component("shipped", name)
}

pub(crate) fn bad(name: &str) -> String {
    component("test-policies", name)
}

/// What a command came to.
pub(crate) struct Ran {
    code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    pub(crate) fn says(&self, words: &str) {
        assert!(
            self.out.contains(words),
            "{words}\n{}{}",
            self.out,
            self.err
        );
    }
}

/// A deployment in folders.
pub(crate) struct Deployment(pub(crate) TempDir);

impl Deployment {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// A file of that name and text; its name.
    pub(crate) fn file<'a>(&self, name: &'a str, text: &str) -> &'a str {
        std::fs::write(self.path(name), text).unwrap();
        name
    }

    /// `stoker policy …`, without a deployment.
    pub(crate) fn bare(&self, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_stoker"))
            .current_dir(self.0.path())
            .env_remove("POLICIES_BUCKET")
            .arg("policy")
            .args(args)
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same of this one.
    pub(crate) fn policy(&self, args: &[&str]) -> Ran {
        let place = ["--policies", "policies", "--data", "data"];
        self.bare(&[args, &place].concat())
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let json = [args, &["--json"]].concat();
        self.policy(&json).exited(0).json()
    }

    pub(crate) fn publish(&self, file: &str, scope: &str) -> Value {
        self.json(&["publish", file, "--scope", scope])
    }

    pub(crate) fn settings(&self, scope: &str, text: &str) -> Ran {
        let file = self.file("given.json", text);
        let args = ["settings", "publish", file, "--scope", scope, "--json"];
        self.policy(&args)
    }

    pub(crate) fn show(&self, scope: &str) -> Value {
        self.json(&["show", "--scope", scope])
    }

    /// The name of the policy that decides about launches.
    pub(crate) fn launches(&self, scope: &str) -> Value {
        self.show(scope)["decides"]["scale-up"]["policy"]["name"].clone()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.json(&["list"])["generation"].as_u64().unwrap()
    }
}

pub(crate) fn folder(list: &Value, name: &str) -> Value {
    let folders = list["folders"].as_array().unwrap();
    let found = folders.iter().find(|folder| folder["folder"] == name);
    found.unwrap_or_else(|| panic!("{name}: {list:#}")).clone()
}
