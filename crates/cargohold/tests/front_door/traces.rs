//! Traces, as a collector gets them: a small one is here, which takes what comes by OTLP over HTTP and reads it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;

use crate::{
    authority::{Authority, secured},
    content::digest,
    registry::{Registry, Signal, run, serve},
};

/// What was sent, and where it says that it comes from.
#[derive(Default)]
struct Collected {
    spans: Vec<Span>,
    resource: BTreeMap<String, String>,
    paths: Vec<String>,
}

/// Takes whatever is sent to the address, as long as the test runs.
fn collector() -> (String, Arc<Mutex<Collected>>) {
    let (addr, collected) = collecting(|stream| stream);
    (format!("http://{addr}"), collected)
}

/// One that is spoken to by TLS, and wants to be shown what this authority signed.
fn wary_collector(authority: &Authority) -> (String, Arc<Mutex<Collected>>) {
    let server = authority.server(true);
    let (addr, collected) = collecting(move |stream| secured(stream, &server));
    (format!("https://localhost:{}", addr.port()), collected)
}

fn collecting<S: Read + Write>(
    speaks: impl Fn(TcpStream) -> S + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Collected>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (speaks, collected) = (Arc::new(speaks), Arc::<Mutex<Collected>>::default());
    thread::spawn({
        let collected = collected.clone();
        move || {
            for stream in listener.incoming() {
                let (speaks, collected) = (speaks.clone(), collected.clone());
                thread::spawn(move || take(speaks(stream.unwrap()), &collected));
            }
        }
    });
    (addr, collected)
}

fn take(stream: impl Read + Write, collected: &Mutex<Collected>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or_default() == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.to_ascii_lowercase());
        }
        assert!(head.iter().any(|line| line.trim() == "content-type: application/x-protobuf"), "{head:?}");
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let request = ExportTraceServiceRequest::decode(&*body).unwrap();
        let mut collected = collected.lock().unwrap();
        collected.paths.push(head[0].split(' ').nth(1).unwrap().to_owned());
        for resource in request.resource_spans {
            collected.resource.extend(texts(&resource.resource.unwrap().attributes));
            collected.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => format!("{other:?}"),
    };
    let known = attributes
        .iter()
        .filter_map(|attribute| Some((attribute.key.clone(), text(attribute.value.as_ref()?.value.as_ref()?))));
    known.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// A registry with these variables; they are kept for as long as the tests run.
fn start(variables: Vec<(&'static str, String)>) -> Arc<Registry> {
    let variables: Vec<_> = variables.into_iter().map(|(name, value)| (name, &*value.leak())).collect();
    Registry::start_in(tempfile::tempdir().unwrap(), variables.leak())
}

#[test]
fn each_request_is_a_span_that_goes_on_where_the_client_was() {
    let (address, collected) = collector();
    let registry = start(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address),
        ("OTEL_SERVICE_NAME", "images".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()),
    ]);
    let repository = registry.repository();
    let blob = repository.push_blob("0123456789");
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let pull = repository.request("GET", &format!("blobs/{blob}"));
    let pulled = pull.header("traceparent", format!("00-{trace}-{parent}-01")).send().expect(200);
    repository.pull(&digest("none")).expect(404);
    registry.signal(Signal::TERM);
    registry.wait();

    let collected = collected.lock().unwrap();
    assert_eq!(collected.resource["service.name"], "images");
    assert_eq!(collected.resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(collected.resource["deployment.environment.name"], "test");
    assert!(collected.paths.iter().all(|path| path == "/v1/traces"), "{:?}", collected.paths);
    let names: Vec<_> = collected.spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["POST uploads", "PUT upload", "GET blob", "GET blob"]);
    assert!(collected.spans.iter().all(|span| span.kind() == SpanKind::Server));

    let put = texts(&collected.spans[1].attributes);
    assert_eq!((&*put["http.request.body.size"], &*put["http.response.status_code"]), ("10", "201"));
    let span = &collected.spans[2];
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (trace.to_owned(), parent.to_owned()));
    let attributes = texts(&span.attributes);
    for (name, wanted) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", "10"),
        ("cargohold.operation", "blob"),
        ("cargohold.repository", &repository.name),
        ("url.path", &repository.path(&format!("blobs/{blob}"))),
        ("id", pulled.header("X-Request-Id").unwrap()),
    ] {
        assert_eq!(attributes[name], wanted, "{name} of {attributes:?}");
    }
    let other = &collected.spans[3];
    assert!(hex(&other.trace_id) != trace && other.parent_span_id.is_empty(), "a trace of its own");
    assert_eq!(texts(&other.attributes)["http.response.status_code"], "404");
    assert!(other.status.as_ref().is_none_or(|status| status.code() == StatusCode::Unset), "the client's mistake");
    assert!(!registry.log().contains("http.request"), "{}", registry.log());
}

#[test]
fn the_sampler_is_the_variables_business() {
    let (address, collected) = collector();
    let registry = start(vec![
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{address}/elsewhere")),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off".to_owned()),
    ]);
    registry.get("/v2/").expect(200);
    let traced = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    registry.request("GET", "/v2/").header("traceparent", traced).send().expect(200);
    registry.signal(Signal::TERM);
    registry.wait();
    let collected = collected.lock().unwrap();
    assert_eq!(collected.spans.len(), 1, "the one that the client wants to be seen");
    assert_eq!((&*collected.paths[0], &*collected.resource["service.name"]), ("/elsewhere", "cargohold"));
}

/// How many spans it was told by a registry that trusts one authority and shows what another signed, and what that one logged.
fn told_by_tls(trusted: &Authority, shown: &Authority, authority: &Authority) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    fs::write(file("ca.crt"), trusted.pem()).unwrap();
    shown.issue().write(folder.path());
    let (address, collected) = wary_collector(authority);
    let registry = start(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", file("ca.crt")),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", file("tls.crt")),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", file("tls.key")),
    ]);
    registry.get("/v2/").expect(200);
    registry.signal(Signal::TERM);
    assert!(registry.wait().0.success());
    let spans = collected.lock().unwrap().spans.len();
    (spans, registry.log())
}

#[test]
fn a_collector_is_told_by_tls_if_each_trusts_the_other() {
    let (known, unknown) = (Authority::named("here"), Authority::named("elsewhere"));
    let (spans, log) = told_by_tls(&known, &known, &known);
    assert!(spans == 1 && !log.contains("the collector"), "{log}");
    let (spans, log) = told_by_tls(&unknown, &known, &known);
    assert!(spans == 0 && log.contains("does not answer why=") && log.contains("UnknownIssuer"), "{log}");
    // Its reason may be lost with the connection.
    let (spans, log) = told_by_tls(&known, &unknown, &known);
    assert!(spans == 0 && log.contains("the collector of traces does not answer why="), "{log}");
}

#[test]
fn a_collector_that_is_away_stops_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let registry = start(vec![("OTEL_EXPORTER_OTLP_ENDPOINT", address)]);
    registry.repository().push_blob("0123456789");
    registry.signal(Signal::TERM);
    assert!(registry.wait().0.success());
}

#[test]
fn what_cannot_be_done_is_said_and_stops_nothing() {
    let secure = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost");
    for (variables, says) in [
        ([("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_SERVICE_NAME", "a")], "write otlp or none"),
        (
            [secure, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt")],
            "/nowhere/ca.crt cannot be read: No such file",
        ),
        ([secure, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null")], "/dev/null has no certificate"),
        (
            [secure, ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/dev/null")],
            "(OTEL_EXPORTER_OTLP_CLIENT_KEY) cannot be used",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = serve(folder.path());
        command.env("CARGOHOLD__HTTP__ADDR", taken.local_addr().unwrap().to_string());
        let said = String::from_utf8(run(command.envs(variables)).stderr).unwrap();
        assert!(said.contains(says) && said.contains("something else listens there"), "{said}");
    }
}
