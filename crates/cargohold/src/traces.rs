//! Traces: a span for each request, sent to a collector by OTLP over HTTP.
//!
//! Off, and then without any cost, unless the environment asks for it by the variables that OpenTelemetry defines:
//! `OTEL_TRACES_EXPORTER=otlp`, or an endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`). The service's
//! name, the sampler, headers, certificates and time limits are those variables' business too. A span goes on where the client's `traceparent`
//! says. Spans are gathered and sent by a thread of its own; those for which there is no room, or no collector, are lost.

mod client;

use std::{env, error::Error, fmt::Debug};

use cargohold_http::Traces;
use http::HeaderMap;
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::TracerProvider,
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, Registry, filter};

use self::client::Client;

/// What the service is called unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "cargohold";
/// The scope of our spans.
const SCOPE: &str = "cargohold";

/// What sends spans.
#[derive(Clone, Debug)]
pub(crate) struct Exporting {
    provider: SdkTracerProvider,
    propagator: TraceContextPropagator,
}

/// What the environment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Otlp,
    /// An exporter that we do not have.
    Unknown,
}

/// Why no traces are sent although they are asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TracesError {
    #[error("OTEL_TRACES_EXPORTER names no exporter that there is: write otlp or none")]
    Unknown,
    #[error("traces cannot be sent over https: {file} {why}")]
    File { file: String, why: String },
    #[error("traces cannot be sent over https: {}", .0.source().unwrap_or(.0))]
    Tls(reqwest::Error),
    #[error("traces cannot be sent: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl Wish {
    /// Reads the variables.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let said =
            |name| variable(name).map(|value| value.trim().to_ascii_lowercase()).filter(|value| !value.is_empty());
        if said("OTEL_SDK_DISABLED").is_some_and(|value| value == "true") {
            return Self::Nothing;
        }
        let endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
        match said("OTEL_TRACES_EXPORTER").as_deref() {
            Some("none") => Self::Nothing,
            Some("otlp") => Self::Otlp,
            Some(_) => Self::Unknown,
            None if endpoint.into_iter().any(|name| said(name).is_some()) => Self::Otlp,
            None => Self::Nothing,
        }
    }
}

impl Exporting {
    /// Begins to send what the environment asks for; none if it asks for nothing.
    pub(crate) fn begin() -> Result<Option<Self>, TracesError> {
        let variable = |name: &str| env::var(name).ok();
        match Wish::of(variable) {
            Wish::Nothing => return Ok(None),
            Wish::Unknown => return Err(TracesError::Unknown),
            Wish::Otlp => {}
        }
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let exporter = exporter.with_http_client(Client::of(variable)?).build()?;
        let mut resource = Resource::builder();
        if variable("OTEL_SERVICE_NAME").is_none_or(|name| name.is_empty()) {
            resource = resource.with_service_name(SERVICE);
        }
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = resource.with_attribute(version).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Some(Self { provider, propagator: TraceContextPropagator::new() }))
    }

    /// What sees the spans of requests, and nothing else.
    pub(crate) fn layer(&self) -> impl Layer<Registry> + Send + Sync + use<> {
        let layer = tracing_opentelemetry::layer().with_tracer(self.provider.tracer(SCOPE));
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
        layer.with_filter(filter::filter_fn(|metadata| metadata.is_span() && metadata.name() == cargohold_http::SPAN))
    }

    /// Sends what is left.
    pub(crate) fn end(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

impl Traces for Exporting {
    fn follow(&self, span: &Span, headers: &HeaderMap) {
        // A span that nobody sees has no parent.
        let _ = span.set_parent(self.propagator.extract(&Carrier(headers)));
    }
}

/// The headers of a request, as a propagator reads them.
struct Carrier<'h>(&'h HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(variables: &[(&str, &str)]) -> Wish {
        Wish::of(|name| variables.iter().find(|(said, _)| *said == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn only_who_asks_for_traces_gets_them() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        for (variables, wanted) in [
            (&[][..], Wish::Nothing),
            (&[("OTEL_SERVICE_NAME", "a")], Wish::Nothing),
            (&[endpoint], Wish::Otlp),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a/")], Wish::Otlp),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], Wish::Otlp),
            (&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], Wish::Nothing),
            (&[endpoint, ("OTEL_TRACES_EXPORTER", "")], Wish::Otlp),
            (&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")], Wish::Nothing),
            (&[endpoint, ("OTEL_TRACES_EXPORTER", "zipkin")], Wish::Unknown),
        ] {
            assert_eq!(wish(variables), wanted, "{variables:?}");
        }
    }
}
