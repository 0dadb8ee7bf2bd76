//! The scripts as texts.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::machine::{boot_tool, script, user_data};
use crate::parts::root;

const SCRIPTS: [&str; 2] = ["user-data.sh", "start-runner.sh"];

fn gzipped(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn shellcheck_has_nothing_to_say() {
    let mut check = Command::new(boot_tool("shellcheck"));
    check.args(["--external-sources", "--severity=style"]);
    check.args(SCRIPTS.map(|name| format!("terraform/runner/{name}")));
    let output = check.current_dir(root(".")).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words}");
}

#[test]
fn user_data_is_far_from_ec2_s_limit() {
    // EC2 takes 16,384 bytes (before base64, after gzip). What is left is for operators' hooks.
    const LIMIT: usize = 16_384;
    for (start_runner, left) in [
        (STANDARD.encode(script("start-runner.sh")), 2_000),
        (STANDARD.encode(gzipped(&script("start-runner.sh"))), 5_000),
    ] {
        let settings = BTreeMap::from([("STOKER_START_RUNNER", start_runner)]);
        let size = gzipped(&user_data(&settings)).len();
        assert!(size + left < LIMIT, "{size} bytes");
    }
}

#[test]
fn nothing_is_traced_that_may_hold_a_secret() {
    for name in SCRIPTS {
        let script = script(name);
        let traces = script.lines().find(|line| {
            let line = line.trim_start();
            line.starts_with("set -") && line.contains('x')
        });
        assert_eq!(traces, None, "{name}");
        // A here-document is a temporary file to bash.
        assert!(!script.contains("<<"), "{name}");
    }
}
