//! What a person, or a machine, is told.

use std::io::Write;

use serde_json::{Value, json};

use super::finding::{Finding, Verdict};
use crate::tell::{Style, Tone, counted, visible};

/// How wide the mark is.
const MARK: usize = 8;

/// What was found of a deployment.
pub(super) struct Report {
    /// Its id; none: not even that can be read.
    pub(super) deployment: Option<String>,
    findings: Vec<Finding>,
}

impl Report {
    /// Findings of one check stand together, whichever was there first.
    pub(super) fn new(deployment: Option<String>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.check);
        Self {
            deployment,
            findings,
        }
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        let all = self.findings.iter();
        all.filter(|finding| finding.verdict == verdict).count()
    }

    pub(super) fn value(&self) -> Value {
        json!({
            "deployment": self.deployment,
            "findings": self.findings,
            "failures": self.count(Verdict::Failure),
            "warnings": self.count(Verdict::Warning),
        })
    }

    pub(super) fn write(&self, out: &mut impl Write, style: Style) -> std::io::Result<()> {
        let mut before = None;
        for finding in &self.findings {
            if before != Some(finding.check) {
                writeln!(out, "{}", style.bold(finding.check.title()))?;
                before = Some(finding.check);
            }
            one(out, style, finding)?;
        }
        let tone = tone(if self.count(Verdict::Failure) > 0 {
            Verdict::Failure
        } else if self.count(Verdict::Warning) > 0 {
            Verdict::Warning
        } else {
            Verdict::Ok
        });
        writeln!(out, "\n{}", style.tone(tone, &visible(&self.sum())))
    }

    /// The last line.
    fn sum(&self) -> String {
        let deployment = match &self.deployment {
            Some(deployment) => format!("deployment {deployment}"),
            None => "the deployment".to_owned(),
        };
        let failures = self.count(Verdict::Failure);
        let warnings = self.count(Verdict::Warning);
        let fine = format!("{} ok", self.count(Verdict::Ok));
        match (failures, warnings) {
            (0, 0) => format!("{deployment} is sound: {fine}"),
            (0, _) => format!(
                "{deployment} works: {}, {fine}",
                counted(warnings, "warning")
            ),
            _ => format!(
                "{deployment} needs mending: {}, {}, {fine}",
                counted(failures, "failure"),
                counted(warnings, "warning"),
            ),
        }
    }
}

fn one(out: &mut impl Write, style: Style, finding: &Finding) -> std::io::Result<()> {
    let mark = format!("{:<MARK$}", finding.verdict.mark());
    let mark = style.tone(tone(finding.verdict), &mark);
    let text = match &finding.problem {
        Some(problem) => format!("{}: {problem}", finding.subject),
        None => finding.subject.clone(),
    };
    writeln!(out, "  {mark} {}", visible(&text))?;
    if let Some(remedy) = &finding.remedy {
        writeln!(out, "  {:MARK$} → {}", "", visible(remedy))?;
    }
    Ok(())
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warning => Tone::Held,
        Verdict::Failure => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Check;
    use super::*;

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        report.write(&mut out, Style { colours: false }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn findings_are_grouped_marked_and_summed_up() {
        let report = Report::new(
            Some("prod".to_owned()),
            vec![
                Check::Ledger.ok("the table t"),
                Check::App.failure("permissions", "`actions` is missing", "grant it"),
                Check::Ledger.warning("backups", "off", "turn them on"),
            ],
        );
        let expected = "GitHub App\n  \
            failure  permissions: `actions` is missing\n           → grant it\n\
            ledger\n  \
            ok       the table t\n  \
            warning  backups: off\n           → turn them on\n\n\
            deployment prod needs mending: 1 failure, 1 warning, 1 ok\n";
        assert_eq!(text(&report), expected);
        let value = report.value();
        assert_eq!(
            (&value["failures"], &value["warnings"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(value["deployment"], "prod");
    }

    #[test]
    fn a_sound_deployment_is_called_so() {
        let fine = Report::new(Some("prod".to_owned()), vec![Check::App.ok("x")]);
        assert!(text(&fine).ends_with("deployment prod is sound: 1 ok\n"));
    }

    #[test]
    fn nothing_from_outside_writes_to_the_terminal() {
        let report = Report::new(None, vec![Check::App.warning("a\x1b[2J", "b\r", "c\x07")]);
        assert!(!text(&report).contains(['\x1b', '\r', '\x07']));
    }
}
