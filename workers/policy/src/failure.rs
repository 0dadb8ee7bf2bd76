//! Why a policy did not decide. Each says what its author or the operator can do.

use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::ports::PolicyStoreError;
use thiserror::Error;

/// What kept a policy from deciding.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The store can't give the document or what it names, or has not answered yet.
    #[error("{0}; policies are read again at the next decision")]
    Store(#[from] PolicyStoreError),
    /// It is larger than its class allows.
    #[error(
        "the component has {size} bytes and policies of this deployment may have {limit}; build it \
         smaller, or let the operator set POLICY_SIZE_CLASS=large or POLICY_MAX_BYTES"
    )]
    TooLarge {
        /// Bytes.
        size: usize,
        /// Bytes.
        limit: usize,
    },
    /// It is no WebAssembly component, or one that wasmtime can't compile.
    #[error(
        "not a WebAssembly component that can be compiled: {0}; make a component of a core module with \
         `stoker policy build`"
    )]
    NotAComponent(String),
    /// It wants something that policies don't get.
    #[error(
        "the component imports `{0}`; a policy may import `stoker:policy/logging` and nothing else (of \
         WASI, stubs that trap)"
    )]
    ForbiddenImport(String),
    /// It does not export what a policy exports, in a version that this host speaks.
    #[error("{problem}; build it with the SDK for {spoken}")]
    WrongWorld {
        /// What is missing or not understood.
        problem: String,
        /// What this host speaks.
        spoken: &'static str,
    },
    /// Machine code or settings that are not what was signed for.
    #[error(
        "the SHA-256 of what `active.json` names is {found} and it says {recorded}: it was tampered with or \
         is damaged, and is not used; publish the policy again, and find out who may write to the bucket"
    )]
    Tampered {
        /// Of the bytes that were read.
        found: ArtifactDigest,
        /// What it should be.
        recorded: ArtifactDigest,
    },
    /// There is native code, and none for this engine.
    #[error(
        "the policy was compiled for the engine {found} and this host runs {wanted}: let admission of \
         the same release compile it again (an upgrade rolls out admission first)"
    )]
    WrongEngine {
        /// What it was compiled for.
        found: String,
        /// What this host runs.
        wanted: String,
    },
    /// Nobody who may has signed for it.
    #[error(
        "`active.json` is not what a key that this host trusts has signed ({0}): nothing of it is run; find \
         out who may write to the bucket, and that POLICY_PUBLIC_KEYS has the key that admission signs with"
    )]
    Unsigned(String),
    /// An older publication than the scope has been decided by.
    #[error(
        "`active.json` is of generation {found}, and generation {seen} has decided before: somebody put an \
         older one back, or the store lost the newer one; it is not used. Let admission publish again (it \
         does within five minutes), and find out who may write to the bucket"
    )]
    OldGeneration {
        /// Of what was read; 0: there is none.
        found: PolicyGeneration,
        /// The highest that has decided.
        seen: PolicyGeneration,
    },
    /// Something that the pointer names is not there.
    #[error(
        "`active.json` names {0}, which is not in the store: somebody deleted it, or a life-cycle rule did; \
         publish the policy again"
    )]
    Missing(String),
    /// It killed the process that tried it.
    #[error(
        "the component killed the process that compiled and tried it ({0}); it is refused from now on, \
         whoever uploads it: change it"
    )]
    Killer(String),
    /// It failed again and again, and is left alone for a while.
    #[error(
        "the policy failed {failures} times in a row for this scope and is tried again in {left} \
         seconds; the last time: {last}"
    )]
    Quarantined {
        /// In a row.
        failures: u32,
        /// Seconds until it is tried again.
        left: u32,
        /// How it failed the last time.
        last: String,
    },
    /// It asked for the time in a zone that does not exist.
    #[error(
        "the policy asks for the time in `{0}`, which is no time zone: give it an IANA name such as Europe/Berlin"
    )]
    UnknownZone(String),
    /// It does not accept its settings.
    #[error("the policy does not accept its settings: {0}")]
    SettingsRefused(String),
    /// It could not be brought to life.
    #[error("the component could not be instantiated: {0}")]
    Instantiation(String),
    /// It used up its fuel.
    #[error(
        "the policy used up its fuel of {limit} in `{call}`: it loops, or does too much for so many jobs \
         and runners (the operator's POLICY_FUEL_BASE and POLICY_FUEL_EACH)"
    )]
    OutOfFuel {
        /// What was called.
        call: &'static str,
        /// What it had.
        limit: u64,
    },
    /// It wanted more memory than it may have.
    #[error(
        "the policy wanted more than {limit} bytes of memory in `{call}` (the operator's \
         POLICY_MAX_MEMORY_BYTES)"
    )]
    OutOfMemory {
        /// What was called.
        call: &'static str,
        /// What it may have.
        limit: usize,
    },
    /// It wanted larger tables than it may have.
    #[error(
        "the policy wanted more than {limit} elements in its tables in `{call}`: a table has the functions \
         that are called by address, and only an interpreter brings so many (the operator's \
         POLICY_SIZE_CLASS=large)"
    )]
    TablesTooLarge {
        /// What was called.
        call: &'static str,
        /// What it may have, all tables together.
        limit: usize,
    },
    /// It logged without end.
    #[error(
        "the policy logged more than {limit} bytes in `{call}` (a line counts for 64 besides its own); \
         the host keeps the last 50 lines of a decision"
    )]
    LoggedTooMuch {
        /// What was called.
        call: &'static str,
        /// What it may log.
        limit: usize,
    },
    /// It recursed too deep.
    #[error("the policy's stack overflowed in `{call}`: it recurses too deep")]
    StackOverflow {
        /// What was called.
        call: &'static str,
    },
    /// It trapped: a panic in Rust, an uncaught exception elsewhere.
    #[error("the policy trapped in `{call}`: {trap}{}", last_words(.said.as_ref()))]
    Trapped {
        /// What was called.
        call: &'static str,
        /// wasmtime's word for it.
        trap: String,
        /// The last line that it logged: the SDK logs where a panic was.
        said: Option<String>,
    },
    /// It called something that is only there so that it can be linked.
    #[error(
        "the policy called what policies don't get in `{call}`: {import}; a policy has no files, no \
         network, no clock and no randomness: all that it may know is in the situation"
    )]
    CalledStub {
        /// What was called.
        call: &'static str,
        /// wasmtime's words for the import.
        import: String,
    },
    /// What it handed back can't be used.
    #[error("the policy's answer to `{call}` can't be used: {problem}")]
    BadOutput {
        /// What was called.
        call: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// It refused to decide.
    #[error("the policy refused to decide: {0}")]
    Refused(String),
    /// The merged settings are no JSON objects, or too large.
    #[error("{path}: {problem}")]
    Settings {
        /// Which file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The WebAssembly engine itself ran into a fault.
    #[error("the WebAssembly engine panicked while it ran the policy: {0}")]
    HostPanic(String),
    /// This build has no compiler.
    #[error("this build of Stoker can't compile policies: it runs what admission has compiled")]
    NoCompiler,
}

fn last_words(said: Option<&String>) -> String {
    said.map_or_else(String::new, |said| format!("; it said before: {said}"))
}

impl Failure {
    /// Whether somebody may have tampered with what runs, or an upgrade went wrong: an operator is to look
    /// at it at once, and not a policy's author.
    pub fn is_alarm(&self) -> bool {
        matches!(
            self,
            Self::Tampered { .. }
                | Self::WrongEngine { .. }
                | Self::Unsigned(_)
                | Self::OldGeneration { .. }
                | Self::Missing(_)
        )
    }

    /// A word for the cause, for metrics and searches; never changes.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Store(_) => "policy-store",
            Self::TooLarge { .. } => "too-large",
            Self::NotAComponent(_) => "not-a-component",
            Self::ForbiddenImport(_) => "forbidden-import",
            Self::WrongWorld { .. } => "wrong-world",
            Self::Tampered { .. } => "tampered",
            Self::WrongEngine { .. } => "wrong-engine",
            Self::Unsigned(_) => "unsigned",
            Self::OldGeneration { .. } => "old-generation",
            Self::Missing(_) => "missing",
            Self::Killer(_) => "killer",
            Self::Quarantined { .. } => "quarantined",
            Self::UnknownZone(_) => "unknown-zone",
            Self::SettingsRefused(_) => "settings-refused",
            Self::Instantiation(_) => "instantiation",
            Self::OutOfFuel { .. } => "out-of-fuel",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::TablesTooLarge { .. } => "tables-too-large",
            Self::LoggedTooMuch { .. } => "logged-too-much",
            Self::StackOverflow { .. } => "stack-overflow",
            Self::Trapped { .. } => "trapped",
            Self::CalledStub { .. } => "called-a-stub",
            Self::BadOutput { .. } => "bad-output",
            Self::Refused(_) => "refused",
            Self::Settings { .. } => "settings",
            Self::HostPanic(_) => "host-panic",
            Self::NoCompiler => "no-compiler",
        }
    }
}
