use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stoker_core::contract::check_admission_store;

use super::*;

fn folder() -> (tempfile::TempDir, FolderPolicies) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("published");
    std::fs::create_dir_all(root.join("orgs/acme")).unwrap();
    std::fs::write(root.join("orgs/acme/verdict.json"), b"one").unwrap();
    std::fs::write(outer.path().join("secret"), b"secret").unwrap();
    (outer, FolderPolicies::new(root))
}

/// Every name in a folder, hidden ones too.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_the_contract_of_all_stores() {
    let outer = tempfile::tempdir().unwrap();
    let store = FolderPolicies::new(outer.path().join("not/there/yet"));
    if let Err(breaches) = check_admission_store(&store).await {
        panic!("{breaches}");
    }
}

#[tokio::test]
async fn an_editor_that_only_touches_a_file_changes_nothing() {
    let (_outer, store) = folder();
    let path = "orgs/acme/verdict.json";
    let Fetched::Found { tag, .. } = store.fetch(path, None).await.unwrap() else {
        panic!("not found");
    };
    std::fs::write(store.root().join(path), b"one").unwrap();
    let again = store.fetch(path, Some(&tag)).await.unwrap();
    assert_eq!(again, Fetched::Unchanged);
}

#[tokio::test]
async fn what_is_no_file_is_absent() {
    let (_outer, store) = folder();
    for path in ["orgs/acme/verdict.json/deeper", "orgs", "orgs/other"] {
        let found = store.fetch(path, None).await.unwrap();
        assert_eq!(found, Fetched::Absent, "{path}");
    }
    let none = FolderPolicies::new("/nonexistent/policies");
    let found = none.fetch("active.json", None).await.unwrap();
    assert_eq!(found, Fetched::Absent);
    assert_eq!(none.list("", None).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn no_path_leaves_the_folder() {
    let (outer, store) = folder();
    for path in [
        "../secret",
        "orgs/../../secret",
        "/etc/passwd",
        "orgs//acme",
        "orgs\\..\\secret",
        "orgs/./acme",
        "",
        ".lock~",
        "a\0b",
    ] {
        let told = store.fetch(path, None).await.unwrap_err();
        assert!(told.problem.contains("plain names"), "{path:?}: {told}");
        assert!(store.create(path, b"x").await.is_err(), "{path:?}");
        assert!(store.put(path, b"x").await.is_err(), "{path:?}");
        let replaced = store.replace(path, None, b"x").await;
        assert!(replaced.is_err(), "{path:?}");
    }
    for prefix in ["../", "/", "orgs/../..", "orgs//"] {
        let listed = store.list(prefix, None).await;
        assert!(
            listed.as_ref().is_ok_and(Vec::is_empty) || listed.is_err(),
            "{prefix:?}: {listed:?}"
        );
    }
    assert_eq!(
        std::fs::read(outer.path().join("secret")).unwrap(),
        b"secret"
    );
    assert_eq!(names(outer.path()).len(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn no_link_leaves_the_folder() {
    use std::os::unix::fs::symlink;
    let (outer, store) = folder();
    symlink(outer.path().join("secret"), store.root().join("file")).unwrap();
    symlink(outer.path(), store.root().join("folder")).unwrap();
    for path in ["file", "folder/secret"] {
        let told = store.fetch(path, None).await.unwrap_err();
        assert!(told.problem.contains("leads out"), "{told}");
    }
    for path in ["folder/new", "folder/deep/new"] {
        let told = store.put(path, b"x").await.unwrap_err();
        assert!(told.problem.contains("leads out"), "{told}");
    }
    assert_eq!(names(outer.path()).len(), 2, "nothing was made outside");
    // What is written over a link takes its place, and what it led to stays.
    store.put("file", b"new").await.unwrap();
    let outside = std::fs::read(outer.path().join("secret")).unwrap();
    assert_eq!(outside, b"secret");
    let listed = store.list("", None).await.unwrap();
    assert_eq!(listed, ["file", "orgs/acme/verdict.json"]);
}

#[tokio::test]
async fn what_was_written_leaves_nothing_beside_it_and_the_lock_is_not_listed() {
    let (_outer, store) = folder();
    store.put("active.json", b"one").await.unwrap();
    store.create("active.json", b"two").await.unwrap();
    store.replace("active.json", None, b"two").await.unwrap();
    let expected = [".lock~", "active.json", "orgs"].map(str::to_owned);
    assert_eq!(names(store.root()), expected.into());
    // What a writer left that died.
    std::fs::write(store.root().join(".active.json.x1y2~"), b"half").unwrap();
    let listed = store.list("", None).await.unwrap();
    assert_eq!(listed, ["active.json", "orgs/acme/verdict.json"]);
}

#[tokio::test]
async fn a_long_list_comes_in_parts_of_a_thousand_that_go_on_after_the_last() {
    let (_outer, store) = folder();
    let folder = store.root().join("verdicts");
    std::fs::create_dir(&folder).unwrap();
    for n in 0..1_203 {
        std::fs::write(folder.join(format!("{n:04}")), b"x").unwrap();
    }
    let first = store.list("verdicts/", None).await.unwrap();
    assert_eq!(first.len(), 1_000);
    let rest = store
        .list("verdicts/", first.last().map(String::as_str))
        .await
        .unwrap();
    assert_eq!(rest.len(), 203);
    assert_eq!(rest[0], "verdicts/1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_while_others_write_sees_whole_files_only() {
    let (_outer, store) = folder();
    store
        .put("active.json", &vec![b'0'; 200_000])
        .await
        .unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (b'1'..b'4')
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    store.put("active.json", &vec![n; 200_000]).await.unwrap();
                }
            })
        })
        .collect();
    let reader = {
        let (store, done) = (store.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let Fetched::Found { bytes, .. } = store.fetch("active.json", None).await.unwrap()
                else {
                    panic!("it was gone");
                };
                let whole = bytes.len() == 200_000 && bytes.iter().all(|&byte| byte == bytes[0]);
                assert!(whole, "half a file: {} bytes", bytes.len());
            }
        })
    };
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    reader.await.unwrap();
}

/// How often each process counts, in [`two_processes_that_count_in_one_object_lose_no_step`].
const STEPS: u32 = 60;

/// Tells the test program that it is the other process, and in which folder.
const OTHER: &str = "STOKER_TEST_COUNTS_IN";

/// Counts up in one object, as often as [`STEPS`] says.
async fn count(store: &FolderPolicies) {
    for _ in 0..STEPS {
        loop {
            let (number, known) = match store.fetch("count", None).await.unwrap() {
                Fetched::Found { bytes, tag } => {
                    let digits = String::from_utf8(bytes).unwrap();
                    (digits.parse::<u32>().unwrap(), Some(tag))
                }
                _ => (0, None),
            };
            let next = (number + 1).to_string();
            let replaced = store.replace("count", known.as_deref(), next.as_bytes());
            if replaced.await.unwrap() != Replaced::Conflict {
                break;
            }
        }
    }
}

#[tokio::test]
async fn two_processes_that_count_in_one_object_lose_no_step() {
    if let Some(root) = std::env::var_os(OTHER) {
        count(&FolderPolicies::new(root)).await;
        return;
    }
    let (_outer, store) = folder();
    // As the test program knows this test: without the crate's name.
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::two_processes_that_count_in_one_object_lose_no_step");
    let mut other = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name])
        .env(OTHER, store.root())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    count(&store).await;
    assert!(other.wait().unwrap().success());
    let Fetched::Found { bytes, .. } = store.fetch("count", None).await.unwrap() else {
        panic!("not found");
    };
    assert_eq!(String::from_utf8(bytes).unwrap(), (2 * STEPS).to_string());
}
