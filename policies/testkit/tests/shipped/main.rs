//! The shipped policies as components, in the real host: their golden decisions, that they decide as
//! their source does natively, and what every policy keeps.

// Everything here is a test, and a test that can't go on is to say where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cases;
mod golden;
mod properties;

use stoker_policy_testkit::Component;

/// A shipped policy's component, which `scripts/build-policies` made.
fn shipped(name: &str) -> Component {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        std::path::PathBuf::from,
    );
    let path = target.join("shipped").join(name).join("policy.wasm");
    Component::open(path)
        .unwrap_or_else(|error| panic!("{error}. `make policies` (part of `make test`) builds it"))
}
