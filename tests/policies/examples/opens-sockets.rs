//! Looks for the network. The import is there, as toolchains of other languages have it; the call is not.

// Every policy's `decide` may refuse.
#![allow(clippy::unnecessary_wraps)]

#[cfg(target_arch = "wasm32")]
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::pedantic
)]
mod outside {
    wit_bindgen::generate!({
        inline: "
            package wasi:sockets@0.2.0;
            interface instance-network { instance-network: func(); }
            world outside { import instance-network; }
        ",
    });
}

use stoker_test_policies::sdk::facts::Situation;
use stoker_test_policies::sdk::scale_up::Plan;

fn decide(_: &Situation) -> Result<Plan, String> {
    #[cfg(target_arch = "wasm32")]
    outside::wasi::sockets::instance_network::instance_network();
    Ok(stoker_test_policies::empty())
}

stoker_test_policies::policy!("opens-sockets", decide);
