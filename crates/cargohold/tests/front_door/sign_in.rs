//! Who may do what where passwords are asked for, as clients find out: challenges, passwords and tokens.

use std::{fs, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::{Request, Response},
    content::{CONFIG, IMAGE, LAYER, descriptor, digest},
    registry::{Registry, run, serve},
    waiting::eventually,
};

/// What the image here is made of.
const PARTS: [&str; 2] = ["{}", "a layer"];

/// A registry that knows alice, with her password `s:cret`.
fn house(anonymous: &str) -> (Arc<Registry>, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("htpasswd");
    write_user(&users, "alice", "s:cret");
    let path = users.display();
    Registry::configure(&folder, &format!("auth:\n  htpasswd:\n    path: {path}\n  anonymous: {anonymous}\n"));
    (Registry::start_in(folder, &[]), users)
}

/// With bcrypt's least cost, so that tests are quick.
fn write_user(file: &std::path::Path, user: &str, password: &str) {
    fs::write(file, format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())).unwrap();
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn as_alice(request: Request) -> Request {
    request.header("Authorization", basic("alice", "s:cret"))
}

fn image() -> String {
    let [config, layer] = PARTS;
    crate::content::image(&descriptor(CONFIG, config), &[descriptor(LAYER, layer)]).to_string()
}

/// Pushes an image as somebody; the answer to its manifest.
fn push(registry: &Registry, name: &str, sign: impl Fn(Request) -> Request) -> Response {
    for content in PARTS {
        let path = format!("/v2/{name}/blobs/uploads/?digest={}", digest(content));
        sign(registry.request("POST", &path).body(content)).send().expect(201);
    }
    let put = registry.request("PUT", &format!("/v2/{name}/manifests/v1")).header("Content-Type", IMAGE);
    sign(put.body(image())).send()
}

fn bearer(token: &str) -> impl Fn(Request) -> Request + use<> {
    let header = format!("Bearer {token}");
    move |request| request.header("Authorization", &header)
}

/// The token that is given for these scopes.
#[track_caller]
fn token(registry: &Registry, scopes: &[&str], sign: impl Fn(Request) -> Request) -> String {
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("&scope={scope}")).collect();
    let path = format!("/auth/token?service=x{}", scopes.concat());
    let answer: Value = serde_json::from_slice(&sign(registry.request("GET", &path)).send().expect(200).body).unwrap();
    assert_eq!(answer["token"], answer["access_token"]);
    assert!(answer["expires_in"].as_u64() >= Some(300) && answer["issued_at"].is_string(), "{answer}");
    answer["token"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_opens_without_a_password_and_everything_with_one() {
    let (registry, _users) = house("nothing");
    for (method, path) in [
        ("GET", "/v2/"),
        ("HEAD", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/_oci/ext/discover"),
        ("GET", "/v2/a/tags/list"),
        ("HEAD", "/v2/a/manifests/v1"),
        ("PUT", "/v2/a/manifests/v1"),
        ("DELETE", "/v2/a/manifests/v1"),
        ("POST", "/v2/a/blobs/uploads/"),
        ("GET", "/auth/token?service=x"),
    ] {
        let answer = registry.request(method, path).send().expect(401);
        let answer = answer.with("WWW-Authenticate", "Basic realm=\"Registry\"");
        if method != "HEAD" {
            assert!(String::from_utf8_lossy(&answer.body).contains("UNAUTHORIZED"), "{answer}");
        }
    }
    as_alice(registry.request("GET", "/v2/")).send().expect(200);
    push(&registry, "a", as_alice).expect(201);
    as_alice(registry.request("GET", "/v2/a/manifests/v1")).send().expect(200).brings(image());
    as_alice(registry.request("GET", "/v2/_catalog")).send().expect(200);
    as_alice(registry.request("DELETE", "/v2/a/manifests/v1")).send().expect(202);
}

#[test]
fn a_wrong_password_opens_nothing_not_even_what_is_open() {
    for anonymous in ["nothing", "pull"] {
        let (registry, _users) = house(anonymous);
        for header in [basic("alice", "wrong"), basic("bob", "s:cret"), "Basic !".to_owned(), "Digest x".to_owned()] {
            let answer = registry.request("GET", "/v2/a/tags/list").header("Authorization", &header).send().expect(401);
            assert!(answer.header("WWW-Authenticate").is_some(), "{answer}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("s:cret"));
        }
        assert!(!registry.log().contains("s:cret") && !registry.log().contains(&basic("alice", "s:cret")[6..]));
    }
}

#[test]
fn everybody_pulls_and_those_with_a_password_push() {
    let (registry, _users) = house("pull");
    push(&registry, "a", as_alice).expect(201);
    registry.get("/v2/a/manifests/v1").expect(200).brings(image());
    registry.get("/v2/a/tags/list").expect(200);
    registry.get(&format!("/v2/a/blobs/{}", digest(PARTS[1]))).expect(200).brings(PARTS[1]);
    let host = registry.addr();
    let ask = format!("Bearer realm=\"http://{host}/auth/token\",service=\"{host}\"");
    registry.get("/v2/").expect(401).with("WWW-Authenticate", &ask);
    let answer = registry.request("POST", "/v2/a/blobs/uploads/").send().expect(401);
    answer.with("WWW-Authenticate", format!("{ask},scope=\"repository:a:pull,push\""));
    let answer = registry.request("DELETE", "/v2/a/manifests/v1").send().expect(401);
    answer.with("WWW-Authenticate", format!("{ask},scope=\"repository:a:delete\""));
    registry.get("/v2/_catalog").expect(401).with("WWW-Authenticate", format!("{ask},scope=\"registry:catalog:*\""));
}

#[test]
fn a_token_is_good_for_what_it_was_asked_for() {
    let (registry, _users) = house("pull");
    let alices = bearer(&token(&registry, &["repository:a:push,pull", "repository:b:pull"], as_alice));
    alices(registry.request("GET", "/v2/")).send().expect(200);
    push(&registry, "a", &alices).expect(201);
    let refused = alices(registry.request("POST", "/v2/b/blobs/uploads/")).send().expect(401);
    let asked = refused.header("WWW-Authenticate").unwrap();
    assert!(asked.ends_with(",scope=\"repository:b:pull,push\",error=\"insufficient_scope\""), "{asked}");
    let anybodys = bearer(&token(&registry, &["repository:a:pull,push"], |request| request));
    anybodys(registry.request("GET", "/v2/")).send().expect(200);
    anybodys(registry.request("GET", "/v2/a/manifests/v1")).send().expect(200);
    anybodys(registry.request("POST", "/v2/a/blobs/uploads/")).send().expect(401);
    let forged =
        registry.request("GET", "/v2/a/manifests/v1").header("Authorization", "Bearer x.y.z").send().expect(401);
    assert!(forged.header("WWW-Authenticate").unwrap().ends_with(",error=\"invalid_token\""), "{forged}");
}

#[test]
fn a_mount_takes_what_the_token_may_read() {
    let (registry, _users) = house("nothing");
    push(&registry, "source", as_alice).expect(201);
    let mount = format!("/v2/target/blobs/uploads/?mount={}&from=source", digest(PARTS[1]));
    let blind = bearer(&token(&registry, &["repository:target:pull,push"], as_alice));
    blind(registry.request("POST", &mount)).send().expect(202);
    let seeing = bearer(&token(&registry, &["repository:target:pull,push%20repository:source:pull"], as_alice));
    seeing(registry.request("POST", &mount)).send().expect(201);
}

#[test]
fn a_form_gets_a_token_too() {
    let (registry, _users) = house("nothing");
    let post = |form: &str| {
        let request = registry.request("POST", "/auth/token");
        request.header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8").body(form).send()
    };
    let form =
        "grant_type=password&service=x&client_id=c&username=alice&password=s%3Acret&scope=repository%3Aa%3Apull%2Cpush";
    let answer: Value = serde_json::from_slice(&post(form).expect(200).body).unwrap();
    assert_eq!(answer["scope"], "repository:a:pull,push");
    push(&registry, "a", bearer(answer["access_token"].as_str().unwrap())).expect(201);
    post("grant_type=password&username=alice&password=wrong").expect(401);
    post("grant_type=refresh_token&refresh_token=x").expect(400);
    post("grant_type=magic").expect(400);
    post(&format!("x={}", "y".repeat(70_000))).expect(413);
    registry.request("PUT", "/auth/token").body("").send().expect(405).with("Allow", "GET, HEAD, POST");
}

#[test]
fn a_changed_file_counts_without_a_restart() {
    let (registry, users) = house("nothing");
    let ping =
        |user: &str| registry.request("GET", "/v2/").header("Authorization", basic(user, "s:cret")).send().status;
    assert_eq!((ping("alice"), ping("bob")), (200, 401));
    let alices = bearer(&token(&registry, &["repository:a:pull"], as_alice));
    write_user(&users, "bob", "s:cret");
    eventually("bob comes in", || (ping("bob") == 200).then_some(()));
    assert_eq!(ping("alice"), 401);
    alices(registry.request("GET", "/v2/")).send().expect(401);
    fs::write(&users, "rubbish").unwrap();
    eventually("it is told", || {
        assert_eq!(ping("bob"), 200);
        registry.log().contains("those from before stay").then_some(())
    });
}

#[test]
fn a_file_that_is_missing_or_wrong_stops_the_start() {
    let start = |content: Option<&str>| {
        let folder: TempDir = tempfile::tempdir().unwrap();
        let users = folder.path().join("htpasswd");
        if let Some(content) = content {
            fs::write(&users, content).unwrap();
        }
        let mut command = serve(&folder.path().join("data"));
        let output = run(command.env("CARGOHOLD__AUTH__HTPASSWD__PATH", &users));
        assert!(!output.status.success());
        assert!(!folder.path().join("data").exists());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = start(None);
    assert!(said.contains("auth.htpasswd.path") && said.contains("htpasswd -Bc"), "{said}");
    let said = start(Some("# users\nalice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"));
    assert!(said.contains("htpasswd:2: the password is not hashed with bcrypt"), "{said}");
}

#[test]
fn where_nobody_needs_a_password_none_is_looked_at() {
    let registry = Registry::shared();
    registry.request("GET", "/v2/").header("Authorization", basic("x", "y")).send().expect(200);
    registry.get("/auth/token").expect(404);
}
