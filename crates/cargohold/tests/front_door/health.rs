//! Whether the registry is well: what probes are told, what strangers are not, and what is refused while it is not.

use std::{fs, net::TcpListener, sync::Arc};

use serde_json::{Value, json};

use crate::{
    client::Response,
    registry::{Registry, on, run},
    waiting::eventually,
};

/// One that is looked after every 100 ms.
fn watched(folder: tempfile::TempDir, health: &str) -> Arc<Registry> {
    Registry::configure(&folder, &format!("auth: open\nhealth:\n{health}"));
    Registry::start_in(folder, &[])
}

fn parts(answer: &Response) -> Value {
    answer.json()["parts"].clone()
}

#[test]
fn probes_need_no_credentials_and_no_name() {
    let registry = Registry::shared();
    for (path, text) in [("/healthz", "alive\n"), ("/readyz", "ready\n")] {
        registry.get(path).expect(200).with("Content-Type", "text/plain; charset=utf-8").brings(text);
        registry.head(path).expect(200).brings("");
        registry.request("GET", path).header("Host", "10.0.0.7:5000").send().expect(200).brings(text);
        registry.request("POST", path).send().expect(405).with("Allow", "GET, HEAD");
    }
}

#[test]
fn programs_are_answered_in_json() {
    let registry = Registry::shared();
    let well = json!([{ "name": "database", "status": "ok" }, { "name": "store", "status": "ok" }]);
    for request in [
        registry.request("GET", "/readyz?verbose"),
        registry.request("GET", "/readyz").header("Accept", "application/json"),
    ] {
        let answer = request.send().expect(200).with("Cache-Control", "no-store");
        assert_eq!(answer.json(), json!({ "status": "ready", "parts": well }));
    }
    assert_eq!(registry.get("/healthz?verbose").expect(200).json(), json!({ "status": "alive" }));
}

#[test]
fn strangers_are_told_no_details() {
    let registry = Registry::shared();
    for (header, said) in [
        ("Host", "evil.example"),
        ("X-Forwarded-For", "198.51.100.7"),
        ("Forwarded", "for=198.51.100.7"),
        ("Via", "1.1 a"),
    ] {
        let answer = registry.request("GET", "/readyz?verbose").header(header, said).send().expect(200);
        assert_eq!(answer.json(), json!({ "status": "ready" }), "{header}");
    }
}

#[test]
fn a_file_takes_the_registry_out_of_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("down");
    let registry = watched(folder, &format!("  file:\n    - file: {}\n      interval: 100ms\n", file.display()));
    let repository = registry.repository();
    repository.push_blob("x");
    fs::write(&file, "").unwrap();
    let message = eventually("requests are refused", || {
        let answer = registry.get("/v2/");
        (answer.status == 503).then(|| answer.with("Retry-After", "10").refused(503, "UNAVAILABLE"))
    });
    assert!(!message.contains("down"), "{message}");
    repository.post("").send().refused(503, "UNAVAILABLE");
    registry.get("/healthz").expect(200);
    let answer = registry.get("/readyz?verbose").expect(503);
    let part = parts(&answer).as_array().unwrap().last().unwrap().clone();
    assert_eq!(part, json!({ "name": file.display().to_string(), "status": "down", "why": "the file is there" }));
    fs::remove_file(&file).unwrap();
    eventually("requests are answered again", || (registry.get("/v2/").status == 200).then_some(()));
    registry.get("/readyz").expect(200);
}

#[test]
fn an_address_that_nobody_listens_on_counts_after_as_many_tries_as_are_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let health = format!(
        "  tcp:\n    - {{addr: '{addr}', interval: 50ms, threshold: 2}}\n  http:\n    - {{uri: 'http://{addr}/', \
         interval: 50ms, timeout: 10s, threshold: 1000000}}\n"
    );
    let registry = watched(tempfile::tempdir().unwrap(), &health);
    registry.get("/v2/").expect(200);
    drop(listener);
    eventually("requests are refused", || (registry.get("/v2/").status == 503).then_some(()));
    let answer = registry.get("/readyz?verbose").expect(503);
    let found: Vec<_> = parts(&answer).as_array().unwrap().iter().map(|part| part["status"].clone()).collect();
    assert_eq!(found, ["ok", "ok", "ok", "down"], "the first of the last two has failed less often: {answer}");
}

#[test]
fn without_its_store_the_registry_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let registry = watched(folder, "  storagedriver: {enabled: true, interval: 50ms, threshold: 1}\n");
    let (store, away) = (registry.root().join("cargohold-store"), registry.root().join("away"));
    fs::rename(&store, &away).unwrap();
    eventually("requests are refused", || (registry.get("/v2/").status == 503).then_some(()));
    registry.get("/readyz").expect(503).brings("not ready\n");
    fs::rename(&away, &store).unwrap();
    eventually("requests are answered again", || (registry.get("/v2/").status == 200).then_some(()));
}

#[test]
fn a_command_asks_for_images_without_curl() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("down");
    let registry = watched(folder, &format!("  file:\n    - file: {}\n      interval: 100ms\n", file.display()));
    let ask = |address: &str| {
        let asked = run(on(&registry.root()).args(["health", address]));
        (asked.status.code().unwrap(), String::from_utf8(asked.stdout).unwrap())
    };
    let address = format!("http://{}", registry.addr());
    assert_eq!(ask(&address), (0, "ready\n".to_owned()));
    fs::write(&file, "").unwrap();
    let (status, told) = eventually("it is down", || Some(ask(&address)).filter(|(status, _)| *status != 0));
    assert_eq!((status, &told), (1, &format!("not ready\n  {} is down: the file is there\n", file.display())));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(ask(&format!("http://{nobody}")).0, 1);
    let here = run(on(&registry.root()).arg("health"));
    assert_eq!((here.status.code(), here.stdout), (Some(1), told.into_bytes()), "by the socket in the data folder");
    fs::remove_file(&file).unwrap();
    eventually("it is well", || run(on(&registry.root()).arg("health")).status.success().then_some(()));
}
