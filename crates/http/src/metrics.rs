//! What the doors count: requests, their bytes, connections, and who was not let in.
//!
//! Every number that a request changes is an atomic of its own, found by an index: nothing is locked, looked up or allocated.

use std::{sync::Arc, time::Duration};

use cargohold_access::Refusal;
use cargohold_metrics::{Counter, Gauge, Histogram, Page};
use cargohold_registry::Part;
use http::{Method, StatusCode};

use crate::{
    body::BodyOutcome,
    operation::{Operation, Verb},
};

/// The statuses that are told apart; what is none of them is `other`.
const STATUSES: [&str; 35] = [
    "200", "201", "202", "204", "206", "301", "302", "304", "307", "308", "400", "401", "403", "404", "405", "406",
    "408", "409", "410", "411", "412", "413", "414", "415", "416", "421", "429", "431", "499", "500", "501", "503",
    "504", "507", "other",
];

/// The numbers of all doors.
#[derive(Debug)]
pub struct HttpMetrics {
    /// By operation, method and status.
    requests: Box<[Counter]>,
    /// By operation and method.
    durations: Box<[Histogram]>,
    in_flight: Gauge,
    received: Counter,
    sent: Counter,
    incomplete: Counter,
    /// How many connections there are, and what becomes of them.
    pub connections: Arc<ConnectionMetrics>,
    sign_in_failures: [Counter; 4],
    /// The certificate that is served, where one is.
    pub certificate: CertificateMetrics,
    /// Answers that were asked for and went wrong inside, by where.
    failures: [Counter; 3],
}

/// How many connections there are.
#[derive(Debug, Default)]
pub struct ConnectionMetrics {
    open: Gauge,
    accepted: Counter,
    /// Times that `accept` failed, for want of files or memory.
    pub accept_failures: Counter,
}

/// A connection that is open.
#[derive(Debug)]
pub struct OpenConnection(Arc<ConnectionMetrics>);

/// What whoever loads certificates tells of them.
#[derive(Debug, Default)]
pub struct CertificateMetrics {
    not_after: Gauge,
    reloads: Counter,
    reload_failures: Counter,
}

/// Why somebody was not let in, as a label.
const SIGN_IN_FAILURES: [&str; 4] = ["password", "token", "credentials", "busy"];

/// Where failures come from, as a label: in the order of [`Part`].
const PARTS: [&str; 3] = ["store", "database", "other"];

/// What came and went since the start, for a short report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that were answered.
    pub requests: u64,
    /// Of those, answered with a status of 400 to 499.
    pub client_errors: u64,
    /// Of those, answered with a status of 500 or more.
    pub server_errors: u64,
    /// Requests that are being answered.
    pub in_flight: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Bytes of requests' bodies.
    pub received: u64,
    /// Bytes of answers' bodies.
    pub sent: u64,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        let (operations, verbs) = (Operation::ALL.len(), Verb::ALL.len());
        Self {
            requests: (0..operations * verbs * STATUSES.len()).map(|_| Counter::new()).collect(),
            durations: (0..operations * verbs).map(|_| Histogram::new(Histogram::SECONDS)).collect(),
            in_flight: Gauge::new(),
            received: Counter::new(),
            sent: Counter::new(),
            incomplete: Counter::new(),
            connections: Arc::default(),
            sign_in_failures: Default::default(),
            certificate: CertificateMetrics::default(),
            failures: Default::default(),
        }
    }
}

/// The numbers of one operation and method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series(usize);

impl Series {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        Self(Operation::of(path) as usize * Verb::ALL.len() + Verb::of(method) as usize)
    }

    pub(crate) fn operation(self) -> Operation {
        Operation::ALL[self.0 / Verb::ALL.len()]
    }

    pub(crate) fn verb(self) -> Verb {
        Verb::ALL[self.0 % Verb::ALL.len()]
    }

    fn all() -> impl Iterator<Item = Self> {
        (0..Operation::ALL.len() * Verb::ALL.len()).map(Self)
    }
}

impl HttpMetrics {
    pub(crate) fn began(&self) {
        self.in_flight.change(1);
    }

    pub(crate) fn ended(&self, series: Series, status: StatusCode, outcome: BodyOutcome, took: Duration) {
        self.in_flight.change(-1);
        self.requests[series.0 * STATUSES.len() + place(status)].increment();
        self.durations[series.0].observe_time(took);
        self.sent.add(outcome.bytes);
        if !outcome.complete {
            self.incomplete.increment();
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.add(bytes as u64);
    }

    /// Somebody was not let in.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        let place = match refusal {
            Refusal::WrongPassword => 0,
            Refusal::InvalidToken => 1,
            Refusal::Credentials(_) => 2,
            Refusal::Busy => 3,
            Refusal::ForeignHost { .. } | Refusal::ForeignOrigin { .. } => return,
        };
        self.sign_in_failures[place].increment();
    }

    /// Something inside went wrong.
    pub(crate) fn failed(&self, part: Part) {
        self.failures[part as usize].increment();
    }

    /// What came and went since the start.
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic {
            requests: 0,
            client_errors: 0,
            server_errors: 0,
            in_flight: u64::try_from(self.in_flight.value()).unwrap_or_default(),
            connections: u64::try_from(self.connections.open.value()).unwrap_or_default(),
            received: self.received.value(),
            sent: self.sent.value(),
        };
        for (place, counter) in self.requests.iter().enumerate() {
            let count = counter.value();
            traffic.requests += count;
            match STATUSES[place % STATUSES.len()].as_bytes()[0] {
                b'4' => traffic.client_errors += count,
                b'5' => traffic.server_errors += count,
                _ => {}
            }
        }
        traffic
    }

    /// Tells all of it.
    #[expect(clippy::cast_precision_loss, reason = "numbers of things that are open, and a time")]
    pub fn tell(&self, page: &mut Page) {
        let requests = Series::all().flat_map(|series| {
            let statuses = self.requests[series.0 * STATUSES.len()..].iter().zip(STATUSES);
            statuses.map(move |(counter, status)| (series, status, counter.value()))
        });
        page.counters(
            "cargohold_http_requests_total",
            "Requests that are over: answered to the last byte, or until the client was gone. If that was before there was an answer, \
             the status is 499.",
            ["method", "operation", "status"],
            requests
                .filter(|(_, _, count)| *count > 0)
                .map(|(series, status, count)| ([series.verb().name(), series.operation().name(), status], count)),
        );
        page.histograms(
            "cargohold_http_request_duration_seconds",
            "From the head of a request to the last byte of its answer: for blobs that is how fast the client takes or brings them.",
            ["method", "operation"],
            Series::all()
                .map(|series| ([series.verb().name(), series.operation().name()], &self.durations[series.0]))
                .filter(|(_, histogram)| histogram.count() > 0),
        );
        page.gauge(
            "cargohold_http_requests_in_flight",
            "Requests whose answer is not gone yet, those included that wait for their turn.",
            self.in_flight.value() as f64,
        );
        page.counters(
            "cargohold_failures_total",
            "Requests that could not be answered as they should, and where that came from: the store of bytes (a full disk, one that \
             is away, one that fails), the database, or something else. The log has the reason.",
            ["part"],
            PARTS.iter().zip(&self.failures).map(|(part, count)| ([*part], count.value())),
        );
        page.counter(
            "cargohold_http_responses_incomplete_total",
            "Answers of which the client did not take all.",
            self.incomplete.value(),
        );
        page.counter("cargohold_http_received_bytes_total", "Bytes of requests' bodies.", self.received.value());
        page.counter("cargohold_http_sent_bytes_total", "Bytes of answers' bodies.", self.sent.value());
        self.connections.tell(page);
        page.counters(
            "cargohold_sign_in_failures_total",
            "Credentials that were shown and not accepted: a wrong password or user, a token that is wrong or too old, what is no \
             credential at all, or too many at a time.",
            ["reason"],
            SIGN_IN_FAILURES.iter().zip(&self.sign_in_failures).map(|(reason, count)| ([*reason], count.value())),
        );
        self.certificate.tell(page);
    }
}

fn place(status: StatusCode) -> usize {
    STATUSES.binary_search(&status.as_str()).unwrap_or(STATUSES.len() - 1)
}

impl ConnectionMetrics {
    /// A connection was accepted: it is open as long as the answer lives.
    #[must_use]
    pub fn opened(self: &Arc<Self>) -> OpenConnection {
        self.accepted.increment();
        self.open.change(1);
        OpenConnection(self.clone())
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of things that are open")]
    fn tell(&self, page: &mut Page) {
        page.gauge("cargohold_http_connections_open", "Connections that are open.", self.open.value() as f64);
        page.counter("cargohold_http_connections_total", "Connections that were accepted.", self.accepted.value());
        page.counter(
            "cargohold_http_accept_failures_total",
            "Times that no connection could be accepted, mostly because too many files were open.",
            self.accept_failures.value(),
        );
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.change(-1);
    }
}

impl CertificateMetrics {
    /// A certificate is served from now on that is good until then, in seconds since 1970.
    pub fn loaded(&self, not_after: i64) {
        self.not_after.set(not_after);
        self.reloads.increment();
    }

    /// A newer one could not be loaded: the one from before is still served.
    pub fn not_loaded(&self) {
        self.reload_failures.increment();
    }

    #[expect(clippy::cast_precision_loss, reason = "a time")]
    fn tell(&self, page: &mut Page) {
        let not_after = self.not_after.value();
        page.gauges(
            "cargohold_tls_certificate_not_after_seconds",
            "When the certificate that is served ends, in seconds since 1970. Not there without TLS.",
            [],
            (not_after != 0).then_some(([], not_after as f64)),
        );
        page.counter(
            "cargohold_tls_certificate_loads_total",
            "Certificates that were loaded: the first one, and those that came in its place.",
            self.reloads.value(),
        );
        page.counter(
            "cargohold_tls_certificate_load_failures_total",
            "Certificates that could not be loaded, so that the one from before is still served.",
            self.reload_failures.value(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_where_it_belongs_and_nowhere_else() {
        let metrics = HttpMetrics::default();
        let series = Series::of(&Method::GET, "/v2/a/manifests/latest");
        for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::NOT_FOUND, StatusCode::IM_A_TEAPOT] {
            metrics.began();
            metrics.ended(series, status, BodyOutcome { bytes: 7, complete: true }, Duration::from_millis(3));
        }
        let mut page = Page::default();
        metrics.tell(&mut page);
        let requests: Vec<_> =
            page.text().lines().filter(|line| line.starts_with("cargohold_http_requests_total")).collect();
        let wanted = [("200", 1), ("404", 2), ("other", 1)].map(|(status, count)| {
            format!(
                "cargohold_http_requests_total{{method=\"GET\",operation=\"manifest\",status=\"{status}\"}} {count}"
            )
        });
        assert_eq!(requests, wanted);
        assert!(page.text().contains("\ncargohold_http_requests_in_flight 0\n"));
        assert!(page.text().contains("\ncargohold_http_sent_bytes_total 28\n"));
        assert!(page.text().contains(
            "_duration_seconds_bucket{method=\"GET\",operation=\"manifest\",le=\"0.0025\"} 0\n\
             cargohold_http_request_duration_seconds_bucket{method=\"GET\",operation=\"manifest\",le=\"0.005\"} 4\n"
        ));
        let traffic = metrics.traffic();
        assert_eq!((traffic.requests, traffic.client_errors, traffic.server_errors, traffic.sent), (4, 2, 0, 28));
    }

    #[test]
    fn statuses_are_found() {
        assert!(STATUSES.is_sorted());
        for status in ["200", "404", "503"] {
            assert_eq!(STATUSES[place(StatusCode::from_bytes(status.as_bytes()).unwrap())], status);
        }
    }

    #[test]
    fn a_certificate_that_is_not_there_is_not_told_of() {
        let metrics = HttpMetrics::default();
        let told = |metrics: &HttpMetrics| {
            let mut page = Page::default();
            metrics.tell(&mut page);
            page.into_text()
        };
        assert!(!told(&metrics).contains("\ncargohold_tls_certificate_not_after_seconds "));
        metrics.certificate.loaded(1_800_000_000);
        metrics.certificate.not_loaded();
        assert!(told(&metrics).contains("\ncargohold_tls_certificate_not_after_seconds 1800000000\n"));
        assert!(told(&metrics).contains("\ncargohold_tls_certificate_load_failures_total 1\n"));
    }
}
