//! Section 8: what stands between a client and the registry, and what a client tries before it speaks plain HTTP/1.1.

use super::{
    clients::{Client, Content},
    http2::Http2,
};
use crate::{
    content::{INDEX, digest, noise, note},
    registry::Registry,
};

/// Which host and scheme the client used is the proxy's to know: what leads on says neither, so it cannot be wrong.
#[test]
fn what_leads_on_is_relative_whatever_a_proxy_says() {
    let repository = Registry::shared().repository();
    for tag in ["a", "b"] {
        repository.push_manifest(tag, INDEX, note(tag));
    }
    let said = [
        ("X-Forwarded-Proto", "https, http"),
        ("X-Forwarded-Host", "registry.example.com, inner.example.com:8443"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Prefix", "/registry"),
        ("X-Forwarded-For", "192.0.2.7, 10.0.0.1"),
        ("Forwarded", "for=192.0.2.7;host=registry.example.com;proto=https"),
    ];
    let mut proxy = Client::crane(&repository.registry);
    let session = proxy.ask("POST", &repository.path("blobs/uploads/"), &said, Content::Sized(b"")).expect(202);
    assert!(session.location().starts_with(&repository.path("blobs/uploads/")), "{session}");
    let tags = proxy.ask("GET", &repository.path("tags/list?n=1"), &said, Content::None).expect(200);
    tags.with("Link", format!("<{}?last=a&n=1>; rel=\"next\"", repository.path("tags/list")));
}

/// nginx speaks HTTP/1.0 to what is behind it unless it is told otherwise, and there a body of unknown length ends with the
/// connection.
#[test]
fn a_proxy_that_speaks_http_1_0_pushes_pulls_and_lists() {
    let registry = Registry::start();
    let repository = registry.repository();
    let (content, upload) = (noise(111, 500_000), repository.start_upload());
    let mut wire = registry.connect();
    let head = "HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n";
    wire.send(format!("PUT {} {head}Content-Length: 500000\r\n\r\n", upload.closing(&digest(&content))));
    wire.send(&content);
    wire.answer().expect(201);
    let mut wire = registry.connect();
    wire.send(format!("GET {} {head}\r\n", repository.path(&format!("blobs/{}", digest(&content)))));
    wire.answer_head().expect(200).with("Content-Length", "500000");
    assert!(wire.rest() == content);
}

/// The same for a list that is sent as it is read.
#[test]
fn a_long_list_over_http_1_0_is_not_chunked() {
    let registry = Registry::start();
    let repository = registry.repository();
    let mut crane = Client::crane(&registry);
    let manifest = note("of many tags");
    for number in 0..1100 {
        let path = repository.path(&format!("manifests/t{number:04}"));
        crane.ask("PUT", &path, &[("Content-Type", INDEX)], Content::Sized(&manifest)).expect(201);
    }
    let mut wire = registry.connect();
    wire.send(format!("GET {} HTTP/1.0\r\nHost: localhost\r\n\r\n", repository.path("tags/list")));
    wire.answer_head().expect(200).without("Transfer-Encoding");
    let list: serde_json::Value = serde_json::from_slice(&wire.rest()).unwrap();
    assert_eq!(list["tags"].as_array().unwrap().len(), 1100);
}

/// Go's clients keep one connection a host, so the window that we open is the speed that they get (RFC 9113 §6.5.2).
#[test]
fn an_upload_over_http_2_has_a_window_of_at_least_a_mebibyte() {
    let mut wire = Registry::shared().connect();
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let head = wire.read_exact(9);
    assert_eq!(head[3], 4, "SETTINGS come first: {head:?}");
    let settings = wire.read_exact(usize::from(head[1]) << 8 | usize::from(head[2]));
    let window = settings.chunks(6).find(|setting| setting[..2] == [0, 4]).expect("INITIAL_WINDOW_SIZE");
    let window = u32::from_be_bytes(window[2..].try_into().unwrap());
    assert!((1 << 20..=16 << 20).contains(&window), "{window}");
}

/// The refusal comes first and the reset behind it, or the client reports a stream error in its place.
#[test]
fn a_refusal_over_http_2_arrives_though_the_client_still_sends() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    let (mut client, large) = (Http2::connect(&repository.registry), vec![7; 24 << 20]);
    let unknown = repository.path("blobs/uploads/018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47");
    client.ask("PATCH", &unknown, &[], &large).refused(404, "BLOB_UPLOAD_UNKNOWN");
    client.ask("PUT", &format!("{}?digest=bad", upload.location), &[], &large).refused(400, "DIGEST_INVALID");
    client
        .ask("PUT", &repository.path("manifests/latest"), &[("content-type", INDEX)], &large)
        .refused(413, "SIZE_INVALID");
    client.ask("PATCH", &upload.location, &[("content-range", "7-25165830")], &large).refused(416, "RANGE_INVALID");
    client.ask("GET", "/v2/", &[], b"").expect(200).brings("{}");
}

/// curl offers HTTP/2 in its first request (`--http2`); who does not change over goes on in HTTP/1.1.
#[test]
fn an_offer_of_http_2_is_not_an_obstacle() {
    let repository = Registry::shared().repository();
    let mut curl = Client::curl(&repository.registry);
    let offer =
        [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")];
    for _ in 0..2 {
        curl.ask("GET", "/v2/", &offer, Content::None).expect(200).brings("{}");
    }
    let post = repository.path(&format!("blobs/uploads/?digest={}", digest("offered")));
    curl.ask("POST", &post, &offer, Content::Sized(b"offered")).expect(201);
}

/// §1: docker, podman and crane try TLS first and fall back to HTTP when the answer begins with `HTTP/`: Go says then that the
/// server "gave HTTP response to HTTPS client", and that is what they look for.
#[test]
fn a_client_that_begins_with_tls_is_answered_in_plain_http() {
    let mut wire = Registry::shared().connect();
    // The record of a ClientHello, as long as docker's.
    let hello = [b"\x16\x03\x01\x00\xda\x01\x00\x00\xd6\x03\x03".as_slice(), &noise(112, 212)].concat();
    wire.send(hello);
    let answer = wire.rest();
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{:?}", String::from_utf8_lossy(&answer));
}
