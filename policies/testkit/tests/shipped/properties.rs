//! What every policy keeps, against the components.

use stoker_policy_budget::Budget;
use stoker_policy_default::DefaultPolicy;
use stoker_policy_fair_share::FairShare;
use stoker_policy_pinned_sync::PinnedSync;
use stoker_policy_sdk::run;
use stoker_policy_sdk::testing::properties::{
    Options, Undecided, check_scale_down, check_scale_up, check_sync,
};

use stoker_policy_testkit::undecided;

use crate::shipped;

/// Fewer than natively, where they are cheap: each is an instance of its own here.
fn few() -> Options {
    Options {
        cases: 48,
        ..Options::default()
    }
}

/// Runs the properties with a decider that asks the component, and sees to it that the same source
/// compiled natively says the same.
macro_rules! agrees {
    ($check:path, $native:expr, $component:expr) => {
        $check(
            &|situation: &_| {
                let native = $native(situation);
                let component = $component(situation).map(|decided| decided.plan);
                match (native, component) {
                    (Ok(native), Ok(component)) => {
                        assert_eq!(native, component);
                        Ok(component)
                    }
                    (Err(native), Err(component)) => {
                        let told = undecided(component);
                        assert_eq!(told, Undecided::Refused(native));
                        Err(told)
                    }
                    (native, component) => panic!("{native:?} {component:?}"),
                }
            },
            &few(),
        )
    };
}

#[test]
fn the_components_keep_what_every_policy_keeps_and_decide_as_their_source_does() {
    let default = shipped("default");
    let up = agrees!(check_scale_up, run::scale_up::<DefaultPolicy>, |s| default
        .scale_up(s));
    assert_eq!(up, []);
    let down = agrees!(check_scale_down, run::scale_down::<DefaultPolicy>, |s| {
        default.scale_down(s)
    });
    assert_eq!(down, []);
    let fair = shipped("fair-share");
    let shares = agrees!(check_scale_up, run::scale_up::<FairShare>, |s| fair
        .scale_up(s));
    assert_eq!(shares, []);
    let budget = shipped("budget");
    let money = agrees!(check_scale_up, run::scale_up::<Budget>, |s| budget
        .scale_up(s));
    assert_eq!(money, []);
    let pinned = shipped("pinned-sync");
    let versions = agrees!(check_sync, run::sync::<PinnedSync>, |s| pinned.sync(s));
    assert_eq!(versions, []);
}
