mod bodies;
mod clock;
mod doors;
mod heads;
mod idle;
mod in_flight;

use std::{fs::File, future, net::SocketAddr, sync::mpsc};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::{
    body::BodyOutcome,
    page_cache::tests::{evict, file_of},
    range::{self, RangeRequest},
    sendfile::live_mappings,
};

const BLOB: usize = 8 * 1024 * 1024 + 12_345;

/// A server on a port of its own.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    outcome: JoinHandle<ServeOutcome>,
}

/// A client that knows as much HTTP/1 as it needs.
struct Client(TcpStream);

impl Running {
    async fn start<S, F>(options: ServerOptions, service: S) -> Running
    where
        S: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { stopped.await.unwrap_or_default() };
        let outcome = tokio::spawn(serve(listener, service, shutdown, options));
        Running { address, stop, outcome }
    }

    /// Serves `file`, honouring `Range`, and tells the outcomes of its bodies.
    async fn serving(file: Arc<File>, options: ServerOptions) -> (Running, mpsc::Receiver<BodyOutcome>) {
        let (tell, told) = mpsc::channel();
        let running = Running::start(options, move |request, connection| {
            let (file, tell) = (file.clone(), tell.clone());
            async move {
                let size = file.metadata().unwrap().len();
                let header = request.headers().get("range").map(|value| value.to_str().unwrap());
                let range = match range::parse(header, size) {
                    RangeRequest::Single(range) => range,
                    _ => 0..size,
                };
                let body = Body::from_file(file, range, connection.transport).await.unwrap();
                Response::new(body.observed(move |outcome| tell.send(outcome).unwrap()))
            }
        });
        (running.await, told)
    }

    /// A connection whose bytes do not wait for those before them to be acknowledged.
    async fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    async fn client(&self) -> Client {
        Client(self.connect().await)
    }

    /// A client whose window is small, so that the server has to wait for it.
    async fn narrow_client(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        Client(socket.connect(self.address).await.unwrap())
    }
}

/// A connection that speaks HTTP/2, and the task that drives it: that ends when the server closes the connection.
async fn http2<B>(running: &Running) -> (http2::SendRequest<B>, JoinHandle<hyper::Result<()>>)
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let (client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(running.connect().await)).await.unwrap();
    (client, tokio::spawn(connection))
}

impl Client {
    async fn send(&mut self, request: &str) {
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// Reads a response's head, and says which length it announces.
    async fn head(&mut self) -> (String, usize) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
        let length = length.parse().unwrap();
        (head, length)
    }

    async fn response(&mut self) -> (String, Vec<u8>) {
        let (head, length) = self.head().await;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (head, body)
    }

    async fn get(&mut self, headers: &str) -> (String, Vec<u8>) {
        self.send(&format!("GET /v2/ HTTP/1.1\r\nhost: here\r\n{headers}\r\n")).await;
        self.response().await
    }

    async fn closed(&mut self) {
        assert_eq!(self.0.read(&mut [0]).await.unwrap(), 0);
    }
}

fn answer(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Body::full("answer")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_downloads_are_exact() {
    let (file, bytes) = file_of(BLOB);
    let file = Arc::new(file);
    let (running, told) = Running::serving(file.clone(), ServerOptions::default()).await;
    let wanted = Sha256::digest(&bytes);
    let downloads = (0..6).map(|index| {
        let running = &running;
        async move {
            let mut client = if index % 2 == 0 { running.narrow_client().await } else { running.client().await };
            for _ in 0..2 {
                let (head, body) = client.get("").await;
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                assert_eq!(Sha256::digest(&body), wanted);
            }
        }
    });
    futures_util::future::join_all(downloads).await;
    for _ in 0..12 {
        assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: BLOB as u64, complete: true });
    }
    assert_eq!(live_mappings(&file), 0);
}

#[tokio::test]
async fn ranges_are_exact() {
    let (file, bytes) = file_of(BLOB);
    let (running, _told) = Running::serving(Arc::new(file), ServerOptions::default()).await;
    let mut client = running.narrow_client().await;
    for (first, last) in
        [(0, BLOB - 1), (4095, 3_000_000), (2_097_152, 4_194_303), (17, 17), (BLOB - 300_000, BLOB - 2)]
    {
        let (_, body) = client.get(&format!("range: bytes={first}-{last}\r\n")).await;
        assert!(body == bytes[first..=last], "{first}-{last}");
    }
}

#[tokio::test]
async fn a_cold_file_is_downloaded_whole() {
    let (file, bytes) = file_of(BLOB);
    let file = Arc::new(file);
    let (running, told) = Running::serving(file.clone(), ServerOptions::default()).await;
    evict(&file);
    let (_, body) = running.client().await.get("").await;
    assert!(body == bytes);
    assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: BLOB as u64, complete: true });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_without_tls_is_served_from_a_stream() {
    let (file, bytes) = file_of(BLOB);
    let file = Arc::new(file);
    let (running, told) = Running::serving(file.clone(), ServerOptions::default()).await;
    let (mut client, _connection) = http2(&running).await;
    let requests: Vec<_> = (0..3)
        .map(|_| client.send_request(Request::get("http://here/v2/").body(Empty::<Bytes>::new()).unwrap()))
        .collect();
    for request in requests {
        let response = request.await.unwrap();
        assert_eq!(response.headers()["content-length"], BLOB.to_string());
        assert_eq!(live_mappings(&file), 0, "nothing is mapped for HTTP/2");
        assert!(response.into_body().collect().await.unwrap().to_bytes() == bytes);
        assert_eq!(told.recv().unwrap(), BodyOutcome { bytes: BLOB as u64, complete: true });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_releases_its_file() {
    let (file, _) = file_of(BLOB);
    let file = Arc::new(file);
    let (running, told) = Running::serving(file.clone(), ServerOptions::default()).await;
    let mut client = running.narrow_client().await;
    client.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    client.head().await;
    assert_eq!(live_mappings(&file), 1);
    drop(client);
    let outcome = tokio::task::spawn_blocking(move || told.recv().unwrap()).await.unwrap();
    assert!(!outcome.complete && outcome.bytes < BLOB as u64, "{outcome:?}");
    assert_eq!(live_mappings(&file), 0);
}

#[tokio::test]
async fn stopping_lets_a_download_finish() {
    let (file, bytes) = file_of(BLOB);
    let (running, _told) = Running::serving(Arc::new(file), ServerOptions::default()).await;
    let mut idle = running.client().await;
    idle.get("range: bytes=0-0\r\n").await;
    let mut client = running.narrow_client().await;
    client.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    let (_, length) = client.head().await;
    running.stop.send(()).unwrap();
    idle.closed().await;
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any longer");
    let mut body = vec![0; length];
    client.0.read_exact(&mut body).await.unwrap();
    assert!(body == bytes);
    client.closed().await;
    assert_eq!(running.outcome.await.unwrap(), ServeOutcome::Drained);
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let (file, _) = file_of(BLOB);
    let file = Arc::new(file);
    let options = ServerOptions { drain: Duration::from_millis(10), ..ServerOptions::default() };
    let (running, told) = Running::serving(file.clone(), options).await;
    let mut client = running.narrow_client().await;
    client.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    client.head().await;
    running.stop.send(()).unwrap();
    assert_eq!(running.outcome.await.unwrap(), ServeOutcome::CutOff { connections: 1 });
    assert!(!told.recv().unwrap().complete);
    assert_eq!(live_mappings(&file), 0);
}

#[tokio::test]
async fn an_answer_to_an_unread_upload_arrives() {
    let running = Running::start(ServerOptions::default(), |_, _| future::ready(answer(401))).await;
    let mut client = running.client().await;
    client.send("PATCH / HTTP/1.1\r\nhost: here\r\ncontent-length: 64000000\r\n\r\n").await;
    // A client that looks at nothing before it has sent everything.
    for _ in 0..64 {
        client.0.write_all(&vec![0; 1_000_000]).await.unwrap();
    }
    let (head, body) = client.response().await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    assert_eq!(body, b"answer");
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let options = ServerOptions { first_request: Duration::from_millis(1), ..ServerOptions::default() };
    let running = Running::start(options, |_, _| future::ready(answer(200))).await;
    running.client().await.closed().await;
    let mut client = running.client().await;
    // The server may be gone before this arrives: both mean that it did not wait for the rest.
    let _ = client.0.write_all(b"GET / HT").await;
    assert!(!matches!(client.0.read(&mut [0]).await, Ok(1..)));
}

#[tokio::test]
async fn a_connection_out_of_use_is_closed() {
    let options = ServerOptions { idle: Duration::from_secs(1), ..ServerOptions::default() };
    let running = Running::start(options, |_, _| future::ready(answer(200))).await;
    let mut client = running.client().await;
    client.get("").await;
    client.get("").await;
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_let_go() {
    let (file, _) = file_of(BLOB);
    let file = Arc::new(file);
    let options = ServerOptions { stall: Duration::from_secs(1), ..ServerOptions::default() };
    let (running, told) = Running::serving(file.clone(), options).await;
    let mut client = running.narrow_client().await;
    client.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    let outcome = tokio::task::spawn_blocking(move || told.recv().unwrap()).await.unwrap();
    assert!(!outcome.complete, "{outcome:?}");
    assert_eq!(live_mappings(&file), 0);
}

#[tokio::test]
async fn the_service_learns_who_asks() {
    let running = Running::start(ServerOptions::default(), |_, connection: ConnectionInfo| {
        assert_eq!(connection.transport, Transport::PlainHttp1);
        future::ready(Response::new(Body::full(connection.peer.to_string())))
    })
    .await;
    let mut client = running.client().await;
    let address = client.0.local_addr().unwrap().to_string();
    assert_eq!(client.get("").await.1, address.as_bytes());
}

#[tokio::test]
async fn a_head_request_keeps_the_length_it_is_told() {
    let running = Running::start(ServerOptions::default(), |_, _| {
        future::ready(Response::builder().header("content-length", 12_345).body(Body::empty()).unwrap())
    })
    .await;
    let mut client = running.client().await;
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nhost: here\r\n\r\n").await;
        assert_eq!(client.head().await.1, 12_345);
    }
}
