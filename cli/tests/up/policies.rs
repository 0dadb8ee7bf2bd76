//! Policies that are put into the folder while it runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::PolicyLevel;

use crate::stage::Stage;

/// After this long a decision is by what is active now: the second after which `stoker up` confirms that, the
/// one within which the old one may still decide, and some.
const CONFIRMED: Duration = Duration::from_millis(2_500);

/// A component that `scripts/build-policies --tests` made.
fn test_policy(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target.join("test-policies").join(name).join("policy.wasm");
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `make policies` (part of `make test`) builds it",
            path.display()
        )
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_into_the_folder_decides_next_and_what_is_bad_is_told_and_changes_nothing() {
    let (data, policies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(policies.path().join("default")).unwrap();
    // Into its place in one step, as `stoker policy publish` puts it.
    let put = |name: &str, bytes: &[u8]| {
        let beside = data.path().join(name);
        std::fs::write(&beside, bytes).unwrap();
        std::fs::rename(beside, policies.path().join("default").join(name)).unwrap();
    };
    let good = test_policy("notes-settings");
    let digest = Some(ArtifactDigest::of(&good));

    let stage = Stage::start(data.path(), Some(policies.path()), 5).await;
    let first = stage.decided(1).await;
    assert_eq!(first.by.level, PolicyLevel::BuiltIn);

    put("policy.wasm", &good);
    stage.told("default is active", 1).await;
    tokio::time::sleep(CONFIRMED).await;
    let by_it = stage.decided(2).await;
    assert_eq!(by_it.by.digest, digest);
    assert_eq!(by_it.by.level, PolicyLevel::Default);
    let line = format!(
        "by policy notes-settings 1.0.0 (sha256 {}",
        digest.as_ref().unwrap().short()
    );
    stage.told(&line, 1).await;

    put("settings.json", br#"{"scale-up":{"colour":"green"}}"#);
    stage.told("default is active", 2).await;
    tokio::time::sleep(CONFIRMED).await;
    let settings = r#"scope {"colour":"green"}"#;
    let with_them = stage.decided(3).await;
    assert_eq!(with_them.by.digest, digest);
    assert!(
        with_them.notes.iter().any(|note| note == settings),
        "{with_them:?}"
    );
    stage.told(&format!("note: \"{settings}\""), 1).await;

    for (nth, (name, bytes, why)) in [
        ("policy.wasm", test_policy("traps"), "scale-up: it fails"),
        ("settings.json", b"{nonsense".to_vec(), "settings.json: "),
    ]
    .into_iter()
    .enumerate()
    {
        put(name, &bytes);
        let words = "default is refused; what decided before goes on";
        let told = stage.told(words, nth + 1).await;
        assert!(told.contains(why), "{told}");
        tokio::time::sleep(CONFIRMED).await;
        let still = stage.decided(4 + nth as u64).await;
        assert_eq!(still.by.digest, digest, "after a bad {name}");
        assert_eq!(still.by.generation, with_them.by.generation);
        assert!(still.notes.iter().any(|note| note == settings), "{still:?}");
        assert_eq!(still.fallback, None);
    }
    stage.plane.stop().await.unwrap();
}
