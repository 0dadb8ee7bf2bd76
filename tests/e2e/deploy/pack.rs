//! `scripts/pack`: what `make dist` hands to Terraform.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::tool::said;
use crate::parts::stack::digest;
use crate::parts::{built, root};

/// The head of a program for Linux on a machine, and enough to be told from others.
fn program(machine: u16, name: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(18, 0);
    bytes.extend(machine.to_le_bytes());
    bytes.extend(name.as_bytes().repeat(1_000));
    bytes
}

const X86_64: u16 = 62;
const ARM64: u16 = 183;

struct Built {
    folder: TempDir,
}

impl Built {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for part in ["lambdas", "worker"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        symlink(built("shipped"), folder.path().join("policies")).unwrap();
        for name in ["index.js", "index_bg.wasm"] {
            fs::write(folder.path().join("worker").join(name), name).unwrap();
        }
        let this = Self { folder };
        for name in ["scale-up", "scale-down", "syncer", "policy-admission"] {
            this.put(name, &program(X86_64, name));
        }
        this.put("webhook", &program(ARM64, "webhook"));
        this
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join("lambdas").join(name), bytes).unwrap();
    }

    fn pack(&self, arch: &str, out: &Path) -> Output {
        let part = |name: &str| self.folder.path().join(name);
        Command::new(root("scripts/pack"))
            .args(["--arch", arch, "--out"])
            .arg(out)
            .arg("--lambdas")
            .arg(part("lambdas"))
            .arg("--policies")
            .arg(part("policies"))
            .arg("--worker")
            .arg(part("worker"))
            .output()
            .unwrap()
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_and_a_list_that_tells_the_truth() {
    let built = Built::new();
    let out = TempDir::new().unwrap();
    let (one, other) = (out.path().join("one"), out.path().join("other"));
    for folder in [&one, &other] {
        let output = built.pack("arm64", folder);
        assert!(output.status.success(), "{}", said(&output));
        // Another second, should there be a time in it.
        std::thread::sleep(std::time::Duration::from_millis(2_100));
    }
    let manifest = fs::read(one.join("manifest.json")).unwrap();
    assert_eq!(manifest, fs::read(other.join("manifest.json")).unwrap());
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
    let files = manifest["files"].as_array().unwrap();
    let paths: Vec<&str> = files
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "policies/budget.wasm",
            "policies/default.wasm",
            "policies/fair-share.wasm",
            "policies/pinned-sync.wasm",
            "policy-admission.zip",
            "scale-down.zip",
            "scale-up.zip",
            "syncer.zip",
            "webhook.zip",
            "worker/index.js",
            "worker/index_bg.wasm",
        ]
    );
    for file in files {
        let path = file["path"].as_str().unwrap();
        let bytes = fs::read(one.join(path)).unwrap();
        assert_eq!(bytes, fs::read(other.join(path)).unwrap(), "{path}");
        assert_eq!(file["bytes"], bytes.len(), "{path}");
        assert_eq!(file["sha256"], digest(&bytes), "{path}");
    }
    let webhook = files.iter().find(|file| file["path"] == "webhook.zip");
    assert_eq!(webhook.unwrap()["architecture"], "arm64");
    assert_unpacks(
        &one.join("scale-up.zip"),
        &program(X86_64, "scale-up"),
        out.path(),
    );
}

/// As Lambda unpacks it: a program called `bootstrap` that may be run.
fn assert_unpacks(archive: &Path, program: &[u8], folder: &Path) {
    let output = Command::new("python3")
        .arg("-c")
        .arg(
            "import sys, zipfile\n\
             [entry] = zipfile.ZipFile(sys.argv[1]).infolist()\n\
             assert entry.filename == 'bootstrap', entry\n\
             assert entry.external_attr >> 16 == 0o100755, entry\n\
             zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])",
        )
        .arg(archive)
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read(folder.join("bootstrap")).unwrap(), program);
}

#[test]
fn what_must_not_be_deployed_is_refused_and_leaves_what_was_packed_before() {
    let built = Built::new();
    let out = TempDir::new().unwrap();
    let dist = out.path().join("dist");
    assert!(built.pack("arm64", &dist).status.success());
    let before = fs::read(dist.join("manifest.json")).unwrap();
    let refused = |wanted: &str, arch: &str| {
        let output = built.pack(arch, &dist);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(wanted), "{}", said(&output));
        assert_eq!(before, fs::read(dist.join("manifest.json")).unwrap());
    };
    refused("webhook is not built for x86_64", "x86_64");

    // As large as one with a compiler.
    let mut large = program(X86_64, "scale-up");
    large.resize(80_000_000, 0);
    built.put("scale-up", &large);
    refused("scale-up has 80,000,000 bytes", "arm64");

    built.put("scale-up", b"#!/bin/sh\n");
    refused("scale-up is no program for Linux", "arm64");

    fs::remove_file(built.folder.path().join("lambdas/scale-up")).unwrap();
    refused("scripts/build-lambdas --release makes it", "arm64");
}
