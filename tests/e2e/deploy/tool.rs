//! Scripts of the repository, and programs that take the place of others.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::parts::root;

/// A script of the repository, with what `PATH` finds first in a folder.
pub(super) fn script(name: &str, first: &Path) -> Command {
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(root(&format!("scripts/{name}")));
    command.env("PATH", format!("{}:{path}", first.display()));
    command
}

/// Puts a shell script into a folder, under the name of what it takes the place of.
pub(super) fn stand_in(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Everything that it said.
pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The folder of the programs of one of `scripts/requirements`.
pub(super) fn programs(list: &str) -> String {
    let output = Command::new(root("scripts/setup-python"))
        .args(["--path", list])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output).trim().to_owned()
}
