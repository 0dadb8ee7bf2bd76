//! `stoker policy component`: from a core module to a component.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use stoker_core::ids::ArtifactDigest;
use wit_component::ComponentEncoder;

/// What to do with policies.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Make a component of a module that was built for wasm32-unknown-unknown with the SDK.
    Component(ComponentArgs),
}

/// Arguments of `stoker policy component`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  cargo build --release --target wasm32-unknown-unknown -p my-policy
  stoker policy component target/wasm32-unknown-unknown/release/my_policy.wasm -o policy.wasm")]
pub struct ComponentArgs {
    /// The core module.
    #[arg(value_name = "MODULE.wasm")]
    module: PathBuf,
    /// Where to write the component.
    #[arg(short, long, value_name = "FILE", default_value = "policy.wasm")]
    output: PathBuf,
}

/// The first eight bytes of a core module, and of a component.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Runs the command.
pub fn run(command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    let PolicyCommand::Component(args) = command;
    let shown = args.module.display();
    let module = std::fs::read(&args.module).with_context(|| format!("{shown} can't be read"))?;
    let component = encode(&module).with_context(|| format!("{shown}"))?;
    if let Some(folder) = args.output.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} can't be made", folder.display()))?;
    }
    std::fs::write(&args.output, &component)
        .with_context(|| format!("{} can't be written", args.output.display()))?;
    writeln!(
        std::io::stdout(),
        "{}: {} KB, sha256 {}",
        args.output.display(),
        component.len().div_ceil(1_000),
        ArtifactDigest::of(&component)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The component of a core module that the SDK's exports were compiled into.
pub fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    if module.starts_with(COMPONENT) {
        bail!("this is a component already: it can be used as it is");
    }
    if !module.starts_with(MODULE) {
        bail!("this is not a WebAssembly module");
    }
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("no component can be made of this module: was it built with the SDK's `export_…!` macros, for wasm32-unknown-unknown, by the SDK's own version of wit-bindgen?")?
        .encode()
        .context("the component would not be valid: does the module import something that no host gives, such as WASI?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_refused_by_name() {
        let told = |bytes: &[u8]| encode(bytes).unwrap_err().to_string();
        assert!(told(b"text").contains("not a WebAssembly module"));
        assert!(told(COMPONENT).contains("already"));
    }

    #[test]
    fn an_empty_module_becomes_a_component() {
        assert!(encode(MODULE).unwrap().starts_with(COMPONENT));
    }
}
