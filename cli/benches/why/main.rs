//! How long `stoker why` takes with a million decisions in the journal, against a hundred: `make bench-why`.
//!
//! The folder of a `stoker up` is made by the real adapters: a ledger with as many jobs as decisions, and a
//! journal of ten decisions a record. Then the real program is asked about some jobs, once by the folder of a
//! `stoker up` that does not run and once of one that does, and timed from its start to its end.
//!
//! `cargo bench -p stoker-cli --bench why -- 10000` makes the large one smaller.

// A benchmark that can't go on says where.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod state;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use stoker_core::ports::Clock as _;
use stoker_core::time::Timestamp;
use stoker_local::SystemClock;
use tempfile::TempDir;

use state::{State, job_id, repository};

const SMALL: u64 = 100;
const LARGE: u64 = 1_000_000;

/// How often each answer is timed; what is told is the median.
const TIMES: usize = 15;

/// What is asked, and the numbers of the jobs.
struct Asked {
    what: &'static str,
    job: String,
    repository: String,
}

fn asked(state: &State) -> (Vec<Asked>, Vec<u64>) {
    let jobs = [
        ("the first job", 0),
        ("one in the middle", state.decisions / 2),
        ("the last job", state.decisions - 1),
        ("one with a full story", state.long()),
    ];
    let known = jobs.map(|(what, n)| Asked {
        what,
        job: job_id(n).to_string(),
        repository: repository(n),
    });
    let unknown = Asked {
        what: "an unknown one",
        job: "1".to_owned(),
        repository: repository(0),
    };
    let all = known.into_iter().chain([unknown]).collect();
    (all, jobs.map(|(_, n)| n).to_vec())
}

fn stoker() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stoker"))
}

/// How long a program takes, from its start to its end.
fn timed(mut command: Command) -> Duration {
    let start = Instant::now();
    let output = command.output().unwrap();
    let took = start.elapsed();
    assert!(output.stderr.is_empty(), "{output:?}");
    took
}

fn why(asked: &Asked, place: &[String]) -> Command {
    let mut command = stoker();
    command.args(["why", &asked.repository, &asked.job]);
    command.args(place);
    command
}

/// How many records an answer was made of.
fn records(asked: &Asked, place: &[String]) -> u64 {
    let output = why(asked, place).arg("--json").output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let steps = told["steps"].as_array().map_or(0, Vec::len);
    assert!(told["job"].is_null() || steps >= 4, "{told:#}");
    told["records_read"].as_u64().unwrap_or_default()
}

/// A `stoker up` that runs.
struct Up {
    child: Child,
    address: String,
}

impl Up {
    fn start(data: &Path) -> Self {
        let mut child = stoker()
            .args(["up", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("GITHUB_WEBHOOK_SECRET", "hush")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("webhooks go to"));
        let line = line.unwrap().unwrap();
        let (_, address) = line.split_once("webhooks go to ").unwrap();
        let (address, _) = address.split_once("/webhook").unwrap();
        Self {
            child,
            address: address.to_owned(),
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A state that was made, and what is asked of it.
struct Made {
    folder: TempDir,
    asked: Vec<Asked>,
}

async fn made(decisions: u64, now: Timestamp) -> Made {
    let state = State::new(decisions, now);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (asked, numbers) = asked(&state);
    let start = Instant::now();
    let (records, size) = state.make(folder.path(), &numbers).await;
    let ledger = folder.path().join("ledger.sqlite");
    println!(
        "{decisions} decisions and as many jobs: {records} records of {} KiB, a ledger of {} MiB; made in {:.0?}",
        size / 1024,
        std::fs::metadata(ledger).unwrap().len() >> 20,
        start.elapsed()
    );
    Made { folder, asked }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Asks both in turn, so that what else the machine does is in both.
fn tell(how: &str, small: (&Made, &[String]), large: (&Made, &[String])) {
    println!("{how}: records read; with a hundred decisions, with all, their ratio");
    for (one, other) in small.0.asked.iter().zip(&large.0.asked) {
        let read = [records(one, small.1), records(other, large.1)];
        assert_eq!(read[0], read[1]);
        let mut took: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..TIMES {
            took[0].push(timed(why(one, small.1)));
            took[1].push(timed(why(other, large.1)));
        }
        for all in &mut took {
            all.sort_unstable();
        }
        let [small, large] = [&took[0], &took[1]].map(|all| ms(all[TIMES / 2]));
        println!(
            "  {:<22} {:>3} records {small:>8.1} ms {large:>8.1} ms  × {:.2} (fastest {:.1}, longest {:.1} ms)",
            one.what,
            read[1],
            large / small,
            ms(took[1][0]),
            ms(took[1][TIMES - 1])
        );
    }
}

fn data(made: &Made) -> Vec<String> {
    let path = made.folder.path().to_str().unwrap();
    vec!["--data".to_owned(), path.to_owned()]
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    // Cargo adds an argument of its own.
    let large = std::env::args().find_map(|argument| argument.parse().ok());
    let now = SystemClock.now();
    let small = made(SMALL, now).await;
    let large = made(large.unwrap_or(LARGE), now).await;
    let mut nothing: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let mut command = stoker();
            command.arg("--version");
            timed(command)
        })
        .collect();
    nothing.sort_unstable();
    println!(
        "the program's own start (`stoker --version`): {:.1} ms",
        ms(nothing[TIMES / 2])
    );
    let folder = "of a `stoker up` that does not run (--data)";
    tell(folder, (&small, &data(&small)), (&large, &data(&large)));
    let start = Instant::now();
    let one = Up::start(large.folder.path());
    println!("`stoker up` has started on all in {:.0?}", start.elapsed());
    let other = Up::start(small.folder.path());
    let up = |up: &Up| vec!["--up".to_owned(), up.address.clone()];
    let process = "of one that runs (--up)";
    tell(process, (&small, &up(&other)), (&large, &up(&one)));
}
