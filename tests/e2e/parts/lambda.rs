//! A Lambda: the real program, through the Lambda Runtime API.

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use super::built;
use super::process::Process;
use super::runtime_api::{Invoked, RuntimeApi};

/// The program's environment.
pub(crate) type Environment = Vec<(&'static str, String)>;

/// A running Lambda.
pub(crate) struct Lambda {
    program: &'static str,
    api: RuntimeApi,
    environment: Mutex<Environment>,
    process: Mutex<Process>,
    /// What processes that were killed had said.
    said: Mutex<Vec<String>>,
}

impl Lambda {
    /// Starts `scale-up` or another one, as `scripts/build-lambdas` has built it.
    pub(crate) async fn start(program: &'static str, environment: Environment) -> Self {
        let api = RuntimeApi::start().await;
        api.configure(&environment);
        let process = Mutex::new(start(program, &api.address, &environment));
        Self {
            program,
            api,
            environment: Mutex::new(environment),
            process,
            said: Mutex::default(),
        }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.lock().unwrap().id()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.lock().unwrap().is_running()
    }

    pub(crate) async fn invoke(&self, event: &Value) -> Invoked {
        self.api.invoke(event).await
    }

    /// `kill -9`, and another one in its place.
    pub(crate) fn replace(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill();
        self.said.lock().unwrap().extend(process.lines());
        self.api.abandon();
        *process = start(
            self.program,
            &self.api.address,
            &self.environment.lock().unwrap(),
        );
    }

    /// Changes a variable of its environment; [`Self::replace`] has it take effect.
    pub(crate) fn set(&self, name: &'static str, value: &str) {
        let mut environment = self.environment.lock().unwrap();
        environment.retain(|(known, _)| *known != name);
        environment.push((name, value.to_owned()));
        self.api.configure(&environment);
    }

    /// Invokes it with what must succeed.
    pub(crate) async fn asked(&self, event: &Value) -> Value {
        match self.invoke(event).await {
            Invoked::Answered(answer) => answer,
            other => panic!("{other:?}; the log: {:#?}", self.log()),
        }
    }

    /// The Runtime API, for whoever else invokes it.
    pub(crate) fn api(&self) -> &RuntimeApi {
        &self.api
    }

    /// Everything that was logged.
    pub(crate) fn log(&self) -> Vec<Value> {
        let mut lines = self.said.lock().unwrap().clone();
        lines.extend(self.process.lock().unwrap().lines());
        lines
            .iter()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("a log line that is no JSON ({error}): {line}"))
            })
            .collect()
    }

    /// What happened of that kind, by the log.
    pub(crate) fn happened(&self, kind: &str) -> Vec<Value> {
        self.log()
            .into_iter()
            .filter(|line| line["happening"] == kind)
            .collect()
    }

    /// How far a counter was raised, by the log.
    pub(crate) fn counted(&self, metric: &str) -> u64 {
        self.log()
            .iter()
            .filter_map(|line| line[metric].as_u64())
            .sum()
    }
}

fn start(program: &'static str, api: &str, environment: &Environment) -> Process {
    let mut command = Command::new(built(&format!("lambdas/{program}")));
    command
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .env("AWS_LAMBDA_FUNCTION_NAME", program)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512");
    Process::start(program, &mut command)
}

/// A scale-up that is not expected to come up: what it says before it ends.
pub(crate) async fn start_in_vain(environment: Environment) -> Vec<String> {
    let mut process = start("scale-up", "127.0.0.1:9", &environment);
    let content = process.ended(Duration::from_secs(30)).await;
    assert!(!content);
    // The threads that read what it said are a moment behind its end.
    tokio::time::sleep(Duration::from_millis(200)).await;
    process.lines()
}
