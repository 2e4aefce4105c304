//! A client that speaks HTTP/2 without TLS from its first byte on, and says nothing about lengths that it does not know: Go's
//! clients behind a proxy that ends TLS for them.

use std::{future::poll_fn, io::Cursor, sync::Arc};

use h2::{SendStream, client::SendRequest};
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};
use ureq::http::Request;

use crate::{client::Response, registry::Registry, waiting::DEADLINE};

/// One connection.
#[derive(Debug)]
pub(super) struct Http2 {
    runtime: Runtime,
    requests: SendRequest<Cursor<Vec<u8>>>,
    registry: Arc<Registry>,
}

impl Http2 {
    pub(super) fn connect(registry: &Arc<Registry>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let requests = runtime.block_on(async {
            let tcp = TcpStream::connect(registry.addr()).await.unwrap();
            let window = 1 << 20;
            let mut builder = h2::client::Builder::new();
            builder.initial_window_size(window).initial_connection_window_size(window);
            let (requests, connection) = builder.handshake(tcp).await.unwrap();
            tokio::spawn(connection);
            requests
        });
        Self { runtime, requests, registry: registry.clone() }
    }

    /// Sends a request whose headers are these and no others; nothing says how long its body is.
    #[track_caller]
    pub(super) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], content: &[u8]) -> Response {
        let url = format!("http://{}{path}", self.registry.addr());
        let mut head = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            head = head.header(*name, *value);
        }
        let asked = format!("{method} {path} in HTTP/2");
        let requests = self.requests.clone();
        let answer = exchange(requests, head.body(()).unwrap(), content, asked.clone());
        self.runtime
            .block_on(async { timeout(DEADLINE, answer).await })
            .unwrap_or_else(|_| panic!("no answer to {asked}"))
    }
}

async fn exchange(
    requests: SendRequest<Cursor<Vec<u8>>>,
    request: Request<()>,
    content: &[u8],
    asked: String,
) -> Response {
    let mut requests = requests.ready().await.unwrap();
    let (answer, stream) = requests.send_request(request, content.is_empty()).unwrap();
    // Both at a time: an answer may come before all was sent, and then nobody wants the rest.
    let sending = async { if content.is_empty() { None } else { Some(send(stream, content).await) } };
    let (answer, _) = tokio::join!(answer, sending);
    let (head, mut body) = answer.unwrap_or_else(|error| panic!("{error} in the answer to {asked}")).into_parts();
    let mut bytes = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.unwrap_or_else(|error| panic!("{error} in the body of the answer to {asked}"));
        bytes.extend_from_slice(&part);
        body.flow_control().release_capacity(part.len()).unwrap();
    }
    Response::new(asked, head.status.as_u16(), head.headers, bytes)
}

/// Sends as the windows allow, until the end or until the server wants no more.
async fn send(mut stream: SendStream<Cursor<Vec<u8>>>, mut content: &[u8]) -> Option<()> {
    while !content.is_empty() {
        stream.reserve_capacity(content.len());
        let capacity = poll_fn(|context| stream.poll_capacity(context)).await?.ok()?;
        let (part, rest) = content.split_at(capacity.min(content.len()));
        stream.send_data(Cursor::new(part.to_vec()), rest.is_empty()).ok()?;
        content = rest;
    }
    Some(())
}
