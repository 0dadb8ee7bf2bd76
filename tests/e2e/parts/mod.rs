//! The real parts, each started on a free port and ended when it is dropped, also by a panic.

pub(crate) mod aws;
pub(crate) mod lambda;
pub(crate) mod mapping;
pub(crate) mod moto;
pub(crate) mod payload;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod runtime_api;
pub(crate) mod stack;
pub(crate) mod worker;

use std::path::PathBuf;

/// A file or folder of the repository.
pub(crate) fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// A file that the build makes below the target folder, which this very program lies in.
pub(crate) fn built(path: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let profile = this.parent().and_then(|deps| deps.parent()).unwrap();
    let from_profile = profile.join(path);
    if from_profile.exists() {
        return from_profile;
    }
    let file = profile.parent().unwrap().join(path);
    assert!(
        file.exists(),
        "there is no {}, nor {}: `make test` builds it before it runs the tests",
        from_profile.display(),
        file.display()
    );
    file
}
