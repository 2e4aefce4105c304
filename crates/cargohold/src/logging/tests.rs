use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cargohold_http::{Access, AccessLog as _};
use http::{Method, Version};
use proptest::prelude::*;
use serde_json::Value as Json;
use tracing::Level as TracingLevel;
use tracing_subscriber::layer::SubscriberExt;

use super::{
    access::AccessLines,
    layer::EventLines,
    line::{LONGEST, Style, Value},
    sink::Sink,
    *,
};

const PATIENCE: Duration = Duration::from_mins(1);

fn style(formatter: Formatter, fields: &[(&str, &str)]) -> Style {
    let fields: BTreeMap<_, _> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Style::new(formatter, &fields, false)
}

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_795_302_359_012_345)
}

fn line(style: &Style, message: &str, fields: &[(&str, Value<'_>)]) -> String {
    let mut text = "what was there before".to_owned();
    let mut line = style.begin(&mut text, time(), TracingLevel::WARN, "cargohold::there", Value::Text(message));
    for (name, value) in fields {
        line.field(name, *value);
    }
    line.end();
    text
}

#[test]
fn text_has_words_as_they_are_and_the_rest_in_quotes() {
    let fields = [("n", Value::Unsigned(1)), ("who", Value::Text("a b")), ("said", Value::Text("say \"x\"\\"))];
    assert_eq!(
        line(&style(Formatter::Text, &[("service", "registry one")]), "it happened", &fields),
        "2026-11-21T23:05:59.012345Z  WARN cargohold::there: it happened n=1 who=\"a b\" said=\"say \\\"x\\\"\\\\\" \
         service=\"registry one\"\n"
    );
}

#[test]
fn json_has_the_names_that_the_cncf_registry_has_and_logstash_its_own() {
    let fields =
        [("n", Value::Unsigned(1)), ("took", Value::Time(Duration::from_millis(1500))), ("msg", Value::Flag(true))];
    let json: Json =
        serde_json::from_str(&line(&style(Formatter::Json, &[("service", "a")]), "x\ny", &fields)).unwrap();
    let wanted = serde_json::json!({
        "time": "2026-11-21T23:05:59.012345Z", "level": "warning", "target": "cargohold::there", "msg": "x\ny", "n": 1,
        "took": 1.5, "fields.msg": true, "service": "a",
    });
    assert_eq!(json, wanted);
    let json: Json = serde_json::from_str(&line(&style(Formatter::Logstash, &[]), "x", &[])).unwrap();
    let wanted = serde_json::json!({
        "@timestamp": "2026-11-21T23:05:59.012345Z", "@version": "1", "level": "warning", "target": "cargohold::there",
        "message": "x",
    });
    assert_eq!(json, wanted);
}

proptest! {
    #[test]
    fn whatever_is_told_is_one_bounded_line(message in ".{0,200}", value in "\\PC*|[\\x00-\\x20\u{2028}\u{202e}\"\\\\]*", times in 1usize..3000) {
        let long = value.repeat(times);
        for formatter in [Formatter::Text, Formatter::Json, Formatter::Logstash] {
            let many = [("a", Value::Text(&long)), ("b", Value::Text(&long)), ("c", Value::Text(&long)), ("d", Value::Text(&long))];
            let line = line(&style(formatter, &[]), &message, &many);
            let body = line.strip_suffix('\n').unwrap();
            let steers = |sign: char| sign.is_control() || matches!(sign, '\u{2028}'..='\u{202e}');
            prop_assert!(!body.chars().any(steers));
            // Escapes are longer than what they stand for, at most six times.
            prop_assert!(line.len() < LONGEST * 6);
            if formatter != Formatter::Text {
                let json: Json = serde_json::from_str(body).unwrap();
                prop_assert!(json["level"] == "warning");
            }
        }
    }
}

fn access<'a>(method: &'a Method, user: Option<&'a str>, target: &'a str, agent: Option<&'a str>) -> Access<'a> {
    Access {
        id: "ab-1",
        peer: "192.0.2.7:4711".parse::<std::net::SocketAddr>().unwrap().into(),
        client: "192.0.2.7".parse().unwrap(),
        user,
        method,
        target,
        version: Version::HTTP_11,
        status: 200,
        bytes: 2,
        complete: true,
        began: time(),
        duration: Duration::from_millis(1500),
        agent,
        referer: None,
    }
}

/// What a log in that format says about requests.
fn accessed(formatter: Formatter, format: AccessFormat, requests: &[Access<'_>]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let style = style(formatter, &[]);
    let sink = Sink::open(&Output::File(file.clone()), style.clone()).unwrap();
    let lines = AccessLines::new(format, style, sink.clone());
    for request in requests {
        lines.write(request);
    }
    sink.flush(PATIENCE);
    fs::read_to_string(file).unwrap()
}

#[test]
fn requests_are_told_as_apache_does() {
    let requests = [
        access(&Method::GET, None, "/v2/?n=1", Some("docker/27 (x) \"y\"\\")),
        access(&Method::PUT, Some("al ice\n"), "/v2/", None),
    ];
    let combined = "192.0.2.7 - - [21/Nov/2026:23:05:59 +0000] \"GET /v2/?n=1 HTTP/1.1\" 200 2 \"-\" \"docker/27 (x) \\x22y\\x22\\x5c\"\n\
         192.0.2.7 - al\\x20ice\\x0a [21/Nov/2026:23:05:59 +0000] \"PUT /v2/ HTTP/1.1\" 200 2 \"-\" \"-\"\n";
    assert_eq!(accessed(Formatter::Text, AccessFormat::Combined, &requests), combined);
    // The formatter has no say in these.
    assert_eq!(accessed(Formatter::Json, AccessFormat::Combined, &requests), combined);
    assert_eq!(
        accessed(Formatter::Text, AccessFormat::Common, &requests[..1]),
        "192.0.2.7 - - [21/Nov/2026:23:05:59 +0000] \"GET /v2/?n=1 HTTP/1.1\" 200 2\n"
    );
}

#[test]
fn requests_are_told_with_all_that_is_known() {
    let request = access(&Method::GET, Some("alice"), "/v2/", Some("docker/27"));
    assert_eq!(
        accessed(Formatter::Text, AccessFormat::Structured, &[request]),
        "2026-11-21T23:06:00.512345Z  INFO access: GET /v2/ id=ab-1 peer=192.0.2.7:4711 user=alice status=200 bytes=2 \
         complete=true duration=1.5s agent=docker/27\n"
    );
    let json: Json = serde_json::from_str(&accessed(Formatter::Json, AccessFormat::Structured, &[request])).unwrap();
    assert_eq!((&json["status"], &json["duration"], &json["id"]), (&200.into(), &1.5.into(), &"ab-1".into()));
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

#[test]
fn events_have_the_fields_of_their_spans_and_the_place_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let style = style(Formatter::Text, &[]);
    let sink = Sink::open(&Output::File(file.clone()), style.clone()).unwrap();
    let subscriber = tracing_subscriber::registry().with(EventLines::new(style, true, sink.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::error_span!("request", id = "ab-1", repository = tracing::field::Empty);
        span.record("repository", "a/b");
        let error = std::io::Error::other("no\nway");
        span.in_scope(|| tracing::warn!(%error, count = 3, "failed"));
        tracing::error!(last_words = true, "written before this returns");
        assert!(read(&file).ends_with('\n'), "{}", read(&file));
    });
    let log = read(&file);
    let place = "file=crates/cargohold/src/logging/tests.rs:";
    assert!(log.contains(&format!("failed error=\"no\\nway\" count=3 id=ab-1 repository=a/b {place}")), "{log}");
    assert!(log.contains("written before this returns file="), "{log}");
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (file, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let sink = Sink::open(&Output::File(file.clone()), style(Formatter::Text, &[])).unwrap();
    let say = |text: &str| {
        sink.write(text);
        sink.flush(PATIENCE);
    };
    say("one\n");
    fs::rename(&file, &moved).unwrap();
    say("two\n");
    sink.reopen();
    say("three\n");
    assert_eq!((read(&moved), read(&file)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));

    fs::remove_dir_all(folder.path()).unwrap();
    sink.reopen();
    say("four\n");
    assert_eq!(sink.lost(), (0, 0), "it goes on where it was");
}

#[test]
fn a_log_that_nobody_reads_loses_lines_and_says_so_and_holds_nobody_up() {
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let sink = Sink::onto(OwnedFd::from(writer).into(), style(Formatter::Text, &[]));
    let line = format!("{}\n", "x".repeat(9999));
    // Ten times what may wait, and far more than what a socket holds.
    for _ in 0..4000 {
        sink.write(&line);
    }
    let (full, failed) = sink.lost();
    assert!(full > 3000 && failed == 0, "{full}");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    sink.flush(PATIENCE);
    sink.write("more\n");
    sink.flush(PATIENCE);
    drop(sink);
    let text = reading.join().unwrap();
    // It says so each time it is heard, and that may be before the last of them is lost.
    let said = text.lines().filter_map(|line| line.split_once("faster than they could be written lines="));
    let said: u64 = said.map(|(_, lines)| lines.parse::<u64>().unwrap()).sum();
    assert_eq!(said, full);
    assert!(text.ends_with("more\n"));
    assert_eq!(text.lines().filter(|line| line.starts_with('x')).count() as u64, 4000 - full);
}

#[test]
fn a_log_that_cannot_be_written_loses_lines_and_stops_nobody() {
    let full = Sink::open(&Output::File("/dev/full".into()), style(Formatter::Text, &[])).unwrap();
    full.write("one\n");
    full.flush(PATIENCE);
    full.write("two\nthree\n");
    full.flush(PATIENCE);
    assert_eq!(full.lost(), (0, 2), "handed over twice");

    let refused = Sink::open(&Output::File("/none/such".into()), style(Formatter::Text, &[])).unwrap_err();
    assert_eq!(refused.to_string(), "cannot write the log /none/such");
}

#[test]
fn the_level_is_for_the_program_and_not_for_requests() {
    let logging = |level| Logging { level, ..Logging::default() };
    assert_eq!(logging(Level::Error).directives(), "error,access=info");
    assert_eq!(logging(Level::Debug).directives(), "info,cargohold=debug,access=info");
    let silent = AccessLogging { disabled: true, ..AccessLogging::default() };
    assert_eq!(Logging { access: silent, ..Logging::default() }.directives(), "info,access=off");
}

#[test]
fn requests_are_logged_if_the_directives_say_so() {
    for (worth, wanted) in [
        ("info", true),
        ("warn", false),
        ("warn,access=info", true),
        ("info,access=off", false),
        ("error,access=info", true),
        ("info,[request{id}]=off", true),
        ("[request]=debug", false),
    ] {
        assert_eq!(wants_requests(worth), wanted, "{worth}");
    }
}

/// Counts what it is told.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Counted {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn directives_may_be_about_spans() {
    for (worth, wanted) in [("error,[request]=debug", 1), ("error,cargohold=debug", 2), ("error", 0)] {
        let counted = Counted::default();
        let subscriber = tracing_subscriber::registry().with(counted.clone().with_filter(filter(worth)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("outside");
            tracing::error_span!("request").in_scope(|| tracing::debug!("inside"));
        });
        assert_eq!(counted.0.load(Ordering::Relaxed), wanted, "{worth}");
    }
}
