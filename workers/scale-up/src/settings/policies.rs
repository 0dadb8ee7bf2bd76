//! Who decides, and what policies may be and use.

use stoker_policy::{HostSettings, Limits, OnFailure, PolicyMode, SizeClass};

use super::reader::Reader;

/// More than a Lambda has: a limit beyond it would limit nothing.
const MOST_BYTES: usize = 1 << 30;

/// Some 20 s of a policy's time: a decision that takes longer holds up its scope.
const MOST_FUEL: u64 = 100_000_000_000;

/// Reads them.
pub(super) fn policies<F: Fn(&str) -> Option<String>>(
    reader: &mut Reader<F>,
) -> Option<HostSettings> {
    let mode = reader.word(
        "POLICY_MODE",
        &[
            ("policies", PolicyMode::Policies),
            ("built-in", PolicyMode::BuiltIn),
        ],
    );
    let size_class = reader.word(
        "POLICY_SIZE_CLASS",
        &[("small", SizeClass::Small), ("large", SizeClass::Large)],
    );
    let limits = limits(reader, size_class.unwrap_or(SizeClass::Small));
    let on_failure = reader.word(
        "ON_POLICY_FAILURE",
        &[("built-in", OnFailure::BuiltIn), ("hold", OnFailure::Hold)],
    );
    size_class?;
    Some(HostSettings {
        mode: mode?,
        limits: limits?,
        on_failure: on_failure?,
    })
}

fn limits<F: Fn(&str) -> Option<String>>(
    reader: &mut Reader<F>,
    size_class: SizeClass,
) -> Option<Limits> {
    let class = size_class.limits();
    let mut bytes = |name, default, what| reader.number(name, 1..=MOST_BYTES, Some(default), what);
    let component = "the most bytes of a policy";
    let component_bytes = bytes("POLICY_MAX_BYTES", class.component_bytes, component);
    let memory = "the most bytes of memory of a policy";
    let memory_bytes = bytes("POLICY_MAX_MEMORY_BYTES", class.memory_bytes, memory);
    let output = "the most bytes that a policy may hand back in one call";
    let handed_back_bytes = bytes("POLICY_MAX_OUTPUT_BYTES", class.handed_back_bytes, output);
    let mut fuel = |name, default, what| reader.number(name, 0..=MOST_FUEL, Some(default), what);
    let base = "the fuel of a decision whatever it is about";
    let fuel_base = fuel("POLICY_FUEL_BASE", class.fuel_base, base);
    let each = "the fuel of a decision for each job and runner";
    let fuel_each = fuel("POLICY_FUEL_EACH", class.fuel_each, each);
    Some(Limits {
        component_bytes: component_bytes?,
        fuel_base: fuel_base?,
        fuel_each: fuel_each?,
        memory_bytes: memory_bytes?,
        handed_back_bytes: handed_back_bytes?,
        ..class
    })
}
