//! Settings: refused, merged, and held back with what inherits them.

use serde_json::json;

use crate::deployment::{Deployment, shipped};

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
