//! Answers that are given before a request's body was read: they must arrive, however much the client still sends, and a
//! client that asks first (`Expect: 100-continue`) must not send it in vain.

use crate::{
    content::{INDEX, digest, note},
    registry::Registry,
    waiting::eventually,
};

/// More than the buffers of both ends of a connection hold.
const LARGE: usize = 24 << 20;

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let repository = Registry::shared().repository();
    let (patched, put) = (repository.start_upload(), repository.start_upload());
    let manifest = String::from_utf8(note("asked first")).unwrap();
    for (method, path, content, status) in [
        ("PATCH", patched.location.clone(), "content", 202),
        ("PUT", put.closing(&digest("content")), "content", 201),
        ("POST", repository.path(&format!("blobs/uploads/?digest={}", digest("content"))), "content", 201),
        ("PUT", repository.path("manifests/latest"), &manifest, 201),
    ] {
        let mut wire = repository.registry.connect();
        let length = content.len().to_string();
        wire.begin(method, &path, &[("Content-Length", &length), ("Content-Type", INDEX), ("Expect", "100-continue")]);
        assert_eq!(wire.head().0, 100, "{method} {path}");
        wire.send(content);
        wire.answer().expect(status);
    }
}

#[test]
fn a_client_that_asks_in_vain_is_not_told_to_go_on() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    let (good, length) = (digest("content"), LARGE.to_string());
    let unknown = repository.path("blobs/uploads/018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47");
    for (method, path, range, status) in [
        ("PATCH", unknown.clone(), "", 404),
        ("PUT", format!("{unknown}?digest={good}"), "", 404),
        ("PATCH", upload.location.clone(), "7-25165830", 416),
        ("PATCH", upload.location.clone(), "0-1", 400),
        ("PUT", upload.closing(&good), "7-25165830", 416),
        ("PUT", upload.location.clone(), "", 400),
        ("POST", repository.path("blobs/uploads/?digest=sha256:abc"), "", 400),
        ("PUT", repository.path("manifests/latest"), "", 413),
        ("PUT", repository.path("manifests/sha256:abc"), "", 400),
        ("PUT", "/v2/Bad/manifests/latest".to_owned(), "", 400),
        ("POST", "/v2/".to_owned(), "", 405),
    ] {
        let mut headers = vec![("Content-Length", length.as_str()), ("Expect", "100-continue")];
        if !range.is_empty() {
            headers.push(("Content-Range", range));
        }
        let mut wire = repository.registry.connect();
        wire.begin(method, &path, &headers);
        let answer = wire.answer();
        assert_eq!(answer.status, status, "{answer}");
        answer.with("Connection", "close");
    }
    assert_eq!(upload.range(), "0-0");
}

#[test]
fn a_connection_whose_requests_were_read_to_their_end_is_used_again() {
    let repository = Registry::shared().repository();
    let manifest = note("one of many");
    let mut wire = repository.registry.connect();
    for (method, path, content, status) in [
        ("PUT", repository.path("manifests/chunked"), manifest.as_slice(), 201),
        ("PUT", repository.path("manifests/latest"), b"{}", 400),
        ("POST", repository.path(&format!("blobs/uploads/?digest={}", digest(""))), b"", 201),
        ("POST", repository.path("blobs/uploads/"), b"", 202),
    ] {
        wire.begin(method, &path, &[("Transfer-Encoding", "chunked"), ("Content-Type", INDEX)]);
        if !content.is_empty() {
            wire.send_chunk(content);
        }
        wire.send_chunk(b"");
        let answer = wire.answer().expect(status);
        if path.ends_with("uploads/") {
            // Nobody reads the body of a request that only opens a session.
            continue;
        }
        answer.without("Connection");
    }
}

#[test]
fn an_answer_arrives_though_the_client_still_sends() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    let (good, content) = (digest("content"), vec![7; LARGE]);
    let unknown = repository.path("blobs/uploads/018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47");
    for (method, path, code, status) in [
        ("PATCH", unknown.clone(), "BLOB_UPLOAD_UNKNOWN", 404),
        ("PUT", format!("{unknown}?digest={good}"), "BLOB_UPLOAD_UNKNOWN", 404),
        ("PUT", format!("{}?digest=bad", upload.location), "DIGEST_INVALID", 400),
        ("POST", repository.path("blobs/uploads/?digest=bad"), "DIGEST_INVALID", 400),
        ("PUT", repository.path("manifests/latest"), "SIZE_INVALID", 413),
        ("PUT", "/v2/Bad/manifests/latest".to_owned(), "NAME_INVALID", 400),
    ] {
        for chunked in [false, true] {
            let length = LARGE.to_string();
            let framing = if chunked { ("Transfer-Encoding", "chunked") } else { ("Content-Length", length.as_str()) };
            let mut wire = repository.registry.connect();
            wire.begin(method, &path, &[framing]);
            if chunked {
                wire.send_chunk(&content);
                wire.send_chunk(b"");
            } else {
                wire.send(&content);
            }
            wire.answer().refused(status, code);
        }
    }
    upload.put(&good, "content").send().expect(201);
}

#[test]
fn a_chunk_out_of_order_is_answered_though_the_client_still_sends() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.patch("0123456789").send().expect(202);
    let mut wire = repository.registry.connect();
    let range = format!("20-{}", LARGE + 19);
    wire.begin("PATCH", &upload.location, &[("Content-Length", &LARGE.to_string()), ("Content-Range", &range)]);
    wire.send(vec![7; LARGE]);
    wire.answer().with("Location", &upload.location).with("Range", "0-9").refused(416, "RANGE_INVALID");
    upload.put(&digest("0123456789"), "").send().expect(201);
}

#[test]
fn half_a_manifest_is_no_manifest() {
    let repository = Registry::shared().repository();
    let manifest = note("cut in the middle");
    let mut wire = repository.registry.connect();
    wire.begin(
        "PUT",
        &repository.path("manifests/half"),
        &[("Content-Type", INDEX), ("Content-Length", &manifest.len().to_string())],
    );
    wire.send(&manifest[..40]);
    wire.hang_up();
    let line = format!("PUT {}", repository.path("manifests/half"));
    eventually("the request is logged", || repository.registry.log().contains(&line).then_some(()));
    repository.get("manifests/half").refused(404, "MANIFEST_UNKNOWN");
    repository.push_manifest("half", INDEX, manifest);
}
