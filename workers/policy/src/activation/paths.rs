//! Where things lie in the store. All but the pointer and the verdicts never change once they are there.

use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;

use crate::engine::EngineId;

/// The one pointer.
pub const ACTIVE: &str = "active.json";

/// What the paths of earlier publications begin with.
pub const GENERATIONS: &str = "generations/";

/// A publication, as it was signed: so that one may be gone back to.
pub fn generation(generation: PolicyGeneration) -> String {
    // As many digits as times have, so that their order as text is their order.
    format!("{GENERATIONS}{:014}.json", generation.0)
}

/// The publication that a path is of.
pub fn generation_of(path: &str) -> Option<PolicyGeneration> {
    let number = path.strip_prefix(GENERATIONS)?.strip_suffix(".json")?;
    number.parse().ok().map(PolicyGeneration)
}

/// A policy's component.
pub fn component(digest: &ArtifactDigest) -> String {
    format!("admitted/components/{digest}.wasm")
}

/// Settings: a folder's own, or merged ones.
pub fn settings(digest: &ArtifactDigest) -> String {
    format!("admitted/settings/{digest}.json")
}

/// A policy's machine code for an engine, by the digest of the code.
pub fn native(engine: &EngineId, digest: &ArtifactDigest) -> String {
    format!("admitted/native/{engine}/{digest}.cwasm")
}

/// What the paths of verdicts begin with.
pub const VERDICTS: &str = "verdicts/";

/// What admission thinks of a folder.
pub fn verdict(folder: &PolicyFolder) -> String {
    format!("{VERDICTS}{folder}.json")
}

/// The folder that a verdict is about.
pub fn verdict_of(path: &str) -> Option<PolicyFolder> {
    let folder = path.strip_prefix(VERDICTS)?.strip_suffix(".json")?;
    folder.parse().ok()
}

/// What admission thinks of files in places that are none: one for all.
pub const MISPLACED: &str = "verdicts/misplaced.json";

/// That a component killed the process that tried it.
pub fn killer(digest: &ArtifactDigest) -> String {
    format!("verdicts/components/{digest}.json")
}
