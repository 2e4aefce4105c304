//! TLS, as clients and operators meet it: certificates from files that change, both protocols, clients that show certificates.

mod clients;
mod crowds;
mod http2;
mod mutual;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use tempfile::TempDir;

use self::clients::Secure;
use crate::{
    authority::{Authority, Pair},
    content::{digest, noise},
    registry::{Registry, Signal, run, serve},
    waiting::eventually,
};

/// A registry with a certificate, and where that lies.
struct House {
    registry: Arc<Registry>,
    authority: Authority,
    folder: TempDir,
}

impl House {
    fn start() -> Self {
        Self::with("")
    }

    /// With more settings below `http.tls`, each on a line of its own; `{folder}` stands for where the files are.
    fn with(more: &str) -> Self {
        let (authority, folder) = (Authority::named("here"), tempfile::tempdir().unwrap());
        fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
        Self { registry: configured(folder.path(), more, &authority.issue()), authority, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the metrics say.
    fn number(&self, name: &str) -> Option<u64> {
        let page = String::from_utf8(self.connect().get("/metrics").expect(200).body).unwrap();
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    fn connect(&self) -> Secure {
        Secure::shake_hands(&self.registry, self.authority.client(None)).unwrap()
    }
}

fn configured(files: &Path, more: &str, pair: &Pair) -> Arc<Registry> {
    pair.write(files);
    let more = more.replace("{folder}", &files.display().to_string()).replace('\n', "\n    ");
    let files = files.display();
    Registry::configured(&format!(
        "http:\n  tls:\n    certificate: {files}/tls.crt\n    key: {files}/tls.key\n    {more}\n"
    ))
}

#[test]
fn a_registry_with_a_certificate_speaks_tls() {
    let house = House::start();
    let mut stream = house.connect();
    stream.get("/v2/").expect(200);
    stream.get("/v2/").expect(200);
    house.registry.signal(Signal::TERM);
    let (status, said) = house.registry.wait();
    assert_eq!(status.code(), Some(0));
    assert!(said.contains("https://127.0.0.1:"), "{said}");
}

#[test]
fn whoever_forgets_the_s_is_told() {
    let house = House::start();
    let mut wire = house.registry.connect();
    wire.begin("GET", "/v2/", &[]);
    let (status, _) = wire.head();
    assert_eq!(status, 400);
    let said = String::from_utf8(wire.rest()).unwrap();
    assert!(said.contains("this port speaks TLS: use https://"), "{said}");
}

#[test]
fn a_token_is_fetched_by_https_too() {
    let (authority, folder) = (Authority::named("here"), tempfile::tempdir().unwrap());
    authority.issue().write(folder.path());
    let files = folder.path().display();
    fs::write(folder.path().join("users"), format!("alice:{}\n", bcrypt::hash("s:cret", 4).unwrap())).unwrap();
    let registry = Registry::configured(&format!(
        "http:\n  tls:\n    certificate: {files}/tls.crt\n    key: {files}/tls.key\nauth:\n  htpasswd:\n    path: \
         {files}/users\n  anonymous: pull\n"
    ));
    let mut stream = Secure::shake_hands(&registry, authority.client(None)).unwrap();
    let challenge = stream.get("/v2/").expect(401);
    let challenge = challenge.header("WWW-Authenticate").unwrap().to_owned();
    assert!(challenge.starts_with("Bearer realm=\"https://localhost/auth/token\""), "{challenge}");
}

#[test]
fn a_pair_that_cannot_be_used_stops_the_start_and_is_named() {
    let authority = Authority::named("here");
    let folder = tempfile::tempdir().unwrap();
    let pair = authority.issue();
    pair.write(folder.path());
    let key = folder.path().join("tls.key");
    fs::write(&key, authority.issue().key).unwrap();
    let start = || {
        let output = run(serve(&folder.path().join("data"))
            .env("CARGOHOLD__HTTP__TLS__CERTIFICATE", folder.path().join("tls.crt"))
            .env("CARGOHOLD__HTTP__TLS__KEY", &key));
        assert_eq!(output.status.code(), Some(1));
        assert!(!folder.path().join("data").exists(), "nothing was made");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = start();
    assert!(said.contains(&format!("http.tls.key: {} has another key", key.display())), "{said}");
    fs::remove_file(&key).unwrap();
    let said = start();
    assert!(said.contains(&format!("http.tls.key: {} cannot be read", key.display())), "{said}");
}

#[test]
fn certificates_change_under_load_and_nobody_notices() {
    let house = House::start();
    let (done, requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let mut stream = house.connect();
                        stream.get("/v2/").expect(200);
                        stream.get("/v2/").expect(200);
                        requests.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for round in 0..10 {
            let pair = house.authority.issue();
            pair.write(house.folder.path());
            if round % 2 == 0 {
                house.registry.signal(Signal::HUP);
            }
            // In the other rounds it looks by itself.
            eventually("the new certificate is shown", || (house.connect().certificate() == pair.der()).then_some(()));
        }
        let so_far = requests.load(Ordering::Relaxed);
        eventually("there is load", || (requests.load(Ordering::Relaxed) > so_far + 10).then_some(()));
        done.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("no connection failed");
        }
    });
    let told = || {
        house.registry.log().contains("told to reload: read the log, the TLS files, the endpoints again").then_some(())
    };
    eventually("it is told", told);
}

#[test]
fn a_pair_that_does_not_match_keeps_the_old_one() {
    let house = House::start();
    let before = house.connect().certificate();
    fs::write(house.file("tls.key"), house.authority.issue().key).unwrap();
    house.registry.signal(Signal::HUP);
    eventually("it is told", || house.registry.log().contains("cannot be used; those from before stay").then_some(()));
    let mut stream = house.connect();
    stream.get("/v2/").expect(200);
    assert_eq!(stream.certificate(), before);
    assert_eq!(house.number("cargohold_tls_certificate_load_failures_total"), Some(1));
    assert_eq!(house.number("cargohold_tls_certificate_loads_total"), Some(1));
    let pair = house.authority.issue();
    pair.write(house.folder.path());
    eventually("the next is taken over", || (house.connect().certificate() == pair.der()).then_some(()));
    eventually("it is counted", || house.number("cargohold_tls_certificate_loads_total").filter(|loads| *loads > 1));
    assert!(house.number("cargohold_tls_certificate_not_after_seconds").is_some_and(|end| end > 1_700_000_000));
}

#[test]
fn a_download_that_runs_is_finished_and_the_session_ends_in_order() {
    let house = House::start();
    let content = noise(71, 24 << 20);
    let mut stream = house.connect();
    let path = format!("/v2/tls/blobs/uploads/?digest={}", digest(&content));
    stream.begin("POST", &path, &[("Content-Length", &content.len().to_string())]);
    stream.send(&content);
    stream.answer().expect(201);
    stream.begin("GET", &format!("/v2/tls/blobs/{}", digest(&content)), &[]);
    stream.answer_head().expect(200);
    house.registry.signal(Signal::TERM);
    house.registry.wait_until_closed();
    assert!(stream.read_exact(content.len()) == content);
    // An end that TLS does not know of would be an error here.
    assert!(stream.rest().is_empty());
    assert_eq!(house.registry.wait().0.code(), Some(0));
}

#[test]
fn old_versions_are_spoken_only_if_they_may_be() {
    let old = |house: &House| Secure::shake_hands(&house.registry, house.authority.old_client());
    old(&House::start()).unwrap().get("/v2/").expect(200);
    assert!(old(&House::with("minimumtls: tls1.3")).is_err());
    let suites = House::with("ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]");
    assert_eq!(old(&suites).unwrap().suite(), "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
}
