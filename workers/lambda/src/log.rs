//! Log lines of everything but happenings: JSON on standard output, like those.

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What the targets of our own lines begin with.
const OURS: [&str; 5] = [
    "stoker",
    "scale_up",
    "policy_admission",
    "syncer",
    "webhook",
];

/// Whether a line may be written, whatever the operator asks for. Below `info` the SDK and the HTTP
/// clients write requests with their bodies, and so registration tokens.
fn may_be_logged(target: &str, level: Level) -> bool {
    level <= Level::INFO || OURS.iter().any(|ours| target.starts_with(ours))
}

/// From here on there is a log. `RUST_LOG` says what is in it, or else `AWS_LAMBDA_LOG_LEVEL`, which
/// the Lambda service sets.
pub fn start() {
    let wanted = ["RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|value| !value.trim().is_empty());
    let (filter, refused) = match wanted.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new("info"), Some(error)),
        None => (EnvFilter::new("info"), None),
    };
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stdout);
    tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(|line| {
            may_be_logged(line.target(), *line.level())
        }))
        .with(lines)
        .init();
    if let Some(error) = refused {
        tracing::warn!(problem = %error, "the log level can't be read; `info` is taken");
    }
    // A panic is contained where it happens; its words belong into the log like everything else.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(
            at = panic.location().map(ToString::to_string),
            "panic: {}",
            panic.payload_as_str().unwrap_or("no words")
        );
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_with_their_bodies_are_never_logged() {
        assert!(!may_be_logged("aws_smithy_runtime::client", Level::TRACE));
        assert!(!may_be_logged("hyper::proto", Level::DEBUG));
        assert!(may_be_logged("aws_smithy_runtime::client", Level::WARN));
        assert!(may_be_logged("stoker_github::app", Level::TRACE));
        assert!(may_be_logged("scale_up::batch", Level::DEBUG));
    }
}
