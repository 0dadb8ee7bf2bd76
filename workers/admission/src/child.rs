//! Compiling and trying in a process of its own, one for each component: without credentials, network,
//! files, or the parent's memory, and within limits. What dies there is refused and takes nothing along.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stoker_core::ids::ArtifactDigest;
use stoker_policy::Limits;
use stoker_policy::engine::Configuration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::confine::{ChildLimits, confine};
use crate::judge::{Answer, Judge, JudgeError, Opened, Question, Trying};
use crate::protocol::{self, Answers, Ask, LARGEST_CODE, Open, OpenedFrame};
use crate::trial::Trial;

/// The argument by which a program of ours knows that it is the child.
pub const ARGUMENT: &str = "try-component";

/// How long a child may take for one answer beyond its CPU time, which is what limits it: it may have to
/// wait for a processor.
const PATIENCE: u64 = 60;

/// How many questions are in one frame: with the largest settings that there may be it has a quarter of
/// [`protocol::LARGEST_FRAME`].
const AT_ONCE: usize = 128;

/// How much is kept of what a dying child says.
const LAST_WORDS: u64 = 4 << 10;

/// Judges in child processes.
#[derive(Debug, Clone)]
pub struct InChild {
    program: PathBuf,
    configuration: Configuration,
    limits: Limits,
    may_use: ChildLimits,
}

impl InChild {
    /// Judges by those limits, for that engine, in processes of `program`, whose `main` calls [`run`] when
    /// its argument is [`ARGUMENT`].
    pub fn new(
        program: impl Into<PathBuf>,
        configuration: Configuration,
        limits: Limits,
        may_use: ChildLimits,
    ) -> Self {
        Self {
            program: program.into(),
            configuration,
            limits,
            may_use,
        }
    }

    fn start(&self) -> io::Result<Process> {
        let mut child = Command::new(&self.program)
            .arg(ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("it has no pipes");
        Ok(Process {
            to: child.stdin.take().ok_or_else(missing)?,
            from: child.stdout.take().ok_or_else(missing)?,
            child,
            patience: Duration::from_secs(self.may_use.cpu_seconds + PATIENCE),
        })
    }
}

/// A child that lives.
struct Process {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    patience: Duration,
}

#[async_trait]
impl Judge for InChild {
    async fn open(&self, component: Arc<Vec<u8>>) -> Result<Opened, JudgeError> {
        let mut process = self.start().map_err(|error| {
            let program = self.program.display();
            JudgeError::Unable(format!("{program} can't be started: {error}"))
        })?;
        let open = Open {
            may_use: self.may_use,
            limits: self.limits,
            stack: self.configuration.stack(),
            component: component.len() as u64,
        };
        let opened: OpenedFrame = process.say_and_hear(&open, &component).await?;
        match opened {
            OpenedFrame::Unable(why) => Err(JudgeError::Unable(why)),
            OpenedFrame::Refused(problem) => Ok(Opened::Refused(problem)),
            OpenedFrame::Opened { about, code } => {
                // What the child says is the word of whoever may have taken it over.
                let lies = |what: &str| JudgeError::Killed(format!("it told {what}"));
                if code.engine != self.configuration.id() || code.bytes > LARGEST_CODE {
                    return Err(lies("of machine code that nobody asked for"));
                }
                let native = process.hear_bytes(code.bytes).await?;
                if ArtifactDigest::of(&native) != code.digest {
                    return Err(lies("another digest than its machine code has"));
                }
                Ok(Opened::Open {
                    about,
                    code,
                    native,
                    policy: Box::new(process),
                })
            }
        }
    }
}

#[async_trait]
impl Trying for Process {
    async fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<Answer>, JudgeError> {
        let mut answers = Answers::new();
        for ask in questions.chunks(AT_ONCE) {
            let heard: Answers = self.say_and_hear(&ask, &[]).await?;
            answers.extend(heard);
        }
        Ok(answers)
    }
}

impl Process {
    async fn say_and_hear<T: Serialize, A: DeserializeOwned>(
        &mut self,
        content: &T,
        bytes: &[u8],
    ) -> Result<A, JudgeError> {
        let frame = protocol::frame(content).map_err(|error| unable(&error))?;
        let patience = self.patience;
        let talk = async {
            self.to.write_all(&frame).await?;
            self.to.write_all(bytes).await?;
            self.to.flush().await?;
            let mut length = [0; 4];
            self.from.read_exact(&mut length).await?;
            let mut body = vec![0; protocol::length_of(length)?];
            self.from.read_exact(&mut body).await?;
            Ok::<_, io::Error>(serde_json::from_slice(&body)?)
        };
        match tokio::time::timeout(patience, talk).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.died(&error).await),
            Err(_) => Err(JudgeError::Killed(format!(
                "it gave no answer within {} seconds",
                patience.as_secs()
            ))),
        }
    }

    async fn hear_bytes(&mut self, count: u64) -> Result<Vec<u8>, JudgeError> {
        let mut bytes = Vec::new();
        let mut all = (&mut self.from).take(count);
        let hear = tokio::time::timeout(self.patience, all.read_to_end(&mut bytes)).await;
        match hear {
            Ok(Ok(read)) if read as u64 == count => Ok(bytes),
            Ok(Ok(_)) => {
                let short = io::Error::from(io::ErrorKind::UnexpectedEof);
                Err(self.died(&short).await)
            }
            Ok(Err(error)) => Err(self.died(&error).await),
            Err(_) => Err(JudgeError::Killed("it broke off its answer".to_owned())),
        }
    }

    /// How the child ended.
    async fn died(&mut self, error: &io::Error) -> JudgeError {
        let mut said = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            let words = stderr.take(LAST_WORDS);
            let hear = async {
                let mut words = words;
                words.read_to_end(&mut said).await
            };
            // What it said is a help, and not waited for.
            let _ = tokio::time::timeout(Duration::from_secs(1), hear).await;
        }
        let ended = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
        let how = match ended {
            Ok(Ok(status)) => told(status),
            _ => error.to_string(),
        };
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        JudgeError::Killed(stoker_policy::tame(match last {
            Some(last) => format!("{how}; it said: {last}"),
            None => how,
        }))
    }
}

fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(libc::SIGXCPU) => "it used up its CPU time".to_owned(),
        Some(libc::SIGABRT) => {
            "it was aborted (signal 6), as happens when there is no more memory".to_owned()
        }
        Some(libc::SIGKILL) => {
            "it was killed (signal 9): it used up its CPU time, or the machine's memory".to_owned()
        }
        Some(signal) => format!("it was ended by signal {signal}"),
        None => status.to_string(),
    }
}

fn unable(error: &io::Error) -> JudgeError {
    JudgeError::Unable(error.to_string())
}

/// Keeps this process's memory, and the credentials in it, from every other process of the same user: its
/// children, should one ever break out of all its fences.
///
/// # Errors
/// If the kernel refuses.
pub fn protect_this_process() -> io::Result<()> {
    let not_dumpable = rustix::process::DumpableBehavior::NotDumpable;
    Ok(rustix::process::set_dumpable_behavior(not_dumpable)?)
}

/// What the child does: confines itself, takes up one component, answers what it is asked, and ends with
/// whoever asks.
pub fn run() -> ExitCode {
    // Its words are told with the refusal; standard error is read when it dies, and may be full by then.
    std::panic::set_hook(Box::new(|_| {}));
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // It ends in any case.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> io::Result<()> {
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    let Some(open) = protocol::read::<Open>(&mut from)? else {
        return Ok(());
    };
    if let Err(why) = confine(&open.may_use) {
        return protocol::write(&mut to, &OpenedFrame::Unable(why), &[]);
    }
    let mut component = Vec::new();
    (&mut from)
        .take(open.component)
        .read_to_end(&mut component)?;
    let configuration = Configuration::STANDARD.with_stack(open.stack);
    let taken = match Trial::open(configuration, &open.limits, &component) {
        Ok(taken) => taken,
        Err(problem) => return protocol::write(&mut to, &OpenedFrame::Refused(problem), &[]),
    };
    let opened = OpenedFrame::Opened {
        about: taken.about,
        code: taken.code,
    };
    protocol::write(&mut to, &opened, &taken.native)?;
    drop((component, taken.native));
    while let Some(questions) = protocol::read::<Ask>(&mut from)? {
        let answers: Answers = questions.iter().map(|q| taken.trial.ask(q)).collect();
        protocol::write(&mut to, &answers, &[])?;
    }
    Ok(())
}
