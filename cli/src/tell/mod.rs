//! What a person, or a machine, is told: one line for one thing that happened.

pub(crate) mod rebuilt;
mod style;
mod times;
mod words;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use stoker_admission::Report;
use stoker_core::happening::Happening;
use stoker_core::ids::JobKey;
use stoker_core::ports::Reporter;
use stoker_core::time::Timestamp;
use stoker_intake::{Answer, Received, Reception};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::plane::Observer;
pub use style::Tone;
pub(crate) use style::{Style, visible};
pub(crate) use times::{clock, day, rfc3339, time};
pub(crate) use words::{counted, decider};

/// How the time of a line is shown.
#[derive(Debug, Clone, Copy)]
pub enum Times {
    /// As UTC, to the millisecond.
    Clock,
    /// As seconds since a start.
    Since(Instant),
}

/// What is told of one thing: a line, and more lines that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    tone: Tone,
    /// One word: what happened.
    verb: &'static str,
    text: String,
    more: Vec<String>,
}

/// What was told before, so that a job is called by its name and nothing is said twice.
#[derive(Debug, Default)]
struct Memory {
    jobs: HashMap<JobKey, String>,
    deferrals: HashMap<JobKey, String>,
    /// Jobs of which a runner's line has said that they run.
    taken: HashSet<JobKey>,
}

enum Form {
    Text { style: Style, times: Times },
    Json,
}

/// Writes to standard output, or elsewhere.
pub struct Teller {
    form: Form,
    out: Mutex<Box<dyn Write + Send>>,
    memory: Mutex<Memory>,
}

impl Teller {
    /// Lines for people, in colours if standard output is a terminal and `NO_COLOR` is not set; or JSON
    /// lines.
    pub fn stdout(json: bool, times: Times) -> Self {
        let Style { colours } = Style::stdout();
        Self::new(Box::new(std::io::stdout()), json, times, colours)
    }

    /// The same, anywhere.
    pub fn new(out: Box<dyn Write + Send>, json: bool, times: Times, colours: bool) -> Self {
        let style = Style { colours };
        let form = if json {
            Form::Json
        } else {
            Form::Text { style, times }
        };
        Self {
            form,
            out: Mutex::new(out),
            memory: Mutex::default(),
        }
    }

    /// A line of its own, with its time.
    pub fn say(&self, tone: Tone, verb: &'static str, text: &str) {
        self.write(
            &Said {
                tone,
                verb,
                text: text.to_owned(),
                more: Vec::new(),
            },
            || json!({ "kind": verb, "text": text }),
        );
    }

    /// A line that starts a part.
    pub fn heading(&self, text: &str) {
        match &self.form {
            Form::Text { style, .. } => self.line(&format!("\n{}", style.bold(&visible(text)))),
            Form::Json => self.json(json!({ "kind": "part", "text": text })),
        }
    }

    /// Lines as they are; for machines the value.
    pub fn block(&self, lines: &[String], value: impl FnOnce() -> Value) {
        match &self.form {
            Form::Text { .. } => lines.iter().for_each(|line| self.line(&visible(line))),
            Form::Json => self.json(value()),
        }
    }

    fn write(&self, said: &Said, value: impl FnOnce() -> Value) {
        match &self.form {
            Form::Json => self.json(value()),
            Form::Text { style, times } => {
                let at = times.now();
                let indent = " ".repeat(at.chars().count() + 2 + 11);
                let mut text = format!(
                    "{}  {} {}",
                    style.dim(&at),
                    style.tone(said.tone, &format!("{:<10}", said.verb)),
                    visible(&said.text)
                );
                for more in &said.more {
                    text.push('\n');
                    text.push_str(&indent);
                    text.push_str(&visible(more));
                }
                self.line(&text);
            }
        }
    }

    fn json(&self, mut value: Value) {
        if let Some(object) = value.as_object_mut() {
            let now = OffsetDateTime::now_utc().format(&Rfc3339);
            object.insert("at".to_owned(), json!(now.unwrap_or_default()));
        }
        self.line(&value.to_string());
    }

    fn line(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever read has gone: the work goes on all the same.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Times {
    fn now(self) -> String {
        match self {
            Self::Since(start) => format!("{:>7.3}s", start.elapsed().as_secs_f64()),
            Self::Clock => {
                let now = OffsetDateTime::now_utc().time();
                format!(
                    "{:02}:{:02}:{:02}.{:03}",
                    now.hour(),
                    now.minute(),
                    now.second(),
                    now.millisecond()
                )
            }
        }
    }
}

impl Reporter for Teller {
    fn report(&self, _at: Timestamp, happening: &Happening) {
        let said = words::of_happening(&mut self.memory(), happening);
        match (&self.form, said) {
            (Form::Json, _) => {
                self.json(serde_json::to_value(happening).unwrap_or_else(
                    |error| json!({ "kind": "untold", "problem": error.to_string() }),
                ));
            }
            (Form::Text { .. }, Some(said)) => self.write(&said, || Value::Null),
            (Form::Text { .. }, None) => {}
        }
    }
}

impl Observer for Teller {
    fn webhook(&self, reception: &Reception, answer: &Answer) {
        let said = words::of_webhook(reception, answer);
        self.write(&said, || {
            let event = match &reception.received {
                Received::Enqueue(admitted) => json!(admitted.event()),
                Received::Answer(_) => json!(reception.event),
            };
            json!({
                "kind": "webhook",
                "event": event,
                "delivery": reception.delivery,
                "status": answer.http_status(),
                "outcome": answer.outcome().status(),
                "reason": answer.outcome().reason(),
            })
        });
    }

    fn admission(&self, came_to: Result<&Report, String>) {
        for said in words::of_admission(&came_to) {
            self.write(&said.0, || said.1);
        }
    }
}
