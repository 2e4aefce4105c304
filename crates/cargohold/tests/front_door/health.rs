//! Whether the registry is well: what probes are told, what strangers are not, and what is refused while it is not.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::{
    authority::{Authority, secured},
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
        ("X-Forwarded-Server", "proxy.example"),
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

/// What answers HEAD by TLS: 503 until it is told to be well, then 204.
fn secure_service(authority: &Authority) -> (u16, Arc<AtomicBool>) {
    let (server, listener) = (authority.server(false), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let is_well = Arc::new(AtomicBool::new(false));
    thread::spawn({
        let is_well = is_well.clone();
        move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(secured(stream.unwrap(), &server));
                let head: Vec<_> =
                    stream.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                // Who does not trust the certificate says nothing.
                if head.first().is_some_and(|first| first == "HEAD /up HTTP/1.1") {
                    let status = if is_well.load(Ordering::SeqCst) { "204 No Content" } else { "503 Not yet" };
                    stream.get_mut().write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).ok();
                }
            }
        }
    });
    (port, is_well)
}

#[test]
fn an_address_of_https_is_asked_if_its_certificate_is_trusted() {
    let authority = Authority::named("here");
    let (port, is_well) = secure_service(&authority);
    let trusting = |trusted: &Authority| {
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.crt");
        fs::write(&roots, trusted.pem()).unwrap();
        let check = format!("  http: [{{uri: 'https://localhost:{port}/up', statuscode: 204, interval: 50ms}}]");
        Registry::configure(&folder, &format!("auth: open\nhealth:\n{check}\n"));
        let roots = &*roots.display().to_string().leak();
        Registry::start_in(folder, vec![("SSL_CERT_FILE", roots)].leak())
    };
    let why = |registry: &Registry| {
        let down = eventually("it is down", || Some(registry.get("/readyz?verbose")).filter(|told| told.status == 503));
        parts(&down)[2]["why"].as_str().unwrap().to_owned()
    };
    let registry = trusting(&authority);
    assert_eq!(why(&registry), "answered 503 Service Unavailable, not 204");
    is_well.store(true, Ordering::SeqCst);
    eventually("it is well", || (registry.get("/readyz").status == 200).then_some(()));

    let why = why(&trusting(&Authority::named("elsewhere")));
    assert!(why.starts_with("it could not be reached: ") && why.contains("certificate"), "{why}");
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
