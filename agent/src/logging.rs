//! The log, on stderr: stdout belongs to what was asked for.

use crate::args::LogFormat;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts the log. `OUTBAND_LOG` says what is logged; the default is `quiet` for commands that print, `info` for the service.
pub fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("OUTBAND_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
