//! Log lines to standard error, as text or JSON.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, Telemetry};

/// Why log lines could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("the log filter does not parse: {0}")]
    Filter(#[from] ParseError),
    /// The process has a subscriber already.
    #[error("log lines are set up already")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Sends the process's log lines to standard error.
///
/// # Errors
/// A filter that does not parse, or a second call in one process.
pub fn start(telemetry: &Telemetry) -> Result<(), TelemetryError> {
    let subscriber = subscriber(telemetry.format, &telemetry.filter, io::stderr)?;
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

/// The subscriber that [`start`] sets, over any writer.
///
/// # Errors
/// A filter that does not parse.
pub fn subscriber<W>(format: LogFormat, filter: &str, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(filter)?).with_writer(writer).with_ansi(false);
    Ok(match format {
        LogFormat::Text => Box::new(lines.finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
    })
}
