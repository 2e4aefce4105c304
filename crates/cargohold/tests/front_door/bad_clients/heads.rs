//! Requests that are none: what comes before the body is absurd, contradicts itself, or is too much. Each is refused, the connection
//! is closed or goes on in step, and nothing of a body is ever taken for another request.

use std::sync::Arc;

use crate::{
    content::{INDEX, digest, note},
    registry::Registry,
    wire::Wire,
};

/// Inside a body: what is taken for a request of its own shows in the log and in an answer too many.
const SMUGGLED: &str = "GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Sends bytes and closes the sending half; answers all that comes back.
fn exchange(registry: &Arc<Registry>, bytes: &[u8]) -> String {
    let mut wire = registry.connect();
    wire.try_send(bytes);
    wire.send_no_more();
    String::from_utf8_lossy(&wire.try_rest()).into_owned()
}

fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.lines().filter_map(|line| line.split("HTTP/1.").nth(1));
    lines.filter_map(|line| line.get(2..5).and_then(|status| status.parse().ok())).collect()
}

#[test]
fn lengths_that_are_absurd_or_contradict_each_other_are_refused() {
    let registry = Registry::start();
    let repository = registry.repository();
    let (chunked, length) = ("Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n");
    let heads: Vec<String> = [
        "-1",
        "+5",
        "0x5",
        "5,6",
        "5, 6",
        "5 5",
        "abc",
        "",
        "5.0",
        "5e0",
        "18446744073709551616",
        "99999999999999999999999999999999",
        "\u{664}",
    ]
    .iter()
    .map(|length| format!("Content-Length: {length}\r\n"))
    .chain([
        format!("{length}Content-Length: 6\r\n"),
        format!("{length}{length}Content-Length: 7\r\n"),
        "Transfer-Encoding: gzip\r\n".to_owned(),
        "Transfer-Encoding: chunked, gzip\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: \r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        format!("{chunked}Content-Length: -5\r\n"),
    ])
    .collect();
    for head in heads {
        let session = repository.start_upload();
        for (method, path) in [
            ("PATCH", session.location.clone()),
            ("PUT", session.closing(&digest("5hell"))),
            ("PUT", repository.path("manifests/x")),
        ] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {INDEX}\r\n{head}\r\n{SMUGGLED}");
            let answers = exchange(&registry, request.as_bytes());
            let statuses = statuses(&answers);
            assert!(matches!(statuses[..], [400..=499]), "{head:?}: {answers}");
        }
        assert_eq!(session.range(), "0-0", "{head:?}");
    }
    assert!(!registry.log().contains("smuggled") && !registry.log().contains("panicked"), "{}", registry.log());
}

/// RFC 9112 §6.3: the transfer encoding counts, and the connection is not used again; or it is refused.
#[test]
fn a_length_beside_an_encoding_smuggles_nothing() {
    let registry = Registry::start();
    let session = registry.repository().start_upload();
    for length in [0, 4, SMUGGLED.len() + 15] {
        for order in [true, false] {
            let length = format!("Content-Length: {length}\r\n");
            let encoding = "Transfer-Encoding: chunked\r\n";
            let both = if order { [&length, encoding].concat() } else { [encoding, &length].concat() };
            let request = format!(
                "PATCH {} HTTP/1.1\r\nHost: localhost\r\n{both}\r\n1\r\nx\r\n0\r\n\r\n{SMUGGLED}",
                session.location
            );
            let answers = exchange(&registry, request.as_bytes());
            let statuses = statuses(&answers);
            assert!(matches!(statuses[..], [202 | 400]), "{both:?}: {answers}");
        }
    }
    assert!(!registry.log().contains("smuggled"), "{}", registry.log());
}

#[test]
fn chunks_that_are_absurd_break_the_request_off() {
    let registry = Registry::start();
    let repository = registry.repository();
    for chunks in [
        "-1\r\nx\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nx\r\n0\r\n\r\n",
        "10000000000000000\r\nx\r\n0\r\n\r\n",
        "g\r\nx\r\n0\r\n\r\n",
        "\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "1 1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        &format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(100_000)),
        &format!("1\r\nx\r\n0\r\n{}\r\n", "a: b\r\n".repeat(50_000)),
    ] {
        let digest = digest("x");
        let path = repository.path(&format!("blobs/uploads/?digest={digest}"));
        let request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let answers = exchange(&registry, request.as_bytes());
        let shown = &chunks[..chunks.len().min(40)];
        assert!(statuses(&answers).iter().all(|status| (400..500).contains(status)), "{shown:?}: {answers}");
        repository.pull(&digest).expect(404);
    }
    assert!(!registry.log().contains("panicked"), "{}", registry.log());
}

#[test]
fn heads_that_are_absurd_are_refused() {
    let registry = Registry::start();
    let many = (0..5000).map(|number| format!("X{number}: y")).collect::<Vec<_>>().join("\r\n") + "\r\n";
    let host = "Host: localhost\r\n";
    let long = "x".repeat(1 << 20);
    for head in [
        format!("GET /v2/ HTTP/1.1\r\n{host}{many}\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{host}X: {long}\r\n\r\n"),
        format!("GET /v2/{long} HTTP/1.1\r\n{host}\r\n"),
        format!("{long} /v2/ HTTP/1.1\r\n{host}\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{host}{long}: y\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{host}X Y: z\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{host}X: a\0b\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{host}: empty\r\n\r\n"),
        format!("GET /v2/\0 HTTP/1.1\r\n{host}\r\n"),
        format!("GET /v2/ HTTP/9.9\r\n{host}\r\n"),
        format!("GET  HTTP/1.1\r\n{host}\r\n"),
        format!("G\u{fffd}T /v2/ HTTP/1.1\r\n{host}\r\n"),
        "\r\n\r\n\r\n\r\n".repeat(1000),
        "\0".repeat(10_000),
        "\u{16}\u{3}\u{1}".repeat(10_000),
    ] {
        let answers = exchange(&registry, head.as_bytes());
        let shown: String = head.chars().take(60).collect();
        let statuses = statuses(&answers);
        assert!(
            statuses.len() <= 1 && statuses.iter().all(|status| (400..500).contains(status)),
            "{shown:?}: {answers}"
        );
        registry.get("/v2/").expect(200);
    }
    assert!(!registry.log().contains("panicked"), "{}", registry.log());
}

#[test]
fn odd_bytes_in_values_open_no_door() {
    let registry = Registry::start();
    let repository = registry.repository();
    let blob = repository.push_blob("odd");
    for header in
        ["Range", "If-None-Match", "If-Range", "Accept", "Content-Range", "Content-Type", "Expect", "Origin", "Host"]
    {
        for value in [
            &b"\x80\xff\xfe"[..],
            b"\t\t\t",
            b",,,,,;;;;==",
            b"\"",
            b"bytes=18446744073709551615-18446744073709551616",
            b"-1--1",
        ] {
            let path = repository.path(&format!("blobs/{blob}"));
            let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}: ");
            let answers = exchange(&registry, &[head.as_bytes(), value, b"\r\n\r\n"].concat());
            let statuses = statuses(&answers);
            assert!(matches!(statuses[..], [200 | 206 | 304 | 400..=499]), "{header}: {value:?}: {answers}");
        }
    }
    let session = repository.start_upload();
    for range in [
        "18446744073709551615-18446744073709551615",
        "0-18446744073709551615",
        "5-4",
        "-5",
        "0-",
        "--",
        "\u{664}-\u{665}",
    ] {
        let answer = session.patch("abc").header("Content-Range", range).send();
        assert!([400, 416].contains(&answer.status), "{range}: {answer}");
    }
    assert_eq!(session.range(), "0-0");
    assert!(!registry.log().contains("panicked"), "{}", registry.log());
}

#[test]
fn a_body_that_is_shorter_or_longer_than_its_length_is_never_a_blob() {
    let registry = Registry::start();
    let repository = registry.repository();
    let content = "what was announced";
    for (sent, announced) in [("what was", content.len()), (content, content.len() - 1), (content, 0), ("", 5)] {
        let blob = digest(content);
        let path = repository.path(&format!("blobs/uploads/?digest={blob}"));
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {announced}\r\n\r\n{sent}");
        let answers = exchange(&registry, head.as_bytes());
        assert!(!statuses(&answers).contains(&201), "{sent:?} as {announced} bytes: {answers}");
        repository.pull(&blob).expect(404);
        let manifest = note("what was announced");
        let sent = &manifest[..manifest.len().min(sent.len() * 4)];
        let path = repository.path("manifests/short");
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {INDEX}\r\nContent-Length: {}\r\n\r\n",
            manifest.len()
        );
        let answers = exchange(&registry, &[head.as_bytes(), sent].concat());
        assert!(!statuses(&answers).contains(&201), "{answers}");
        repository.get("manifests/short").expect(404);
    }
    registry.command(&["fsck"]);
}

impl Wire {
    /// What is sent to a server that may have closed the connection.
    fn try_send(&mut self, bytes: &[u8]) {
        let _ = std::io::Write::write_all(self.stream(), bytes);
    }

    fn send_no_more(&mut self) {
        let _ = self.stream().shutdown(std::net::Shutdown::Write);
    }

    /// All that comes until the server closes the connection, in order or not.
    fn try_rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = std::io::Read::read_to_end(self.stream(), &mut bytes);
        bytes
    }
}
