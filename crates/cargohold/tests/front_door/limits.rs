//! What one client may have of the server at a time, and what it is told who wants more. That requests wait in order, leave the
//! queue and are counted right is tested beside the code, with a clock that does not take its time.

use std::sync::Arc;

use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use ureq::http::Request;

use crate::{
    client::Response,
    content::{INDEX, digest, noise, note},
    registry::{Registry, Settings},
    repository::Upload,
    waiting::{DEADLINE, eventually},
    wire::Wire,
};

const ONE_REQUEST: Settings = &[("CARGOHOLD__HTTP__LIMITS__REQUESTS", "1"), ("CARGOHOLD__HTTP__LIMITS__WAIT", "1s")];
/// More than the buffers of both ends of a connection hold.
const LARGE: usize = 32 << 20;

fn start(settings: Settings) -> Arc<Registry> {
    Registry::start_in(tempfile::tempdir().unwrap(), settings)
}

/// A request that is being worked on: the server has asked for its body, of which nothing was sent yet.
fn patch_under_way(upload: &Upload, registry: &Arc<Registry>, length: usize) -> Wire {
    let mut wire = registry.connect();
    let length = length.to_string();
    wire.begin("PATCH", &upload.location, &[("Content-Length", &length), ("Expect", "100-continue")]);
    assert_eq!(wire.head().0, 100);
    wire
}

#[test]
fn one_request_more_is_refused_and_its_connection_goes_on() {
    let registry = start(ONE_REQUEST);
    let upload = registry.repository().start_upload();
    let mut patch = patch_under_way(&upload, &registry, 7);

    let mut other = registry.connect();
    other.begin("GET", "/v2/", &[]);
    let refused = other.answer().with("Retry-After", "1");
    let message = refused.refused(429, "TOOMANYREQUESTS");
    assert!(message.contains("127.0.0.1 has 1 in flight") && message.contains("http.limits.requests"), "{message}");
    other.begin("HEAD", "/v2/", &[]);
    other.answer_head().expect(429);
    let mut unread = registry.connect();
    unread.begin("PUT", "/v2/a/manifests/b", &[("Content-Length", "3")]);
    unread.send("{}\n");
    unread.answer().with("Connection", "close").refused(429, "TOOMANYREQUESTS");
    let line = refused.header("X-Request-Id").unwrap().to_owned();
    eventually("the refusal is logged", || registry.log().lines().find(|it| it.contains(&line)).map(str::to_owned));

    patch.send("content");
    patch.answer().expect(202);
    other.begin("GET", "/v2/", &[]);
    other.answer().expect(200);
}

#[test]
fn a_request_waits_for_its_turn() {
    let registry = start(&[("CARGOHOLD__HTTP__LIMITS__REQUESTS", "1"), ("CARGOHOLD__HTTP__LIMITS__WAIT", "10m")]);
    let upload = registry.repository().start_upload();
    let mut patch = patch_under_way(&upload, &registry, 7);
    let waiting = [1, 2, 3].map(|number| {
        let mut wire = registry.connect();
        wire.begin("GET", &format!("/v2/?waits={number}"), &[]);
        wire
    });
    // One whose client gives up takes nobody's turn.
    let mut gone = registry.connect();
    gone.begin("GET", "/v2/", &[]);
    gone.hang_up();
    patch.send("content");
    patch.answer().expect(202);
    let ids = waiting.map(|mut wire| wire.answer().expect(200).header("X-Request-Id").unwrap().to_owned());
    let log = eventually("all are logged", || {
        Some(registry.log()).filter(|log| ids.iter().all(|id| log.contains(id.as_str())))
    });
    let first = log.find("PATCH").expect("it was the first to end");
    assert!(ids.iter().all(|id| log.find(id.as_str()) > Some(first)), "{log}");
}

#[test]
fn an_answer_that_nobody_takes_counts_and_stops_nobody_else() {
    let registry = start(&[("CARGOHOLD__HTTP__LIMITS__REQUESTS", "2"), ("CARGOHOLD__HTTP__LIMITS__WAIT", "1s")]);
    let repository = registry.repository();
    let content = noise(31, LARGE);
    let blob = repository.path(&format!("blobs/{}", repository.push_blob(&content)));
    let lazy = || {
        let mut wire = registry.connect();
        wire.begin("GET", &blob, &[]);
        wire.answer_head().expect(200);
        wire
    };
    let mut one = lazy();
    for _ in 0..5 {
        registry.get("/v2/").expect(200);
        repository.push_blob("goes on");
    }
    let other = lazy();
    registry.get("/v2/").refused(429, "TOOMANYREQUESTS");
    other.reset();
    registry.get("/v2/").expect(200);
    assert!(one.read_exact(LARGE) == content, "slow, and whole");
    registry.get("/v2/").expect(200);
}

#[test]
fn a_body_that_stops_coming_is_not_waited_for() {
    let registry = start(&[("CARGOHOLD__HTTP__LIMITS__STALL", "1s")]);
    let repository = registry.repository();
    let upload = repository.start_upload();
    let mut wire = patch_under_way(&upload, &registry, 100);
    wire.send("some");
    let message = wire.answer().refused(408, "BLOB_UPLOAD_INVALID");
    assert!(message.contains("no byte came for 1s") && message.contains("http.limits.stall"), "{message}");
    assert_eq!(upload.range(), "0-3", "what came is kept");
    upload.put(&digest("some more"), " more").send().expect(201);

    let manifest = note("cut in the middle");
    let mut wire = registry.connect();
    let length = manifest.len().to_string();
    wire.begin("PUT", &repository.path("manifests/half"), &[("Content-Type", INDEX), ("Content-Length", &length)]);
    wire.send(&manifest[..40]);
    wire.answer().refused(408, "MANIFEST_INVALID");
}

const SHORT_HEADS: Settings = &[("CARGOHOLD__HTTP__LIMITS__HEADERS", "8192")];

/// The head of a GET, as short as it can be written, of that many bytes.
fn head_of(length: usize) -> String {
    let head = |padding| format!("GET /v2/ HTTP/1.1\r\nHost:localhost\r\nX:{}\r\n\r\n", "x".repeat(padding));
    head(length - head(0).len())
}

#[test]
fn a_head_may_have_so_many_bytes_and_not_one_more() {
    let registry = start(SHORT_HEADS);
    let mut wire = registry.connect();
    wire.send(head_of(8192));
    wire.answer().expect(200);
    wire.send(head_of(8193));
    // hyper may have seen it whole, or have stopped reading just before its end.
    let (status, headers) = wire.head();
    assert_eq!(status, 431);
    assert_eq!(headers["connection"], "close");
    let error = error(&headers, &wire.rest());
    assert_eq!(error["code"], "SIZE_INVALID");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("8192") && message.contains("http.limits.headers"), "{message}");
}

#[test]
fn a_head_that_is_much_too_long_is_refused_in_the_same_way() {
    let registry = start(SHORT_HEADS);
    let mut wire = registry.connect();
    wire.send(head_of(100_000));
    let (status, headers) = wire.head();
    assert_eq!((status, &error(&headers, &wire.rest())["code"]), (431, &Value::from("SIZE_INVALID")));
    registry.get("/v2/").expect(200);
}

#[test]
fn what_is_not_http_is_refused_as_the_protocol_says() {
    let registry = Registry::shared();
    let mut wire = registry.connect();
    wire.begin("GET", "/v2/", &[]);
    wire.answer().expect(200);
    wire.send("GET /v2/ HTTP/1.1\r\nwithout a colon\r\n\r\n");
    let (status, headers) = wire.head();
    assert_eq!((status, &error(&headers, &wire.rest())["code"]), (400, &Value::from("UNSUPPORTED")));
}

/// The error in an answer that was not given to a request, and therefore has no request's id.
#[track_caller]
fn error(headers: &ureq::http::HeaderMap, body: &[u8]) -> Value {
    assert_eq!(headers["docker-distribution-api-version"], "registry/2.0");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["content-length"], body.len().to_string());
    serde_json::from_slice::<Value>(body).unwrap()["errors"][0].clone()
}

#[test]
fn a_head_of_http_2_may_have_as_many_bytes_and_its_connection_goes_on() {
    let registry = start(SHORT_HEADS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let requests = async {
        let tcp = TcpStream::connect(registry.addr()).await.unwrap();
        let (mut requests, connection) = h2::client::handshake(tcp).await.unwrap();
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for padding in [8000, 8192, 8000] {
            let request = Request::get(format!("http://{}/v2/", registry.addr())).header("x", "x".repeat(padding));
            requests = requests.ready().await.unwrap();
            let (answer, _) = requests.send_request(request.body(()).unwrap(), true).unwrap();
            let (head, mut body) = answer.await.unwrap().into_parts();
            let body = body.data().await.unwrap().unwrap().to_vec();
            answers.push(Response::new(format!("{padding} bytes"), head.status.as_u16(), head.headers, body));
        }
        answers
    };
    let answers = runtime.block_on(async { timeout(DEADLINE, requests).await });
    let [good, long, again] = <[Response; 3]>::try_from(answers.unwrap()).unwrap();
    good.expect(200);
    assert!(long.refused(431, "SIZE_INVALID").contains("at most 8192 are allowed"), "{long}");
    again.expect(200);
}
