//! Logs: what the program tells those who run it, line by line.
//!
//! Events become lines ([`line`]) in one of three formats, and so do requests, which have formats of their own beside those
//! ([`access`]). Lines are handed to a thread that writes them ([`sink`]): nothing that serves ever waits for a disk or a pipe, and
//! a log that cannot be written stops nothing. What strangers send is bounded and cannot begin a line.

mod access;
mod clock;
mod layer;
mod line;
mod sink;

use std::{collections::BTreeMap, io::IsTerminal, sync::Arc, time::Duration};

use anyhow::Context;
use cargohold_http::AccessLog;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::Targets,
    layer::{Filter, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

pub(crate) use access::AccessFormat;
pub(crate) use line::Formatter;
pub(crate) use sink::Output;

use access::AccessLines;
use layer::EventLines;
use line::Style;
use sink::Sink;

/// How long the end of the program waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is logged, how and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logging {
    /// What is not worth a line is less than this.
    pub(crate) level: Level,
    /// How a line looks.
    pub(crate) formatter: Formatter,
    /// Where the lines go.
    pub(crate) output: Output,
    /// What every line says beside its own.
    pub(crate) fields: BTreeMap<String, String>,
    /// Whether lines tell where in the program they come from.
    pub(crate) report_caller: bool,
    /// What is logged of requests.
    pub(crate) access: AccessLogging,
}

/// What is logged of requests, how and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccessLogging {
    /// Nothing.
    pub(crate) disabled: bool,
    /// How a line looks.
    pub(crate) format: AccessFormat,
    /// Where the lines go.
    pub(crate) output: Output,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// The running logs. When the last handle goes, the last lines are written.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    sinks: Vec<Sink>,
    access: Option<Arc<AccessLines>>,
}

impl Logging {
    /// What is worth a line: what `RUST_LOG` says, if it says anything; and what is wrong with that.
    fn worth(&self) -> (String, Option<String>) {
        match std::env::var(EnvFilter::DEFAULT_ENV) {
            Ok(said) if !said.trim().is_empty() => match EnvFilter::try_new(&said) {
                Ok(_) => (said, None),
                Err(error) => {
                    (self.directives(), Some(format!("RUST_LOG is not understood and has no effect: {error}")))
                }
            },
            _ => (self.directives(), None),
        }
    }

    fn directives(&self) -> String {
        let level = match self.level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            // What others' code has to say at that level is for its authors.
            Level::Debug => "info,cargohold=debug",
        };
        // As in the CNCF registry, the level does not decide on requests.
        let access = if self.access.disabled { "off" } else { "info" };
        format!("{level},{}={access}", access::TARGET)
    }

    fn style(&self, output: &Output) -> Style {
        Style::new(self.formatter, &self.fields, *output == Output::Stderr && std::io::stderr().is_terminal())
    }
}

impl Logs {
    /// Starts logging, for the whole process. `more` is what else wants to see the events and the spans.
    ///
    /// Fails if a file cannot be opened.
    pub(crate) fn start<L>(logging: &Logging, more: Option<L>) -> anyhow::Result<Self>
    where
        L: Layer<tracing_subscriber::Registry> + Send + Sync,
    {
        let (worth, complaint) = logging.worth();
        let style = logging.style(&logging.output);
        let sink = Sink::open(&logging.output, style.clone()).context("log.output")?;
        let mut sinks = vec![sink.clone()];
        let access = if logging.access.disabled || !wants_requests(&worth) {
            None
        } else {
            let (output, format) = (&logging.access.output, logging.access.format);
            let style = logging.style(output);
            let shared = *output == logging.output;
            let access = if shared {
                sink.clone()
            } else {
                Sink::open(output, style.clone()).context("log.accesslog.output")?
            };
            if !shared {
                sinks.push(access.clone());
            }
            Some(Arc::new(AccessLines::new(format, style, access)))
        };
        let lines = EventLines::new(style, logging.report_caller, sink).with_filter(filter(&worth));
        tracing_subscriber::registry().with(more).with(lines).init();
        if let Some(complaint) = complaint {
            tracing::warn!("{complaint}");
        }
        Ok(Self { sinks, access })
    }

    /// None: whatever is logged is nowhere.
    #[cfg(test)]
    pub(crate) fn none(_: &Logging) -> Self {
        Self { sinks: Vec::new(), access: None }
    }

    /// What writes the lines about requests, if any are written.
    pub(crate) fn access(&self) -> Option<Arc<dyn AccessLog>> {
        self.access.clone().map(|access| access as Arc<dyn AccessLog>)
    }

    /// Opens the files anew, which something else may have moved away. Those that cannot be opened are written to as before.
    pub(crate) fn reopen(&self) {
        self.sinks.iter().for_each(Sink::reopen);
    }

    /// Lines that were lost since the start: the first number because they came faster than they could be written, the second
    /// because writing failed.
    pub(crate) fn lost(&self) -> (u64, u64) {
        self.sinks.iter().map(Sink::lost).fold((0, 0), |(full, failed), lost| (full + lost.0, failed + lost.1))
    }

    /// Has everything written that was logged so far, as far as that is possible in a moment.
    pub(crate) fn flush(&self) {
        self.sinks.iter().for_each(|sink| sink.flush(PATIENCE));
    }
}

/// What lets through what is worth a line. An [`EnvFilter`] follows every span, since it may be asked for its fields; what says
/// nothing of spans is spared that.
fn filter<S: Spans>(worth: &str) -> Box<dyn Filter<S> + Send + Sync> {
    match worth.parse::<Targets>() {
        Ok(targets) if !worth.contains('[') => Box::new(targets),
        _ => Box::new(EnvFilter::new(worth)),
    }
}

/// Whether those directives have requests logged. What they say of spans is not about these lines, which are written outside any.
fn wants_requests(worth: &str) -> bool {
    let targets: Vec<&str> = worth.split(',').filter(|directive| !directive.contains('[')).collect();
    let targets = targets.join(",").parse::<Targets>();
    targets.is_ok_and(|targets| targets.would_enable(access::TARGET, &tracing::Level::INFO))
}

/// Something that knows its spans.
trait Spans: tracing::Subscriber + for<'s> LookupSpan<'s> {}
impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Spans for S {}

#[cfg(test)]
mod tests;
