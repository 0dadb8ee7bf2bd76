//! `stoker:policy@0.1`: the host's side.

/// Generated from `wit/`, one part at a time: a component exports exactly the decisions it takes.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub(crate) mod bindings {
    pub(crate) mod scale_up_part {
        wasmtime::component::bindgen!({
            path: "../../wit/v0.1",
            world: "scale-up-part",
        });
    }

    pub(crate) mod about_part {
        wasmtime::component::bindgen!({
            path: "../../wit/v0.1",
            world: "about-part",
            with: { "stoker:policy/facts@0.1.0": super::scale_up_part::stoker::policy::facts },
        });
    }
}

pub(crate) use bindings::about_part::AboutPartPre;
pub(crate) use bindings::about_part::stoker::policy::logging;
pub(crate) use bindings::scale_up_part::ScaleUpPartPre;
use bindings::scale_up_part::exports::stoker::policy::scale_up;
use bindings::scale_up_part::stoker::policy::facts;

/// The interface's name in a component of this version.
pub(crate) const LOGGING: &str = "stoker:policy/logging@0.1.0";
/// The interface's name in a component of this version.
pub(crate) const ABOUT: &str = "stoker:policy/about@0.1.0";
/// The interface's name in a component of this version.
pub(crate) const SCALE_UP: &str = "stoker:policy/scale-up@0.1.0";

super::situation_into!();
super::plan_from!(scale_up::Plan, facts::Capacity);
