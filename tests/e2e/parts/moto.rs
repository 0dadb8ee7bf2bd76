//! A stand-in for AWS: `moto_server`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::root;

/// It takes two seconds, and longer where much starts at once.
const STARTS_WITHIN: Duration = Duration::from_secs(90);

/// One request after another: moto's transactions copy the whole table and put the copy back when they
/// fail, so of requests at once some would be lost. Its command line has no switch for that.
const ONE_BY_ONE: &str = "
import moto.server
run = moto.server.run_simple
moto.server.run_simple = lambda *args, **how: run(*args, **{**how, 'threaded': False})
moto.server.main(['-H', '127.0.0.1', '-p', '0'])
";

/// The server ends with the shell's standard input, so also when the test process is killed.
const WATCHED: &str =
    r#""$0" -c "$1" 2>&1 & server=$!; exec >/dev/null 2>&1; cat; kill $server; wait"#;

/// A running stand-in for AWS.
pub(crate) struct Moto {
    _shell: Process,
    pub(crate) url: String,
}

impl Moto {
    pub(crate) async fn start() -> Self {
        let program = program();
        assert!(
            program.is_file(),
            "there is no {}: run scripts/setup-python once (`make test` does), or say with STOKER_MOTO_SERVER where moto_server is",
            program.display()
        );
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(WATCHED)
            .arg(program.with_file_name("python"))
            .arg(ONE_BY_ONE);
        let mut shell = Process::start("moto_server", &mut command);
        let url = shell
            .said(STARTS_WITHIN, |line| {
                line.split_once("Running on ")
                    .map(|(_, address)| address.trim().to_owned())
            })
            .await;
        Self { _shell: shell, url }
    }
}

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("STOKER_MOTO_SERVER") {
        return program.into();
    }
    let output = Command::new(root("scripts/setup-python"))
        .args(["--path", "moto"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let folder = String::from_utf8(output.stdout).unwrap();
    Path::new(folder.trim()).join("moto_server")
}
