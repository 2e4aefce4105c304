//! The accept loop: TCP connections in, requests to a service, responses out.
//!
//! Speaks HTTP/1 and, to clients that know beforehand, HTTP/2 without TLS. It guarantees that a connection ends whose
//! client is gone, asks for nothing or does not take its answer, that a failing `accept` never ends the loop, that an
//! answer given before a request was read arrives, and that stopping lets running responses finish until a deadline.
//! What a request means is the service's business, and so is how long a request's body may take to come.

mod activity;
mod bare_answers;
mod gentle_close;

use std::{
    convert::Infallible,
    future,
    io::{self, ErrorKind},
    mem,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use http::{Request, Response, Version};
use hyper::{
    body::{Body as _, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::{
    body::{Body, Transport},
    metrics::ConnectionMetrics,
    sendfile::SendfileStream,
};
use bare_answers::BareAnswers;
use gentle_close::GentleClose;

pub(crate) use activity::{Activity, Unread};

/// Pause after a failed `accept`, for other connections to give back what there is too little of.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Unacknowledged silence after which a connection is probed, by TCP and by HTTP/2 pings.
const PROBE_INTERVAL: Duration = Duration::from_mins(1);
/// How long the answer to an HTTP/2 ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What one HTTP/2 upload may have in flight, in bytes: 4 MiB carry 320 Mbit/s over 100 ms.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// What all uploads of an HTTP/2 connection may have in flight: bounds what a connection can make us hold.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Requests in progress on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// The least that hyper accepts as the longest head, in bytes.
const MIN_HEAD: usize = 8 * 1024;

/// How the server treats its connections.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// How long a new connection may take to send the head of its first request.
    pub first_request: Duration,
    /// How long a connection may stay without a request, the time to send that request's head included.
    ///
    /// More than what proxies use towards us (60 s in nginx and in AWS load balancers), so that none of them sends a
    /// request into a connection that is being closed.
    pub idle: Duration,
    /// How long a client may refuse to take what it asked for, or be out of reach, before its connection is dropped.
    pub stall: Duration,
    /// How long running requests may take to finish once the server stops.
    pub drain: Duration,
    /// Longest request head in bytes, at least 8 KiB; longer ones are answered with 431: those that can be read at all
    /// by the service, which is told this number.
    pub max_head: usize,
    /// Counts the connections.
    pub connections: Arc<ConnectionMetrics>,
}

/// What a service is told of the connection that a request came by.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The address of the other end; an IPv4 address is never dressed as IPv6.
    pub peer: SocketAddr,
    /// Whether it is within TLS.
    pub tls: bool,
    /// How the response's body will travel.
    pub transport: Transport,
    /// Longest request head in bytes: [`ServerOptions::max_head`].
    pub max_head: usize,
    /// What else goes on on the connection.
    pub(crate) activity: Arc<Activity>,
}

/// How [`serve`] ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServeOutcome {
    /// Every connection was finished.
    Drained,
    /// The deadline came first, and so many connections were cut off.
    CutOff {
        /// How many.
        connections: usize,
    },
}

/// What every connection needs.
#[derive(Clone)]
struct Server<S> {
    builder: auto::Builder<TokioExecutor>,
    service: S,
    options: ServerOptions,
    /// Connections are to be finished.
    stopping: CancellationToken,
}

/// Why a connection comes to its end before the client closes it.
enum End {
    /// No request came in time: nothing is owed to the client.
    NoRequest,
    /// What is under way is finished, and nothing else is begun.
    InOrder,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            first_request: Duration::from_secs(30),
            idle: Duration::from_mins(2),
            stall: Duration::from_mins(10),
            drain: Duration::from_secs(30),
            max_head: 64 * 1024,
            connections: Arc::default(),
        }
    }
}

impl<S, F> Server<S>
where
    S: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    async fn connection(self, tcp: TcpStream, peer: SocketAddr) {
        if let Err(error) = prepare(&tcp, &self.options) {
            debug!(%peer, %error, "a socket option was refused");
        }
        let _open = self.options.connections.opened();
        let activity = Arc::new(Activity::default());
        let stream = GentleClose::new(SendfileStream::new(tcp), activity.clone());
        let stream = BareAnswers::new(stream, activity.clone(), peer, self.options.max_head);
        let service = service_fn({
            let (server, activity) = (self.clone(), activity.clone());
            move |request| server.answer(request, peer, &activity)
        });
        let mut served = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let result = tokio::select! {
            biased;
            result = &mut served => result,
            end = end(&self.options, &self.stopping, &activity) => match end {
                End::NoRequest => Err("no request came in time".into()),
                End::InOrder => {
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            },
        };
        if let Err(error) = result {
            debug!(%peer, %error, "a connection ended early");
        }
    }

    /// Has the service answer a request, which is under way until the last byte of that is gone.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        activity: &Arc<Activity>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<S, F> {
        let plain = request.version() < Version::HTTP_2;
        let under_way = activity.request(plain && !request.body().is_end_stream());
        let transport = if plain { Transport::PlainHttp1 } else { Transport::Other };
        let info =
            ConnectionInfo { peer, tls: false, transport, max_head: self.options.max_head, activity: activity.clone() };
        let response = (self.service)(request, info);
        async move { Ok(response.await.map(|body| body.observed(move |_| drop(under_way)))) }
    }
}

/// Serves the connections of `listener` until `shutdown`, then finishes what is running, at most for `options.drain`.
///
/// `service` is called once a request, with the request's head read and its body still to come. When this returns,
/// every connection is closed and what it had open is released.
pub async fn serve<S, F>(
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
    options: ServerOptions,
) -> ServeOutcome
where
    S: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let server = Server { builder: builder(&options), service, options, stopping: CancellationToken::new() };
    let (cut_off, connections) = (CancellationToken::new(), TaskTracker::new());
    tokio::select! {
        () = shutdown => {}
        () = async {
            let mut failing = false;
            loop {
                let (tcp, peer) = accept(&listener, &server.options.connections, &mut failing).await;
                let connection = server.clone().connection(tcp, peer);
                connections.spawn(cut_off.clone().run_until_cancelled_owned(connection));
            }
        } => {}
    }
    drop(listener);
    connections.close();
    server.stopping.cancel();
    if tokio::time::timeout(server.options.drain, connections.wait()).await.is_ok() {
        return ServeOutcome::Drained;
    }
    let outcome = ServeOutcome::CutOff { connections: connections.len() };
    cut_off.cancel();
    connections.wait().await;
    outcome
}

/// The next connection. Errors of `accept` are waited out: the first of a row is logged, and so is its end.
async fn accept(listener: &TcpListener, metrics: &ConnectionMetrics, failing: &mut bool) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                if mem::take(failing) {
                    info!("connections are accepted again");
                }
                return (tcp, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
            }
            // The client was gone before we came.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                metrics.accept_failures.increment();
                if !mem::replace(failing, true) {
                    warn!(%error, "connections cannot be accepted, trying again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Waits for a reason to end a connection.
async fn end(options: &ServerOptions, stopping: &CancellationToken, activity: &Activity) -> End {
    // hyper's own clock knows HTTP/1 only, and starts once it has seen that a client speaks it.
    let no_request = async {
        tokio::time::sleep(options.first_request).await;
        if activity.requests_began() {
            future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = stopping.cancelled() => End::InOrder,
        () = activity.unused(options.idle) => End::InOrder,
        () = no_request => End::NoRequest,
    }
}

fn prepare(tcp: &TcpStream, options: &ServerOptions) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    // The kernel gives up on a client that acknowledges nothing, or keeps its window shut, for so long.
    let stall = u32::try_from(options.stall.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(tcp, stall)?;
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, PROBE_INTERVAL)?;
    Ok(())
}

fn builder(options: &ServerOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // In hyper this runs from the end of a response to the end of the next head: no head may trickle in for ever.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.idle)
        // Whoever sends a whole request and nothing more has asked for it, and may still listen to the answer.
        .half_close(true)
        // `Docker-Content-Digest`, as every other registry writes it: scripts look for it with grep.
        .title_case_headers(true)
        .max_buf_size(options.max_head.max(MIN_HEAD));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PROBE_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // h2 counts 32 bytes more for each header, and what it refuses itself has no body that says why.
        .max_header_list_size(u32::try_from(2 * options.max_head).unwrap_or(u32::MAX));
    builder
}

#[cfg(test)]
mod tests;
