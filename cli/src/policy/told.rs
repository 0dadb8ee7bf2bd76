//! How an operator is told: lines for people, in colours where that helps, or one JSON value.

use std::io::Write as _;

use serde_json::Value;
use stoker_admission::Problem;
use stoker_core::ids::PolicyGeneration;

use crate::tell::{Style, Tone, visible};
pub(super) use crate::tell::{rfc3339, time};

/// How wide a line's first word is.
const VERB: usize = 11;

/// Where a command tells what it does and finds.
pub(super) struct Told {
    json: bool,
    style: Style,
    /// How far lines are moved to the right.
    indent: usize,
}

impl Told {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            style: Style::stdout(),
            indent: 0,
        }
    }

    /// For lines that belong under a heading.
    pub(super) fn under(&self) -> Self {
        Self {
            indent: self.indent + 2,
            ..*self
        }
    }

    /// A line for people that begins with a word of what happened.
    pub(super) fn say(&self, tone: Tone, verb: &str, text: &str) -> std::io::Result<()> {
        let verb = self.style.tone(tone, &format!("{verb:<VERB$}"));
        self.write(&format!("{verb} {}", visible(text)))
    }

    /// A line that belongs to the one before.
    pub(super) fn more(&self, text: &str) -> std::io::Result<()> {
        self.write(&format!("{:VERB$} {}", "", visible(text)))
    }

    /// A line as it is.
    pub(super) fn line(&self, text: &str) -> std::io::Result<()> {
        self.write(&visible(text))
    }

    /// A line that starts a part.
    pub(super) fn heading(&self, text: &str, after: &str) -> std::io::Result<()> {
        let after = if after.is_empty() {
            String::new()
        } else {
            format!("  {}", self.style.dim(&visible(after)))
        };
        let text = self.style.bold(&visible(text));
        self.write(&format!("{text}{after}"))
    }

    /// Problems, each in a line of its own.
    pub(super) fn problems(&self, problems: &[Problem]) -> std::io::Result<()> {
        problems
            .iter()
            .try_for_each(|problem| self.say(Tone::Bad, "", &problem_words(problem)))
    }

    /// An empty line.
    pub(super) fn gap(&self) -> std::io::Result<()> {
        self.write("")
    }

    /// The value for machines.
    pub(super) fn value(&self, value: &Value) -> std::io::Result<()> {
        if self.json {
            writeln!(std::io::stdout(), "{value:#}")?;
        }
        Ok(())
    }

    fn write(&self, line: &str) -> std::io::Result<()> {
        if !self.json {
            let indent = if line.is_empty() { 0 } else { self.indent };
            writeln!(std::io::stdout(), "{:indent$}{}", "", line.trim_end())?;
        }
        Ok(())
    }
}

/// A problem in a line.
pub(super) fn problem_words(problem: &Problem) -> String {
    format!("{} [{}]: {}", problem.about, problem.cause, problem.message)
}

/// A publication for people; none: nothing was ever published.
pub(super) fn generation(generation: PolicyGeneration) -> String {
    match generation {
        PolicyGeneration(0) => "nothing is published".to_owned(),
        generation => format!("generation {generation}"),
    }
}
