//! Speaks a second version of the contract, which only tests have: launches seven runners, and knows
//! the weather.

#![cfg(target_arch = "wasm32")]

#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::pedantic
)]
mod bindings {
    wit_bindgen::generate!({
        path: "wit-v0.2",
        world: "scale-up-policy",
    });
}

use bindings::exports::stoker::policy::{about, scale_up};

struct Policy;

impl about::Guest for Policy {
    fn describe() -> String {
        "speaks 0.2".to_owned()
    }
}

impl scale_up::Guest for Policy {
    fn decide(situation: scale_up::Situation) -> Result<Vec<scale_up::Launch>, String> {
        if situation.weather == "fair" {
            Ok(vec![scale_up::Launch { count: 7 }])
        } else {
            Err("not in this weather".to_owned())
        }
    }
}

#[allow(unsafe_code)]
mod exports {
    use super::{Policy, bindings};

    bindings::export!(Policy with_types_in bindings);
}
