//! Headers that the operator wants on every answer, and what browsers need to let a page of another site in.

use std::{fs, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    client::Response,
    registry::{Registry, run, serve},
};

/// What docs/browsers.md tells people to use, for a page of this site.
const PAGE: &str = include_str!("../../../../docs/browsers.md");
const UI: &str = "https://ui.example.com";

/// One with a password and the page's headers.
fn browsed() -> Arc<Registry> {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("htpasswd");
    fs::write(&users, format!("alice:{}\n", bcrypt::hash("s:cret", 4).unwrap())).unwrap();
    let (_, text) = PAGE.split_once("```yaml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    Registry::configure(&folder, &text.replace("/etc/cargohold/htpasswd", &users.display().to_string()));
    Registry::start_in(folder, &[])
}

fn ask(registry: &Registry, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    headers.iter().fold(registry.request(method, path), |request, (name, value)| request.header(name, value)).send()
}

#[test]
fn they_are_on_every_answer() {
    let registry = Registry::configured(
        "auth: open\nhttp:\n  headers:\n    X-Content-Type-Options: [nosniff]\n    X-Two: [a, b]\n",
    );
    let repository = registry.repository();
    for answer in [
        registry.get("/"),
        registry.get("/v2/"),
        registry.get("/nowhere"),
        registry.get("/healthz"),
        repository.get("manifests/none"),
        repository.post("").send(),
        registry.request("PUT", "/v2/").send(),
    ] {
        let answer = answer.with("X-Content-Type-Options", "nosniff");
        assert_eq!(answer.values("X-Two"), ["a", "b"], "{answer}");
        assert_eq!(answer.values("Docker-Distribution-Api-Version"), ["registry/2.0"]);
    }
}

#[test]
fn a_browser_asks_beforehand_without_a_password_and_is_let_in() {
    let registry = browsed();
    for path in ["/v2/", "/v2/_catalog", "/v2/a/tags/list", "/v2/a/manifests/v1"] {
        let preflight = ask(
            &registry,
            "OPTIONS",
            path,
            &[
                ("Origin", UI),
                ("Access-Control-Request-Method", "DELETE"),
                ("Access-Control-Request-Headers", "authorization"),
            ],
        );
        let preflight = preflight.expect(200).without("WWW-Authenticate").brings("");
        assert!(preflight.header("Allow").unwrap().ends_with(", OPTIONS"), "{preflight}");
        let preflight = preflight.with("Access-Control-Allow-Origin", UI);
        assert!(preflight.header("Access-Control-Allow-Methods").unwrap().contains("DELETE"));
        assert!(preflight.header("Access-Control-Allow-Headers").unwrap().contains("Authorization"));
    }
    let refused = ask(&registry, "GET", "/v2/_catalog", &[("Origin", UI)]).expect(401);
    let refused = refused.with("Access-Control-Allow-Origin", UI);
    assert!(refused.header("WWW-Authenticate").is_some());
    let password = format!("Basic {}", STANDARD.encode("alice:s:cret"));
    let seen = ask(&registry, "GET", "/v2/_catalog", &[("Origin", UI), ("Authorization", &password)]).expect(200);
    let exposed =
        seen.with("Access-Control-Allow-Origin", UI).header("Access-Control-Expose-Headers").unwrap().to_owned();
    assert!(exposed.contains("Docker-Content-Digest") && exposed.contains("Link"), "{exposed}");
    let path = "/v2/a/manifests/v1";
    ask(&registry, "DELETE", path, &[("Origin", UI), ("Authorization", &password)]).refused(404, "MANIFEST_UNKNOWN");
    let other = [("Origin", "https://evil.example"), ("Authorization", password.as_str())];
    ask(&registry, "DELETE", path, &other).refused(403, "DENIED");
}

#[test]
fn a_question_without_such_headers_lets_nobody_in() {
    let registry = Registry::shared();
    let preflight = ask(registry.as_ref(), "OPTIONS", "/v2/a/blobs/uploads/", &[("Origin", UI)]).expect(200);
    preflight.with("Allow", "POST, OPTIONS").without("Access-Control-Allow-Origin");
    ask(registry.as_ref(), "OPTIONS", "/nowhere", &[]).refused(404, "UNSUPPORTED");
    ask(registry.as_ref(), "OPTIONS", "/v2/", &[("Host", "evil.example")]).refused(403, "DENIED");
}

#[test]
fn what_is_no_header_stops_the_start() {
    for (headers, said) in [
        ("'X A': [b]", "headers of HTTP"),
        ("X-A: [\"b\\r\\nc\"]", "headers of HTTP"),
        ("Content-Length: ['7']", "the same on every answer"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yml");
        fs::write(&file, format!("auth: open\nhttp:\n  headers:\n    {headers}\n")).unwrap();
        let output = run(serve(&folder.path().join("data")).arg(&file));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("http.headers") && told.contains(said), "{told}");
    }
}
