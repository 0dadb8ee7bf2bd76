//! `stoker ledger rebuild`: a ledger that was lost, or put back as it was long ago, learns what there is.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use stoker_aws::LambdaFunction;
use stoker_core::control::Rebuilt;

use crate::tell::{Style, Tone, rebuilt, visible};

/// What `stoker ledger rebuild` does, at length.
pub(super) const REBUILD: &str = "Write into the ledger what it lacks: a runner for each instance that carries the \
    deployment's tags, as GitHub says that it stands, and the jobs that wait or run wherever the App is installed. \
    What the ledger knows stays as it is, so this may be run at any time, and again. Then every organisation and \
    repository with runners or jobs is decided anew.\n\n\
    The tick does the same by itself when the table is new and there are instances, and so does the first \
    decision about an organisation or repository: nothing is launched before. Run this after a table was lost, so as \
    not to wait for either, or after it was restored from a backup, of which nobody knows what happened since.\n\n\
    The scale-up Lambda does it, so credentials that may invoke it (lambda:InvokeFunction) are all that is needed. \
    What a ledger alone knew is gone: what was spent, how launches fared, and why jobs waited. `stoker up` has a \
    simulated fleet that ends with its process: nothing is left there to rebuild a ledger from.";

/// Arguments of `stoker ledger rebuild`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker ledger rebuild
  stoker ledger rebuild --function acme-stoker-scale-up
  stoker ledger rebuild --function acme-stoker-scale-up --json | jq .problems

Exit status: 0 all that there is is in the ledger, 1 something could not be found out, or the Lambda failed,
2 wrong arguments.")]
pub struct RebuildArgs {
    /// The scale-up Lambda, by its name or ARN; credentials, region and endpoint are found as the AWS CLI
    /// finds them.
    #[arg(
        long,
        env = "SCALE_UP_FUNCTION",
        value_name = "NAME",
        default_value = "stoker-scale-up"
    )]
    function: String,
    /// Write what it came to as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &RebuildArgs) -> anyhow::Result<ExitCode> {
    let function = &args.function;
    let lambda = LambdaFunction::load(function).await;
    let answer = lambda.invoke(&json!({ "task": "rebuild" })).await?;
    let came: Rebuilt = serde_json::from_value(answer).with_context(|| {
        format!(
            "the answer of the Lambda {function} can't be understood: is it the scale-up Lambda, of the same \
             release as this command?"
        )
    })?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{:#}", json!(came))?;
    } else {
        let style = Style::stdout();
        for (tone, line) in lines(&came) {
            writeln!(out, "{}", style.tone(tone, &visible(&line)))?;
        }
    }
    Ok(if came.has_gaps() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn lines(came: &Rebuilt) -> Vec<(Tone, String)> {
    let tone = if came.has_gaps() {
        Tone::Held
    } else {
        Tone::Good
    };
    let mut lines = vec![(tone, rebuilt::summary(came))];
    lines.extend(rebuilt::scopes(came).map(|line| (Tone::Plain, format!("  {line}"))));
    lines.extend(
        rebuilt::gaps(came)
            .into_iter()
            .map(|line| (Tone::Bad, format!("  {line}"))),
    );
    lines
}

#[cfg(test)]
mod tests {
    use stoker_core::control::RebuiltScope;
    use stoker_core::ids::ScopeKey;

    use super::*;

    fn text(came: &Rebuilt) -> String {
        let lines: Vec<String> = lines(came).into_iter().map(|(_, line)| line).collect();
        lines.join("\n")
    }

    fn came() -> Rebuilt {
        let scope = RebuiltScope {
            name: "acme".to_owned(),
            runners: 2,
            known: 1,
            jobs: 3,
        };
        Rebuilt {
            scopes: [(ScopeKey::Organization(7.into()), scope)].into(),
            repositories: 40,
            ..Rebuilt::default()
        }
    }

    #[test]
    fn what_was_written_is_said_in_plain_words() {
        assert_eq!(
            text(&came()),
            "the ledger was given 2 runners and 3 jobs; GitHub was asked about 40 repositories\n  \
             acme (org-7): 2 runners that it did not know, 1 that it did; 3 jobs that wait or run"
        );
    }

    #[test]
    fn a_ledger_that_lacked_nothing_is_said_so() {
        let told = text(&Rebuilt::default());
        assert!(told.starts_with("the ledger lacked nothing"), "{told}");
    }

    #[test]
    fn what_was_not_found_out_is_said_too() {
        let gaps = Rebuilt {
            left: [ScopeKey::Organization(9.into())].into(),
            not_asked: 12,
            not_admitted: 1,
            problems: vec!["the runs of acme/huge are not known: 502".to_owned()],
            more_problems: 4,
            ..came()
        };
        let told = text(&gaps);
        for part in [
            "org-9",
            "12 repositories",
            "1 job that waits is not taken up",
            "acme/huge",
            "and 4 problems more",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(gaps.has_gaps());
    }
}
