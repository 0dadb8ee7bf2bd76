//! Says what it is and decides nothing: whoever decides on a broader level does.

struct Policy;

stoker_test_policies::about!(Policy, "only-about");

#[cfg(target_arch = "wasm32")]
mod exports {
    use super::Policy;

    stoker_test_policies::sdk::about_part::export_about_part!(
        Policy with_types_in stoker_test_policies::sdk::about_part
    );
}

#[cfg(not(target_arch = "wasm32"))]
const _: Policy = Policy;
