//! What a request's span tells those who collect traces, by OpenTelemetry's conventions for HTTP servers.
//!
//! Its fields for them have dots in their names, which those of logs have not.

use http::{HeaderMap, Method, StatusCode};
use tracing::{Span, field::Empty};

use crate::{metrics::Series, operation};

/// What the span of a request is called.
pub const SPAN: &str = "request";

/// Who collects traces.
pub trait Traces: Send + Sync + 'static {
    /// Has the span of a request go on where these headers say that the client was.
    fn follow(&self, span: &Span, headers: &HeaderMap);
}

/// A span that nobody collects.
pub(crate) fn plain(id: &str) -> Span {
    // At the level of errors, so that these have the id whatever else is logged.
    tracing::error_span!("request", id)
}

/// A span with all that is known of a request before it is answered.
pub(crate) fn collected(id: &str, method: &Method, path: &str, series: Series) -> Span {
    let (verb, operation) = (series.verb().name(), series.operation().name());
    let span = tracing::error_span!(
        "request",
        id,
        otel.name = %format_args!("{verb} {operation}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %format_args!("{method:.32}"),
        http.request.body.size = Empty,
        http.response.status_code = Empty,
        http.response.body.size = Empty,
        url.path = %format_args!("{path:.1000}"),
        user.name = Empty,
        cargohold.operation = operation,
        cargohold.repository = Empty,
    );
    if let Some(repository) = operation::repository(path) {
        span.record("cargohold.repository", &*format!("{repository:.255}"));
    }
    span
}

/// How it ended.
pub(crate) fn end(span: &Span, status: StatusCode, received: u64, sent: u64, user: Option<&str>) {
    span.record("http.response.status_code", status.as_u16());
    span.record("http.request.body.size", received);
    span.record("http.response.body.size", sent);
    if let Some(user) = user {
        span.record("user.name", user);
    }
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}
