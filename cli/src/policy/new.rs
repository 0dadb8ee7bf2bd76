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
/// The version that the SDK's macros are generated for.
const WIT_BINDGEN: &str = "0.61";
const SETTINGS: &str = "{\n  \"scale-up\": {\n    \"max_runners\": 10\n  }\n}\n";

pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    check_name(&args.name)?;
    let folder = args.path.join(&args.name);
    if folder.exists() {
        bail!("{} is there already: nothing was written", folder.display());
    }
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/sdk");
    let sdk = Sdk::find(args.sdk.as_deref(), &built_from)?;
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
    if let Some(told) = sdk.told() {
        writeln!(std::io::stdout(), "{told}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the compiler takes for words of the language, in this edition and those to come.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Crates that every project has, or that this one depends on.
const CRATES: [&str; 9] = [
    "alloc",
    "core",
    "proc-macro",
    "schemars",
    "serde",
    "std",
    "stoker-policy-sdk",
    "test",
    "wit-bindgen",
];

fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !plain || !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 60 {
        bail!(
            "`{name}` is no name for a policy: use 1 to 60 lower-case letters, digits and hyphens, a \
             letter first"
        );
    }
    let taken = if KEYWORDS.contains(&name) {
        "a word of Rust"
    } else if CRATES.contains(&name) {
        "a crate that the project needs"
    } else {
        return Ok(());
    };
    bail!("`{name}` can't be a policy's name, since it is {taken}: `{name}-policy` can")
}

/// Where the project's SDK comes from.
#[derive(Debug, PartialEq, Eq)]
enum Sdk {
    /// A folder of a clone of Stoker.
    Clone(PathBuf),
    /// The registry, where it has this version.
    Registry(&'static str),
}

impl Sdk {
    /// The folder that was asked for, else the one that this was built from, else the registry.
    fn find(asked: Option<&Path>, built_from: &Path) -> anyhow::Result<Self> {
        let folder = match asked {
            Some(folder) => folder
                .canonicalize()
                .with_context(|| format!("there is no SDK in {}", folder.display()))?,
            None => match built_from.canonicalize() {
                Ok(folder) => folder,
                Err(_) => return Ok(Self::Registry(env!("CARGO_PKG_VERSION"))),
            },
        };
        if !folder.join("Cargo.toml").is_file() {
            bail!("there is no SDK in {}", folder.display());
        }
        Ok(Self::Clone(folder))
    }

    /// What the project's manifest says of it.
    fn dependency(&self) -> String {
        match self {
            // A path as TOML's literal string, in which nothing is escaped.
            Self::Clone(folder) => format!("path = '{}'", folder.display()),
            Self::Registry(version) => format!("version = \"={version}\""),
        }
    }

    /// What its author may not expect.
    fn told(&self) -> Option<String> {
        let Self::Registry(_) = self else {
            return None;
        };
        Some(format!(
            "The SDK ({}) is taken from the registry, since no clone of Stoker is where this `stoker` was \
             built.\n`--sdk FOLDER` takes a clone's, its folder policies/sdk.",
            self.dependency()
        ))
    }
}

fn filled(template: &str, name: &str, sdk: &Sdk) -> String {
    template
        .replace("@NAME@", name)
        .replace("@TYPE@", &type_name(name))
        .replace("@SDK@", &sdk.dependency())
        .replace("@WIT_BINDGEN@", WIT_BINDGEN)
}

/// `night-watch` and `night-watch-policy` as `NightWatchPolicy`: the SDK's own names (`Policy`,
/// `Settings`, `Plan`) are never taken.
fn type_name(name: &str) -> String {
    if name == "policy" {
        return "ThePolicy".to_owned();
    }
    let words = name.strip_suffix("-policy").unwrap_or(name);
    let capitalised = words.split('-').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    });
    capitalised.chain(["Policy".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_types_that_are_nobody_elses() {
        for (name, told) in [
            ("night-watch-2", "NightWatch2Policy"),
            ("night-watch-policy", "NightWatchPolicy"),
            ("my-policy", "MyPolicy"),
            ("policy", "ThePolicy"),
            ("policy-", "PolicyPolicy"),
            ("settings", "SettingsPolicy"),
            ("plan", "PlanPolicy"),
            ("situation", "SituationPolicy"),
        ] {
            assert_eq!(type_name(name), told);
            let source = filled(SOURCE, name, &Sdk::Registry("0"));
            assert!(source.contains(&format!("pub struct {told};")), "{source}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "Night", "2nd", "a b", "../a"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("night-watch").is_ok());
    }

    #[test]
    fn what_cargo_or_the_compiler_can_not_take_is_refused_with_a_name_that_they_can() {
        for (name, why) in [
            ("self", "a word of Rust"),
            ("fn", "a word of Rust"),
            ("yield", "a word of Rust"),
            ("gen", "a word of Rust"),
            ("std", "a crate that the project needs"),
            ("proc-macro", "a crate that the project needs"),
            ("wit-bindgen", "a crate that the project needs"),
            ("stoker-policy-sdk", "a crate that the project needs"),
        ] {
            let refused = check_name(name).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
            assert!(
                refused.ends_with(&format!("`{name}-policy` can")),
                "{refused}"
            );
            assert!(check_name(&format!("{name}-policy")).is_ok());
        }
    }

    #[test]
    fn every_dependency_of_the_project_is_a_name_that_is_taken() {
        let manifest = filled(MANIFEST, "night-watch", &Sdk::Registry("0"));
        let dependencies = manifest
            .lines()
            .skip_while(|line| *line != "[dependencies]")
            .filter_map(|line| line.split_once(" = {"));
        let mut count = 0;
        for (name, _) in dependencies {
            assert!(check_name(name).is_err(), "{name}");
            count += 1;
        }
        assert!(count >= 4, "{manifest}");
    }

    #[test]
    fn the_sdk_of_a_clone_goes_before_the_registrys_which_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().canonicalize().unwrap();
        let nowhere = clone.join("gone");
        let none = Sdk::find(Some(&clone), &nowhere).unwrap_err().to_string();
        assert!(none.contains("there is no SDK in"), "{none}");
        assert!(Sdk::find(Some(&nowhere), &clone).is_err());

        let registry = Sdk::find(None, &nowhere).unwrap();
        let version = concat!("version = \"=", env!("CARGO_PKG_VERSION"), "\"");
        assert_eq!(registry.dependency(), version);
        let told = registry.told().unwrap();
        assert!(
            told.contains(version) && told.contains("--sdk FOLDER"),
            "{told}"
        );

        std::fs::write(clone.join("Cargo.toml"), "").unwrap();
        for (asked, built_from) in [(Some(&*clone), &*nowhere), (None, &*clone)] {
            let sdk = Sdk::find(asked, built_from).unwrap();
            assert_eq!(sdk, Sdk::Clone(clone.clone()));
            assert_eq!(sdk.told(), None);
        }
    }

    #[test]
    fn the_project_has_the_sdks_own_version_of_wit_bindgen() {
        let workspace = include_str!("../../../Cargo.toml");
        let dependency = format!("\nwit-bindgen = {{ version = \"{WIT_BINDGEN}\",");
        assert!(workspace.contains(&dependency), "{dependency}");
    }
}
