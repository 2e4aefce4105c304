//! `/v2/`, and what every answer has. That each one names the API and has a request id is checked on each one.

use crate::{registry::Registry, waiting::eventually};

#[test]
fn a_ping_is_answered_with_an_empty_object() {
    for path in ["/v2/", "/v2", "/v2/?ns=docker.io"] {
        let answer = Registry::shared().get(path).expect(200).with("Content-Length", "2").brings("{}");
        assert_eq!(answer.json(), serde_json::json!({}));
    }
}

#[test]
fn a_ping_may_be_a_head() {
    Registry::shared().head("/v2/").expect(200).with("Content-Type", "application/json").with("Content-Length", "2");
}

#[test]
fn a_ping_has_no_other_methods() {
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let answer = Registry::shared().request(method, "/v2/").send().with("Allow", "GET, HEAD");
        answer.refused(405, "UNSUPPORTED");
    }
}

#[test]
fn every_request_has_an_id_that_its_line_in_the_log_has_too() {
    let registry = Registry::shared();
    let ids = [1, 2].map(|_| registry.get("/v2/").header("X-Request-Id").unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        eventually("the request is logged", || {
            registry.log().lines().find(|line| line.contains(&id)).map(str::to_owned)
        });
    }
}

#[test]
fn a_log_line_tells_request_status_bytes_and_client() {
    let registry = Registry::shared();
    let answer = registry.request("GET", "/v2/?n=5&token=abc").header("User-Agent", "front-door/1").send();
    let id = answer.header("X-Request-Id").unwrap().to_owned();
    let line = eventually("the request is logged", || {
        registry.log().lines().find(|line| line.contains(&id)).map(str::to_owned)
    });
    for part in ["GET /v2/?n=5&token=***", "status=200", "bytes=2", "127.0.0.1", "front-door/1"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let mut wire = Registry::shared().connect();
    for _ in 0..3 {
        wire.begin("HEAD", "/v2/", &[]);
        wire.answer_head().expect(200);
        wire.begin("GET", "/v2/", &[]);
        wire.answer().expect(200).brings("{}");
    }
}

#[test]
fn an_old_proxy_is_answered_in_its_own_way() {
    let mut wire = Registry::shared().connect();
    wire.send("GET /v2/ HTTP/1.0\r\n\r\n");
    wire.answer().expect(200);
    assert!(wire.rest().is_empty(), "closed behind the answer");
}

#[test]
fn headers_are_spelt_as_scripts_look_for_them() {
    let registry = Registry::shared();
    let repository = registry.repository();
    let blob = repository.push_blob("spelling");
    let mut wire = registry.connect();
    wire.begin("GET", &repository.path(&format!("blobs/{blob}")), &[("Connection", "close")]);
    let text = String::from_utf8(wire.rest()).unwrap();
    for header in [
        "\r\nDocker-Content-Digest: sha256:",
        "\r\nContent-Length: 8\r\n",
        "\r\nDocker-Distribution-Api-Version: registry/2.0\r\n",
    ] {
        assert!(text.contains(header), "{text}");
    }
}

#[test]
fn a_person_who_opens_the_address_in_a_browser_is_told_what_it_is() {
    let answer = Registry::shared().get("/").expect(200).with("Content-Type", "text/plain; charset=utf-8");
    assert!(String::from_utf8_lossy(&answer.body).contains("This is a container registry"));
}
