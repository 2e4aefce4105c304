//! HTTP/2 by TLS: many uploads and downloads on one connection, at the same time.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use ureq::http::{Request, Response};

use super::House;
use crate::{
    content::{digest, noise},
    waiting::DEADLINE,
};

/// A connection on which both ends agreed to speak HTTP/2.
async fn connect(house: &House) -> SendRequest<Full<Bytes>> {
    let mut client = house.authority.client(None);
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(house.registry.addr()).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, tcp).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    requests
}

async fn ask(mut requests: SendRequest<Full<Bytes>>, method: &str, path: String, body: Vec<u8>) -> Response<Bytes> {
    let request = Request::builder().method(method).uri(format!("https://localhost{path}"));
    let answer = requests.send_request(request.body(Full::new(body.into())).unwrap());
    let (head, body) = answer.await.unwrap_or_else(|error| panic!("{method} {path}: {error}")).into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

#[test]
fn uploads_and_downloads_run_side_by_side_on_one_connection() {
    let house = House::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let everything = async {
        let requests = connect(&house).await;
        let tasks: Vec<_> = (0..12_u64)
            .map(|number| {
                let requests = requests.clone();
                tokio::spawn(async move {
                    let content = noise(number, (3 << 20) + usize::try_from(number).unwrap());
                    let digest = digest(&content);
                    let path = format!("/v2/h2/r{number}/blobs/uploads/?digest={digest}");
                    assert_eq!(ask(requests.clone(), "POST", path, content.clone()).await.status(), 201);
                    let path = format!("/v2/h2/r{number}/blobs/{digest}");
                    let answer = ask(requests, "GET", path, Vec::new()).await;
                    assert_eq!(answer.status(), 200);
                    assert!(answer.into_body() == content, "the bytes of {number}");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    };
    runtime.block_on(async { timeout(DEADLINE, everything).await.expect("all of it ends") });
}
