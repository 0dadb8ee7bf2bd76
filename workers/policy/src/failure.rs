//! Why a policy did not decide. Each says what its author or the operator can do.

use stoker_core::ports::PolicyStoreError;
use thiserror::Error;

/// What kept a policy from deciding.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// Its folder could not be read, and was never read before.
    #[error("{0}; policies are read again at the next decision")]
    Store(#[from] PolicyStoreError),
    /// It is larger than its class allows.
    #[error(
        "the component has {size} bytes and policies of this deployment may have {limit}; build it \
         smaller, or let the operator set POLICY_SIZE_CLASS=large"
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
         `stoker policy component`"
    )]
    NotAComponent(String),
    /// It wants something that policies don't get.
    #[error(
        "the component imports `{0}`; a policy may import `stoker:policy/logging` and nothing else (of \
         WASI, stubs that trap)"
    )]
    ForbiddenImport(String),
    /// It does not say what it is.
    #[error("the component does not export `{0}`: build it against `stoker:policy@0.1.0`")]
    WrongWorld(&'static str),
    /// It could not be brought to life.
    #[error("the component could not be instantiated: {0}")]
    Instantiation(String),
    /// It used up its fuel.
    #[error(
        "the policy used up its fuel of {limit} in `{call}`: it loops, or does too much for so many jobs \
         and runners"
    )]
    OutOfFuel {
        /// What was called.
        call: &'static str,
        /// What it had.
        limit: u64,
    },
    /// It wanted more memory than it may have.
    #[error("the policy wanted more than {limit} bytes of memory, or larger tables, in `{call}`")]
    OutOfMemory {
        /// What was called.
        call: &'static str,
        /// What it may have.
        limit: usize,
    },
    /// It recursed too deep.
    #[error("the policy's stack overflowed in `{call}`: it recurses too deep")]
    StackOverflow {
        /// What was called.
        call: &'static str,
    },
    /// It trapped: a panic in Rust, an uncaught exception elsewhere.
    #[error("the policy trapped in `{call}`: {trap}")]
    Trapped {
        /// What was called.
        call: &'static str,
        /// wasmtime's word for it.
        trap: String,
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
    #[error("this build of Stoker can't compile policies")]
    NoCompiler,
}

impl Failure {
    /// A word for the cause, for metrics and searches; never changes.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Store(_) => "policy-store",
            Self::TooLarge { .. } => "too-large",
            Self::NotAComponent(_) => "not-a-component",
            Self::ForbiddenImport(_) => "forbidden-import",
            Self::WrongWorld(_) => "wrong-world",
            Self::Instantiation(_) => "instantiation",
            Self::OutOfFuel { .. } => "out-of-fuel",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::StackOverflow { .. } => "stack-overflow",
            Self::Trapped { .. } => "trapped",
            Self::BadOutput { .. } => "bad-output",
            Self::Refused(_) => "refused",
            Self::Settings { .. } => "settings",
            Self::HostPanic(_) => "host-panic",
            Self::NoCompiler => "no-compiler",
        }
    }
}
