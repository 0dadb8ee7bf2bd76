//! Generated from `wit/`, one part at a time, so that a component exports exactly the decisions that it
//! takes.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic
)]

pub mod about_part {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "about-part",
        pub_export_macro: true,
        export_macro_name: "export_about_part",
        default_bindings_module: "stoker_policy_sdk::about_part",
        additional_derives: [PartialEq],
    });
}

pub mod scale_up_part {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "scale-up-part",
        pub_export_macro: true,
        export_macro_name: "export_scale_up_part",
        default_bindings_module: "stoker_policy_sdk::scale_up_part",
        with: { "stoker:policy/facts@0.1.0": super::about_part::stoker::policy::facts },
        additional_derives: [PartialEq],
    });
}

pub mod scale_down_part {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "scale-down-part",
        pub_export_macro: true,
        export_macro_name: "export_scale_down_part",
        default_bindings_module: "stoker_policy_sdk::scale_down_part",
        with: { "stoker:policy/facts@0.1.0": super::about_part::stoker::policy::facts },
        additional_derives: [PartialEq],
    });
}

pub mod sync_part {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "sync-part",
        pub_export_macro: true,
        export_macro_name: "export_sync_part",
        default_bindings_module: "stoker_policy_sdk::sync_part",
        with: { "stoker:policy/facts@0.1.0": super::about_part::stoker::policy::facts },
        additional_derives: [PartialEq],
    });
}
