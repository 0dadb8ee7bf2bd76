//! `stoker policy build`: from a project, or a core module, to a component.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;
use stoker_core::ids::ArtifactDigest;
use wit_component::ComponentEncoder;

/// Arguments of `stoker policy build`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy build                        the project in this folder
  stoker policy build my-policy              a project in another folder
  stoker policy build module.wasm -o p.wasm  a core module that was built for wasm32-unknown-unknown")]
pub struct BuildArgs {
    /// A project's folder, or a core module.
    #[arg(value_name = "FOLDER|MODULE.wasm", default_value = ".")]
    from: PathBuf,
    /// Where to write the component; for a project policy.wasm in its folder.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The first eight bytes of a core module, and of a component.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

const TARGET: &str = "wasm32-unknown-unknown";

pub(super) fn run(args: &BuildArgs) -> anyhow::Result<ExitCode> {
    let (module_path, output) = if args.from.is_dir() {
        (compile(&args.from)?, args.from.join("policy.wasm"))
    } else {
        (args.from.clone(), PathBuf::from("policy.wasm"))
    };
    let output = args.output.clone().unwrap_or(output);
    let shown = module_path.display();
    let module = std::fs::read(&module_path).with_context(|| format!("{shown} can't be read"))?;
    let component = encode(&module).with_context(|| format!("{shown}"))?;
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} can't be made", folder.display()))?;
    }
    std::fs::write(&output, &component)
        .with_context(|| format!("{} can't be written", output.display()))?;
    writeln!(
        std::io::stdout(),
        "{}: {} KB, sha256 {}",
        output.display(),
        component.len().div_ceil(1_000),
        ArtifactDigest::of(&component)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the project in a folder; the core module that came of it.
fn compile(folder: &Path) -> anyhow::Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        bail!(
            "{} has no Cargo.toml: `stoker policy new NAME` begins a project",
            folder.display()
        );
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--lib", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(&manifest)
        // Its progress and its complaints are for whoever waits.
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be run: install Rust by rustup (https://rustup.rs)")?;
    if !output.status.success() {
        bail!(
            "cargo could not build the policy (see above); if the target is missing: \
             rustup target add {TARGET}"
        );
    }
    module_of(&String::from_utf8_lossy(&output.stdout)).with_context(|| {
        format!(
            "{} built no WebAssembly module: give it `[lib] crate-type = [\"cdylib\", \"rlib\"]`",
            manifest.display()
        )
    })
}

/// The module that cargo says it made last: dependencies are built before what depends on them.
fn module_of(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .flat_map(|message| {
            let files = message["filenames"].as_array().cloned();
            files.unwrap_or_default()
        })
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .rfind(|file| {
            file.extension()
                .is_some_and(|extension| extension == "wasm")
        })
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
        .context("no component can be made of this module: was it built with the SDK's `export!`, for wasm32-unknown-unknown, by the SDK's own version of wit-bindgen?")?
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

    #[test]
    fn the_module_is_the_last_that_cargo_made() {
        let messages = r#"{"reason":"compiler-artifact","filenames":["/t/libserde.rlib"]}
{"reason":"compiler-artifact","filenames":["/t/mine.wasm","/t/libmine.rlib"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(module_of(messages), Some(PathBuf::from("/t/mine.wasm")));
        assert_eq!(module_of("noise"), None);
    }
}
