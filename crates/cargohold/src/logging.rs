//! Logs: text on standard error, in colour where somebody looks.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging, at the level that `RUST_LOG` asks for.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        // Said on standard error too, in a way that panics: a log on a full disk would end the server.
        .log_internal_errors(false)
        .init();
}
