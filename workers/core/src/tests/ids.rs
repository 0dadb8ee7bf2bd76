use crate::ids::{Deployment, InstanceId, PolicyGeneration, RunnerNames, ScopeKey};

#[test]
fn a_scope_is_read_back_as_it_was_written() {
    for text in ["org-1", "repo-18446744073709551615"] {
        assert_eq!(text.parse::<ScopeKey>().unwrap().to_string(), text);
    }
    for text in ["", "org-", "org-x", "team-1", "repo--1"] {
        assert!(text.parse::<ScopeKey>().is_err(), "{text}");
    }
}

#[test]
fn only_runners_of_this_deployment_are_ours() {
    let deployment: Deployment = "prod".parse().unwrap();
    let names = RunnerNames::new("stoker", &deployment).unwrap();
    let instance: InstanceId = "i-0123456789abcdef0".parse().unwrap();
    let name = names.name(&instance);
    assert_eq!(name, "stoker-prod-i-0123456789abcdef0");
    assert_eq!(names.instance(&name), Some(instance));
    for other in [
        "stoker-staging-i-0123456789abcdef0",
        "stoker-prod-",
        "stoker-prod-i-",
        "GitHub Actions 5",
    ] {
        assert_eq!(names.instance(other), None, "{other}");
    }
}

#[test]
fn the_longest_runner_name_fits_github_s_64_characters() {
    let deployment: Deployment = "d".repeat(20).parse().unwrap();
    let names = RunnerNames::new(&"p".repeat(20), &deployment).unwrap();
    let instance: InstanceId = "i-0123456789abcdef0".parse().unwrap();
    assert!(names.name(&instance).len() <= 64);
}

#[test]
fn a_generation_is_its_time_and_above_the_one_before_it() {
    let at = crate::time::Timestamp(1_795_576_455);
    let first = PolicyGeneration(0).next(at);
    assert_eq!(first.to_string(), "20261125031415");
    assert_eq!(first.next(at), PolicyGeneration(first.0 + 1));
    let behind = crate::time::Timestamp(1_700_000_000);
    assert_eq!(first.next(behind), PolicyGeneration(first.0 + 1));
}
