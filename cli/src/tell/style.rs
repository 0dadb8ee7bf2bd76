//! Colours, where they help and only there.

use std::io::IsTerminal as _;

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A step.
    Plain,
    /// What one hopes for.
    Good,
    /// What is held back or left out on purpose.
    Held,
    /// What went wrong.
    Bad,
    /// What comes from outside.
    Outside,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) colours: bool,
}

impl Style {
    /// In colours if standard output is a terminal and `NO_COLOR` is not set.
    pub(crate) fn stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        Self { colours }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => "36",
            Tone::Good => "32",
            Tone::Held => "33",
            Tone::Bad => "1;31",
            Tone::Outside => "35",
        };
        self.paint(code, text)
    }
}

/// The text with its control characters escaped: names come from GitHub and reasons from policies, and
/// neither is to write to the terminal.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_unicode());
            let plain = (!c.is_control()).then_some(c);
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_can_write_to_the_terminal() {
        assert_eq!(visible("a\x1b[31m\nb"), "a\\u{1b}[31m\\u{a}b");
        assert_eq!(visible("größe 🚂"), "größe 🚂");
    }

    #[test]
    fn without_colours_there_is_no_escape() {
        let style = Style { colours: false };
        assert_eq!(style.tone(Tone::Bad, "x") + &style.dim("y"), "xy");
    }
}
