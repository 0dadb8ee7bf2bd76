//! The one engine configuration. Fuel, not time, bounds a call: the same decision costs the same
//! everywhere, so a replay repeats it exactly.

use wasmtime::{Config, Engine, OperatorCost};

/// The engine could not be made: a fault of this build, not of a policy.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine could not be set up: {0}")]
pub struct EngineError(String);

/// Bytes of stack for WebAssembly: half of what the smallest thread that runs policies has left.
const STACK: usize = 512 << 10;

/// Fuel for growing memory by one page (64 KiB): about what touching it costs, so that a policy can't
/// make the host clear memory for nothing.
const FUEL_PER_PAGE: u8 = 255;

/// Makes the engine that every policy runs in.
///
/// Proposals that policies don't need are off; multi-memory stays on, since adapters need it. Threads
/// and garbage collection are not even compiled in.
pub fn engine() -> Result<Engine, EngineError> {
    let mut cost = OperatorCost::new();
    cost.variable.memory_grow_per_page = FUEL_PER_PAGE;
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .operator_cost(cost)
        .max_wasm_stack(STACK)
        .wasm_component_model(true)
        .wasm_relaxed_simd(false)
        .wasm_simd(false)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_backtrace_max_frames(None)
        .concurrency_support(false);
    #[cfg(feature = "compiler")]
    {
        // NaN bits would be the one thing in which two hosts could differ.
        config.cranelift_nan_canonicalization(true);
    }
    Engine::new(&config).map_err(|error| EngineError(format!("{error:#}")))
}
