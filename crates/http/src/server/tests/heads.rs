//! Heads that never reach the service.

use serde_json::Value;

use super::*;

async fn running() -> Running {
    Running::start(ServerOptions::default(), |_, _| future::ready(answer(200))).await
}

impl Client {
    /// Reads what hyper refused by itself; answers the message.
    async fn refused(mut self, status: &str, code: &str) -> String {
        let (head, body) = self.response().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        for header in [
            "Content-Type: application/json",
            "Docker-Distribution-Api-Version: registry/2.0",
            "Connection: close",
            "Date: ",
        ] {
            assert!(head.contains(&format!("\r\n{header}")), "{head}");
        }
        self.closed().await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"][0]["code"], code, "{body}");
        body["errors"][0]["message"].as_str().unwrap().to_owned()
    }
}

fn long(length: usize) -> String {
    format!("GET / HTTP/1.1\r\nhost: here\r\nauthorization: {}\r\n\r\n", "x".repeat(length))
}

#[tokio::test]
async fn a_head_that_is_allowed_passes_to_the_last_byte() {
    let running = running().await;
    let mut client = running.client().await;
    client.send(&long(64 * 1024 - long(0).len())).await;
    assert!(client.response().await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_head_that_is_far_too_long_is_refused_by_the_rule() {
    let running = running().await;
    let mut client = running.client().await;
    client.send(&long(1_000_000)).await;
    let message = client.refused("431 Request Header Fields Too Large", "SIZE_INVALID").await;
    assert!(message.contains("65536 bytes") && message.contains("http.limits.headers"), "{message}");
}

#[tokio::test]
async fn too_many_headers_are_refused_by_the_rule() {
    let running = running().await;
    let mut client = running.client().await;
    client.send(&format!("GET / HTTP/1.1\r\nhost: here\r\n{}\r\n", "a: b\r\n".repeat(99))).await;
    assert!(client.response().await.0.starts_with("HTTP/1.1 200"));
    client.send(&format!("GET / HTTP/1.1\r\nhost: here\r\n{}\r\n", "a: b\r\n".repeat(100))).await;
    let message = client.refused("431 Request Header Fields Too Large", "SIZE_INVALID").await;
    assert!(message.contains("100 headers"), "{message}");
}

#[tokio::test]
async fn a_target_that_is_too_long_is_refused_by_the_rule() {
    let options = ServerOptions { max_head: 1024 * 1024, ..ServerOptions::default() };
    let running = Running::start(options, |_, _| future::ready(answer(200))).await;
    let mut client = running.client().await;
    client.send(&format!("GET /{} HTTP/1.1\r\nhost: here\r\n\r\n", "x".repeat(65_534))).await;
    let message = client.refused("414 URI Too Long", "SIZE_INVALID").await;
    assert!(message.contains("65534 bytes"), "{message}");
}

#[tokio::test]
async fn what_is_not_http_is_refused_by_the_rule() {
    let running = running().await;
    for broken in [
        "GET /v2/\u{1} HTTP/1.1\r\n\r\n",
        "GET /v2/ HTTP/9.9\r\nhost: here\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nhost: here\r\ncontent-length: ten\r\n\r\n",
        // TLS, to a door without it.
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{7c}\u{3}\u{3}",
    ] {
        let mut client = running.client().await;
        client.send(broken).await;
        let message = client.refused("400 Bad Request", "UNSUPPORTED").await;
        assert!(message.contains("without TLS"), "{message}");
    }
}

#[tokio::test]
async fn a_connection_that_was_good_so_far_is_told_the_same() {
    let running = running().await;
    let mut client = running.client().await;
    for _ in 0..3 {
        client.get("").await;
    }
    client.send("GET /v2/ HTTP/1.1\r\nno colon\r\n\r\n").await;
    client.refused("400 Bad Request", "UNSUPPORTED").await;
    // Both at once.
    let mut client = running.client().await;
    client.send("GET /v2/ HTTP/1.1\r\nhost: here\r\n\r\nGET /v2/ HTTP/1.1\r\nno colon\r\n\r\n").await;
    assert_eq!(client.response().await.1, b"answer");
    client.refused("400 Bad Request", "UNSUPPORTED").await;
}

#[tokio::test]
async fn an_answer_of_the_service_is_never_taken_for_one_of_hyper() {
    const BARE: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\nDate: today\r\n\r\n";
    // In a frame of its own, so that it may be written alone.
    let running = Running::start(ServerOptions::default(), |_, _| async {
        let frames = futures_util::stream::unfold(0, |frame| async move {
            tokio::task::yield_now().await;
            (frame < 3).then(|| (Ok(Bytes::from_static(BARE.as_bytes())), frame + 1))
        });
        Response::new(Body::stream(frames, Some(3 * BARE.len() as u64)))
    })
    .await;
    let mut client = running.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("").await.1, BARE.repeat(3).as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_head_behind_a_request_does_not_break_its_download() {
    let (file, bytes) = file_of(BLOB);
    let (running, _told) = Running::serving(Arc::new(file), ServerOptions::default()).await;
    let mut client = running.narrow_client().await;
    client.send("GET / HTTP/1.1\r\nhost: here\r\n\r\nnot HTTP\r\n\r\n").await;
    assert!(client.response().await.1 == bytes);
    client.refused("400 Bad Request", "UNSUPPORTED").await;
}
