//! The one engine configuration. Fuel, not time, bounds a call: the same decision costs the same
//! everywhere, so a replay repeats it exactly.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use stoker_core::ids::ArtifactDigest;
use wasmtime::{Config, Engine, ModuleVersionStrategy, OperatorCost};

/// The engine could not be made: a fault of this build, not of a policy.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine could not be set up: {0}")]
pub struct EngineError(String);

/// The exact version of wasmtime in this build: part of what native code is trusted for, because
/// wasmtime itself compares the major version only.
const WASMTIME: &str = "48.0.8";

/// Everything that an engine is configured with. The engine's id is a hash of this very value, so
/// neither can change without the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Each is a switch of wasmtime's.
#[allow(clippy::struct_excessive_bools)]
pub struct Configuration {
    wasmtime: &'static str,
    /// Named explicitly where code is to run in a Lambda: without a name the compiler would use what
    /// this machine's CPU happens to have.
    target: Option<&'static str>,
    /// Bytes of stack for WebAssembly: a quarter of what the smallest thread that runs policies has.
    stack: usize,
    /// Fuel for growing memory by one page (64 KiB): about what touching it costs, so that a policy
    /// can't make the host clear memory for nothing.
    fuel_per_page: u8,
    /// Tables from addresses in the machine code to places in the WebAssembly, and for unwinding it. No
    /// backtrace is ever taken (the SDK logs where a panic was), and without them a deciding process has
    /// a seventh less to read, to hash and to map before its first decision.
    address_map: bool,
    unwind_info: bool,
    /// NaN bits would be the one thing in which two hosts could differ.
    canonical_nan: bool,
    /// Adapters of other languages' toolchains need it.
    multi_memory: bool,
    /// Policies don't need these, and what is off can't be at fault. Threads and garbage collection
    /// are not even compiled in.
    simd: bool,
    relaxed_simd: bool,
    memory64: bool,
    tail_call: bool,
}

/// What the deciding Lambdas run on: wasmtime's tier 1.
const LAMBDA_TARGET: &str = "x86_64-unknown-linux-gnu";

impl Configuration {
    /// The configuration that policies run in.
    pub const STANDARD: Self = Self {
        wasmtime: WASMTIME,
        target: if cfg!(all(
            target_arch = "x86_64",
            target_os = "linux",
            target_env = "gnu"
        )) {
            Some(LAMBDA_TARGET)
        } else {
            // A developer's machine of another kind: what it compiles, it runs itself.
            None
        },
        stack: 512 << 10,
        fuel_per_page: u8::MAX,
        address_map: false,
        unwind_info: false,
        canonical_nan: true,
        multi_memory: true,
        simd: false,
        relaxed_simd: false,
        memory64: false,
        tail_call: false,
    };

    /// The same with another stack, in bytes: an engine of another id, for tests of what happens when
    /// two meet.
    #[must_use]
    pub const fn with_stack(self, stack: usize) -> Self {
        Self { stack, ..self }
    }

    /// Bytes of stack for WebAssembly.
    pub const fn stack(&self) -> usize {
        self.stack
    }

    /// What native code of this configuration is known by.
    pub fn id(&self) -> EngineId {
        let digest = ArtifactDigest::of(format!("{self:?}").as_bytes());
        EngineId(format!("{}-{}", self.wasmtime, digest.short()))
    }

    /// An engine of this configuration.
    pub fn engine(&self) -> Result<Engine, EngineError> {
        let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let mut cost = OperatorCost::new();
        cost.variable.memory_grow_per_page = self.fuel_per_page;
        let mut config = Config::new();
        if let Some(target) = self.target {
            config.target(target).map_err(failed)?;
        }
        config
            .consume_fuel(true)
            .operator_cost(cost)
            .max_wasm_stack(self.stack)
            .wasm_component_model(true)
            .wasm_multi_memory(self.multi_memory)
            .wasm_relaxed_simd(self.relaxed_simd)
            .wasm_simd(self.simd)
            .wasm_memory64(self.memory64)
            .wasm_tail_call(self.tail_call)
            .wasm_backtrace_max_frames(None)
            .generate_address_map(self.address_map)
            .native_unwind_info(self.unwind_info)
            .concurrency_support(false)
            .module_version(ModuleVersionStrategy::Custom(self.id().0))
            .map_err(failed)?;
        #[cfg(feature = "compiler")]
        config.cranelift_nan_canonicalization(self.canonical_nan);
        Engine::new(&config).map_err(failed)
    }
}

/// What native code is known by: the exact version of wasmtime and a hash of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineId(String);

impl EngineId {
    /// The id of [`Configuration::STANDARD`].
    pub fn standard() -> &'static Self {
        static STANDARD: OnceLock<EngineId> = OnceLock::new();
        STANDARD.get_or_init(|| Configuration::STANDARD.id())
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_id_names_the_version_that_the_lock_file_pins() {
        let lock = include_str!("../../../Cargo.lock");
        let pinned = lock
            .split("[[package]]")
            .find(|package| package.contains("\nname = \"wasmtime\"\n"))
            .unwrap();
        assert!(pinned.contains(&format!("\nversion = \"{WASMTIME}\"\n")));
    }

    #[test]
    fn another_configuration_is_another_engine() {
        let other = Configuration::STANDARD.with_stack(1 << 18);
        assert_ne!(other.id(), *EngineId::standard());
        assert!(other.id().to_string().starts_with(WASMTIME));
    }
}
