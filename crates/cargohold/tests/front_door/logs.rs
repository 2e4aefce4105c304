//! What is logged, how and where.

use std::{fs, sync::Arc};

use serde_json::Value;

use crate::{
    registry::{Registry, Settings, Signal},
    waiting::eventually,
};

fn with(settings: Settings) -> Arc<Registry> {
    Registry::start_in(tempfile::tempdir().unwrap(), settings)
}

/// The line about a request, once it is there.
#[track_caller]
fn line_about(registry: &Registry, log: impl Fn() -> String, path: &str) -> String {
    registry.get(path).expect(200);
    eventually("the request is logged", || {
        log().lines().find(|line| line.contains(path) && line.contains("200")).map(str::to_owned)
    })
}

#[track_caller]
fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn lines_are_json_if_wanted_with_the_names_that_the_cncf_registry_has() {
    let registry =
        with(&[("CARGOHOLD__LOG__FORMATTER", "json"), ("CARGOHOLD__LOG__FIELDS", "{service: images, zone: a b}")]);
    let line = parse(&line_about(&registry, || registry.log(), "/v2/?n=1"));
    assert_eq!((&line["msg"], &line["level"], &line["status"]), (&"GET /v2/?n=1".into(), &"info".into(), &200.into()));
    assert_eq!((&line["service"], &line["zone"], &line["target"]), (&"images".into(), &"a b".into(), &"access".into()));
    assert!(line["time"].as_str().unwrap().ends_with('Z') && line["duration"].is_f64(), "{line}");
    for line in registry.log().lines() {
        parse(line);
    }
}

#[test]
fn lines_are_for_logstash_if_wanted() {
    let registry = with(&[("CARGOHOLD__LOG__FORMATTER", "logstash"), ("CARGOHOLD__LOG__REPORTCALLER", "true")]);
    let line = parse(&line_about(&registry, || registry.log(), "/v2/"));
    assert_eq!((&line["@version"], &line["message"]), (&"1".into(), &"GET /v2/".into()));
    registry.command(&["sweep", "status"]);
    let managed = eventually("the command is logged", || {
        registry.log().lines().map(parse).find(|line| line["message"] == "management")
    });
    assert!(managed["file"].as_str().unwrap().contains("management.rs:"), "{managed}");
}

#[test]
fn requests_can_be_logged_as_apache_does_into_a_file_that_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (log, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let text = format!("log: {{accesslog: {{format: combined, output: {}}}}}\n", log.display());
    let registry = Registry::configured(&text);
    let read = || fs::read_to_string(&log).unwrap_or_default();
    let line = line_about(&registry, read, "/v2/");
    let (host, rest) = line.split_once(" - - [").unwrap();
    assert_eq!(host, "127.0.0.1");
    assert!(rest.contains("] \"GET /v2/ HTTP/1.1\" 200 2 \"-\" \"ureq/"), "{line}");
    assert!(!registry.log().contains("GET /v2/"), "not in the other log");

    fs::rename(&log, &moved).unwrap();
    registry.signal(Signal::HUP);
    eventually("a new file is there", || {
        registry.get("/v2/").expect(200);
        (!read().is_empty()).then_some(())
    });
    assert!(fs::read_to_string(&moved).unwrap().contains("GET /v2/"));
}

#[test]
fn a_file_of_the_cncf_registry_has_its_access_log_on_standard_output() {
    let text = "version: 0.1\nlog: {level: error}\nstorage: filesystem\nauth: none\nhttp: {addr: 127.0.0.1:0}\n";
    let registry = Registry::configured(text);
    registry.get("/v2/").expect(200);
    registry.signal(Signal::TERM);
    let (_, said) = registry.wait();
    assert!(said.contains("] \"GET /v2/ HTTP/1.1\" 200 2 \"-\" \"ureq/"), "{said}");
    assert!(!registry.log().contains("GET /v2/"));
}

#[test]
fn nothing_is_logged_of_requests_if_that_is_not_wanted() {
    let registry = with(&[("CARGOHOLD__LOG__ACCESSLOG__DISABLED", "true"), ("RUST_LOG", "")]);
    registry.get("/v2/").expect(200);
    registry.signal(Signal::TERM);
    registry.wait();
    assert!(registry.log().contains("stopped") && !registry.log().contains("GET /v2/"), "{}", registry.log());
}

#[test]
fn the_level_is_for_the_program_alone_and_the_variable_for_both() {
    for (settings, stopped, requests) in [
        (&[("RUST_LOG", ""), ("CARGOHOLD__LOG__LEVEL", "error")][..], false, true),
        (&[("RUST_LOG", "warn"), ("CARGOHOLD__LOG__LEVEL", "debug")], false, false),
        (&[("RUST_LOG", "info,access=off"), ("CARGOHOLD__LOG__LEVEL", "error")], true, false),
        (&[("RUST_LOG", "x=nonsense"), ("CARGOHOLD__LOG__LEVEL", "info")], true, true),
    ] {
        let registry = with(settings);
        registry.get("/v2/").expect(200);
        registry.signal(Signal::TERM);
        registry.wait();
        let log = registry.log();
        assert_eq!((log.contains("stopped"), log.contains("GET /v2/")), (stopped, requests), "{settings:?}: {log}");
    }
}

#[test]
fn secrets_and_control_characters_of_strangers_are_not_in_the_log() {
    let registry = with(&[]);
    let asked = registry.request("GET", "/v2/?token=hushhush&n=3").header("Authorization", "Bearer hushhush");
    asked.header("User-Agent", "evil\u{1}agent").try_send().ok();
    let mut wire = registry.connect();
    wire.begin("GET", "/v2/?password=hushhush", &[("Authorization", "Basic aHVzaGh1c2g="), ("User-Agent", "a\tb")]);
    wire.answer().expect(200);
    let line = line_about(&registry, || registry.log(), "/v2/?n=2");
    assert!(!line.contains('\t'));
    let log = registry.log();
    assert!(log.contains("/v2/?password=***"), "{log}");
    assert!(!log.contains("hushhush") && !log.contains("aHVzaGh1c2g"), "{log}");
    assert!(!log.chars().any(|sign| sign.is_control() && sign != '\n'), "{log}");
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let registry = with(&[("CARGOHOLD__LOG__OUTPUT", "/dev/full"), ("CARGOHOLD__LOG__ACCESSLOG__OUTPUT", "/dev/full")]);
    let repository = registry.repository();
    for number in 0..20 {
        let blob = repository.push_blob(format!("blob {number}"));
        repository.pull(&blob).expect(200);
    }
    let page = eventually("the lost lines are counted", || {
        let page = String::from_utf8(registry.get("/metrics").expect(200).body).unwrap();
        page.lines()
            .any(|line| {
                line.strip_prefix("cargohold_log_lines_lost_total{reason=\"failed\"} ").is_some_and(|lost| lost != "0")
            })
            .then_some(page)
    });
    assert!(page.contains("cargohold_log_lines_lost_total{reason=\"full\"} 0\n"), "{page}");
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::registry::serve(&folder.path().join("data"));
    let output = crate::registry::run(command.env("CARGOHOLD__LOG__OUTPUT", folder.path().join("none/log")));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("log.output") && said.contains("none/log") && said.contains("No such file"), "{said}");
}

#[test]
fn a_request_has_the_id_that_a_trusted_proxy_gave_it() {
    let trusting = Registry::configured("http: {addr: 127.0.0.1:0, trusted_proxies: [127.0.0.1]}\n");
    let ask = |registry: &Registry, id: &str| {
        let answer = registry.request("GET", "/v2/").header("X-Request-Id", id).send().expect(200);
        answer.header("X-Request-Id").unwrap().to_owned()
    };
    let id = "01JD-edge.example:7/a+b";
    assert_eq!(ask(&trusting, id), id);
    eventually("the log calls it that too", || trusting.log().contains(&format!("id={id}")).then_some(()));
    for strange in ["a b", "\"", "a\u{7f}", &"x".repeat(129), ""] {
        let given = trusting.request("GET", "/v2/").header("X-Request-Id", strange).try_send();
        assert!(given.is_err() || given.unwrap().header("X-Request-Id").unwrap() != strange, "{strange:?}");
    }
    assert_ne!(ask(&with(&[]), id), id, "anybody could say so");
}
