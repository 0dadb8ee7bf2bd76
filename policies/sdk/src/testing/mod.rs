//! For tests of policies: [situations](fleet) in a few words, and [properties] that every policy keeps.
//!
//! Natively a test calls [`run`](crate::run); the same properties are checked against the compiled
//! component by `stoker policy check`.

mod fleet;
mod measures;
pub mod properties;
mod strategies;

pub use fleet::{Fleet, fleet};

/// That a file holds the schema of a policy's settings, so that what editors and people read is what
/// the policy understands, and that every `$ref` in it leads somewhere. With `UPDATE_GOLDEN=1` in the environment the file is written.
///
/// # Panics
/// If it does not, or can't be written.
#[cfg(not(target_arch = "wasm32"))]
pub fn assert_schema_file(
    path: &str,
    schemas: impl IntoIterator<Item = (&'static str, serde_json::Value)>,
) {
    let schema = crate::settings::schema_of_file(schemas);
    let unresolved = crate::settings::unresolved(&schema);
    assert!(
        unresolved.is_empty(),
        "the schema of {path} refers to what is not in it: {}",
        unresolved.join(", ")
    );
    let mut schema = format!("{schema:#}");
    schema.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        if let Err(error) = std::fs::write(path, &schema) {
            panic!("{path} can't be written: {error}");
        }
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == schema,
        "{path} is not the schema of the settings; UPDATE_GOLDEN=1 writes it:\n{schema}"
    );
}
