//! A program that runs beside the test.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a program may take to end by itself once its standard input is closed.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks at what a program has said.
const LOOK: Duration = Duration::from_millis(10);

/// A running program and what it has said. Its standard input stays open for as long as it is to run.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} could not be started: {error}"));
        let lines = Arc::default();
        gather(child.stdout.take().unwrap(), Arc::clone(&lines));
        gather(child.stderr.take().unwrap(), Arc::clone(&lines));
        Self { name, child, lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let _gone_already = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself. Whether it was content.
    pub(crate) async fn ended(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(
                Instant::now() < until,
                "{} still runs: {:#?}",
                self.name,
                self.lines()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it has said a line of which `pick` makes something.
    pub(crate) async fn said<T>(
        &mut self,
        within: Duration,
        pick: impl Fn(&str) -> Option<T>,
    ) -> T {
        let until = Instant::now() + within;
        loop {
            // Asked before its lines are read, so that its last words are heard.
            let running = self.is_running();
            let lines = self.lines();
            if let Some(found) = lines.iter().find_map(|line| pick(line)) {
                return found;
            }
            assert!(running, "{} has ended: {lines:#?}", self.name);
            assert!(
                Instant::now() < until,
                "{} says something else: {lines:#?}",
                self.name
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let until = Instant::now() + ENDS_WITHIN;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _gone_already = self.child.kill();
        let _status = self.child.wait();
    }
}

fn gather(output: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
}
