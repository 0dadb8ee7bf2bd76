use std::time::Duration;

use stoker_core::contract::check_uploads;

use super::*;

const PATH: &str = "orgs/acme/policy.wasm";

fn folder() -> (tempfile::TempDir, FolderUploads) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("policies");
    std::fs::create_dir_all(root.join("orgs/acme")).unwrap();
    std::fs::write(root.join(PATH), b"one").unwrap();
    std::fs::write(outer.path().join("secret"), b"secret").unwrap();
    (outer, FolderUploads::new(root))
}

/// Puts a file there as people do.
fn copy(uploads: &FolderUploads, path: &str, bytes: &[u8]) {
    let file = uploads.root().join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, bytes).unwrap();
}

async fn paths(uploads: &FolderUploads) -> Vec<String> {
    let listed = uploads.list().await.unwrap();
    listed.into_iter().map(|upload| upload.path).collect()
}

async fn only(uploads: &FolderUploads) -> Upload {
    let mut listed = uploads.list().await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    listed.remove(0)
}

#[tokio::test]
async fn a_folder_keeps_the_contract_of_all_places_for_uploads() {
    let outer = tempfile::tempdir().unwrap();
    let uploads = FolderUploads::new(outer.path().join("not/there/yet"));
    let delete = async |path: &str| std::fs::remove_file(uploads.root().join(path)).unwrap();
    if let Err(breaches) = check_uploads(&uploads, delete).await {
        panic!("{breaches}");
    }
}

#[tokio::test]
async fn where_there_is_no_folder_there_are_no_uploads() {
    let none = FolderUploads::new("/nonexistent/policies");
    assert_eq!(none.list().await.unwrap(), []);
}

#[tokio::test]
async fn every_file_is_listed_but_hidden_ones_and_those_that_lie_too_deep() {
    let (_outer, uploads) = folder();
    for path in [
        "README.md",
        "default/settings.json",
        "orgs/Ac me/policy.wasm",
        "orgs/.hidden/policy.wasm",
        "repos/acme/app/policy.wasm",
        "repos/acme/app/.policy.wasm.swp",
        "repos/acme/app/deeper/policy.wasm",
        "repos/acme/.github/settings.json",
        ".git/objects/12/34",
        ".DS_Store",
    ] {
        copy(&uploads, path, b"x");
    }
    let expected = [
        "README.md",
        "default/settings.json",
        "orgs/Ac me/policy.wasm",
        "orgs/acme/policy.wasm",
        "repos/acme/.github/settings.json",
        "repos/acme/app/policy.wasm",
    ];
    assert_eq!(paths(&uploads).await, expected);
    for upload in uploads.list().await.unwrap() {
        assert!(uploads.read(&upload).await.unwrap().is_some(), "{upload:?}");
    }
}

#[tokio::test]
async fn touching_a_file_uploads_the_same_bytes_again() {
    let (_outer, uploads) = folder();
    let first = only(&uploads).await;
    let file = File::options()
        .write(true)
        .open(uploads.root().join(PATH))
        .unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(2))
        .unwrap();
    let second = only(&uploads).await;
    assert_ne!(first.version, second.version);
    assert_eq!(uploads.read(&first).await.unwrap(), None);
    let read = uploads.read(&second).await.unwrap().unwrap();
    assert_eq!(read.bytes, b"one");
}

#[tokio::test]
async fn other_bytes_of_the_same_time_are_another_version() {
    let (_outer, uploads) = folder();
    let first = only(&uploads).await;
    let path = uploads.root().join(PATH);
    let modified = path.metadata().unwrap().modified().unwrap();
    std::fs::write(&path, b"two").unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
    let second = only(&uploads).await;
    assert_eq!(first.at, second.at);
    assert_ne!(first.version, second.version);
    assert_eq!(uploads.read(&first).await.unwrap(), None);
}

#[tokio::test]
async fn the_same_bytes_uploaded_twice_in_one_tick_of_the_clock_are_two_versions() {
    let (_outer, uploads) = folder();
    let mut versions = std::collections::BTreeSet::new();
    for _ in 0..20 {
        uploads.put(PATH, b"same", "julia").await.unwrap();
        versions.insert(only(&uploads).await.version);
    }
    assert_eq!(versions.len(), 20);
}

#[tokio::test]
async fn who_uploaded_is_told_only_of_the_bytes_that_were_uploaded() {
    let (_outer, uploads) = folder();
    let by = async || {
        let upload = only(&uploads).await;
        uploads.read(&upload).await.unwrap().unwrap().by
    };
    let owner = by().await;
    #[cfg(unix)]
    assert!(owner.as_ref().unwrap().starts_with("uid "), "{owner:?}");
    uploads.put(PATH, b"two", "julia").await.unwrap();
    assert_eq!(by().await.unwrap(), "julia");
    copy(&uploads, PATH, b"three");
    assert_eq!(by().await, owner);
}

#[tokio::test]
async fn who_uploaded_is_one_line_of_bounded_length() {
    let (_outer, uploads) = folder();
    let long = format!("julia\nand\u{1b}[31m {}", "x".repeat(10_000));
    uploads.put(PATH, b"two", &long).await.unwrap();
    let upload = only(&uploads).await;
    let by = uploads.read(&upload).await.unwrap().unwrap().by.unwrap();
    assert!(by.starts_with("julia and [31m xxx"), "{by}");
    assert_eq!(by.chars().count(), 256);
}

#[tokio::test]
async fn what_is_too_large_is_listed_with_its_size_and_not_read() {
    let (_outer, uploads) = folder();
    let file = File::create(uploads.root().join(PATH)).unwrap();
    file.set_len(LARGEST + 1).unwrap();
    let upload = only(&uploads).await;
    assert_eq!(upload.size, LARGEST + 1);
    let told = uploads.read(&upload).await.unwrap_err();
    assert!(told.problem.contains("20971520"), "{told}");
    file.set_len(LARGEST).unwrap();
    assert_eq!(uploads.read(&upload).await.unwrap(), None);
    let upload = only(&uploads).await;
    let read = uploads.read(&upload).await.unwrap().unwrap();
    assert_eq!(read.bytes.len() as u64, LARGEST);
    let larger = vec![0; read.bytes.len() + 1];
    let told = uploads.put(PATH, &larger, "julia").await.unwrap_err();
    assert!(told.problem.contains("20971520"), "{told}");
}

#[tokio::test]
async fn no_path_leaves_the_folder() {
    let (outer, uploads) = folder();
    let upload = only(&uploads).await;
    for path in ["../secret", "orgs/../../secret", "/etc/passwd", ""] {
        let wanted = Upload {
            path: path.to_owned(),
            ..upload.clone()
        };
        assert!(uploads.read(&wanted).await.is_err(), "{path:?}");
        let put = uploads.put(path, b"x", "julia").await;
        assert!(put.is_err(), "{path:?}");
    }
    for path in [
        "orgs/acme/.hidden",
        "orgs/ac me/policy.wasm",
        "a/b/c/d/policy.wasm",
    ] {
        let put = uploads.put(path, b"x", "julia").await;
        assert!(put.is_err(), "{path:?}");
    }
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn links_lead_anywhere_inside_and_nowhere_else() {
    use std::os::unix::fs::symlink;
    let (outer, uploads) = folder();
    let root = uploads.root();
    std::fs::create_dir_all(root.join("repos/acme/app")).unwrap();
    symlink(root.join(PATH), root.join("repos/acme/app/policy.wasm")).unwrap();
    symlink(root.join("orgs/acme"), root.join("default")).unwrap();
    symlink(
        outer.path().join("secret"),
        root.join("orgs/acme/settings.json"),
    )
    .unwrap();
    symlink(outer.path(), root.join("orgs/outside")).unwrap();
    symlink("nowhere", root.join("orgs/dangling")).unwrap();
    symlink("itself", root.join("orgs/itself")).unwrap();
    symlink("..", root.join("orgs/up")).unwrap();
    let listed = uploads.list().await.unwrap();
    let found: Vec<&str> = listed.iter().map(|upload| upload.path.as_str()).collect();
    let expected = [
        "default/policy.wasm",
        PATH,
        // As deep as may be, and no deeper.
        "orgs/up/default/policy.wasm",
        "repos/acme/app/policy.wasm",
    ];
    assert_eq!(found, expected);
    for upload in &listed {
        let read = uploads.read(upload).await.unwrap().unwrap();
        assert_eq!(read.bytes, b"one", "{}", upload.path);
    }
    let secret = Upload {
        path: "orgs/acme/settings.json".to_owned(),
        ..listed[0].clone()
    };
    let told = uploads.read(&secret).await.unwrap_err();
    assert!(told.problem.contains("leads out"), "{told}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_among_the_uploads_is_left_alone() {
    let (_outer, uploads) = folder();
    let made = std::process::Command::new("mkfifo")
        .arg(uploads.root().join("orgs/acme/settings.json"))
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(paths(&uploads).await, [PATH]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_while_others_upload_sees_whole_files_only() {
    let (_outer, uploads) = folder();
    let writers: Vec<_> = (b'1'..b'4')
        .map(|n| {
            let uploads = uploads.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    let bytes = vec![n; 100_000];
                    uploads.put(PATH, &bytes, "julia").await.unwrap();
                }
            })
        })
        .collect();
    let mut read = 0;
    while writers.iter().any(|writer| !writer.is_finished()) {
        let upload = only(&uploads).await;
        let Some(found) = uploads.read(&upload).await.unwrap() else {
            continue;
        };
        read += 1;
        let whole = found.bytes == b"one"
            || found.bytes.len() == 100_000 && found.bytes.iter().all(|&b| b == found.bytes[0]);
        assert!(whole, "half a file: {} bytes", found.bytes.len());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(read > 0);
}
