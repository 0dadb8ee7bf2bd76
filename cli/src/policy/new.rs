//! `stoker policy new`: a project that builds and tests as it stands.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

/// Arguments of `stoker policy new`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy new night-watch
  stoker policy new night-watch --sdk ../stoker/policies/sdk

Then, in its folder: cargo test, stoker policy build, stoker policy check policy.wasm.")]
pub struct NewArgs {
    /// The policy's name, and its folder's: lower-case letters, digits and hyphens.
    #[arg(value_name = "NAME")]
    name: String,
    /// The folder in which the project's folder is made.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    path: PathBuf,
    /// The SDK's folder (policies/sdk of a clone of Stoker). Without it: the clone that this `stoker` was
    /// built from, if it is there, else the SDK of this version from the registry.
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

const MANIFEST: &str = include_str!("template/Cargo.toml.txt");
const SOURCE: &str = include_str!("template/lib.rs.txt");
const IGNORED: &str = "/target\n/policy.wasm\n*.counterexample-*.json\n";
const SETTINGS: &str = "{\n  \"scale-up\": {\n    \"max_runners\": 10\n  }\n}\n";

pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    check_name(&args.name)?;
    let folder = args.path.join(&args.name);
    if folder.exists() {
        bail!("{} is there already: nothing was written", folder.display());
    }
    let sdk = dependency(args.sdk.as_deref())?;
    let files = [
        ("Cargo.toml", filled(MANIFEST, &args.name, &sdk)),
        ("src/lib.rs", filled(SOURCE, &args.name, &sdk)),
        ("settings.json", SETTINGS.to_owned()),
        (".gitignore", IGNORED.to_owned()),
    ];
    for (file, text) in files {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("the folder {} can't be made", parent.display()))?;
        }
        std::fs::write(&path, text)
            .with_context(|| format!("{} can't be written", path.display()))?;
    }
    writeln!(
        std::io::stdout(),
        "{folder} is there. What next:\n  cd {folder}\n  cargo test\n  stoker policy build\n  \
         stoker policy check policy.wasm --settings settings.json",
        folder = folder.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if plain && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 60 {
        return Ok(());
    }
    bail!(
        "`{name}` is no name for a policy: use 1 to 60 lower-case letters, digits and hyphens, a letter \
         first"
    )
}

/// What the project's manifest says of the SDK.
fn dependency(sdk: Option<&Path>) -> anyhow::Result<String> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/sdk");
    let folder = match sdk {
        Some(folder) => Some(
            folder
                .canonicalize()
                .with_context(|| format!("there is no SDK in {}", folder.display()))?,
        ),
        None => built_from.canonicalize().ok(),
    };
    let Some(folder) = folder else {
        return Ok(format!("version = \"={}\"", env!("CARGO_PKG_VERSION")));
    };
    if !folder.join("Cargo.toml").is_file() {
        bail!("there is no SDK in {}", folder.display());
    }
    // A path as TOML's literal string, in which nothing is escaped.
    Ok(format!("path = '{}'", folder.display()))
}

fn filled(template: &str, name: &str, sdk: &str) -> String {
    template
        .replace("@NAME@", name)
        .replace("@TYPE@", &type_name(name))
        .replace("@SDK@", sdk)
        .replace("@WIT_BINDGEN@", "0.61")
}

/// `night-watch` as `NightWatch`.
fn type_name(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect::<String>())
                .unwrap_or_default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_types() {
        assert_eq!(type_name("night-watch-2"), "NightWatch2");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "Night", "2nd", "a b", "../a"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("night-watch").is_ok());
    }
}
