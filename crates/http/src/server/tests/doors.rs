//! What comes in elsewhere than by plain TCP, how many may, and how a stop is announced.

use std::sync::atomic::{AtomicBool, Ordering};

use rustls::{ClientConfig, pki_types::ServerName};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::tls::{
    Tls,
    tests::{Authority, prepared},
};

/// A server that speaks TLS and says of each request how it came.
async fn secure(authority: &Authority, options: ServerOptions) -> (Running, TempDir) {
    let (folder, settings) = prepared(authority);
    let tls = Arc::new(Tls::open(settings, options.http2).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let door = Door::from(listener).with_tls(Some(tls));
    let service = |_, connection: ConnectionInfo| {
        future::ready(Response::new(Body::full(format!("{} {:?}", connection.tls, connection.transport))))
    };
    let outcome = tokio::spawn(serve(door, service, async { stopped.await.unwrap_or_default() }, options));
    (Running { address, stop, outcome }, folder)
}

async fn connect(running: &Running, client: ClientConfig) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, running.connect().await).await.unwrap()
}

#[tokio::test]
async fn both_protocols_are_spoken_with_tls() {
    let authority = Authority::named("here");
    let (running, _folder) = secure(&authority, ServerOptions::default()).await;
    let mut stream = connect(&running, authority.client(None)).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(said.ends_with("true Other"), "{said}");

    let mut client = authority.client(None);
    client.alpn_protocols = vec![b"h2".to_vec()];
    let stream = connect(&running, client).await;
    let (mut requests, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let _connection = tokio::spawn(connection);
    let request = Request::get("https://here/").body(Empty::<Bytes>::new()).unwrap();
    let answer = requests.send_request(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "true Other");
}

#[tokio::test]
async fn whoever_forgets_tls_is_told() {
    let authority = Authority::named("here");
    let (running, _folder) = secure(&authority, ServerOptions::default()).await;
    let mut client = running.client().await;
    client.send("POST /v2/ HTTP/1.1\r\nhost: here\r\ncontent-length: 100000\r\n\r\n").await;
    client.0.write_all(&vec![0; 100_000]).await.unwrap();
    let (head, body) = client.response().await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("use https://"));
}

#[tokio::test]
async fn a_handshake_does_not_last_for_ever_and_holds_up_nobody() {
    let authority = Authority::named("here");
    let options = ServerOptions { first_request: Duration::from_secs(1), ..ServerOptions::default() };
    let (running, _folder) = secure(&authority, options).await;
    let mut silent = running.client().await;
    connect(&running, authority.client(None)).await;
    silent.closed().await;
}

#[tokio::test]
async fn http_2_without_tls_can_be_switched_off() {
    let off = [
        ServerOptions { h2c: false, ..ServerOptions::default() },
        ServerOptions { http2: false, ..ServerOptions::default() },
    ];
    for options in off {
        let running = Running::start(options, |_, _| future::ready(answer(200))).await;
        let (mut client, _connection) = http2(&running).await;
        let request = Request::get("http://here/").body(Empty::<Bytes>::new()).unwrap();
        assert!(client.send_request(request).await.is_err());
        assert!(running.client().await.get("").await.0.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn who_comes_by_a_unix_socket_is_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let door = Listener::Unix(UnixListener::bind(&path).unwrap());
    let service = |_, connection: ConnectionInfo| {
        let said = format!("{} {} {:?}", connection.peer, connection.peer.ip(), connection.transport);
        future::ready(Response::new(Body::full(said)))
    };
    let server = tokio::spawn(serve(door, service, future::pending(), ServerOptions::default()));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(said.ends_with("unix 127.0.0.1 Other"), "{said}");
    server.abort();
}

#[tokio::test]
async fn no_more_connections_are_taken_than_may_be() {
    let options = ServerOptions { connections: 2, ..ServerOptions::default() };
    let running = Running::start(options, |_, _| future::ready(answer(200))).await;
    let (mut one, mut other) = (running.client().await, running.client().await);
    one.get("").await;
    other.get("").await;
    let mut waiting = running.client().await;
    waiting.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    one.get("").await;
    drop(other);
    assert!(waiting.response().await.0.starts_with("HTTP/1.1 200"), "its turn came");
}

#[tokio::test]
async fn connections_are_taken_for_a_while_after_a_stop_was_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopping = Arc::new(AtomicBool::new(false));
    let service = {
        let stopping = stopping.clone();
        move |_, _| future::ready(answer(if stopping.load(Ordering::Relaxed) { 503 } else { 200 }))
    };
    let options = ServerOptions { drain_delay: Duration::from_secs(3), ..ServerOptions::default() };
    let shutdown = {
        let stopping = stopping.clone();
        async move {
            stopped.await.unwrap_or_default();
            stopping.store(true, Ordering::Relaxed);
        }
    };
    let outcome = tokio::spawn(serve(listener, service, shutdown, options));
    let running = Running { address, stop, outcome };
    assert!(running.client().await.get("connection: close\r\n").await.0.starts_with("HTTP/1.1 200"));
    running.stop.send(()).unwrap();
    while !stopping.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    let mut client = Client(TcpStream::connect(running.address).await.expect("it still takes connections"));
    assert!(client.get("").await.0.starts_with("HTTP/1.1 503"));
    assert_eq!(running.outcome.await.unwrap(), ServeOutcome::Drained);
}
