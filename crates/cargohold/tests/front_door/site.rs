//! Where the registry says that it is, and whom it believes about that: from the connection and `Host`, from proxies that are
//! trusted, or from its operator.

use std::{fs, sync::Arc};

use crate::{
    client::{Request, Response, next_page},
    content::{INDEX, digest, note},
    registry::{Registry, run, serve},
    waiting::eventually,
};

/// What proxies say, and what strangers may say to be taken for somebody else.
const SAID: [(&str, &str); 4] = [
    ("X-Forwarded-Proto", "https, http"),
    ("X-Forwarded-Host", "registry.example, inner.example:8443"),
    ("X-Forwarded-Prefix", "/below"),
    ("X-Forwarded-For", "203.0.113.66, 198.51.100.7"),
];

fn open(http: &str) -> Arc<Registry> {
    Registry::configured(&format!("auth: open\nhttp:\n  {http}\n"))
}

/// One that everybody may pull from, and that sends others for a token.
fn with_tokens(http: &str) -> Arc<Registry> {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("htpasswd");
    fs::write(&users, format!("alice:{}\n", bcrypt::hash("s:cret", 4).unwrap())).unwrap();
    let auth = format!("auth:\n  htpasswd:\n    path: {}\n  anonymous: pull\n", users.display());
    Registry::configure(&folder, &format!("{auth}http:\n  {http}\n"));
    Registry::start_in(folder, &[])
}

fn saying(request: Request, said: &[(&str, &str)]) -> Response {
    said.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

/// Where an upload begins for somebody who says this.
fn location(registry: &Registry, path: &str, said: &[(&str, &str)]) -> String {
    saying(registry.request("POST", &format!("{path}v2/a/blobs/uploads/")), said).expect(202).location().to_owned()
}

fn realm(registry: &Registry, path: &str, said: &[(&str, &str)]) -> String {
    let answer = saying(registry.request("GET", &format!("{path}v2/")), said).expect(401);
    let asked = answer.header("WWW-Authenticate").unwrap();
    asked.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn a_trusted_proxy_says_where_tokens_are() {
    let registry = with_tokens("trusted_proxies: [127.0.0.0/8]");
    assert_eq!(realm(&registry, "/", &SAID), "https://registry.example/below/auth/token");
    let forwarded = [("Forwarded", "for=198.51.100.7;host=\"registry.example:8443\";proto=https, for=10.0.0.1")];
    assert_eq!(realm(&registry, "/", &forwarded), "https://registry.example:8443/auth/token");
    let port = [("X-Forwarded-Host", "registry.example"), ("X-Forwarded-Port", "8443"), ("X-Forwarded-Proto", "https")];
    assert_eq!(realm(&registry, "/", &port), "https://registry.example:8443/auth/token");
    let answer = saying(registry.request("GET", "/v2/"), &SAID).expect(401);
    assert!(answer.header("WWW-Authenticate").unwrap().ends_with("service=\"registry.example\""), "{answer}");
}

#[test]
fn nobody_else_is_believed() {
    let forwarded = [("Forwarded", "for=198.51.100.7;host=evil.example;proto=https")];
    for http in ["relativeurls: false", "trusted_proxies: [192.0.2.1, '::1', 10.0.0.0/8]"] {
        let registry = with_tokens(http);
        let here = format!("http://{}/auth/token", registry.addr());
        for said in [&SAID[..], &forwarded] {
            assert_eq!(realm(&registry, "/", said), here, "{http}");
        }
    }
    let registry = open("relativeurls: false");
    let here = format!("http://{}/v2/a/blobs/uploads/", registry.addr());
    assert!(location(&registry, "/", &SAID).starts_with(&here));
    assert!(!registry.log().contains("203.0.113.66") && !registry.log().contains("198.51.100.7"));
}

#[test]
fn what_cannot_be_an_address_is_passed_over() {
    let registry = open("{trusted_proxies: [any], relativeurls: false}");
    let here = format!("http://{}/v2/a/blobs/uploads/", registry.addr());
    for said in [
        ("X-Forwarded-Host", "evil.example/x?y"),
        ("X-Forwarded-Host", "a\"b"),
        ("X-Forwarded-Host", "user@evil.example"),
        ("X-Forwarded-Proto", "javascript"),
        ("X-Forwarded-Port", "123456"),
        ("X-Forwarded-Prefix", "//evil.example"),
        ("X-Forwarded-Prefix", "/a/../b"),
        ("X-Forwarded-Prefix", "evil"),
        ("Forwarded", "host=\"evil example\""),
        ("Forwarded", "host=evil.example;host=b, \""),
    ] {
        assert!(location(&registry, "/", &[said]).starts_with(&here), "{said:?}");
    }
}

/// Whoever makes up a host is told it, and nobody else is.
#[test]
fn a_host_that_is_made_up_changes_nobody_elses_answer() {
    let registry = open("relativeurls: false");
    assert!(location(&registry, "/", &[("Host", "evil.example")]).starts_with("http://evil.example/v2/a/"));
    let here = format!("http://{}/v2/a/blobs/uploads/", registry.addr());
    assert!(location(&registry, "/", &[]).starts_with(&here));
    for no_host in ["evil.example/x", "a b", "a\"b", "evil.example:99999", "x,y"] {
        let led = location(&registry, "/", &[("Host", no_host)]);
        assert!(led.starts_with("/v2/a/blobs/uploads/"), "{no_host}: {led}");
    }
    let said_by_the_operator = open("host: https://registry.example:8443");
    let led = location(&said_by_the_operator, "/", &[("Host", "evil.example")]);
    assert!(led.starts_with("https://registry.example:8443/v2/a/blobs/uploads/"), "{led}");
}

#[test]
fn what_leads_on_is_whole_if_it_is_wanted_so_and_leads_there() {
    for http in ["relativeurls: false", "{relativeurls: false, prefix: /deep/er/}"] {
        let registry = open(http);
        let root = format!("http://{}", registry.addr());
        let prefix = if http.contains("prefix") { "/deep/er/" } else { "/" };
        everything_leads_on(&registry, &root, prefix);
    }
}

#[test]
fn what_leads_on_has_the_prefix() {
    let registry = open("prefix: /deep/er/");
    everything_leads_on(&registry, "", "/deep/er/");
    registry.get("/v2/").refused(404, "UNSUPPORTED");
    registry.get("/deep/v2/").refused(404, "UNSUPPORTED");
    registry.get("/deep/er/").expect(200);
}

/// Pushes a blob and two manifests and lists their tags, going where the answers show.
fn everything_leads_on(registry: &Arc<Registry>, root: &str, prefix: &str) {
    let below = |path: &str| format!("{root}{prefix}{path}");
    let follow = |method: &str, address: &str| registry.request(method, address.strip_prefix(root).unwrap());
    let session = location(registry, prefix, &[]);
    assert!(session.starts_with(&below("v2/a/blobs/uploads/")), "{session}");
    let session = follow("PATCH", &session).body("lay").send().expect(202).location().to_owned();
    let refused = follow("PATCH", &session).header("Content-Range", "7-9").body("xyz").send();
    refused.refused(416, "RANGE_INVALID");
    assert_eq!(refused.location(), session);
    let closing = format!("{session}?digest={}", digest("layer"));
    let blob = follow("PUT", &closing).body("er").send().expect(201).location().to_owned();
    assert_eq!(blob, below(&format!("v2/a/blobs/{}", digest("layer"))));
    follow("GET", &blob).send().expect(200).brings("layer");
    for tag in ["one", "two"] {
        let put = registry.request("PUT", &format!("{prefix}v2/a/manifests/{tag}")).header("Content-Type", INDEX);
        let manifest = put.body(note(tag)).send().expect(201).location().to_owned();
        assert_eq!(manifest, below(&format!("v2/a/manifests/{}", digest(note(tag)))));
        follow("GET", &manifest).send().expect(200).brings(note(tag));
    }
    let page = registry.get(&format!("{prefix}v2/a/tags/list?n=1")).expect(200);
    let next = next_page(&page).unwrap();
    assert_eq!(next, below("v2/a/tags/list?last=one&n=1"));
    assert_eq!(follow("GET", &next).send().expect(200).json()["tags"], serde_json::json!(["two"]));
}

/// As the CNCF registry does, whose file it is.
#[test]
fn an_inherited_file_believes_everybody_and_sends_whole_addresses() {
    let file = |http: &str| Registry::configured(&format!("version: 0.1\nstorage: filesystem\nhttp: {http}\n"));
    let led = location(&file("{}"), "/", &SAID);
    assert!(led.starts_with("https://registry.example/below/v2/a/blobs/uploads/"), "{led}");
    let led = location(&file("{relativeurls: true}"), "/", &SAID);
    assert!(led.starts_with("/below/v2/a/blobs/uploads/"), "{led}");
    let led = location(&file("{host: 'https://host.example', relativeurls: true}"), "/", &SAID);
    assert!(led.starts_with("https://host.example/v2/a/blobs/uploads/"), "{led}");
    let registry = file("{trusted_proxies: []}");
    let here = format!("http://{}/v2/a/blobs/uploads/", registry.addr());
    assert!(location(&registry, "/", &SAID).starts_with(&here));
}

#[test]
fn the_operator_says_where_it_is() {
    let registry = with_tokens("{host: 'https://registry.example', trusted_proxies: [any]}");
    assert_eq!(realm(&registry, "/", &SAID), "https://registry.example/auth/token");
    let registry = with_tokens("{host: 'https://registry.example', prefix: /images/}");
    assert_eq!(realm(&registry, "/images/", &[]), "https://registry.example/images/auth/token");
    registry.get("/images/auth/token?service=x").expect(200);
    let registry = open("{host: 'https://registry.example/outside/', trusted_proxies: [any]}");
    assert!(location(&registry, "/", &SAID).starts_with("https://registry.example/outside/v2/a/blobs/uploads/"));
}

#[test]
fn the_log_names_the_client_behind_a_trusted_proxy() {
    let registry = open("trusted_proxies: [127.0.0.1, 10.0.0.0/8]");
    for (header, said, client) in [
        ("X-Forwarded-For", "203.0.113.66, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("X-Forwarded-For", "[2001:db8::7]:443", "2001:db8::7"),
        ("X-Real-IP", "198.51.100.8", "198.51.100.8"),
        ("Forwarded", "for=203.0.113.66, for=\"198.51.100.9:80\";proto=https", "198.51.100.9"),
    ] {
        let answer = registry.request("GET", "/v2/").header(header, said).send().expect(200);
        let id = answer.header("X-Request-Id").unwrap().to_owned();
        let line = eventually("the request is logged", || {
            registry.log().lines().find(|line| line.contains("access") && line.contains(&id)).map(str::to_owned)
        });
        assert!(line.contains(client) && !line.contains("203.0.113.66"), "{line}");
    }
}

/// Else one client behind a proxy would take the places of all.
#[test]
fn places_are_counted_for_the_client_behind_a_trusted_proxy() {
    let registry = open("{trusted_proxies: [127.0.0.1], limits: {requests: 1, wait: 1s}}");
    let upload = registry.repository().start_upload();
    let mut busy = registry.connect();
    let from = |client| [("X-Forwarded-For", client), ("Content-Length", "7"), ("Expect", "100-continue")];
    busy.begin("PATCH", &upload.location, &from("198.51.100.7"));
    assert_eq!(busy.head().0, 100);
    let ping = |client: &str| registry.request("GET", "/v2/").header("X-Forwarded-For", client).send();
    ping("203.0.113.66, 198.51.100.7").refused(429, "TOOMANYREQUESTS");
    ping("198.51.100.7, 198.51.100.8").expect(200);
    busy.send("content");
    busy.answer().expect(202);
}

#[test]
fn a_page_of_the_site_that_the_proxy_was_asked_for_may_write() {
    let registry = open("trusted_proxies: [127.0.0.1]");
    let post = |origin: &str| {
        let request = registry.request("POST", "/v2/a/blobs/uploads/").header("X-Forwarded-Host", "registry.example");
        request.header("Origin", origin).send()
    };
    post("https://registry.example").expect(202);
    post("https://evil.example").refused(403, "DENIED");
}

/// A page that gave this machine a name of its own can send any header.
#[test]
fn a_trusted_proxy_does_not_open_a_registry_for_this_machine() {
    let registry = Registry::configured("http:\n  trusted_proxies: [any]\n");
    let said = [("Host", "evil.example"), ("X-Forwarded-Host", "localhost"), ("X-Forwarded-For", "127.0.0.1")];
    saying(registry.request("GET", "/v2/"), &said).refused(403, "DENIED");
}

#[test]
fn what_is_no_address_stops_the_start() {
    for (setting, said) in [
        ("host: registry.example", "https://registry.example.com"),
        ("host: 'https://a/?b'", "https://registry.example.com"),
        ("prefix: registry", "begins and ends with a slash"),
        ("prefix: /a//b/", "begins and ends with a slash"),
        ("trusted_proxies: [localhost]", "10.0.0.0/8"),
        ("trusted_proxies: [10.0.0.0/40]", "10.0.0.0/8"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yml");
        fs::write(&file, format!("auth: open\nhttp:\n  {setting}\n")).unwrap();
        let output = run(serve(&folder.path().join("data")).arg(&file));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("config.yml:3") && told.contains(said), "{told}");
    }
}
