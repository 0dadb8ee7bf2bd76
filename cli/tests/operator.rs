//! `stoker policy publish|settings|admit|list|show|history|rollback|promote`, as an operator runs them on the
//! folders of `stoker up`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A component that `scripts/build-policies --tests` made.
fn component(kind: &str, name: &str) -> String {
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

fn shipped(name: &str) -> String {
    component("shipped", name)
}

fn bad(name: &str) -> String {
    component("test-policies", name)
}

/// What a command came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    fn says(&self, words: &str) {
        assert!(
            self.out.contains(words),
            "{words}\n{}{}",
            self.out,
            self.err
        );
    }
}

/// A deployment in folders.
struct Deployment(TempDir);

impl Deployment {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// A file of that name and text; its name.
    fn file<'a>(&self, name: &'a str, text: &str) -> &'a str {
        std::fs::write(self.path(name), text).unwrap();
        name
    }

    /// `stoker policy …`, without a deployment.
    fn bare(&self, args: &[&str]) -> Ran {
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
    fn policy(&self, args: &[&str]) -> Ran {
        let place = ["--policies", "policies", "--data", "data"];
        self.bare(&[args, &place].concat())
    }

    fn json(&self, args: &[&str]) -> Value {
        let json = [args, &["--json"]].concat();
        self.policy(&json).exited(0).json()
    }

    fn publish(&self, file: &str, scope: &str) -> Value {
        self.json(&["publish", file, "--scope", scope])
    }

    fn settings(&self, scope: &str, text: &str) -> Ran {
        let file = self.file("given.json", text);
        let args = ["settings", "publish", file, "--scope", scope, "--json"];
        self.policy(&args)
    }

    fn show(&self, scope: &str) -> Value {
        self.json(&["show", "--scope", scope])
    }

    /// The name of the policy that decides about launches.
    fn launches(&self, scope: &str) -> Value {
        self.show(scope)["decides"]["scale-up"]["policy"]["name"].clone()
    }

    fn generation(&self) -> u64 {
        self.json(&["list"])["generation"].as_u64().unwrap()
    }
}

fn folder(list: &Value, name: &str) -> Value {
    let folders = list["folders"].as_array().unwrap();
    let found = folders.iter().find(|folder| folder["folder"] == name);
    found.unwrap_or_else(|| panic!("{name}: {list:#}")).clone()
}

#[test]
fn what_is_published_decides_and_is_listed_with_who_put_it_there() {
    let deployment = Deployment::new();
    let empty = deployment.policy(&["list"]).exited(0);
    empty.says("nothing has been published");
    assert!(!deployment.path("data").exists(), "looking makes nothing");

    let settings = deployment.file("s.json", r#"{"scale-up":{"max_runners":40}}"#);
    let default = shipped("default");
    let args = ["publish", &default, "--scope", "Acme", "--by", "julia"];
    let published = deployment.policy(&[&args, &["--settings", settings][..]].concat());
    let published = published.exited(0);
    for words in [
        "checked     default 0.1.0",
        "orgs/acme/settings.json",
        "published   orgs/acme as generation 2",
        "scale-up: default 0.1.0",
    ] {
        published.says(words);
    }
    let [first, second] = ["settings.json", "policy.wasm"].map(|name| published.out.find(name));
    assert!(first < second, "the settings first: {}", published.out);

    let list = deployment.json(&["list"]);
    assert_eq!(list["deployment"], "local");
    assert_eq!(list["signature"], "verified");
    let acme = folder(&list, "orgs/acme");
    let scale_up = &acme["decides"]["scale-up"];
    assert_eq!(scale_up["policy"]["name"], "default");
    assert_eq!(scale_up["from"], "orgs/acme");
    assert_eq!(scale_up["since"], list["generation"]);
    assert_eq!(acme["files"]["policy"]["by"], "julia (says the upload)");
    assert_eq!(acme["verdict"]["outcome"], "active");
    let listed = deployment.policy(&["list"]).exited(0);
    listed.says("scale-up    default 0.1.0");
    listed.says("by julia");
    assert!(!listed.out.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn a_bad_policy_is_refused_before_it_is_uploaded_and_one_that_is_uploaded_by_hand_after_it() {
    let deployment = Deployment::new();
    deployment.publish(&shipped("default"), "default");
    let before = deployment.generation();
    deployment.file("no.wasm", "not wasm");
    for (file, words) in [
        (bad("reads-files"), "wasi:filesystem/preopens"),
        (bad("spins"), "used up its fuel"),
        ("no.wasm".to_owned(), "not a WebAssembly component"),
    ] {
        let args = ["publish", &file, "--scope", "acme"];
        let told = deployment.policy(&args).exited(1);
        told.says("nothing was uploaded");
        told.says(words);
        let told = deployment.policy(&[&args[..], &["--json"]].concat());
        let told = told.exited(1).json();
        assert_eq!(told["outcome"], "refused", "{told:#}");
        assert_eq!(told["uploaded"], false, "{told:#}");
        assert!(told["problems"][0]["cause"].is_string(), "{told:#}");
    }
    assert!(!deployment.path("policies/orgs").exists());

    // `cp` asks nobody.
    std::fs::create_dir_all(deployment.path("policies/orgs/acme")).unwrap();
    let by_hand = deployment.path("policies/orgs/acme/policy.wasm");
    std::fs::copy(bad("spins"), &by_hand).unwrap();
    deployment
        .policy(&["admit", "--scope", "default"])
        .exited(0);
    let told = deployment.policy(&["admit", "--scope", "acme"]).exited(1);
    told.says("refused     orgs/acme");
    told.says("used up its fuel");
    assert_eq!(deployment.generation(), before, "nothing changed");
    assert_eq!(deployment.launches("acme"), "default");
    let list = deployment.json(&["list"]);
    let verdict = &folder(&list, "orgs/acme")["verdict"];
    assert_eq!(verdict["problems"][0]["cause"], "out-of-fuel");

    std::fs::copy(shipped("budget"), &by_hand).unwrap();
    deployment
        .policy(&["admit"])
        .exited(0)
        .says("active      orgs/acme");
    assert_eq!(deployment.launches("acme"), "budget");
    deployment.policy(&["list"]).exited(0).says("was refused");

    // What is deleted is withdrawn.
    std::fs::remove_file(by_hand).unwrap();
    deployment
        .policy(&["admit"])
        .exited(0)
        .says("withdrawn   orgs/acme");
    assert_eq!(deployment.launches("acme"), "default");
    let list = deployment.json(&["list"]);
    assert_eq!(list["folders"].as_array().unwrap().len(), 1);
}

#[test]
fn settings_that_are_refused_change_nothing_and_say_why() {
    let deployment = Deployment::new();
    deployment.publish(&shipped("default"), "default");
    let before = deployment.generation();
    // Its form is looked at here; whether it is accepted, the policy says.
    let told = deployment.settings("acme", r#"{"scaleup":{}}"#).exited(1);
    assert_eq!(told.json()["uploaded"], false);
    assert!(!deployment.path("policies/orgs").exists());
    let told = deployment.settings("acme", r#"{"scale-up":{"max_runnners":3}}"#);
    let told = told.exited(1).json();
    assert_eq!(told["uploaded"], true);
    assert_eq!(told["outcome"], "refused");
    let problem = told["problems"][0]["message"].as_str().unwrap();
    assert!(problem.contains("max_runnners"), "{problem}");
    assert_eq!(deployment.generation(), before);

    // A policy that does not go with the settings that are there is refused here already.
    let budget = shipped("budget");
    let told = deployment.policy(&["publish", &budget, "--scope", "acme"]);
    let told = told.exited(1);
    told.says("max_runnners");
    told.says("these settings are in orgs/acme now");
    let mended = deployment.file("s.json", r#"{"scale-up":{"max_runners":3}}"#);
    let args = ["publish", &budget, "--scope", "acme", "--settings", mended];
    deployment.policy(&args).exited(0);
    assert_eq!(deployment.launches("acme"), "budget");
}

#[test]
fn merged_settings_are_shown_with_the_folder_that_each_value_is_from() {
    let deployment = Deployment::new();
    let broad = deployment.file(
        "s.json",
        r#"{"scale-up":{"max_runners":40,"capacity":"on-demand"},"scale-down":{"idle_seconds":60}}"#,
    );
    let default = shipped("default");
    let args = [
        "publish",
        &default,
        "--scope",
        "default",
        "--settings",
        broad,
    ];
    deployment.policy(&args).exited(0);
    let idle = json!([{"schedule": "* * * * *", "time_zone": "Europe/Berlin", "class": "small", "count": 1}]);
    let of_acme = json!({"scale-up": {"max_runners": 20, "capacity": null, "idle": idle}});
    deployment.settings("acme", &of_acme.to_string()).exited(0);
    let told = deployment.settings("acme/app", r#"{"scale-up":{"max_runners":7}}"#);
    assert_eq!(told.exited(0).json()["tunes"], json!(["scale-up"]));

    let acme = deployment.show("acme");
    let scale_up = &acme["decides"]["scale-up"];
    assert_eq!(
        scale_up["settings"],
        json!({"max_runners": 20, "idle": idle})
    );
    let origins = json!({"/idle": "orgs/acme", "/max_runners": "orgs/acme"});
    assert_eq!(scale_up["origins"], origins);
    assert_eq!(scale_up["zones"], json!(["Europe/Berlin"]));
    let scale_down = &acme["decides"]["scale-down"];
    assert_eq!(scale_down["origins"], json!({"/idle_seconds": "default"}));
    assert_eq!(acme["decides"]["sync"]["folder"], "default");

    // With runners of its own, a repository has no part in its organisation's idle stock; for its jobs in the
    // organisation's scope it changes what it names.
    let app = deployment.show("acme/app");
    let scale_up = &app["decides"]["scale-up"];
    assert_eq!(scale_up["settings"], json!({"max_runners": 7}));
    assert_eq!(
        scale_up["origins"],
        json!({"/max_runners": "repos/acme/app"})
    );
    let tunes = &app["tunes"]["scale-up"];
    assert_eq!(tunes["settings"], json!({"max_runners": 7, "idle": idle}));
    let origins = json!({"/idle": "orgs/acme", "/max_runners": "repos/acme/app"});
    assert_eq!(tunes["origins"], origins);
    let other = deployment.show("acme/other");
    let scale_up = &other["decides"]["scale-up"];
    assert_eq!(scale_up["folder"], "orgs/acme");
    assert_eq!(scale_up["settings"], json!({"max_runners": 20}));
    assert_eq!(scale_up["origins"], json!({"/max_runners": "orgs/acme"}));
    let told = deployment
        .policy(&["show", "--scope", "acme/other"])
        .exited(0);
    told.says("/max_runners  20  orgs/acme");
    told.says("inherited from orgs/acme");
}

#[test]
fn what_does_not_go_with_a_broader_level_any_more_is_told_to_who_published_there() {
    let deployment = Deployment::new();
    deployment.publish(&shipped("fair-share"), "acme");
    deployment
        .settings("acme/app", r#"{"scale-up":{"ageing_seconds":60}}"#)
        .exited(0);
    let published = deployment.publish(&shipped("default"), "acme");
    assert_eq!(published["outcome"], "active");
    assert_eq!(published["others"][0]["folder"], "repos/acme/app");
    assert_eq!(published["others"][0]["outcome"], "held-back");
    // It goes on as it was, and is shown as it was.
    let app = deployment.show("acme/app");
    let scale_up = &app["decides"]["scale-up"];
    assert_eq!(scale_up["policy"]["name"], "fair-share");
    let origins = json!({"/ageing_seconds": "repos/acme/app"});
    assert_eq!(scale_up["origins"], origins);
    assert_eq!(app["verdict"]["outcome"], "held-back");
    deployment
        .policy(&["list"])
        .exited(0)
        .says("held back   since");
    deployment.policy(&["admit"]).exited(1);
    deployment.policy(&["admit", "--scope", "acme"]).exited(0);
}

#[test]
fn going_back_lasts_until_something_is_published_again() {
    let deployment = Deployment::new();
    let first = deployment.publish(&shipped("default"), "acme")["generation"].clone();
    deployment.publish(&shipped("budget"), "acme");
    let back = deployment.json(&["rollback", "--scope", "acme", "--by", "julia"]);
    assert_eq!(back["outcome"], "passed-over");
    assert_eq!(back["published"], true);
    assert_eq!(deployment.launches("acme"), "default");
    // The next sweep leaves it so.
    deployment
        .policy(&["admit"])
        .exited(0)
        .says("passed over orgs/acme");
    assert_eq!(deployment.launches("acme"), "default");
    // Forward, and back to a generation by its number.
    deployment
        .policy(&["rollback", "--scope", "acme"])
        .exited(0);
    assert_eq!(deployment.launches("acme"), "budget");
    let first = first.to_string();
    let to = ["rollback", "--scope", "acme", "--to", &first];
    deployment.policy(&to).exited(0);
    assert_eq!(deployment.launches("acme"), "default");
    // The very file that was gone back from, put there again.
    deployment.publish(&shipped("budget"), "acme");
    assert_eq!(deployment.launches("acme"), "budget");

    let history = deployment.json(&["history", "--scope", "acme"]);
    let history = history["generations"].as_array().unwrap();
    let why: Vec<&str> = history.iter().map(|g| g["why"].as_str().unwrap()).collect();
    assert_eq!(why.len(), 6, "{why:?}");
    assert_eq!(why[0], "uploads in orgs/acme");
    assert_eq!(why[3], "julia took orgs/acme back to what was before");
    assert!(
        why[1].ends_with(&format!("back to generation {first}")),
        "{why:?}"
    );
    assert_eq!(history[5]["generation"].to_string(), first);
    assert_eq!(history[0]["changed"][0]["policy"]["name"], "budget");
    assert!(history.iter().all(|g| g["signature"] == "verified"));
    let limited = deployment.json(&["history", "--limit", "2"]);
    assert_eq!(limited["generations"].as_array().unwrap().len(), 2);
    let none = deployment
        .policy(&["history", "--scope", "nobody"])
        .exited(0);
    none.says("nothing was ever published in orgs/nobody");

    for (args, words) in [
        (["--scope", "acme", "--to", "5"], "no generation 5"),
        (["--scope", "nobody", "--by", "me"], "nothing to go back to"),
    ] {
        let told = deployment.policy(&[&["rollback"], &args[..]].concat());
        assert!(told.exited(1).err.contains(words));
    }
}

#[test]
fn a_rollback_that_was_done_and_could_not_be_written_down_is_not_to_be_repeated_blindly() {
    let deployment = Deployment::new();
    deployment.publish(&shipped("default"), "acme");
    deployment.publish(&shipped("budget"), "acme");
    // The pointer can be moved, and what is told of it afterwards can't be written.
    let verdict = deployment.path("data/policies/verdicts/orgs/acme.json");
    std::fs::remove_file(&verdict).unwrap();
    std::fs::create_dir(&verdict).unwrap();
    let failed = deployment.policy(&["rollback", "--scope", "acme"]);
    let told = failed.exited(1).err;
    for words in [
        "what became of orgs/acme could not be written down",
        "`stoker policy show --scope orgs/acme` tells",
        "do not repeat it before you have looked",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("nothing is lost"), "{told}");
    assert_eq!(deployment.launches("orgs/acme"), "default", "it was done");
}

#[test]
fn no_policy_can_be_allowed_more_bytes_than_are_read_of_an_upload() {
    let deployment = Deployment::new();
    let args = ["publish", "p.wasm", "--scope", "acme", "--max-bytes"];
    let told = deployment.policy(&[&args[..], &["20971521"]].concat());
    let told = told.exited(2).err;
    assert!(told.contains("1 to 20971520"), "{told}");
    assert!(told.contains("a larger upload is not read"), "{told}");
}

#[test]
fn a_policy_is_promoted_with_the_settings_of_where_it_goes() {
    let deployment = Deployment::new();
    deployment.publish(&shipped("default"), "default");
    deployment
        .settings("default", r#"{"scale-up":{"max_runners":9}}"#)
        .exited(0);
    deployment.publish(&shipped("fair-share"), "acme");
    deployment
        .settings("acme", r#"{"scale-up":{"max_runners":3}}"#)
        .exited(0);
    let promoted = deployment.json(&["promote", "--from", "acme", "--to", "default"]);
    assert_eq!(promoted["folder"], "default");
    let shown = deployment.show("elsewhere");
    let scale_up = &shown["decides"]["scale-up"];
    assert_eq!(scale_up["policy"]["name"], "fair-share");
    assert_eq!(scale_up["settings"], json!({"max_runners": 9}));
    let told = deployment.policy(&["promote", "--from", "nobody", "--to", "acme"]);
    let told = told.exited(1);
    assert!(
        told.err.contains("no policy is active in orgs/nobody"),
        "{}",
        told.err
    );
}

#[test]
fn exactly_one_deployment_is_meant() {
    let deployment = Deployment::new();
    let told = deployment.bare(&["list"]).exited(2);
    assert!(told.err.contains("--policies") && told.err.contains("--bucket"));
    deployment.policy(&["list", "--bucket", "b"]).exited(2);
    let wrong = ["publish", "p.wasm", "--scope", "a/b/c"];
    assert!(
        deployment
            .policy(&wrong)
            .exited(2)
            .err
            .contains("OWNER/REPO")
    );
    // The variable is for who names nothing.
    let list = ["policy", "list", "--policies", "policies"];
    let output = Command::new(env!("CARGO_BIN_EXE_stoker"))
        .current_dir(deployment.0.path())
        .env("POLICIES_BUCKET", "b")
        .args(list)
        .output();
    assert!(output.unwrap().status.success());
}

#[test]
fn what_somebody_else_signed_is_not_shown_as_if_it_decided() {
    let deployment = Deployment::new();
    deployment.publish(&shipped("default"), "default");
    let other = Deployment::new();
    other.publish(&shipped("budget"), "default");
    let active = "data/policies/active.json";
    std::fs::copy(other.path(active), deployment.path(active)).unwrap();
    let told = deployment.policy(&["list"]).exited(1);
    assert!(
        told.err
            .contains("not what a key that this host trusts has signed")
    );
    // Admission puts the right one back, and says so.
    let told = deployment.policy(&["admit"]).exited(0);
    told.says("alarm");
    assert_eq!(deployment.launches("default"), "default");
}
