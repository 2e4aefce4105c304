//! Whom a registry for this machine does not answer: pages of other sites that a browser on this machine shows, be it that they
//! send requests here or that they gave this machine a name of their own.

use crate::{content::digest, registry::Registry, wire::Wire};

#[test]
fn a_registry_for_this_machine_answers_to_its_names() {
    let registry = Registry::shared();
    let port = registry.addr().port();
    for host in [
        "localhost".to_owned(),
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        "[::1]:80".to_owned(),
        "my.localhost".to_owned(),
    ] {
        registry.request("GET", "/v2/").header("Host", host).send().expect(200);
    }
}

#[test]
fn a_registry_for_this_machine_does_not_answer_to_another_name() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("private");
    for host in ["example.com", "localhost.example.com", "192.0.2.1:5000", "notlocalhost"] {
        for path in ["/v2/".to_owned(), repository.path(&format!("blobs/{blob}")), "/nowhere".to_owned()] {
            let message = repository.registry.request("GET", &path).header("Host", host).send().refused(403, "DENIED");
            assert!(message.contains(host), "{message}");
        }
        repository.post("").header("Host", host).send().refused(403, "DENIED");
    }
}

#[test]
fn a_page_of_another_site_cannot_write() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    for origin in ["https://example.com", "null", "http://localhost:1"] {
        repository.post("").header("Origin", origin).send().refused(403, "DENIED");
        upload.patch("x").header("Origin", origin).send().refused(403, "DENIED");
        upload.put(&digest("x"), "x").header("Origin", origin).send().refused(403, "DENIED");
        upload.request("DELETE").header("Origin", origin).send().refused(403, "DENIED");
    }
    assert_eq!(upload.range(), "0-0");
    upload.put(&digest(""), "").header("Origin", format!("http://{}", repository.registry.addr())).send().expect(201);
}

#[test]
fn an_open_registry_answers_to_every_name() {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), &[("CARGOHOLD__AUTH", "open")]);
    registry.request("GET", "/v2/").header("Host", "registry.example.com").send().expect(200);
    let post = registry.repository().post("").header("Host", "registry.example.com");
    post.clone().send().expect(202);
    post.clone().header("Origin", "https://registry.example.com").send().expect(202);
    post.header("Origin", "https://example.com").send().refused(403, "DENIED");
}

/// A browser sends neither; whoever does means to be taken for somebody else.
#[test]
fn a_host_that_cannot_be_read_or_says_two_things_names_nobody() {
    for hosts in ["Host: \u{e9}vil.example\r\n", "Host: localhost\r\nHost: evil.example\r\n"] {
        let mut wire = Wire::connect(Registry::shared());
        wire.send(format!("GET /v2/ HTTP/1.1\r\n{hosts}\r\n"));
        wire.answer().refused(403, "DENIED");
    }
}
