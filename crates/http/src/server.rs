//! The accept loop: connections in, requests to a service, responses out.
//!
//! Speaks HTTP/1 and HTTP/2, with TLS or without, on TCP and on Unix sockets ([`Door`]). It guarantees that a connection ends
//! whose client is gone, asks for nothing or does not take its answer, that a failing `accept` never ends the loop, that
//! there are never more connections than allowed, that an answer given before a request was read arrives, and that stopping
//! lets running responses finish until a deadline. What a request means is the service's
//! business, and so is how long a request's body may take to come.

mod activity;
mod bare_answers;
mod door;
mod gentle_close;
mod impatient;
mod plain_requests;

use std::{
    convert::Infallible,
    future,
    io::{self, ErrorKind},
    mem,
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
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::{
    body::{Body, Transport},
    metrics::ConnectionMetrics,
    sendfile::SendfileStream,
    tls::{Refused, Tls},
};
use bare_answers::BareAnswers;
use door::Socket;
use gentle_close::GentleClose;
use impatient::Impatient;

pub use door::{Door, Listener, Peer};

pub(crate) use activity::{Activity, Unread};

/// Pause after a failed `accept`, for other connections to give back what there is too little of.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Unacknowledged silence after which a connection is probed, by TCP and by HTTP/2 pings.
const PROBE_INTERVAL: Duration = Duration::from_mins(1);
/// How long the answer to an HTTP/2 ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What one HTTP/2 upload may have in flight, in bytes: 8 MiB carry 640 Mbit/s over 100 ms, as TCP alone does.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
/// What all uploads of an HTTP/2 connection may have in flight: bounds what a connection can make us hold.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Requests in progress on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// What one HTTP/2 download may have waiting for its connection, in bytes: a thousand slow readers hold 128 MiB.
const STREAM_BUFFER: usize = 128 * 1024;

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
    /// How long connections are still taken after a stop was asked for, so that whoever sends clients here can see it
    /// and sends them elsewhere.
    pub drain_delay: Duration,
    /// How many connections there may be; others wait in the listener's queue until one ends.
    pub connections: usize,
    /// Whether HTTP/2 is spoken at all.
    pub http2: bool,
    /// Whether HTTP/2 is spoken without TLS too, to clients that know beforehand (RFC 9113 §3.3).
    pub h2c: bool,
    /// Longest request head in bytes, at least 8 KiB; longer ones are answered with 431: those that can be read at all
    /// by the service, which is told this number.
    pub max_head: usize,
    /// Counts the connections.
    pub metrics: Arc<ConnectionMetrics>,
}

/// What a service is told of the connection that a request came by.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The other end.
    pub peer: Peer,
    /// Whether nobody in between can read or change what is sent: the client reached this server by `https`.
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
struct Server<S> {
    builders: Builders,
    service: S,
    options: ServerOptions,
    tls: Option<Arc<Tls>>,
    /// Connections are to be finished.
    stopping: CancellationToken,
}

/// How each protocol is spoken.
struct Builders {
    /// Without TLS.
    plain: auto::Builder<TokioExecutor>,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

/// What is known of a connection before it is spoken on.
struct Line<'s> {
    builder: &'s auto::Builder<TokioExecutor>,
    peer: Peer,
    tls: bool,
    /// What HTTP/1 makes of it.
    transport: Transport,
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
            drain_delay: Duration::ZERO,
            connections: 16 * 1024,
            http2: true,
            h2c: true,
            max_head: 64 * 1024,
            metrics: Arc::default(),
        }
    }
}

impl<S, F> Server<S>
where
    S: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    async fn connection(self: Arc<Self>, socket: Socket, peer: Peer) {
        if let Socket::Tcp(tcp) = &socket
            && let Err(error) = prepare(tcp, &self.options)
        {
            debug!(%peer, %error, "a socket option was refused");
        }
        let _open = self.options.metrics.opened();
        let plain = Line { builder: &self.builders.plain, peer, tls: false, transport: Transport::Other };
        match (socket, &self.tls) {
            (Socket::Tcp(tcp), None) => {
                let line = Line { transport: Transport::PlainHttp1, ..plain };
                self.clone().speak(SendfileStream::new(tcp), line).await;
            }
            (Socket::Tcp(tcp), Some(tls)) => self.shake_hands(tcp, tls, peer).await,
            (Socket::Unix(unix), None) => self.clone().speak(self.impatient(unix), plain).await,
            (Socket::Unix(unix), Some(tls)) => self.shake_hands(self.impatient(unix), tls, peer).await,
        }
    }

    /// What the kernel does for TCP ([`prepare`]).
    fn impatient<T>(&self, stream: T) -> Impatient<T> {
        Impatient::new(stream, self.options.stall)
    }

    /// Serves a connection of TLS from its first byte on.
    async fn shake_hands<T>(self: &Arc<Self>, stream: T, tls: &Tls, peer: Peer)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(self.options.first_request, tls.accept(stream)) => accepted,
            () = self.stopping.cancelled() => return,
        };
        match accepted {
            Ok(Ok(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let builder = if http2 { &self.builders.http2 } else { &self.builders.http1 };
                // It is large, and moves through several hands.
                self.clone()
                    .speak(Box::new(stream), Line { builder, peer, tls: true, transport: Transport::Other })
                    .await;
            }
            Ok(Err(Refused::Plain(stream))) => plain_requests::advise(stream, peer).await,
            Ok(Err(Refused::Challenge)) => info!(%peer, "a certificate authority asked for a proof, and was shown it"),
            Ok(Err(Refused::Failed(error))) => debug!(%peer, %error, "a TLS handshake failed"),
            Err(_elapsed) => {
                tls.gave_up();
                debug!(%peer, "a TLS handshake took too long");
            }
        }
    }

    /// Answers the requests that come by a stream.
    async fn speak<T>(self: Arc<Self>, stream: T, line: Line<'_>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Line { builder, peer, tls, transport } = line;
        let activity = Arc::new(Activity::default());
        let stream = GentleClose::new(stream, activity.clone());
        let stream = BareAnswers::new(stream, activity.clone(), peer, self.options.max_head);
        let service = service_fn({
            let (server, activity) = (self.clone(), activity.clone());
            move |request| server.answer(request, peer, tls, transport, &activity)
        });
        let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
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
        peer: Peer,
        tls: bool,
        transport: Transport,
        activity: &Arc<Activity>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<S, F> {
        let plain = request.version() < Version::HTTP_2;
        let under_way = activity.request(plain && !request.body().is_end_stream());
        let transport = if plain { transport } else { Transport::Other };
        let info = ConnectionInfo { peer, tls, transport, max_head: self.options.max_head, activity: activity.clone() };
        let response = (self.service)(request, info);
        async move { Ok(response.await.map(|body| body.observed(move |_| drop(under_way)))) }
    }
}

/// Serves the connections of a door until `shutdown`, then finishes what is running, at most for `options.drain`.
///
/// `service` is called once a request, with the request's head read and its body still to come. When this returns,
/// every connection is closed and what it had open is released.
pub async fn serve<S, F>(
    door: impl Into<Door>,
    service: S,
    shutdown: impl Future<Output = ()>,
    options: ServerOptions,
) -> ServeOutcome
where
    S: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let Door { listener, tls } = door.into();
    let places = Arc::new(Semaphore::new(options.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let server =
        Arc::new(Server { builders: builders(&options), service, options, tls, stopping: CancellationToken::new() });
    let (cut_off, connections) = (CancellationToken::new(), TaskTracker::new());
    tokio::select! {
        () = async {
            shutdown.await;
            if !server.options.drain_delay.is_zero() {
                tokio::time::sleep(server.options.drain_delay).await;
            }
        } => {}
        () = async {
            let mut failing = false;
            loop {
                let place = place(&places, &server.options).await;
                let (socket, peer) = accept(&listener, &server.options.metrics, &mut failing).await;
                let connection = server.clone().connection(socket, peer);
                connections.spawn(cut_off.clone().run_until_cancelled_owned(async move {
                    connection.await;
                    drop(place);
                }));
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

/// Room for one more connection, as soon as there is some.
async fn place(places: &Arc<Semaphore>, options: &ServerOptions) -> OwnedSemaphorePermit {
    if let Ok(place) = places.clone().try_acquire_owned() {
        return place;
    }
    warn!(
        connections = options.connections,
        "there are as many connections as there may be (http.limits.connections); others wait until one ends"
    );
    let place = places.clone().acquire_owned().await.expect("it is never closed");
    info!("there is room for connections again");
    place
}

/// The next connection. Errors of `accept` are waited out: the first of a row is logged, and so is its end.
async fn accept(listener: &Listener, metrics: &ConnectionMetrics, failing: &mut bool) -> (Socket, Peer) {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                if mem::take(failing) {
                    info!("connections are accepted again");
                }
                return accepted;
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

fn builders(options: &ServerOptions) -> Builders {
    let both = || builder(options);
    Builders {
        plain: if options.http2 && options.h2c { both() } else { both().http1_only() },
        http1: both().http1_only(),
        http2: both().http2_only(),
    }
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
        .max_send_buf_size(STREAM_BUFFER)
        // h2 counts 32 bytes more for each header, and what it refuses itself has no body that says why.
        .max_header_list_size(u32::try_from(2 * options.max_head).unwrap_or(u32::MAX));
    builder
}

#[cfg(test)]
mod tests;
