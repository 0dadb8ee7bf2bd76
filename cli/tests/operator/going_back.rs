//! Rollback, history and promotion.

use serde_json::json;

use crate::deployment::{Deployment, shipped};

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
