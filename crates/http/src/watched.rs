//! What is known of a request while it is answered, for whoever watches the registry: the access log and the numbers.

use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use cargohold_access::Caller;
use http::{Request, Response, StatusCode};
use tracing::Span;

use crate::{
    Body, HttpMetrics,
    access_log::{AccessLog, Entry},
    body::BodyOutcome,
    metrics::Series,
    server::{ConnectionInfo, Peer},
    traces::{self, Traces},
};

/// What a request is said to have been answered with whose client was gone before there was an answer (nginx has it so).
const CLIENT_GONE: u16 = 499;

/// Those who watch.
#[derive(Clone, Default)]
pub(crate) struct Watchers {
    pub(crate) metrics: Arc<HttpMetrics>,
    pub(crate) log: Option<Arc<dyn AccessLog>>,
    pub(crate) traces: Option<Arc<dyn Traces>>,
}

/// One request, from its head to the last byte of its answer.
pub(crate) struct Watched {
    id: String,
    /// What it is called in the logs: what is logged within it has its id.
    pub(crate) span: Span,
    peer: Peer,
    client: IpAddr,
    metrics: Arc<HttpMetrics>,
    series: Series,
    is_collected: bool,
    began: Instant,
    received: Arc<AtomicU64>,
    entry: Option<Entry>,
    user: OnceLock<String>,
    ended: bool,
}

/// Counts the bytes of one request's body.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    metrics: Arc<HttpMetrics>,
    of_request: Arc<AtomicU64>,
}

impl Watched {
    /// `path` is that of the request, below where the registry begins.
    pub(crate) fn begin<B>(
        id: String,
        watchers: &Watchers,
        (request, path): (&Request<B>, &str),
        connection: &ConnectionInfo,
        client: IpAddr,
    ) -> Self {
        let series = Series::of(request.method(), path);
        let Watchers { metrics, log, traces } = watchers;
        let span = match traces {
            None => traces::plain(&id),
            Some(traces) => {
                let span = traces::collected(&id, request.method(), path, series);
                traces.follow(&span, request.headers());
                span
            }
        };
        let entry = log.as_ref().map(|log| Entry::new(log.clone(), connection.peer, client, request));
        metrics.began();
        Self {
            id,
            span,
            peer: connection.peer,
            client,
            metrics: metrics.clone(),
            series,
            is_collected: traces.is_some(),
            began: Instant::now(),
            received: Arc::default(),
            entry,
            user: OnceLock::new(),
            ended: false,
        }
    }

    /// What the answer calls it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whose request it is: that of the connection's other end, or of whom that one passes on.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    /// Address and port, as far as they are known, of whom it came from.
    pub(crate) fn came_by(&self) -> String {
        if self.peer.ip() == self.client { self.peer.to_string() } else { self.client.to_string() }
    }

    /// What counts the bytes of its body.
    pub(crate) fn received(&self) -> Received {
        Received { metrics: self.metrics.clone(), of_request: self.received.clone() }
    }

    /// It is known who sent it.
    pub(crate) fn came_from(&self, caller: &Caller) {
        if let Some(name) = caller.name() {
            self.user.set(name.to_owned()).ok();
        }
    }

    /// Has the answer tell how it ended, and drop what is to be kept until then.
    pub(crate) fn follow(mut self, response: Response<Body>, kept: impl Send + 'static) -> Response<Body> {
        let status = response.status();
        response.map(|body| {
            body.observed(move |outcome| {
                self.end(status, outcome);
                drop(kept);
            })
        })
    }

    fn end(&mut self, status: StatusCode, outcome: BodyOutcome) {
        self.ended = true;
        let took = self.began.elapsed();
        self.metrics.ended(self.series, status, outcome, took);
        if self.is_collected {
            let user = self.user.get().map(String::as_str);
            traces::end(&self.span, status, self.received.load(Ordering::Relaxed), outcome.bytes, user);
        }
        if let Some(entry) = self.entry.take() {
            entry.end(&self.id, self.user.get().map(String::as_str), status.as_u16(), outcome, took);
        }
    }
}

impl Drop for Watched {
    /// Dropped before its end if nobody waits for the answer any more.
    fn drop(&mut self) {
        if !self.ended {
            let status = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST);
            self.end(status, BodyOutcome { bytes: 0, complete: false });
        }
    }
}

impl Received {
    pub(crate) fn count(&self, bytes: usize) {
        self.metrics.received(bytes);
        self.of_request.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
