//! Log lines of everything but happenings: JSON on standard output, like those.

use tracing_subscriber::EnvFilter;

/// From here on there is a log. `RUST_LOG` says what is in it, or else `AWS_LAMBDA_LOG_LEVEL`, which
/// the Lambda service sets.
pub(crate) fn start() {
    let wanted = ["RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|value| !value.trim().is_empty());
    let (filter, refused) = match wanted.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new("info"), Some(error)),
        None => (EnvFilter::new("info"), None),
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stdout)
        .with_env_filter(filter)
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
