//! The numbers that Prometheus reads: who is told them, and that each operation moves the right ones by the right amount.

#![expect(clippy::float_cmp, reason = "whole numbers, which are compared as such")]

use std::{collections::BTreeMap, sync::Arc};

use ureq::Agent;

use crate::{
    client::Response,
    content::{IMAGE, digest},
    registry::{Registry, Settings},
    waiting::eventually,
};

/// Samples by what they are called, labels included.
type Numbers = BTreeMap<String, f64>;

fn start(settings: Settings) -> Arc<Registry> {
    Registry::start_in(tempfile::tempdir().unwrap(), settings)
}

fn parse(page: &str) -> Numbers {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn numbers(registry: &Registry) -> Numbers {
    let answer = registry.get("/metrics").expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parse(&String::from_utf8(answer.body).unwrap())
}

/// Does something, and waits until exactly these counters have moved by that much; `watched` are the names that are looked at.
#[track_caller]
fn moves(registry: &Registry, watched: &[&str], what: impl FnOnce(), by: &[(&str, f64)]) {
    let value = |numbers: &Numbers, name: &str| numbers.get(name).copied().unwrap_or_default();
    let before = numbers(registry);
    what();
    let wanted: BTreeMap<&str, f64> = by.iter().copied().collect();
    let mut last = String::new();
    // A request is counted when its last byte is gone, so a moment after its client has it.
    let moved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("the counters moved", || {
            let after = numbers(registry);
            let moved: BTreeMap<&str, f64> = after
                .keys()
                .filter(|name| watched.iter().any(|watched| name.starts_with(watched)))
                .filter(|name| !name.contains("operation=\"metrics\""))
                .map(|name| (name.as_str(), value(&after, name) - value(&before, name)))
                .filter(|(_, by)| *by != 0.0)
                .collect();
            last = format!("{moved:?}");
            (moved == wanted).then_some(())
        });
    }));
    assert!(moved.is_ok(), "moved: {last}\nwanted: {wanted:?}");
}

fn requests(method: &str, operation: &str, status: u16) -> String {
    format!("cargohold_http_requests_total{{method=\"{method}\",operation=\"{operation}\",status=\"{status}\"}}")
}

const DONE: &[&str] = &[
    "cargohold_http_requests_total",
    "cargohold_blobs_",
    "cargohold_blob_pushed",
    "cargohold_manifests_put",
    "cargohold_deleted",
    "cargohold_uploads_started",
];

#[test]
fn a_push_a_pull_a_mount_and_a_deletion_are_counted() {
    let registry = start(&[]);
    let (repository, other) = (registry.repository(), registry.repository());
    let blob = digest("0123456789");
    moves(
        &registry,
        DONE,
        || drop(repository.push_blob("0123456789")),
        &[
            (&requests("POST", "uploads", 202), 1.0),
            (&requests("PUT", "upload", 201), 1.0),
            ("cargohold_uploads_started_total", 1.0),
            ("cargohold_blobs_pushed_total", 1.0),
            ("cargohold_blob_pushed_bytes_total", 10.0),
        ],
    );
    let pull = || {
        repository.pull(&blob).expect(200);
        repository.pull_range(&blob, "bytes=0-3").expect(206);
        repository.head(&format!("blobs/{blob}")).expect(200);
        repository.pull(&digest("none")).expect(404);
    };
    moves(
        &registry,
        DONE,
        pull,
        &[
            (&requests("GET", "blob", 200), 1.0),
            (&requests("GET", "blob", 206), 1.0),
            (&requests("GET", "blob", 404), 1.0),
            (&requests("HEAD", "blob", 200), 1.0),
        ],
    );
    let mount = || drop(other.post(&format!("?mount={blob}&from={}", repository.name)).send().expect(201));
    moves(&registry, DONE, mount, &[(&requests("POST", "uploads", 201), 1.0), ("cargohold_blobs_mounted_total", 1.0)]);
    let manifest = repository.push_parts_of_image();
    let put = || drop(repository.push_manifest("v1", IMAGE, &manifest));
    moves(&registry, DONE, put, &[(&requests("PUT", "manifest", 201), 1.0), ("cargohold_manifests_put_total", 1.0)]);
    let read = || {
        repository.get("manifests/v1").expect(200);
        repository.get("tags/list").expect(200);
        registry.get("/v2/_catalog").expect(200);
        registry.get("/v2/").expect(200);
        registry.get("/nowhere").expect(404);
    };
    moves(
        &registry,
        DONE,
        read,
        &[
            (&requests("GET", "manifest", 200), 1.0),
            (&requests("GET", "tags", 200), 1.0),
            (&requests("GET", "catalog", 200), 1.0),
            (&requests("GET", "ping", 200), 1.0),
            (&requests("GET", "other", 404), 1.0),
        ],
    );
    moves(
        &registry,
        DONE,
        || drop(repository.push_manifest("v2", IMAGE, &manifest)),
        &[(&requests("PUT", "manifest", 201), 1.0), ("cargohold_manifests_put_total", 1.0)],
    );
    let delete = || {
        repository.deletes("manifests/v2");
        repository.deletes(&format!("manifests/{}", digest(&manifest)));
        repository.deletes(&format!("blobs/{blob}"));
        registry.command(&["repository", "delete", &repository.name]);
    };
    moves(
        &registry,
        DONE,
        delete,
        &[
            (&requests("DELETE", "manifest", 202), 2.0),
            (&requests("DELETE", "blob", 202), 1.0),
            // The tag that was named, and the one that went with its manifest.
            ("cargohold_deleted_total{kind=\"tag\"}", 2.0),
            ("cargohold_deleted_total{kind=\"manifest\"}", 1.0),
            ("cargohold_deleted_total{kind=\"blob\"}", 1.0),
            ("cargohold_deleted_total{kind=\"repository\"}", 1.0),
        ],
    );
}

#[test]
fn bytes_and_durations_are_counted() {
    let registry = start(&[]);
    let repository = registry.repository();
    let content = vec![7; 300_000];
    let received = &["cargohold_http_received"];
    let push = || drop(repository.push_blob(&content));
    moves(&registry, received, push, &[("cargohold_http_received_bytes_total", 300_000.0)]);
    let before = numbers(&registry)["cargohold_http_sent_bytes_total"];
    repository.pull(&digest(&content)).expect(200);
    eventually("they were sent", || {
        (numbers(&registry)["cargohold_http_sent_bytes_total"] - before > 300_000.0).then_some(())
    });
    let numbers = numbers(&registry);
    let count = "cargohold_http_request_duration_seconds_count{method=\"GET\",operation=\"blob\"}";
    assert_eq!((numbers[count], numbers["cargohold_http_requests_in_flight"]), (1.0, 1.0), "this one is in flight");
    assert!(numbers["cargohold_http_connections_total"] >= 5.0);
}

#[test]
fn those_who_are_not_let_in_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    std::fs::write(&users, format!("alice:{}\n", bcrypt::hash("right", 4).unwrap())).unwrap();
    let text = format!("auth: {{htpasswd: {{path: {}}}}}\nhttp: {{addr: 127.0.0.1:0}}\n", users.display());
    let registry = Registry::configured(&text);
    let ask = |authorization: &str| registry.request("GET", "/v2/").header("Authorization", authorization).send();
    let watched = &["cargohold_http_requests_total", "cargohold_sign_in_failures_total"];
    let tries = || {
        registry.get("/v2/").expect(401);
        // alice:wrong, twice, and alice:right
        ask("Basic YWxpY2U6d3Jvbmc=").expect(401);
        ask("Basic YWxpY2U6d3Jvbmc=").expect(401);
        ask("Basic YWxpY2U6cmlnaHQ=").expect(200);
        ask("Bearer nonsense").expect(401);
        ask("Nonsense").expect(401);
    };
    moves(
        &registry,
        watched,
        tries,
        &[
            (&requests("GET", "ping", 401), 5.0),
            (&requests("GET", "ping", 200), 1.0),
            ("cargohold_sign_in_failures_total{reason=\"password\"}", 2.0),
            ("cargohold_sign_in_failures_total{reason=\"token\"}", 1.0),
            ("cargohold_sign_in_failures_total{reason=\"credentials\"}", 1.0),
        ],
    );
}

#[test]
fn those_who_are_sent_away_are_counted() {
    let registry = start(&[
        ("CARGOHOLD__HTTP__LIMITS__REQUESTS", "1"),
        ("CARGOHOLD__HTTP__LIMITS__WAIT", "0s"),
        ("CARGOHOLD__HTTP__DEBUG__ADDR", "127.0.0.1:0"),
    ]);
    let debug = debug_address(&registry);
    let upload = registry.repository().start_upload();
    // A request that does not end holds the one place.
    let mut wire = registry.connect();
    wire.send(format!("PATCH {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf", upload.location));
    let at_debug = || parse(&ask(&debug, "/metrics").1);
    eventually("it is in flight", || (at_debug()["cargohold_http_received_bytes_total"] >= 4.0).then_some(()));
    registry.get("/v2/").expect(429);
    eventually("it is counted", || {
        let numbers = at_debug();
        (numbers.get(&requests("GET", "ping", 429)) == Some(&1.0)
            && numbers["cargohold_http_requests_in_flight"] == 1.0)
            .then_some(())
    });
    drop(wire);
    eventually("the one that went away is over", || {
        (at_debug()["cargohold_http_requests_in_flight"] == 0.0).then_some(())
    });
}

#[test]
fn failures_of_the_disk_are_counted() {
    let registry = start(&[("CARGOHOLD__STORAGE__FILESYSTEM__RESERVE", "1048576GiB")]);
    let repository = registry.repository();
    let watched = &["cargohold_failures_total"];
    let push = || drop(repository.post("").send().expect(503));
    moves(&registry, watched, push, &[("cargohold_failures_total{part=\"store\"}", 1.0)]);
    let numbers = numbers(&registry);
    assert!(numbers["cargohold_disk_reserve_bytes"] > numbers["cargohold_disk_size_bytes"]);
    assert!(numbers["cargohold_disk_free_bytes"] > 0.0);
}

#[test]
fn what_there_is_is_told() {
    let registry = start(&[("CARGOHOLD__SWEEP__GRACE", "1h")]);
    let repository = registry.repository();
    repository.push_manifest("v1", IMAGE, repository.push_parts_of_image());
    repository.push_blob("waits");
    repository.start_upload();
    let numbers = numbers(&registry);
    for (name, wanted) in [
        ("cargohold_repositories", 1.0),
        ("cargohold_manifests", 1.0),
        ("cargohold_blobs", 3.0),
        ("cargohold_uploads_open", 1.0),
        ("cargohold_sweep_overdue_seconds", 0.0),
        ("cargohold_discard_waiting_objects", 0.0),
        ("cargohold_stores_away", 0.0),
        ("cargohold_database_write_queue", 0.0),
        (&format!("cargohold_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert_eq!(numbers[name], wanted, "{name}");
    }
    assert!(numbers["cargohold_sweep_candidates"] >= 1.0);
    assert!(numbers["cargohold_blob_bytes"] >= 15.0);
    assert!(numbers["cargohold_database_commit_transactions_count"] >= 5.0);
    assert!(numbers["process_resident_memory_bytes"] > 1e6 && numbers["process_open_fds"] > 5.0);
}

#[test]
fn what_the_sweep_gives_back_is_counted() {
    let registry = start(&[
        ("CARGOHOLD__SWEEP__GRACE", "0s"),
        ("CARGOHOLD__SWEEP__KEEP", "0s"),
        ("CARGOHOLD__SWEEP__INTERVAL", "10ms"),
    ]);
    registry.repository().push_blob("0123456789");
    eventually("its bytes are given back", || {
        let numbers = numbers(&registry);
        (numbers["cargohold_discarded_bytes_total"] == 10.0
            && numbers["cargohold_discarded_objects_total"] >= 1.0
            && numbers["cargohold_sweep_removed_total"] >= 2.0)
            .then_some(())
    });
}

#[test]
fn what_the_scrub_finds_is_counted() {
    let registry = start(&[("CARGOHOLD__SCRUB__EVERY", "1ms"), ("CARGOHOLD__SWEEP__INTERVAL", "10ms")]);
    let blob = registry.repository().push_blob("whole");
    std::fs::write(registry.file_of(&blob), "wrong").unwrap();
    eventually("it is counted", || {
        let numbers = numbers(&registry);
        (numbers["cargohold_scrub_findings_total{problem=\"damaged\"}"] == 1.0
            && numbers["cargohold_scrub_bytes_total"] >= 5.0)
            .then_some(())
    });
}

#[test]
fn only_this_machine_is_told_and_only_by_itself() {
    let registry = start(&[("CARGOHOLD__AUTH", "open")]);
    registry.get("/metrics").expect(200);
    registry.head("/metrics").expect(200).brings("");
    let refused = |response: Response| drop(response.refused(404, "UNSUPPORTED"));
    for header in ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Server"] {
        refused(registry.request("GET", "/metrics").header(header, "x").send());
    }
    refused(registry.request("GET", "/metrics").header("Host", "registry.example").send());
    refused(registry.request("POST", "/metrics").send());
    let mut wire = registry.connect();
    wire.send("GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    wire.answer().expect(404);
}

/// Where the listener for those who run the registry is.
fn debug_address(registry: &Registry) -> String {
    eventually("it says where it is", || {
        let log = registry.log();
        let line = log.lines().find(|line| line.contains("(http.debug.addr)"))?;
        Some(line.split("addr=").nth(1)?.split_whitespace().next()?.to_owned())
    })
}

fn ask(addr: &str, path: &str) -> (u16, String) {
    let config = Agent::config_builder().http_status_as_error(false).proxy(None).build();
    let mut answer = config.new_agent().get(format!("http://{addr}{path}")).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

#[test]
fn the_numbers_are_where_the_operator_wants_them_and_nowhere_else() {
    let registry = start(&[
        ("CARGOHOLD__HTTP__DEBUG__ADDR", "127.0.0.1:0"),
        ("CARGOHOLD__HTTP__DEBUG__PROMETHEUS__PATH", "/numbers"),
    ]);
    let debug = debug_address(&registry);
    let (status, page) = ask(&debug, "/numbers");
    assert_eq!(status, 200);
    assert!(parse(&page).contains_key("process_open_fds"));
    assert_eq!(ask(&debug, "/metrics").0, 404);
    assert_eq!(ask(&debug, "/v2/").0, 404);
    assert_eq!(ask(&debug, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(ask(&debug, "/debug/health"), (200, "{}".to_owned()));
    registry.get("/metrics").refused(404, "UNSUPPORTED");
}

#[test]
fn in_a_file_of_the_cncf_registry_they_are_switched_on() {
    let file = |prometheus: &str| {
        Registry::configured(&format!(
            "version: 0.1\nstorage: filesystem\nhttp: {{addr: 127.0.0.1:0, debug: {{addr: 127.0.0.1:0{prometheus}}}}}\n"
        ))
    };
    let (off, on) = (file(""), file(", prometheus: {enabled: true}"));
    assert_eq!(ask(&debug_address(&off), "/metrics").0, 404);
    assert_eq!(ask(&debug_address(&on), "/metrics").0, 200);
}

#[test]
fn a_debug_address_that_is_taken_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = crate::registry::serve(&folder.path().join("data"));
    let addr = taken.local_addr().unwrap().to_string();
    let output = crate::registry::run(command.env("CARGOHOLD__HTTP__DEBUG__ADDR", &addr));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("http.debug.addr: cannot listen on {addr}")), "{said}");
    assert!(!folder.path().join("data").exists());
}
