//! `stoker policy publish|settings|admit|list|show|history|rollback|promote`, as an operator runs them on the
//! folders of `stoker up`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod deployment;
mod going_back;
mod settings;

use std::process::Command;

use crate::deployment::{Deployment, bad, folder, shipped};

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
fn no_policy_can_be_allowed_more_bytes_than_are_read_of_an_upload() {
    let deployment = Deployment::new();
    let args = ["publish", "p.wasm", "--scope", "acme", "--max-bytes"];
    let told = deployment.policy(&[&args[..], &["20971521"]].concat());
    let told = told.exited(2).err;
    assert!(told.contains("1 to 20971520"), "{told}");
    assert!(told.contains("a larger upload is not read"), "{told}");
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
