//! An instance: a folder that stands for its disk, programs that stand for what a sandbox can't do, and
//! the real scripts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::account::{Account, BUCKET, DEPLOYMENT, PREFIX};
use super::web::{Refusal, Release, Web};
use crate::parts::process::Process;
use crate::parts::root;

/// A boot takes three seconds, and longer where much runs at once.
const BOOTS_WITHIN: Duration = Duration::from_mins(2);

/// Programs of which each call is written down, and which no machine but the real one may change.
const STAND_INS: [(&str, &str); 9] = [
    ("apt-get", include_str!("stand-ins/packages")),
    ("dnf", include_str!("stand-ins/packages")),
    ("yum", include_str!("stand-ins/packages")),
    ("dpkg", include_str!("stand-ins/nothing")),
    ("shutdown", include_str!("stand-ins/nothing")),
    ("systemctl", include_str!("stand-ins/systemctl")),
    ("useradd", include_str!("stand-ins/useradd")),
    ("id", include_str!("stand-ins/id")),
    ("ldconfig", include_str!("stand-ins/ldconfig")),
];

/// Real programs of which each call is written down: those that a secret might be given to.
const TRACED: [&str; 8] = [
    "base64",
    "curl",
    "cut",
    "gzip",
    "sed",
    "setpriv",
    "sha256sum",
    "tar",
];

/// The instance.
pub(crate) struct Machine<'a> {
    account: &'a Account,
    pub(crate) instance: String,
    web: Web,
    root: TempDir,
    settings: BTreeMap<&'static str, String>,
    environment: BTreeMap<&'static str, String>,
}

/// How a part of the runner was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) user: String,
    pub(crate) arguments: String,
    pub(crate) environment: BTreeMap<String, String>,
}

impl<'a> Machine<'a> {
    /// An Amazon Linux 2023 instance; GitHub has that release.
    pub(crate) async fn launch(account: &'a Account, release: Option<Release>) -> Self {
        let instance = account.launch().await;
        let web = Web::start(&instance, account.url(), release).await;
        let root = tempfile::tempdir().unwrap();
        // The runner's user has to get in.
        allow(root.path(), 0o755);
        let settings = [
            ("STOKER_DEPLOYMENT", DEPLOYMENT),
            ("STOKER_PREFIX", "/stoker/"),
            ("STOKER_CLASS", "small"),
            ("STOKER_DISTRIBUTION_BUCKET", BUCKET),
            ("STOKER_DISTRIBUTION_PREFIX", PREFIX),
            ("STOKER_BOOT_TIME_SECONDS", "300"),
            ("STOKER_LOG_GROUP", "/stoker/e2e/runner"),
            ("STOKER_LOGS", "false"),
            ("STOKER_DISABLE_UPDATE", "false"),
            ("STOKER_HOOK_JOB_STARTED", ""),
            ("STOKER_HOOK_JOB_COMPLETED", ""),
            ("STOKER_PRE_INSTALL", ""),
            ("STOKER_POST_INSTALL", ""),
            ("STOKER_REGION", "us-east-1"),
        ];
        let mut machine = Self {
            account,
            instance,
            web,
            root,
            settings: settings
                .map(|(name, value)| (name, value.to_owned()))
                .into(),
            environment: BTreeMap::new(),
        };
        machine.set("STOKER_RUN_AS", &user());
        for folder in ["bin", "hidden", "records", "etc/systemd/system"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        // The runner's user writes there, too.
        allow(&machine.path("records"), 0o777);
        fs::write(machine.path("records/calls"), "").unwrap();
        allow(&machine.path("records/calls"), 0o666);
        machine.set_system("amzn", "2023");
        machine.put_programs();
        machine
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn set(&mut self, setting: &'static str, value: &str) {
        self.settings.insert(setting, value.to_owned());
    }

    /// Sets a script that an operator gives.
    pub(crate) fn set_script(&mut self, setting: &'static str, script: &str) {
        self.set(setting, &STANDARD.encode(script));
    }

    pub(crate) fn set_environment(&mut self, name: &'static str, value: &str) {
        self.environment.insert(name, value.to_owned());
    }

    /// Has SSM refuse these requests first.
    pub(crate) fn refuse(&mut self, refusals: &[Refusal]) {
        self.web.refuse(refusals);
        let url = self.web.url.clone();
        self.set_environment("AWS_ENDPOINT_URL_SSM", &url);
    }

    pub(crate) fn set_system(&self, id: &str, version: &str) {
        let release = format!("NAME=\"a system\"\nID={id}\nVERSION_ID=\"{version}\"\n");
        fs::write(self.path("etc/os-release"), release).unwrap();
    }

    /// Takes a program away until it is installed.
    pub(crate) fn hide(&self, program: &str) {
        let from = self.path("bin").join(program);
        let to = self.path("hidden").join(program);
        if from.exists() {
            fs::rename(from, to).unwrap();
        } else {
            fs::write(to, "").unwrap();
        }
    }

    /// Whatever is on the test's machine, but nothing that would change it.
    fn put_programs(&self) {
        let bin = self.path("bin");
        let put = |name: &str, target: &Path| {
            let _there_already = symlink(target, bin.join(name));
        };
        for folder in ["/usr/local/bin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                put(&entry.file_name().to_string_lossy(), &entry.path());
            }
        }
        for (name, text) in STAND_INS {
            let stand_in = self.path("hidden").join(format!("stand-in-{name}"));
            write_program(&stand_in, text);
            self.trace(name, &stand_in);
        }
        for name in TRACED {
            let real = find(name).unwrap_or_else(|| {
                panic!("there is no {name}; the boot's tests need it (Debian, Ubuntu: apt-get install curl util-linux)")
            });
            self.trace(name, &real);
        }
        self.trace("aws", &boot_tool("aws"));
        self.trace("jq", &find("jq").unwrap_or_else(|| self.jq()));
        let agent = self.path("hidden/amazon-cloudwatch-agent-ctl");
        write_program(
            &agent,
            include_str!("stand-ins/amazon-cloudwatch-agent-ctl"),
        );
    }

    /// A stand-in by the binding that `scripts/setup-python boot` installs.
    fn jq(&self) -> PathBuf {
        let stand_in = self.path("hidden/stand-in-jq");
        let python = format!("#!{}\n", boot_tool("python").display());
        write_program(&stand_in, &(python + include_str!("stand-ins/jq")));
        stand_in
    }

    /// Has each call of a program written down.
    fn trace(&self, name: &str, target: &Path) {
        let calls = self.path("records/calls");
        let (calls, target) = (calls.display(), target.display());
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >>'{calls}'\nexec '{target}' \"$@\"\n"
        );
        let program = self.path("bin").join(name);
        let _was_not_there = fs::remove_file(&program);
        write_program(&program, &text);
    }

    /// Boots to the end of the scripts; whether they ended well.
    pub(crate) async fn boot(&self) -> bool {
        self.boot_with(&["sh"], &STANDARD.encode(script("start-runner.sh")))
            .await
    }

    /// Boots with that shell, and with start-runner.sh in that form.
    pub(crate) async fn boot_with(&self, shell: &[&str], start_runner: &str) -> bool {
        let mut settings = self.settings.clone();
        settings.insert("STOKER_START_RUNNER", start_runner.to_owned());
        let file = self.path("records/user-data");
        fs::write(&file, user_data(&settings)).unwrap();
        let up = fs::read_to_string("/proc/uptime").unwrap();
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .arg(&file)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("STOKER_ROOT", self.root.path())
            .env("STOKER_BOOTED_AT", up.split('.').next().unwrap())
            .env("STOKER_PAUSE", "0.1")
            .env("STOKER_METADATA_URL", &self.web.url)
            .env("STOKER_GITHUB_API_URL", &self.web.url)
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &self.web.url)
            .env("AWS_ENDPOINT_URL", self.account.url())
            .env("RECORDS", self.path("records"))
            .env("HIDDEN", self.path("hidden"))
            .env("MACHINE", self.path("bin"))
            .env("REAL_ID", find("id").unwrap())
            .env("REAL_USER", user())
            .envs(&self.environment);
        let mut process = Process::start("the boot", &mut command);
        process.ended(BOOTS_WITHIN).await
    }

    /// The log, as CloudWatch gets it.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("var/log/stoker/user-data.log")).unwrap()
    }

    pub(crate) fn last_words(&self) -> String {
        self.log().lines().last().unwrap_or_default().to_owned()
    }

    /// The command lines of all that was called.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("records/calls")).unwrap();
        calls.lines().map(ToOwned::to_owned).collect()
    }

    pub(crate) fn called(&self, start: &str) -> bool {
        self.calls().iter().any(|call| call.starts_with(start))
    }

    /// How a part of the runner ("config" or "run") was started.
    pub(crate) fn started(&self, part: &str) -> Option<Started> {
        let record = fs::read_to_string(self.path("records").join(part)).ok()?;
        let mut parts = record.splitn(3, '\n');
        let mut next = || parts.next().unwrap().to_owned();
        let (user, arguments) = (next(), next());
        let environment = next()
            .split('\0')
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(Started {
            user,
            arguments,
            environment,
        })
    }

    /// The files that hold one of these, but for how the runner was started.
    pub(crate) fn files_with(&self, secrets: &[&str]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let kind = entry.file_type().unwrap();
                let path = entry.path();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && !is_record(&path) {
                    let bytes = fs::read(&path).unwrap();
                    let text = String::from_utf8_lossy(&bytes);
                    if secrets.iter().any(|secret| text.contains(secret)) {
                        found.push(path);
                    }
                }
            }
        }
        found
    }
}

fn is_record(path: &Path) -> bool {
    ["config", "run"]
        .iter()
        .any(|part| path.ends_with(format!("records/{part}")))
}

/// The user of the runner: an unprivileged one, where the tests may change to it.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    if user == "root" {
        "nobody".to_owned()
    } else {
        user
    }
}

pub(crate) fn script(name: &str) -> String {
    fs::read_to_string(root("terraform/runner").join(name)).unwrap()
}

/// What Terraform makes of the settings and the script.
pub(crate) fn user_data(settings: &BTreeMap<&str, String>) -> String {
    let mut text = "#!/bin/sh\n".to_owned();
    for (name, value) in settings {
        text.extend([name, "='", &value.replace('\'', r"'\''"), "'\n"]);
    }
    text + &script("user-data.sh")
}

pub(crate) fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    allow(path, 0o755);
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A program of the test's machine.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// A program that `scripts/setup-python boot` installs.
pub(crate) fn boot_tool(name: &str) -> PathBuf {
    let output = Command::new(root("scripts/setup-python"))
        .args(["--path", "boot"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let folder = String::from_utf8(output.stdout).unwrap();
    let program = Path::new(folder.trim()).join(name);
    assert!(
        program.exists(),
        "there is no {}: run scripts/setup-python once (`make test` does)",
        program.display()
    );
    program
}
