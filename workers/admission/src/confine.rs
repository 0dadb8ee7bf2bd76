//! What the process that compiles and tries a stranger's component may do: compute, and write its answer.
//!
//! Three fences, each enough alone for what it holds back: it is started without the parent's environment
//! and with no open file but the two pipes and its standard error; its limits of memory, CPU time and
//! files; and a filter of system calls, under which it can neither open a file, nor make a socket, nor
//! start a program, nor look into another process. None of them can be lifted from inside.

use std::collections::BTreeMap;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};

/// What the child may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildLimits {
    /// Bytes of memory that it may write to. Cranelift takes some forty times a component's size.
    pub memory_bytes: u64,
    /// Seconds of CPU time, for compiling and all trials of one component.
    pub cpu_seconds: u64,
}

impl Default for ChildLimits {
    fn default() -> Self {
        Self {
            // A Python interpreter, the largest component that is known, takes less than half of it.
            memory_bytes: 2 << 30,
            // It takes half a minute.
            cpu_seconds: 180,
        }
    }
}

/// The system calls that computing and answering take; every other one is refused with `EPERM`. Among
/// those: whatever opens a file, makes a socket, starts a thread or a program, or looks into another
/// process.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // wasmtime makes a file in memory of a component's data.
    libc::SYS_memfd_create,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];

/// What may be asked of an open file: neither who is to get a signal of it nor when one is sent, by which
/// its parent could be killed.
const ASKED_OF_FILES: [libc::c_int; 5] = [
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_DUPFD_CLOEXEC,
    libc::F_ADD_SEALS,
];

/// The largest file in memory: a component's data. These files are not in the limit of memory.
const LARGEST_FILE: u64 = 64 << 20;

/// The most of them, each core module of a component having one, and the pipes.
const FILES: u64 = 32;

/// Confines this process, for good.
///
/// # Errors
/// Which fence could not be put up: then nothing is to be tried.
pub fn confine(limits: &ChildLimits) -> Result<(), String> {
    close_all_but_the_pipes().map_err(|error| format!("open files can't be closed: {error}"))?;
    // Whoever waits for the answer is gone: so is this.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("it can't be tied to its parent: {error}"))?;
    for (resource, name, limit) in [
        (Resource::Data, "memory", limits.memory_bytes),
        (Resource::Cpu, "CPU time", limits.cpu_seconds),
        (Resource::Fsize, "the size of files", LARGEST_FILE),
        (Resource::Core, "the size of core dumps", 0),
        (Resource::Nofile, "open files", FILES),
    ] {
        limit_to(resource, limit).map_err(|error| format!("{name} can't be limited: {error}"))?;
    }
    filter().map_err(|error| format!("system calls can't be filtered: {error}"))
}

/// Closes what whoever started the parent may have left open.
fn close_all_but_the_pipes() -> std::io::Result<()> {
    // SAFETY: this process has just begun and owns no descriptor but its standard ones, so none that is
    // closed here is used by anybody.
    #[allow(unsafe_code)]
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    if closed == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

fn limit_to(resource: Resource, limit: u64) -> rustix::io::Result<()> {
    setrlimit(
        resource,
        Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        },
    )
}

fn filter() -> Result<(), String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    // Aborting is a signal to itself, and asking for a limit is asking for its own.
    let own = u64::from(std::process::id());
    for (call, whose) in [(libc::SYS_tgkill, own), (libc::SYS_prlimit64, 0)] {
        let first = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, whose);
        let rule = first.and_then(|first| SeccompRule::new(vec![first]));
        rules.insert(call, vec![rule.map_err(|error| error.to_string())?]);
    }
    let asked = ASKED_OF_FILES.map(|command| {
        let command = u64::from(command.unsigned_abs());
        let second = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, command);
        second.and_then(|second| SeccompRule::new(vec![second]))
    });
    let asked: Result<Vec<_>, _> = asked.into_iter().collect();
    rules.insert(libc::SYS_fcntl, asked.map_err(|error| error.to_string())?);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch);
    let filter = filter.map_err(|error| error.to_string())?;
    let program = BpfProgram::try_from(filter).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}
