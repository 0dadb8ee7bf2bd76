//! What a component could do that had taken over the process that tries it: this program is started as
//! that process is, confines itself as it does, and then tries to get out. It tells what it reached in the
//! frame in which a child refuses a component.

// This is a test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

use rustix::process::{Pid, Signal};
use stoker_admission::confine::{ChildLimits, confine};

/// Of Linux: which signal tells of a file.
const F_SETSIG: libc::c_int = 10;

/// A way out, and what came of it.
type Way = (&'static str, Box<dyn Fn() -> Result<(), String>>);

#[allow(unsafe_code)]
fn is_open(file: i32) -> bool {
    // SAFETY: it only asks, and any number may be asked about.
    unsafe { libc::fcntl(file, libc::F_GETFD) != -1 }
}

fn main() {
    // What it was given, while it can still look.
    let environment = std::env::vars().count();
    let parent = std::os::unix::process::parent_id();

    confine(&ChildLimits {
        memory_bytes: 256 << 20,
        cpu_seconds: 5,
    })
    .expect("it is confined");

    let files: Vec<String> = (0..1_024)
        .filter(|&file| is_open(file))
        .map(|file| file.to_string())
        .collect();
    let mut told = format!("environment: {environment}; files: {}", files.join(" "));
    for (way, attempt) in ways(parent) {
        let outcome = match attempt() {
            Ok(()) => "REACHED".to_owned(),
            Err(error) => format!("refused ({error})"),
        };
        write!(told, "; {way}: {outcome}").unwrap();
    }
    let frame = serde_json::json!({
        "refused": {"about": "policy.wasm", "cause": "break-out", "message": told}
    })
    .to_string();
    let mut out = std::io::stdout();
    out.write_all(&u32::try_from(frame.len()).unwrap().to_le_bytes())
        .unwrap();
    out.write_all(frame.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What is tried.
#[allow(clippy::too_many_lines)]
fn ways(parent: u32) -> Vec<Way> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let parent_s_memory = format!("/proc/{parent}/mem");
    let parent_s_environment = format!("/proc/{parent}/environ");
    vec![
        (
            "reads a file",
            Box::new(move || {
                std::fs::read("/etc/hostname")
                    .map(drop)
                    .map_err(|e| said(&e))
            }),
        ),
        (
            "reads its parent's memory",
            Box::new(move || {
                std::fs::File::open(&parent_s_memory)
                    .map(drop)
                    .map_err(|e| said(&e))
            }),
        ),
        (
            "reads its parent's environment",
            Box::new(move || {
                std::fs::read(&parent_s_environment)
                    .map(drop)
                    .map_err(|e| said(&e))
            }),
        ),
        (
            "writes a file",
            Box::new(move || std::fs::write("/tmp/stoker-break-out", "x").map_err(|e| said(&e))),
        ),
        (
            "asks the instance metadata service",
            Box::new(move || {
                TcpStream::connect("169.254.169.254:80")
                    .map(drop)
                    .map_err(|e| said(&e))
            }),
        ),
        (
            "connects to this machine",
            Box::new(move || {
                TcpStream::connect("127.0.0.1:9")
                    .map(drop)
                    .map_err(|e| said(&e))
            }),
        ),
        (
            "sends a datagram",
            Box::new(move || {
                UdpSocket::bind("127.0.0.1:0")
                    .map(drop)
                    .map_err(|e| said(&e))
            }),
        ),
        (
            "has a signal of its pipe sent to its parent",
            Box::new(move || {
                let owner = i32::try_from(parent).unwrap();
                for (command, value) in [(libc::F_SETOWN, owner), (F_SETSIG, libc::SIGKILL)] {
                    // SAFETY: it changes who is told of a pipe of this process, if it changes anything.
                    #[allow(unsafe_code)]
                    let done = unsafe { libc::fcntl(1, command, value) };
                    if done == -1 {
                        return Err(std::io::Error::last_os_error().to_string());
                    }
                }
                Ok(())
            }),
        ),
        (
            "has as much memory in files as it likes",
            Box::new(move || {
                for _ in 0..1_024 {
                    // SAFETY: it makes a file of this process.
                    #[allow(unsafe_code)]
                    let made = unsafe { libc::memfd_create(c"x".as_ptr(), 0) };
                    if made == -1 {
                        return Err(std::io::Error::last_os_error().to_string());
                    }
                }
                Ok(())
            }),
        ),
        (
            "opens a local socket",
            Box::new(move || UnixStream::pair().map(drop).map_err(|e| said(&e))),
        ),
        (
            "starts a program",
            Box::new(move || {
                Command::new("/bin/true")
                    .status()
                    .map(drop)
                    .map_err(|e| said(&e))
            }),
        ),
        (
            "starts a thread",
            Box::new(move || {
                std::thread::Builder::new()
                    .spawn(|| {})
                    .map(drop)
                    .map_err(|e| said(&e))
            }),
        ),
        (
            "kills its parent",
            Box::new(move || {
                let parent = Pid::from_raw(parent.cast_signed()).unwrap();
                rustix::process::kill_process(parent, Signal::CONT).map_err(|e| said(&e))
            }),
        ),
        (
            "gets itself more memory",
            Box::new(move || {
                let limit = rustix::process::Rlimit {
                    current: None,
                    maximum: None,
                };
                rustix::process::setrlimit(rustix::process::Resource::Data, limit)
                    .map_err(|e| said(&e))
            }),
        ),
    ]
}
